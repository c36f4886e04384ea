/** What clients send to commands that run, on its way into the recording. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Entry, LabelName } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { FieldOpener } from '../recording/index.ts'
import { MemoryJournal } from '../testing/memory-journal.ts'
import { sessionId } from '../testing/entries.ts'
import { testKeys } from '../testing/recording-keys.ts'
import { CommandInFlight } from './flights.ts'
import { Input } from './input.ts'

const email = brand<LabelName>('pii.email')

function made(keptMax: number, labels: readonly LabelName[] = []) {
  const journal = new MemoryJournal()
  const flight: CommandInFlight = Object.create(CommandInFlight.prototype)
  Object.assign(flight, { n: 1, inputKept: 0 })
  const input = new Input({ session: sessionId(), journal, keptMax }, flight, labels)
  const next = (): Input => new Input({ session: sessionId(), journal, keptMax }, flight, labels)
  return { journal, flight, input, next }
}

function push(input: Input, text: string): void {
  // As a read buffer is: used again behind the call.
  const bytes = Buffer.from(`..${text}..`)
  input.push(bytes, 2, bytes.length - 2)
  bytes.fill('#')
}

/** How much of it each entry has, and the end. */
function told(journal: MemoryJournal): unknown[] {
  journal.flush()
  return journal.entries.map((entry) => {
    if (entry.kind !== 'input') return entry.kind
    const { end, ...head } = entry.head
    return {
      ...head,
      ...(entry.body === undefined ? {} : { body: Buffer.from(entry.body).toString('latin1') }),
      ...(end === undefined ? {} : { end }),
      ...(entry.digest === undefined ? {} : { digest: Buffer.from(entry.digest).toString('latin1') }),
    }
  })
}

describe('what a client sends to a command', () => {
  it('is one entry for each turn, and one in the end (P-04)', () => {
    const { journal, input } = made(100)
    for (const text of ['one ', 'two ']) push(input, text)
    input.flush()
    input.flush()
    push(input, 'three')
    input.end('done')
    expect(told(journal)).toEqual([
      { n: 1, body: 'one two ' },
      { n: 1, body: 'three', end: { how: 'done', bytes: 13, unkept: 0 } },
    ])
  })

  it('ends once, and what comes behind that is no part of it', () => {
    const { journal, input } = made(100)
    input.end('cut')
    push(input, 'late')
    input.flush()
    input.end('done')
    expect(told(journal)).toEqual([{ n: 1, end: { how: 'cut', bytes: 0, unkept: 0 } }])
  })

  it('is counted beyond what is kept, and its digest says what it was (P-04)', () => {
    for (const size of [1, 70_000, 200_000]) {
      const { journal, input } = made(10)
      const text = 'abcdefghij'.repeat(size)
      push(input, text)
      input.flush()
      push(input, 'the end')
      input.end('failed')
      const digest = createHash('sha256').update(text).update('the end').digest('hex')
      const bytes = size * 10 + 7
      expect(told(journal)).toEqual([
        { n: 1, body: 'abcdefghij' },
        { n: 1, end: { how: 'failed', bytes, unkept: bytes - 10 }, digest },
      ])
    }
    const { journal, input } = made(0)
    push(input, 'x')
    input.end('done')
    expect(told(journal)).toEqual([
      {
        n: 1,
        end: { how: 'done', bytes: 1, unkept: 1 },
        digest: createHash('sha256').update('x').digest('hex'),
      },
    ])
  })

  it('shares what is kept with what was sent to another statement of the same command', () => {
    const { journal, input, next } = made(6)
    push(input, 'four')
    input.end('done')
    const second = next()
    push(second, 'five')
    second.end('done')
    expect(told(journal)).toMatchObject([
      { body: 'four' },
      { body: 'fi', end: { bytes: 4, unkept: 2 }, digest: createHash('sha256').update('five').digest('hex') },
    ])
  })

  it('is sealed whole, its digest too, under labels (P-06)', () => {
    const { journal, input } = made(12, [email])
    push(input, 'marker@')
    input.flush()
    push(input, 'example.com')
    input.end('done')
    const sealed = journal.entries.map((each): Entry => each)
    expect(JSON.stringify(told(journal))).not.toMatch(/marker|example|bWFya2Vy/)
    expect(sealed.map(({ head }) => head)).toEqual([
      { n: 1, sealed: ['pii.email'] },
      { n: 1, sealed: ['pii.email'], end: { how: 'done', bytes: 18, unkept: 6 } },
    ])
    const opener = new FieldOpener(testKeys)
    expect(sealed.map((each) => opener.shown(each, () => true))).toEqual([
      { kind: 'input', head: { n: 1 }, body: Buffer.from('marker@') },
      {
        kind: 'input',
        head: { n: 1, end: { how: 'done', bytes: 18, unkept: 6 } },
        body: Buffer.from('examp'),
        digest: Buffer.from(createHash('sha256').update('marker@example.com').digest('hex')),
      },
    ])
    expect(sealed.map((each) => opener.shown(each, () => false))).toEqual([
      { kind: 'input', head: { n: 1, sealed: ['pii.email'] } },
      {
        kind: 'input',
        head: { n: 1, sealed: ['pii.email'], end: { how: 'done', bytes: 18, unkept: 6 } },
      },
    ])
  })
})
