import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isGatewayError } from '../core/index.ts'
import { collect } from '../testing/entries.ts'
import { checkLog } from '../testing/log-check.ts'
import { damagedVectors, inputSteps, sessions, writeVectors } from '../testing/recording-vectors.ts'
import { type RecordedEntry, readJournal, readSession } from './reading/reader.ts'
import { testKeys } from '../testing/recording-keys.ts'

/*
 * Files of the formats as they are written down in docs/formats/journal.md, for any reader: `whole/` is a data directory,
 * `whole.jsonl` what is in it, `damaged/*.slj` a first journal file each, with what a reader must say of it beside it.
 */
const format2 = join(import.meta.dirname, 'vectors', 'format-2')
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
    ...(entry.kind === 'input' && entry.digest !== undefined
      ? { digest: Buffer.from(entry.digest).toString('base64') }
      : {}),
  })
}

/** What a reader says of a first journal file. */
async function readingOf(file: Buffer): Promise<unknown> {
  mkdirSync(join(directory, 'journal'), { recursive: true })
  writeFileSync(join(directory, 'journal', '00000001.slj'), file)
  const found: { entries: number; torn?: number; damaged?: unknown; needs?: unknown } = { entries: 0 }
  try {
    const onTornTail = ({ offset }: { offset: number }): void => {
      found.torn = offset
    }
    for await (const _ of readJournal(directory, testKeys, { onTornTail })) found.entries++
  } catch (error) {
    if (!isGatewayError(error)) throw error
    const { offset, keyId } = error.facts
    if (keyId !== undefined) found.needs = keyId
    else found.damaged = { offset, reason: /byte \d+: (.*)\.$/.exec(error.message)?.[1] }
  }
  return found
}

test('what is written today is, byte for byte, what the vectors hold', async () => {
  await writeVectors(directory)
  const whole = join(format2, 'whole')
  expect(files(directory)).toEqual(files(whole))
  for (const name of files(whole)) {
    expect(readFileSync(join(directory, name)).equals(readFileSync(join(whole, name))), name).toBe(true)
  }
})

test('the vectors are read as they say', async () => {
  const expected = readFileSync(join(format2, 'whole.jsonl'), 'utf8').trim().split('\n')
  const whole = join(format2, 'whole')
  expect((await collect(readJournal(whole, testKeys))).map(line)).toEqual(expected)
  for (const session of sessions) {
    const own = expected.filter((each) => each.includes(`"session":"${session}"`))
    // Two parts that were put together again: the fields may stand in another order.
    const read = (await collect(readSession(whole, testKeys, session))).map(line)
    expect(read.map((each): unknown => JSON.parse(each))).toEqual(
      own.map((each): unknown => JSON.parse(each)),
    )
  }
})

test('so are those of what clients send to commands that run', async () => {
  await writeVectors(directory, inputSteps)
  const whole = join(format2, 'input', 'whole')
  expect(files(directory)).toEqual(files(whole))
  for (const name of files(whole))
    expect(readFileSync(join(directory, name)).equals(readFileSync(join(whole, name))), name).toBe(true)
  const expected = readFileSync(join(format2, 'input', 'whole.jsonl'), 'utf8')
    .trim()
    .split('\n')
  expect((await collect(readJournal(whole, testKeys))).map(line)).toEqual(expected)
  const own = expected.filter((each) => each.includes(`"session":"${sessions[0]}"`))
  const read = (await collect(readSession(whole, testKeys, sessions[0] ?? expect.fail()))).map(line)
  expect(read.map((each): unknown => JSON.parse(each))).toEqual(own.map((each): unknown => JSON.parse(each)))
})

test('recordings of before reasons and names of a client were payloads are read, and mean the same (P-06)', async () => {
  const earlier = join(format2, 'earlier')
  const told = readFileSync(join(earlier, 'whole.jsonl'), 'utf8').trim().split('\n')
  const read = (await collect(readJournal(join(earlier, 'whole'), testKeys))).map(line)
  expect(read).toEqual(told)
  const [now, then] = [readFileSync(join(format2, 'whole.jsonl'), 'utf8').trim().split('\n'), told]
  expect(now.map((each): unknown => JSON.parse(each))).toEqual(then.map((each): unknown => JSON.parse(each)))
})

const damaged = files(join(format2, 'damaged')).filter((name) => name.endsWith('.slj'))

test('there are vectors of damage', () => {
  expect(damaged.length).toBeGreaterThan(25)
})

for (const name of damaged) {
  test(`damaged: ${name}`, async () => {
    const path = join(format2, 'damaged', name)
    const says: unknown = JSON.parse(readFileSync(path.replace('.slj', '.json'), 'utf8'))
    expect(await readingOf(readFileSync(path))).toEqual(says)
  })
}

test('the log of the vectors is that of their session files', async () => {
  const log = await checkLog(join(format2, 'whole'), testKeys)
  expect([...log.files.keys()]).toEqual([sessions[0]])
  expect(log.entries.map(({ kind }) => kind)).toEqual([
    'frame',
    'frame',
    'frame',
    'frame',
    'segment',
    'segment',
    'through',
    'file',
  ])
})

test('the vectors of damage are made from the whole ones', () => {
  const journal = join(format2, 'whole', 'journal')
  const made = damagedVectors(
    readFileSync(join(journal, '00000001.slj')),
    readFileSync(join(journal, '00000002.slj')),
  )
  const names = files(join(format2, 'damaged')).filter((name) => name.endsWith('.slj'))
  expect(names).toEqual([...made.keys()].map((name) => `${name}.slj`).sort())
  for (const [name, bytes] of made) {
    expect(readFileSync(join(format2, 'damaged', `${name}.slj`)).equals(bytes), name).toBe(true)
  }
})
