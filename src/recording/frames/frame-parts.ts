import type { Entry } from '../../core/index.ts'
import { entryOf } from '../files/decode.ts'
import { FRAME_CODES } from '../files/format.ts'
import { FrameBuffer } from './frame-buffer.ts'
import { splitJson } from './heads.ts'
import { type Frame, frameAt } from './scan.ts'
import { isPayloadName, joinEntry, type PayloadName } from '../sealed/payloads.ts'

/** A frame of the journal as a proof takes it. */
export type FrameParts = {
  /** The public part up to its commitments, byte for byte as `docs/formats/session.md` describes it. */
  readonly part: Buffer
  /** In the order of their commitments. */
  readonly payloads: readonly FramePayload[]
}

export type FramePayload = { readonly name: PayloadName; readonly bytes: Buffer }

/** What the head of a frame that has payloads begins with; nothing but names and numbers is between it and its end. */
const NAMED = Buffer.from('{"payloads":', 'latin1')
const NAMED_END = Buffer.from(']]', 'latin1')

/**
 * Takes a frame apart without reading its head, but for the names of its payloads; undefined for the journal's own
 * frames. What it gives are views, valid as long as the frame is. A frame of format 1, whose head has the payloads in it, is
 * put together anew. Throws with the reason when it names other payloads than it has.
 */
export function frameParts(frame: Frame): FrameParts | undefined {
  const { kind } = frame
  if (kind === 'file' || kind === 'bind') return undefined
  if (frame.format === 1) return frameParts(upgraded(frame, entryOf(kind, headOf(frame), frame.body)))
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
  const head = headOf(frame)
  if (frame.format === 1) return entryOf(kind, head, frame.body)
  if (typeof head !== 'object' || head === null) throw new Error('its head is no object')
  const { payloads: _, ...known } = Object.fromEntries(Object.entries(head))
  const payloads = frameParts(frame)?.payloads ?? []
  return joinEntry(kind, known, new Map(payloads.map(({ name, bytes }) => [name, bytes])))
}

function headOf(frame: Frame): unknown {
  return JSON.parse(frame.head.toString('utf8'))
}

function namedIn(head: Buffer): readonly (readonly [name: PayloadName, bytes: number])[] {
  if (!head.subarray(0, NAMED.length).equals(NAMED)) return []
  const end = head.indexOf(NAMED_END, NAMED.length)
  const list: unknown =
    end < 0 ? undefined : JSON.parse(head.toString('latin1', NAMED.length, end + NAMED_END.length))
  const items: readonly unknown[] = Array.isArray(list) ? list : [undefined]
  return items.map((item) => {
    const [name, size]: readonly unknown[] = Array.isArray(item) ? item : []
    if (!isPayloadName(name) || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new Error('it names a payload that is none')
    }
    return [name, size]
  })
}

/** The same frame as format 2 has it. */
function upgraded({ sequence, time }: Frame, entry: Entry): Frame {
  const buffer = new FrameBuffer()
  buffer.push(FRAME_CODES[entry.kind], 0, sequence, time, splitJson(entry))
  const bytes = Buffer.from(buffer.waiting)
  const frame = frameAt(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, 0)
  if (typeof frame === 'number' || frame.what === 'damage')
    throw new Error('a frame cannot be read that was just made')
  return frame
}
