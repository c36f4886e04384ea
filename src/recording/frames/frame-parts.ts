import type { Entry } from '../../core/index.ts'
import type { Frame } from './scan.ts'
import { isPayloadName, joinEntry, type PayloadName } from '../sealed/payloads.ts'

/** A frame of the journal as a proof takes it. */
export type FrameParts = {
  /** The public part up to its commitments, byte for byte as `docs/formats/session.md` describes it. */
  readonly part: Buffer
  /** In the order of their commitments. */
  readonly payloads: readonly FramePayload[]
}

export type FramePayload = { readonly name: PayloadName; readonly bytes: Buffer }

/** What the head of a frame that has payloads begins with: JSON without spaces, as `JSON.stringify` writes it. */
const NAMED = Buffer.from('{"payloads"', 'latin1')
const COLON = 0x3a
const COMMA = 0x2c
const QUOTE = 0x22
const OPENING = 0x5b
const CLOSING = 0x5d
const ZERO = 0x30

/**
 * Takes a frame apart without reading its head, but for the names of its payloads; undefined for the journal's own
 * frames. What it gives are views, valid as long as the frame is. Throws with the reason when it names other payloads than it has.
 */
export function frameParts(frame: Frame): FrameParts | undefined {
  const { kind } = frame
  if (kind === 'file' || kind === 'bind') return undefined
  const { body } = frame
  const payloads: FramePayload[] = []
  let at = 0
  for (const [name, size] of namedIn(frame.head)) {
    if (size > body.length - at) throw new Error('its payloads are longer than the frame')
    if (payloads.some((each) => each.name === name)) throw new Error('it names a payload twice')
    payloads.push({ name, bytes: body.subarray(at, at + size) })
    at += size
  }
  if (at !== body.length) throw new Error('its payloads are shorter than the frame')
  return { part: frame.publicPart, payloads }
}

/** The entry in a frame, free of the scanner's memory; undefined for the journal's own frames. Throws on nonsense. */
export function decodeEntry(frame: Frame): Entry | undefined {
  const { kind } = frame
  if (kind === 'file' || kind === 'bind') return undefined
  const head: unknown = JSON.parse(frame.head.toString('utf8'))
  if (typeof head !== 'object' || head === null) throw new Error('its head is no object')
  const { payloads: _, ...known } = Object.fromEntries(Object.entries(head))
  const payloads = frameParts(frame)?.payloads ?? []
  return joinEntry(kind, known, new Map(payloads.map(({ name, bytes }) => [name, bytes])))
}

/**
 * Reads no further than the names go, and byte by byte: the sealer does so for each frame, and `JSON.parse` takes six times
 * as long.
 */
function namedIn(head: Buffer): readonly (readonly [name: PayloadName, bytes: number])[] {
  for (let i = 0; i < NAMED.length; i++) if (head[i] !== NAMED[i]) return []
  if (head[NAMED.length] !== COLON || head[NAMED.length + 1] !== OPENING) throw unnamed()
  const named: [PayloadName, number][] = []
  for (let at = NAMED.length + 2; head[at] !== CLOSING; ) {
    if (named.length > 0 && head[at++] !== COMMA) throw unnamed()
    if (head[at++] !== OPENING || head[at++] !== QUOTE) throw unnamed()
    const name = head.indexOf(QUOTE, at)
    const text = head.toString('latin1', at, name < 0 ? at : name)
    if (!isPayloadName(text) || head[name + 1] !== COMMA) throw unnamed()
    at = name + 2
    let size = 0
    for (let digit = (head[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (head[++at] ?? 0) - ZERO)
      size = size * 10 + digit
    if (at === name + 2 || !Number.isSafeInteger(size) || head[at++] !== CLOSING) throw unnamed()
    named.push([text, size])
  }
  return named
}

function unnamed(): Error {
  return new Error('it names a payload that is none')
}
