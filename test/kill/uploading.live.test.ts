/** Uploading, letting go of files and fetching them back, with each system call of it failing, from each on, and killed at each. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionId } from '../../src/core/index.ts'
import { markFile } from '../../src/recording/files/upload-marks.ts'
import { dayOf, sessionFile, uploadsDirectory } from '../../src/recording/files/names.ts'
import { readSession } from '../../src/recording/reading/reader.ts'
import { BucketStage, bucketOf, PREFIX } from '../../src/testing/bucket-stage.ts'
import { collect } from '../../src/testing/entries.ts'
import { testKeys } from '../../src/testing/recording-keys.ts'
import { S3Server } from '../../src/testing/s3-server.ts'
import { times } from '../support/proof.ts'
import { FAULTS, meet, type Program, type Ran, stepsOf, waysOf } from './stepped.ts'

const PROGRAM = fileURLToPath(new URL('../../src/testing/uploader-program.ts', import.meta.url))
/** Of each kind of call, so many: all there are, in full. */
const MANY = times({ small: 1, full: 1_000 })

const place = mkdtempSync(join(tmpdir(), 'sluice-uploading-'))
const whole = join(place, 'whole')
let server: S3Server
let stage: BucketStage
const sessions: SessionId[] = []
const files = new Map<SessionId, Buffer>()
let steps: Awaited<ReturnType<typeof stepsOf>>

const program = (): Program => {
  const { directory } = stage
  const [uploads, fetched] = [uploadsDirectory(directory), sessions[0] ?? expect.unreachable()]
  return {
    args: [PROGRAM, directory, JSON.stringify(bucketOf(server)), fetched],
    paths: (pid) => [
      directory,
      uploads,
      join(uploads, dayOf(fetched)),
      ...['place', 'log'].flatMap((name) => [join(uploads, name), join(uploads, `${name}.new`)]),
      ...sessions.flatMap((id) => [
        sessionFile(directory, id),
        markFile(directory, id, 'was'),
        markFile(directory, id, 'up'),
        `${markFile(directory, id, 'up')}.new`,
        `${markFile(directory, id, 'up')}.${pid}-1.got`,
      ]),
      join(sessionFile(directory, fetched), '..'),
      ...['', 'checkpoint', 'key', 'tile'].map((name) => join(directory, 'log', name)),
    ],
  }
}

function begin(): void {
  rmSync(stage.directory, { recursive: true, force: true })
  cpSync(whole, stage.directory, { recursive: true })
  server.objects.clear()
  server.uploads.clear()
  server.taken()
}

const stored = (id: SessionId): Buffer | undefined =>
  server.objects.get(`${PREFIX}sessions/${dayOf(id)}/${id}.slr`)?.bytes
const here = (id: SessionId): Buffer | undefined => {
  const path = sessionFile(stage.directory, id)
  return existsSync(path) ? readFileSync(path) : undefined
}

beforeAll(async () => {
  server = await S3Server.open()
  stage = await BucketStage.open(server)
  server.now = Date.now
  // One that goes up whole, and one in parts.
  sessions.push(stage.session(), stage.session(2_500))
  await stage.seal()
  await stage.seal()
  for (const id of sessions) files.set(id, here(id) ?? expect.unreachable())
  cpSync(stage.directory, whole, { recursive: true })
  steps = await stepsOf(program())
  expect(sessions.map(stored)).toEqual(sessions.map((id) => files.get(id)))
}, 120_000)
afterAll(async () => {
  stage.close()
  await server.close()
  rmSync(place, { recursive: true, force: true })
})

/** What must hold however it ended, and after the next start. */
async function holds(ran: Ran, where: string): Promise<void> {
  const [upload = '', fetch = ''] = ran.said
  if (ran.signal === null) expect([upload, fetch].join(), where).toMatch(/^upload .*,fetch /)
  for (const id of sessions) {
    // A half of it never counts: what has the name is all of it, and it is here until the store has it.
    for (const found of [here(id), stored(id)])
      if (found !== undefined) expect(found.equals(files.get(id) ?? Buffer.of()), where).toBe(true)
    expect(here(id) ?? stored(id), where).toBeDefined()
    if (upload === 'upload done') expect(stored(id), where).toBeDefined()
  }
  if (fetch === 'fetch done') expect(here(sessions[0] ?? expect.unreachable()), where).toBeDefined()

  const faults = stage.faults.length
  const next = stage.uploader({ spoolBytesMax: 0, wholeBytesMax: 1_000 })
  await next.pass(true)
  expect(next.state, where).toMatchObject({ waitingFiles: 0, refused: 0, undeleted: 0 })
  for (const id of sessions) {
    expect(stored(id)?.equals(files.get(id) ?? Buffer.of()), where).toBe(true)
    const read = await collect(
      readSession(stage.directory, testKeys, id, { fetch: (each) => next.fetch(each) }),
    )
    expect(
      read.map(({ entry }) => entry.kind),
      where,
    ).toEqual(['open', 'outcome', 'close'])
  }
  const { proved, failures, sessions: found } = await stage.verify()
  expect(failures, where).toEqual([])
  expect(proved, where).toBe(true)
  expect(
    found.map(({ session, state }) => `${session} ${state}`),
    where,
  ).toEqual(sessions.map((id) => `${id} proved`))
  expect(stage.faults.slice(faults), where).toEqual([])
}

describe.each(FAULTS)('while uploading, $name', (fault) => {
  test.each(waysOf(fault))(
    'a system call that fails %s: all of it is here or in the store, and in the end in the store (P-06)',
    (how) => meet(fault, how, MANY, { program, steps, begin, holds }),
    3_600_000,
  )
})
