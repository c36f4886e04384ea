import { crc32 } from 'node:zlib'
import type { RandomBytes } from '../core/index.ts'
import { type Container, containerOf } from '../recording/journal/container.ts'
import { type FileHeader, readFileHeader } from '../recording/files/file-header.ts'
import { BLOCK, FRAME, MAC_MAGIC } from '../recording/files/format.ts'
import { BlockSealer } from '../recording/journal/sealing.ts'
import { random, testKeys } from './recording-keys.ts'

/** The parts of a journal file under the test key: its header, and the frames of each block. */
export type JournalParts = { readonly header: FileHeader; readonly blocks: Buffer[][] }

export function partsOf(bytes: Buffer): JournalParts {
  const { header, container } = opened(bytes)
  const scanner = container.scanner()
  const blocks = new Map<number, Buffer[]>()
  const content = bytes.subarray(container.begin)
  for (let fed = 0, isReleased = false; ; ) {
    const next = scanner.next()
    if (next === 'more') {
      const room = scanner.room()
      const piece = content.copy(room, 0, fed)
      if (piece === 0 && isReleased) break
      if (piece === 0) scanner.release()
      isReleased = piece === 0
      scanner.filled(piece)
      fed += piece
    } else if (next.what === 'damage') throw new Error(next.reason)
    else {
      const frames = blocks.get(next.offset) ?? []
      blocks.set(next.offset, frames)
      frames.push(Buffer.from(next.bytes))
    }
  }
  return { header, blocks: [...blocks.values()] }
}

/** A file with these parts, and a MAC at its end: whoever has the key can make any. */
export function sealed({ header, blocks }: JournalParts, by: RandomBytes = random): Buffer {
  const sealer = new BlockSealer(testKeys, by, header)
  const pieces: Buffer[] = []
  for (const frames of blocks) {
    pieces.push(Buffer.from(sealer.seal(Buffer.concat(frames))))
    sealer.written()
  }
  return Buffer.concat([...pieces, sealer.authenticate() ?? Buffer.alloc(0)])
}

/** Where each block of a file begins, MACs among them, by their lengths, and where the last one ends. */
export function blockOffsets(bytes: Buffer): number[] {
  const at: number[] = []
  let offset = opened(bytes).container.begin
  for (; offset < bytes.length; offset += bytes.readUInt32LE(offset + BLOCK.length)) at.push(offset)
  return [...at, offset]
}

/** The same of those with a MAC only. */
export function macOffsets(bytes: Buffer): number[] {
  return blockOffsets(bytes).filter(
    (at) => at < bytes.length && bytes.readUInt32LE(at + BLOCK.magic) === MAC_MAGIC,
  )
}

/** Makes the checksum of a frame right again. */
export function checked(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(FRAME.checked)), FRAME.crc)
  return frame
}

function opened(bytes: Buffer): { readonly header: FileHeader; readonly container: Container } {
  const header = readFileHeader(bytes)
  if (typeof header === 'string') throw new Error(header)
  const container = containerOf(testKeys, 'a file of a test', header)
  if (container === undefined) throw new Error('the key in its header is damaged')
  return { header, container }
}
