import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { RandomBytes } from '../core/index.ts'
import { type Container, containerOf } from '../recording/journal/container.ts'
import { type FileHeader, fileHeader, readFileHeader } from '../recording/files/file-header.ts'
import {
  BLOCK,
  FILE_HEADER_BYTES,
  FRAME,
  FRAME_1,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC_1,
  MAC_MAGIC,
} from '../recording/files/format.ts'
import { decodeEntry } from '../recording/frames/frame-parts.ts'
import { frameAt } from '../recording/frames/scan.ts'
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

/** A file of format 2 with these parts, and a MAC at its end: whoever has the key can make any. */
export function sealed({ header, blocks }: JournalParts, by: RandomBytes = random): Buffer {
  const sealer = new BlockSealer(testKeys, by, header)
  const pieces: Buffer[] = []
  for (const frames of blocks) {
    pieces.push(Buffer.from(sealer.seal(Buffer.concat(frames))))
    sealer.written()
  }
  return Buffer.concat([...pieces, sealer.authenticate() ?? Buffer.alloc(0)])
}

/** Puts the journal of a data directory into format 1, as gateways wrote it that had no key for it. */
export function toFormat1(directory: string): void {
  for (const name of readdirSync(join(directory, 'journal'))) {
    if (!name.endsWith('.slj')) continue
    const path = join(directory, 'journal', name)
    const { header, blocks } = partsOf(readFileSync(path))
    const { number, firstSequence, time } = header
    const plain = fileHeader('journal', number, firstSequence, time)
    writeFileSync(path, Buffer.concat([plain, ...blocks.flat().map(toFrame1)]))
  }
}

/** A frame as format 1 had it: the payloads go back into the head, and two fields of the header change places. */
export function toFrame1(bytes: Buffer): Buffer {
  const frame = frameAt(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, 0)
  if (typeof frame === 'number' || frame.what === 'damage') throw new Error('not a frame')
  if (frame.format === 1) return bytes
  const entry = decodeEntry(frame)
  const head = entry === undefined ? frame.head : Buffer.from(JSON.stringify(entry.head))
  const body = entry !== undefined && 'body' in entry ? (entry.body ?? Buffer.alloc(0)) : Buffer.alloc(0)
  const made = Buffer.concat([bytes.subarray(0, FRAME_HEADER_BYTES), head, body])
  made.writeUInt32LE(FRAME_MAGIC_1, FRAME_1.magic)
  made.writeUInt32LE(made.length, FRAME_1.length)
  made.writeUInt32LE(bytes.readUInt32LE(FRAME.kind), FRAME_1.kind)
  made.writeUInt32LE(frame.session, FRAME_1.session)
  made.writeUInt32LE(head.length, FRAME_1.headLength)
  return checked(made)
}

/** Where each block of a file of format 2 begins, MACs among them, by their lengths, and where the last one ends. */
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

/** The same of the frames of a file of format 1. */
export function frameOffsets(bytes: Buffer): number[] {
  const at: number[] = []
  let offset = FILE_HEADER_BYTES
  for (; offset < bytes.length; offset += bytes.readUInt32LE(offset + FRAME.length)) at.push(offset)
  return [...at, offset]
}

/** Makes the checksum of a frame right again. */
export function checked(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(FRAME.checked)), FRAME.crc)
  return frame
}

function opened(bytes: Buffer): { readonly header: FileHeader; readonly container: Container } {
  const header = readFileHeader(bytes, 'journal')
  if (typeof header === 'string') throw new Error(header)
  const container = containerOf(testKeys, 'a file of a test', header)
  if (container === undefined) throw new Error('the key in its header is damaged')
  return { header, container }
}
