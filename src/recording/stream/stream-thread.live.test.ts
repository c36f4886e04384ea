import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AdminHead, GatewayError, Secret, systemClock } from '../../core/index.ts'
import { adminEntry } from '../../testing/entries.ts'
import { httpReceiver, type Receiver, TakenEvents } from '../../testing/event-receiver.ts'
import { unsyncedFiles } from '../../testing/faulty-files.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import type { StreamOutlet } from './settings.ts'
import { StreamThread } from './stream-thread.ts'

let directory: string
let journal: FileJournal
let thread: StreamThread
let taken: TakenEvents
let receiver: Receiver
let headers: (string | undefined)[]
let recorded: AdminHead[]
let faults: string[]
let secret: () => Secret

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-thread-'))
  taken = new TakenEvents()
  headers = []
  recorded = []
  faults = []
  secret = () => new Secret('first')
  receiver = await httpReceiver(
    taken,
    () => true,
    ({ authorization }) => {
      headers.push(authorization)
      return 200
    },
  )
  const onFault = (error: unknown): void => expect.fail(String(error))
  journal = openJournal({
    directory,
    keys: testKeys,
    random,
    clock: systemClock,
    files: unsyncedFiles,
    onFault,
  })
  thread = new StreamThread({
    directory,
    keys: testKeys,
    program: '9.9.9',
    clock: systemClock,
    resolveSecret: async () => secret(),
    record: (head) => void recorded.push(head),
    onFault: (error) => void faults.push(error instanceof Error ? error.message : String(error)),
  })
})
afterEach(async () => {
  await thread.stop()
  journal.close()
  await receiver.close()
  rmSync(directory, { recursive: true, force: true })
})

const outlet = (name = 'siem'): StreamOutlet => ({
  settings: {
    name,
    statements: false,
    backlog: { bytesMax: 1_000, msMax: 2_000 },
    to: {
      kind: 'http',
      url: `http://127.0.0.1:${receiver.port}/`,
      gzip: true,
      header: { name: 'Authorization', scheme: undefined },
      format: 'array',
    },
  },
  secrets: { header: { kind: 'store', name: 'siem' } },
})

function write(): void {
  journal.append(undefined, adminEntry())
  journal.flush()
  journal.authenticate()
}

const delivered = (count: number) =>
  expect.poll(() => thread.states[0]?.delivered, { timeout: 20_000 }).toBe(count)

test('a secret is looked up for each batch, and one that cannot be is a fault that passes', async () => {
  expect(thread.backlog).toBeUndefined()
  secret = () => {
    throw new GatewayError('invalid', '${store:siem}: there is no such secret in the store.')
  }
  write()
  thread.adopt([outlet()])
  expect(thread.backlog).toEqual({ through: 0, bytesMax: 1_000, msMax: 2_000 })
  await expect
    .poll(() => faults, { timeout: 20_000 })
    .toEqual(['Outlet siem: ${store:siem}: there is no such secret in the store.'])
  expect(headers).toEqual([])
  secret = () => new Secret('second')
  await delivered(1)
  secret = () => new Secret('third')
  write()
  await delivered(2)
  expect(headers).toEqual(['second', 'third'])
  expect(thread.states[0]).toMatchObject({ fault: undefined, parked: false, missed: 0 })
  await expect.poll(() => thread.backlog?.through).toBe(journal.flushedSequence)
})

test('outlets that are taken away are sent nothing more, and go on where they were when they are put back', async () => {
  write()
  thread.adopt([outlet()])
  await delivered(1)
  thread.adopt([])
  expect(thread.states).toEqual([])
  expect(thread.backlog).toBeUndefined()
  write()
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect(taken.count).toBe(1)
  thread.adopt([outlet()])
  await delivered(1)
  expect(taken.count).toBe(2)
  expect(taken.byId.size).toBe(2)
  // Another name is another outlet: it begins with what there is.
  thread.adopt([outlet('other')])
  await delivered(2)
  expect(recorded).toEqual([])
  expect(faults).toEqual([])
})
