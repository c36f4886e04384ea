import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Entry, newSessionId, type RandomBytes, type SessionId } from '../core/index.ts'
import { DirectoryStorage } from '../evidence/index.ts'
import { openJournal } from '../recording/index.ts'
import { logDirectory } from '../recording/files/names.ts'
import { adminEntry, closeEntry, intentEntry, openEntry, outcomeEntry } from './entries.ts'
import { FakeClock } from './fake-clock.ts'
import { seal } from './seal.ts'
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  FILE,
  FRAME,
  FRAME_HEADER_BYTES,
  MAC_BLOCK_BYTES,
  SEALED,
  SEALED_HEADER_BYTES,
} from '../recording/files/format.ts'
import { checkHeader } from '../recording/files/file-header.ts'
import { blockOffsets, checked, macOffsets, partsOf, sealed } from './journal-files.ts'
import { LabelKeys } from '../recording/fields/label-keys.ts'
import { sealValues } from '../recording/fields/sealed-values.ts'
import { testKeys } from './recording-keys.ts'

/** A recording that is the same, byte for byte, whenever and wherever it is made. */
const id = (fill: number): SessionId =>
  newSessionId(Date.UTC(2026, 0, 1), (length) => new Uint8Array(length).fill(fill))
const first = id(10)
const second = id(20)
export const sessions: readonly SessionId[] = [first, second]

type Step = readonly [SessionId | undefined, Entry]

const steps: readonly Step[] = [
  [
    undefined,
    adminEntry({ action: 'config.applied', target: 'v1', details: { rules: 20, first: true, from: 'file' } }),
  ],
  [first, openEntry()],
  [first, intentEntry(1, { text: 'SELECT "Zoë", \u{1f600}\t\u0007 FROM t' })],
  [
    first,
    { kind: 'result', head: { n: 1 }, body: Uint8Array.from({ length: 300 }, (_, index) => index % 256) },
  ],
  [
    second,
    openEntry({
      chain: [{ kind: 'service', name: 'billing', issuer: 'https://id.example.com', groups: [] }],
    }),
  ],
  [first, outcomeEntry(1, { rows: 300, bytes: 302, unkept: 2 })],
  [
    second,
    intentEntry(1, {
      form: 'execute',
      text: 'DELETE FROM t WHERE id = $1 AND x = $2',
      class: 'write',
      decision: 'hold',
      reason: 'Wait for approval.',
      writes: ['public.t'],
      parameters: ['MQ==', null],
    }),
  ],
  [second, { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: Date.UTC(2026, 0, 1, 1) } }],
  [
    second,
    {
      kind: 'answer',
      head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve@example.com' },
    },
  ],
  [second, outcomeEntry(1, { tag: 'DELETE 1' }, Buffer.from('DELETE 1\0'))],
  [first, { kind: 'notice', head: { n: 1, code: '01000', message: 'email is masked (pii.email)' } }],
  [first, intentEntry(2, { text: 'SELECT email FROM t', masked: ['pii.email'], reads: ['public.t'] })],
  [first, closeEntry(2)],
]

/** What clients send to commands that run: kept whole, sealed, and more than is kept. */
export const inputSteps: readonly Step[] = [
  [first, openEntry()],
  [first, intentEntry(1, { text: 'COPY t FROM STDIN', class: 'write', writes: ['public.t'] })],
  [first, { kind: 'input', head: { n: 1 }, body: Buffer.from('1\tZoë\n') }],
  [
    first,
    {
      kind: 'input',
      head: { n: 1, end: { how: 'done', bytes: 20, unkept: 8 } },
      body: Buffer.from('2\t\\N\n'),
      digest: Buffer.from(sha256('1\tZoë\n2\t\\N\n3\tthird\n')),
    },
  ],
  [first, outcomeEntry(1, { tag: 'COPY 3', rows: 0, bytes: 12 })],
  [second, openEntry()],
  [second, intentEntry(1, { text: 'COPY customers (email) FROM STDIN', class: 'write' })],
  [
    second,
    {
      kind: 'input',
      head: { n: 1, sealed: ['pii.email'] },
      body: sealedInput(Buffer.from('ada@example.com\n').toString('base64')),
    },
  ],
  [second, { kind: 'input', head: { n: 1, end: { how: 'failed', bytes: 16, unkept: 0 } } }],
  [second, outcomeEntry(1, { outcome: 'error', tag: '57014' })],
  [second, intentEntry(2, { text: 'COPY customers (email) FROM STDIN', class: 'write' })],
  [
    second,
    {
      kind: 'input',
      head: { n: 2, sealed: ['pii.email'], end: { how: 'cut', bytes: 5, unkept: 5 } },
      digest: sealedInput(sha256('abcd\n')),
    },
  ],
  [first, closeEntry(1)],
]

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function sealedInput(text: string): Uint8Array {
  return sealValues(new LabelKeys(testKeys[0]), ['pii.email'], [text], seeded('sluice input vectors'))
}

/** The same bytes whenever it is made. */
function seeded(label = 'sluice vectors'): RandomBytes {
  let n = 0
  return (length) => createHash('sha512').update(`${label} ${n++}`).digest().subarray(0, length)
}

/** Writes the data directory of the vectors: two journal files, one session sealed, the other stopped by a restart,
 * and the log as it was before that. */
export async function writeVectors(into: string, of: readonly Step[] = steps): Promise<void> {
  const clock = new FakeClock()
  const random = seeded()
  const onFault = (error: unknown): never => {
    throw error
  }
  const journal = openJournal({ directory: into, keys: testKeys, random, clock, onFault })
  for (const [index, [session, entry]] of of.entries()) {
    // A MAC in between.
    clock.advance(index === 7 ? 1007 : 7)
    journal.append(session, entry)
    journal.flush()
  }
  journal.authenticate()
  await seal(into, clock, {
    random: seeded('sluice session vectors'),
    name: 'gateway.example/log',
    storage: await DirectoryStorage.open(logDirectory(into)),
  })
  journal.close()
  clock.advance(1000)
  openJournal({ directory: into, keys: testKeys, random, clock, onFault }).close()
}

/**
 * First journal files that are damaged, by name: one thing is wrong with each. `bytes` is a whole one, `other` the next.
 * Those that are called forged can only be made by who has the key.
 */
export function damagedVectors(bytes: Buffer, other: Buffer): ReadonlyMap<string, Buffer> {
  const at = blockOffsets(bytes)
  // The first with a MAC is behind the first block, the second in the middle, the third at the end.
  const [first = 0, second = 0, third = 0] = macOffsets(bytes)
  const block = (index: number): Buffer => bytes.subarray(at[index], at[index + 1])
  const blocks = at.slice(1).map((_, index) => block(index))
  const header = bytes.subarray(0, SEALED_HEADER_BYTES)
  const changed = (work: (copy: Buffer) => unknown): Buffer => {
    const copy = Buffer.from(bytes)
    work(copy)
    return copy
  }
  /** With a header whose checksum is right. */
  const headed = (work: (header: Buffer) => unknown): Buffer =>
    changed((copy) => {
      const own = copy.subarray(0, SEALED_HEADER_BYTES)
      work(own)
      checkHeader(own)
    })
  const flipped = (copy: Buffer, offset: number): number =>
    copy.writeUInt8(copy.readUInt8(offset) ^ 1, offset)
  /** Changes a bit of the first frame in a block, and its checksum along: CRC-32 is linear, no key is needed for it. */
  const rechecked = (block: Buffer, offset: number): void => {
    const frame = block.subarray(BLOCK_HEADER_BYTES)
    const length = block.readUInt32LE(BLOCK.length) - BLOCK_HEADER_BYTES - FRAME.checked
    const change = Buffer.alloc(length)
    change.writeUInt8(1, offset - FRAME.checked)
    frame.writeUInt8(frame.readUInt8(offset) ^ 1, offset)
    const crc = frame.readUInt32LE(FRAME.crc) ^ crc32(change) ^ crc32(Buffer.alloc(length))
    frame.writeUInt32LE(crc >>> 0, FRAME.crc)
  }
  const inBlock = (work: (block: Buffer) => unknown): Buffer =>
    changed((copy) => work(copy.subarray(at[6], at[7])))
  const inMac = (work: (block: Buffer) => unknown): Buffer =>
    changed((copy) => work(copy.subarray(second, second + MAC_BLOCK_BYTES)))
  const mac = (offset: number, from = bytes): Buffer => from.subarray(offset, offset + MAC_BLOCK_BYTES)
  /** The blocks with the MAC behind them. */
  const segments = [
    bytes.subarray(header.length, first + MAC_BLOCK_BYTES),
    bytes.subarray(first + MAC_BLOCK_BYTES, second + MAC_BLOCK_BYTES),
    bytes.subarray(second + MAC_BLOCK_BYTES, third + MAC_BLOCK_BYTES),
  ] as const
  const of = (...order: readonly Buffer[]): Buffer => Buffer.concat([header, ...order])
  const forged = (work: (blocks: Buffer[][]) => unknown): Buffer => {
    const parts = partsOf(bytes)
    work(parts.blocks)
    return sealed(parts, seeded())
  }
  const frame = (all: Buffer[][], work: (frame: Buffer) => unknown, index = 5): void => {
    const own = all[index]?.[0] ?? Buffer.alloc(0)
    work(own)
    checked(own)
  }
  const end = bytes.length
  return new Map([
    ['empty', Buffer.alloc(0)],
    ['header-cut', bytes.subarray(0, 99)],
    ['header-magic', changed((copy) => copy.write('R', 0))],
    ['header-version', headed((own) => own.write('3', 7))],
    ['header-checksum', changed((copy) => flipped(copy, FILE.crc))],
    ['header-number', changed((copy) => flipped(copy, FILE.number))],
    ['header-number-checked', headed((own) => flipped(own, FILE.number))],
    ['header-sequence-checked', headed((own) => flipped(own, FILE.firstSequence))],
    ['header-time-checked', headed((own) => flipped(own, FILE.time))],
    ['header-key-unknown', headed((own) => flipped(own, SEALED.keyId))],
    ['header-nonce', headed((own) => flipped(own, SEALED.nonce))],
    ['header-wrapped-key', headed((own) => flipped(own, SEALED.wrapped))],
    ['header-tag', headed((own) => flipped(own, SEALED.tag))],
    ['header-of-another-file', Buffer.concat([other.subarray(0, SEALED_HEADER_BYTES), ...blocks])],
    ['number-of-another-file', other],
    ['block-magic', inBlock((own) => flipped(own, BLOCK.magic))],
    ['block-length', inBlock((own) => flipped(own, BLOCK.length))],
    ['block-length-short', inBlock((own) => own.writeUInt32LE(55, BLOCK.length))],
    ['block-length-beyond-limit', inBlock((own) => own.writeUInt32LE(150_994_945, BLOCK.length))],
    ['block-place', inBlock((own) => flipped(own, BLOCK.place))],
    ['block-place-used', inBlock((own) => own.writeUInt32LE(4, BLOCK.place))],
    ['block-content', inBlock((own) => flipped(own, BLOCK_HEADER_BYTES + 50))],
    // Who knows what stands there can change it and make the checksum right: the MAC is what notices.
    [
      'block-content-checked',
      changed((copy) => rechecked(copy.subarray(at[4], at[5]), FRAME_HEADER_BYTES + 10)),
    ],
    [
      'block-content-checked-at-the-end',
      changed((copy) => rechecked(copy.subarray(at.at(-3)), FRAME_HEADER_BYTES + 10)),
    ],
    ['block-missing', of(...blocks.toSpliced(6, 1))],
    ['block-first-missing', of(...blocks.slice(1))],
    ['block-twice', of(...blocks.toSpliced(6, 0, block(6)))],
    ['block-twice-at-the-end', of(...blocks, block(blocks.length - 2))],
    ['blocks-swapped', of(...blocks.toSpliced(6, 2, block(7), block(6)))],
    ['block-moved', of(...blocks.toSpliced(6, 1), block(6))],
    ['block-of-another-file', of(...blocks.toSpliced(6, 1, other.subarray(SEALED_HEADER_BYTES)))],
    ['mac-wrong', inMac((own) => flipped(own, own.length - 1))],
    ['mac-wrong-at-the-end', changed((copy) => flipped(copy, end - 1))],
    ['mac-late', inMac((own) => flipped(own, BLOCK.late))],
    ['mac-late-beyond-counting', inMac((own) => own.fill(255, BLOCK.late, BLOCK_HEADER_BYTES))],
    ['mac-magic', inMac((own) => flipped(own, BLOCK.magic))],
    ['mac-length', inMac((own) => own.writeUInt32LE(MAC_BLOCK_BYTES - 1, BLOCK.length))],
    ['mac-missing', Buffer.concat([bytes.subarray(0, second), bytes.subarray(second + MAC_BLOCK_BYTES)])],
    ['mac-missing-at-the-end', bytes.subarray(0, third)],
    ['mac-twice', Buffer.concat([bytes.subarray(0, second), mac(second), bytes.subarray(second)])],
    ['mac-twice-at-the-end', Buffer.concat([bytes, mac(third)])],
    ['mac-of-before', changed((copy) => mac(first).copy(copy, second))],
    ['mac-of-another-file', changed((copy) => mac(macOffsets(other)[0] ?? 0, other).copy(copy, second))],
    ['mac-cut', bytes.subarray(0, end - 1)],
    ['mac-cut-in-header', bytes.subarray(0, third + 15)],
    ['segment-missing', of(segments[0], segments[2])],
    ['segment-twice', of(segments[0], segments[1], segments[1], segments[2])],
    ['segments-swapped', of(segments[0], segments[2], segments[1])],
    ['cut-between-segments', of(segments[0], segments[1])],
    ['cut-between-blocks', bytes.subarray(0, at.at(-4))],
    ['tail-torn-in-header', bytes.subarray(0, (at.at(-3) ?? 0) + 15)],
    ['tail-torn-in-content', bytes.subarray(0, third - 20)],
    ['tail-changed', changed((copy) => flipped(copy, third - 1)).subarray(0, third)],
    ['tail-noise', Buffer.concat([bytes, seeded()(60)])],
    ['tail-zeros', Buffer.concat([bytes, Buffer.alloc(4096)])],
    ['forged-frame-checksum', forged((all) => flipped(all[5]?.[0] ?? header, FRAME.crc))],
    ['forged-frame-kind', forged((all) => frame(all, (own) => own.writeUInt8(99, FRAME.kind)))],
    ['forged-frame-sequence', forged((all) => frame(all, (own) => flipped(own, FRAME.sequence)))],
    ['forged-frame-session', forged((all) => frame(all, (own) => own.writeUInt32LE(99, FRAME.session)))],
    ['forged-frame-head', forged((all) => frame(all, (own) => own.write('x', FRAME_HEADER_BYTES)))],
    [
      'forged-frame-payload-length',
      forged((all) => frame(all, (own) => own.write('9', own.indexOf('["body",') + 8), 4)),
    ],
    [
      'forged-frame-payload-name',
      forged((all) => frame(all, (own) => own.write('x', own.indexOf('body')), 4)),
    ],
    ['forged-frame-cut', forged((all) => all[5]?.splice(-1, 1, all[5].at(-1)?.subarray(0, -1) ?? header))],
    ['forged-frames-out-of-order', forged((all) => all.splice(5, 2, [...(all[6] ?? []), ...(all[5] ?? [])]))],
    ['forged-frame-missing', forged((all) => all.splice(5, 1))],
  ])
}
