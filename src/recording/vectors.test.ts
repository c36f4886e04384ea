import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isGatewayError } from '../core/index.ts'
import { collect } from '../testing/entries.ts'
import { sessions, writeVectors } from '../testing/recording-vectors.ts'
import { type RecordedEntry, readJournal, readSession } from './reader.ts'

/*
 * Files of the format as it is written down in docs/formats/journal.md, for any reader: `whole/` is a data directory,
 * `whole.jsonl` what is in it, `damaged/*.slj` a first journal file each, with what a reader must say of it beside it.
 */
const vectors = join(import.meta.dirname, 'vectors')
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-vectors-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function files(of: string): string[] {
  return readdirSync(of, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(of.length + 1))
    .sort()
}

function line({ sequence, time, session, entry }: RecordedEntry): string {
  const body = 'body' in entry && entry.body !== undefined ? Buffer.from(entry.body).toString('base64') : null
  return JSON.stringify({
    sequence,
    time,
    session: session ?? null,
    kind: entry.kind,
    head: entry.head,
    body,
  })
}

test('what is written today is, byte for byte, what the vectors hold', async () => {
  await writeVectors(directory)
  const whole = join(vectors, 'whole')
  expect(files(directory)).toEqual(files(whole))
  for (const name of files(whole)) {
    expect(readFileSync(join(directory, name)).equals(readFileSync(join(whole, name))), name).toBe(true)
  }
})

test('the vectors are read as they say', async () => {
  const expected = readFileSync(join(vectors, 'whole.jsonl'), 'utf8').trim().split('\n')
  const whole = join(vectors, 'whole')
  expect((await collect(readJournal(whole))).map(line)).toEqual(expected)
  for (const session of sessions) {
    const own = expected.filter((each) => each.includes(`"session":"${session}"`))
    expect((await collect(readSession(whole, session))).map(line)).toEqual(own)
  }
})

const damaged = files(join(vectors, 'damaged')).filter((name) => name.endsWith('.slj'))

test('there are vectors of damage', () => {
  expect(damaged.length).toBeGreaterThan(10)
})

for (const name of damaged) {
  test(`damaged: ${name}`, async () => {
    const says: unknown = JSON.parse(
      readFileSync(join(vectors, 'damaged', name.replace('.slj', '.json')), 'utf8'),
    )
    mkdirSync(join(directory, 'journal'))
    writeFileSync(join(directory, 'journal', '00000001.slj'), readFileSync(join(vectors, 'damaged', name)))
    const found: { entries: number; torn?: number; damaged?: { offset: unknown; reason: unknown } } = {
      entries: 0,
    }
    try {
      const onTornTail = ({ offset }: { offset: number }): void => {
        found.torn = offset
      }
      for await (const _ of readJournal(directory, { onTornTail })) found.entries++
    } catch (error) {
      if (!isGatewayError(error)) throw error
      found.damaged = { offset: error.facts.offset, reason: /byte \d+: (.*)\.$/.exec(error.message)?.[1] }
    }
    expect(found).toEqual(says)
  })
}
