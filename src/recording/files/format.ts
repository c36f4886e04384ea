import type { EntryKind } from '../../core/index.ts'

/**
 * The layout of recording files, byte for byte as `docs/formats/journal.md` describes it. Integers are little-endian.
 * A journal file is a header, with the key of the file in it, and blocks: each the frames of one write, encrypted, or a
 * MAC.
 */
export const SEALED_HEADER_BYTES = 100
export const BLOCK_HEADER_BYTES = 16
/** Of a block with a MAC: its header and the MAC. */
export const MAC_BLOCK_BYTES = 48
/** Of the key in the header. */
export const TAG_BYTES = 16
/** `SLB2`: where a block of frames begins; found again after damage by looking for it. */
export const BLOCK_MAGIC = 0x32424c53
/** `SLM2`: where one with a MAC does. */
export const MAC_MAGIC = 0x324d4c53
/** Behind so many bytes of blocks a MAC stands before the next one. */
export const SEGMENT_BYTES = 64 * 1024
export const FRAME_HEADER_BYTES = 40
/** `SLF2`: where a frame begins; found again after damage by looking for it. */
export const FRAME_MAGIC = 0x32464c53

/** What a journal file begins with; the last character is the version of the format. */
export const SEALED_MAGIC = 'SLUICEJ2'

/** Frames that are not entries: `file` begins a journal file, `bind` gives a session its number within the file. */
export type FrameKind = EntryKind | 'file' | 'bind'

/** The number of each kind in the file. Numbers are never reused. */
export const FRAME_CODES = {
  file: 0,
  bind: 1,
  open: 2,
  intent: 3,
  hold: 4,
  answer: 5,
  result: 6,
  outcome: 7,
  notice: 8,
  close: 9,
  admin: 10,
  input: 11,
} as const satisfies Record<FrameKind, number>

const KINDS: readonly (FrameKind | undefined)[] = [
  'file',
  'bind',
  'open',
  'intent',
  'hold',
  'answer',
  'result',
  'outcome',
  'notice',
  'close',
  'admin',
  'input',
]

export function frameKindOf(code: number): FrameKind | undefined {
  return KINDS[code]
}

/** Offsets inside a frame header. The kind, with three zeros, is where the public part begins. */
export const FRAME = {
  magic: 0,
  length: 4,
  crc: 8,
  /** From here to its end a frame is covered by its checksum. */
  checked: 12,
  session: 12,
  kind: 16,
  headLength: 20,
  sequence: 24,
  time: 32,
} as const

/** Offsets inside a file header. */
export const FILE = { magic: 0, crc: 8, number: 12, firstSequence: 16, time: 24 } as const

/** Offsets of its end: the key of the file. */
export const SEALED = { keyId: 32, nonce: 40, wrapped: 52, tag: 84 } as const

/** Offsets inside a block header: one of frames has its place in the keystream, one with a MAC how late it was made. */
export const BLOCK = { magic: 0, length: 4, place: 8, late: 8 } as const

const TWO_32 = 0x1_0000_0000

/** Writes a count below 2^53 as an unsigned 64-bit integer. */
export function putUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % TWO_32, true)
  view.setUint32(offset + 4, Math.floor(value / TWO_32), true)
}

/** Reads what `putUint64` wrote; beyond 2^53 it is NaN, which no check lets pass. */
export function getUint64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true)
  return high < 0x20_0000 ? high * TWO_32 + view.getUint32(offset, true) : Number.NaN
}
