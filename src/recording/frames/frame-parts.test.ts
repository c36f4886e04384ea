import { expect, test } from 'vitest'
import type { Entry } from '../../core/index.ts'
import { adminEntry, closeEntry, intentEntry, openEntry, outcomeEntry } from '../../testing/entries.ts'
import { FRAME_CODES } from '../files/format.ts'
import { FrameBuffer } from './frame-buffer.ts'
import { decodeEntry, frameParts } from './frame-parts.ts'
import { ownJson, type SplitEntryJson, splitJson } from './heads.ts'
import { type Frame, frameAt } from './scan.ts'
import { splitEntry } from '../sealed/payloads.ts'
import { COMMITMENT_BYTES, decodePublicPart, encodePublicPart } from '../sealed/public-part.ts'

const sequence = 7
const time = Date.UTC(2026, 0, 1)

const entries: readonly Entry[] = [
  openEntry(),
  intentEntry(1, { text: 'SELECT \u{1f600} FROM "]]"', parameters: ['YQ==', null], reason: 'because' }),
  intentEntry(2, { text: '' }),
  intentEntry(3, { parameters: [] }),
  { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: 1 } },
  { kind: 'answer', head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'refused', reason: '' } },
  { kind: 'answer', head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'expired' } },
  { kind: 'result', head: { n: 1 }, body: Buffer.alloc(0) },
  { kind: 'result', head: { n: 1 }, body: Buffer.from([0, 255, 93, 93]) },
  outcomeEntry(1, {}, Buffer.from('a row')),
  outcomeEntry(2),
  { kind: 'notice', head: { n: 1, code: 'masked', message: 'email is masked' } },
  closeEntry(2),
  adminEntry({ target: '{"payloads":[["text",1]]}' }),
]

function frameOf(bytes: Buffer): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const frame = frameAt(bytes, view, 0, bytes.length, 0)
  if (typeof frame === 'number' || frame.what === 'damage') return expect.unreachable('no frame')
  return frame
}

function written(code: number, entry: SplitEntryJson): Buffer {
  const buffer = new FrameBuffer()
  buffer.push(code, 5, sequence, time, entry)
  return Buffer.from(buffer.waiting)
}

for (const [index, entry] of entries.entries()) {
  test(`a frame holds the public part as it is sealed, and the payloads: ${index + 1}, ${entry.kind}`, () => {
    const { head, payloads } = splitEntry(entry)
    const commitment = new Uint8Array(COMMITMENT_BYTES)
    const named = payloads.map(({ name, bytes }) => ({ name, bytes: bytes.length, commitment }))
    const sealed = encodePublicPart({ kind: entry.kind, sequence, time, head: { ...head }, payloads: named })
    const commitments = Buffer.alloc(payloads.length * COMMITMENT_BYTES)
    const frame = written(FRAME_CODES[entry.kind], splitJson(entry))
    const found = frameParts(frameOf(frame))
    const plain = payloads.map(({ name, bytes: own }) => ({ name, bytes: Buffer.from(own) }))
    expect(found?.payloads).toEqual(plain)
    const part = Buffer.concat([found?.part ?? Buffer.alloc(0), commitments])
    expect(decodePublicPart(part)).toEqual(decodePublicPart(sealed))
    expect(decodeEntry(frameOf(frame))).toEqual(
      'body' in entry && entry.body !== undefined ? { ...entry, body: Buffer.from(entry.body) } : entry,
    )
    // What is sealed is what lies in the journal: a view, no copy.
    expect(found?.part.buffer).toBe(frame.buffer)
  })
}

test("the journal's own frames are no part of a proof", () => {
  const frame = frameOf(written(FRAME_CODES.bind, ownJson({ session: 'x' })))
  expect([frameParts(frame), decodeEntry(frame)]).toEqual([undefined, undefined])
})

const payloads = ['SELECT 1']
const statement = (head: string): Frame =>
  frameOf(written(FRAME_CODES.intent, { head, payloads, payloadBytes: 8 }))

for (const [head, reason] of [
  ['{"payloads":[["text",9]],"n":1}', 'its payloads are longer than the frame'],
  ['{"payloads":[["text",7]],"n":1}', 'its payloads are shorter than the frame'],
  ['{"n":1,"payloads":[["text",8]]}', 'its payloads are shorter than the frame'],
  ['{"payloads":[["text",-8]],"n":1}', 'it names a payload that is none'],
  ['{"payloads":[["text",8.5]],"n":1}', 'it names a payload that is none'],
  ['{"payloads":[["texts",8]],"n":1}', 'it names a payload that is none'],
  ['{"payloads":[[8]],"n":1}', 'it names a payload that is none'],
  ['{"payloads":8}', 'it names a payload that is none'],
  ['{"payloads":[["text",4],["text",4]],"n":1}', 'it names a payload twice'],
] as const) {
  test(`a head that names other payloads than the frame has is refused: ${head}`, () => {
    expect(() => frameParts(statement(head))).toThrow(reason)
    expect(() => decodeEntry(statement(head))).toThrow(reason)
  })
}

test('a head that is none is refused', () => {
  for (const head of ['', '[]', 'null', '{"payloads":[["text",8]]', '{"payloads":[["text",8]]}'])
    expect(() => decodeEntry(statement(head)), head).toThrow()
})
