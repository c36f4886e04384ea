import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { newSessionId, type SessionId } from '../core/index.ts'
import {
  CHUNK_HEADER_BYTES,
  encodeChunk,
  openPrivate,
  openPublic,
  readChunkHeader,
} from '../recording/sealed/chunk.ts'
import { unwrapDataKey } from '../recording/sealed/data-key.ts'
import { decodeSealedHeader, encodeSealedHeader, sealedHeaderBytes } from '../recording/sealed/file-header.ts'
import { PrivateReader } from '../recording/sealed/private-part.ts'
import { decodePublicPart } from '../recording/sealed/public-part.ts'
import { BEGIN, fileOf } from './recorded-log.ts'
import { testKeys } from './recording-keys.ts'
import { sealedMarker } from './sample-recording.ts'
import { UNEQUAL_JSON } from './tampered-json.ts'
import { at, type Corpus, flip, swap } from './tampering.ts'

const HEADER_TEXT_AT = 16

/** Session files: their headers, chunks, frames, wrapped keys and payloads; files that are gone or in another's place. */
export function tamperWithFiles(corpus: Corpus): void {
  const { full, short, deleted } = corpus.sample
  const [path, other] = [fileOf(full), fileOf(short)]
  const session = full
  corpus.add('session: dropped', (files) => files.delete(path), { code: 'missing', path, session })
  corpus.add('session: two in each other\u2019s place', (files) => swap(files, path, other), {
    code: 'foreign',
  })
  const planted = olderId()
  corpus.add('session: one that never was', (files) => void files.set(fileOf(planted), at(files, other)), {
    code: 'unknown',
    path: fileOf(planted),
    session: planted,
  })
  corpus.add(
    'session: a deleted one put back as it was not',
    (files) => void files.set(fileOf(deleted), at(files, other)),
    { code: 'foreign', path: fileOf(deleted), session: deleted },
  )
  for (const strange of [
    `sessions/2026-01-30/${full}.slr`,
    path.toLowerCase(),
    `sessions/latest/${full}.slr`,
    `${path}.orig`,
    path.replace(/slr$/, 'bak'),
    'log/checkpoint.old',
    'log/entries',
    'journal/1.slj',
    'journal/00000001.slj~',
  ]) {
    const place = strange.startsWith('sessions/latest/') ? 'sessions/latest' : strange
    corpus.add(`file: nobody looks at ${strange}`, (files) => void files.set(strange, at(files, path)), {
      code: 'unknown',
      path: place,
    })
  }
  const early = fileOf(planted).replace(/slr$/, 'part')
  corpus.add('draft: of a session that never was', (files) => void files.set(early, at(files, other)), {
    code: 'unknown',
    path: early,
    session: planted,
  })
  headers(corpus, path, session)
  chunks(corpus, path, session)
  frames(corpus, path, session)
  payloads(corpus, path, session)
}

function headers(corpus: Corpus, path: string, session: SessionId): void {
  const damaged = { code: 'damaged', path, session, offset: 0 } as const
  corpus.add('file header: another format', (files) => flip(at(files, path), 7), damaged)
  corpus.add('file header: a byte changed', (files) => flip(at(files, path), HEADER_TEXT_AT + 40), damaged)
  corpus.add('file header: cut off', (files) => void files.set(path, at(files, path).slice(0, 50)), damaged)
  corpus.add('file header: an impossible length', (files) => flip(at(files, path), 14), damaged)
  const header = (change: (text: string) => string) => (bytes: Buffer) => {
    const length = sealedHeaderBytes(bytes)
    const text = change(bytes.toString('utf8', HEADER_TEXT_AT, length))
    const made = Buffer.concat([bytes.subarray(0, HEADER_TEXT_AT), Buffer.from(text), bytes.subarray(length)])
    const end = HEADER_TEXT_AT + Buffer.byteLength(text)
    made.writeUInt32LE(crc32(made.subarray(12, end)), 8)
    return made
  }
  const edit = (change: (bytes: Buffer) => Buffer) => (files: Map<string, Uint8Array>) =>
    void files.set(path, change(Buffer.from(at(files, path))))
  const other = corpus.sample.short
  corpus.add(
    'file header: another session, checksum made right',
    edit(header((text) => text.replace(session, other))),
    {
      code: 'foreign',
      path,
      session,
    },
  )
  for (const [name, more] of UNEQUAL_JSON)
    corpus.add(
      `file header: JSON with ${name}, checksum made right`,
      edit((bytes) => {
        const made = header((text) => text.replace(/\}$/, `,${more}}`))(bytes)
        made.writeUInt32LE(made.length - bytes.length + bytes.readUInt32LE(12), 12)
        const end = HEADER_TEXT_AT + made.readUInt32LE(12)
        made.writeUInt32LE(crc32(made.subarray(12, end)), 8)
        return made
      }),
      damaged,
    )
  const another = header((text) => text.replace(/"wrapped":"../, '"wrapped":"zz'))
  const keys = { payloads: true }
  corpus.add(
    'wrapped key: changed, checksum made right',
    edit(another),
    { code: 'payload', path, session, offset: 0 },
    keys,
  )
  const otherKey = (files: Map<string, Uint8Array>): void => {
    const { key } = decodeSealedHeader(headerOf(Buffer.from(at(files, fileOf(other)))))
    const bytes = Buffer.from(at(files, path))
    const made = encodeSealedHeader({ session, key })
    files.set(path, Buffer.concat([made, bytes.subarray(sealedHeaderBytes(bytes))]))
  }
  corpus.add(
    'wrapped key: that of another file',
    otherKey,
    { code: 'payload', path, session, offset: 0 },
    keys,
  )
}

function chunks(corpus: Corpus, path: string, session: SessionId): void {
  const start = sealedHeaderBytes(Buffer.from(at(corpus.sample.files, path)))
  const damaged = { code: 'damaged', path, session, offset: start } as const
  const edit = (change: (list: Buffer[]) => Buffer[]) => (files: Map<string, Uint8Array>) => {
    const bytes = Buffer.from(at(files, path))
    files.set(path, Buffer.concat([headerOf(bytes), ...change(chunksOf(bytes))]))
  }
  corpus.add('chunk: a byte of its public part', (files) => flip(at(files, path), start + 60), damaged)
  corpus.add('chunk: a byte of its private part', (files) => flip(at(files, path), start + 20_000), damaged)
  corpus.add('chunk: another magic', (files) => flip(at(files, path), start), damaged)
  corpus.add('chunk: an impossible length', (files) => flip(at(files, path), start + 11), damaged)
  corpus.add(
    'chunk: another number, checksum made right',
    edit(([first, ...rest]) => [renumbered(first!, 1), ...rest]),
    damaged,
  )
  corpus.add(
    'chunk: another number of frames, checksum made right',
    edit(([first, ...rest]) => [recounted(first!), ...rest]),
    { code: 'damaged', path, session },
  )
  const skipped = Buffer.from('502a4d1804000000deadbeef', 'hex')
  for (const [name, change] of [
    [
      'two frames',
      (packed: Buffer) => [
        zstdCompressSync(zstdDecompressSync(packed).subarray(0, 9)),
        zstdCompressSync(zstdDecompressSync(packed).subarray(9)),
      ],
    ],
    ['a skippable frame before it', (packed: Buffer) => [skipped, packed]],
    ['a skippable frame behind it', (packed: Buffer) => [packed, skipped]],
    ['bytes behind its frame', (packed: Buffer) => [packed, Buffer.from('more')]],
    ['a frame that is cut off', (packed: Buffer) => [packed.subarray(0, -1)]],
  ] as const)
    corpus.add(
      `chunk: its public part with ${name}, checksum made right`,
      edit(([first, ...rest]) => [repacked(first!, change), ...rest]),
      damaged,
    )
  corpus.add(
    'chunk: the first one gone',
    edit(([, ...rest]) => rest),
    damaged,
  )
  corpus.add(
    'chunk: twice',
    edit(([first, ...rest]) => [first!, first!, ...rest]),
    { code: 'damaged', path, session },
  )
  corpus.add(
    'chunk: in another order',
    edit((list) => list.toReversed()),
    damaged,
  )
  corpus.add(
    'chunk: the last one gone',
    edit((list) => list.slice(0, -1)),
    { code: 'frames', path, session },
  )
  corpus.add('chunk: cut off', (files) => void files.set(path, at(files, path).slice(0, -1)), {
    code: 'damaged',
    path,
    session,
  })
  corpus.add(
    'chunk: bytes behind the last one',
    (files) => void files.set(path, Buffer.concat([at(files, path), Buffer.alloc(5)])),
    { code: 'damaged', path, session },
  )
}

/** By somebody who makes every checksum right. */
function frames(corpus: Corpus, path: string, session: SessionId): void {
  const { segment, secondSegment } = corpus.sample.entryOf
  const { open } = corpus.sample.sequenceOf
  const edit = (change: (list: Buffer[]) => Buffer[]) => (files: Map<string, Uint8Array>) =>
    void files.set(path, withFirstChunk(at(files, path), change))
  const inFirst = { code: 'frames', path, session, entry: segment, sequence: open } as const
  const head = (list: Buffer[], number: number, from: string, to: string): Buffer[] =>
    list.map((part, i) =>
      i === number ? Buffer.from(part.toString('latin1').replace(from, to), 'latin1') : part,
    )
  corpus.add(
    'frame: who opened it edited',
    edit((list) => head(list, 0, 'ada@', 'eve@')),
    { code: 'frames', path, session, sequence: open },
  )
  corpus.add(
    'frame: a decision edited',
    edit((list) => head(list, 1, '"allow"', '"hold" ')),
    inFirst,
  )
  corpus.add(
    'frame: the label of sealed values edited',
    edit((list) => head(list, 1, 'pii.email', 'pii.phone')),
    inFirst,
  )
  corpus.add(
    'frame: a commitment edited',
    edit((list) => list.map((part, i) => (i === 1 ? flipped(part, -1) : part))),
    inFirst,
  )
  corpus.add(
    'frame: its time edited',
    edit((list) => list.map((part, i) => (i === 2 ? flipped(part, 16) : part))),
    inFirst,
  )
  corpus.add(
    'frame: its sequence number edited',
    edit((list) => list.map((part, i) => (i === 1 ? flipped(part, 8) : part))),
    { code: 'frames', path, session },
  )
  corpus.add(
    'frame: its kind edited',
    edit((list) => list.map((part, i) => (i === 1 ? flipped(part, 0) : part))),
    { code: 'frames', path, session },
  )
  corpus.add(
    'frame: a kind that there is not',
    edit((list) => list.map((part, i) => (i === 1 ? flipped(part, 1) : part))),
    { code: 'damaged', path, session },
  )
  corpus.add(
    'frame: dropped',
    edit((list) => list.toSpliced(1, 1)),
    { code: 'frames', path, session, entry: segment },
  )
  corpus.add(
    'frame: dropped behind the first segment',
    edit((list) => list.toSpliced(3, 1)),
    { code: 'frames', path, session, entry: secondSegment },
  )
  corpus.add(
    'frame: twice',
    edit((list) => list.toSpliced(1, 0, list[1]!)),
    { code: 'frames', path, session, entry: segment },
  )
  corpus.add(
    'frame: two in another order',
    edit((list) => list.with(1, list[2]!).with(2, list[1]!)),
    { code: 'frames', path, session, entry: segment },
  )
  const more = (files: Map<string, Uint8Array>): void => {
    const bytes = Buffer.from(at(files, path))
    const list = chunksOf(bytes)
    const last = withFrames(list.at(-1)!, (parts) => [...parts, raised(parts.at(-1)!)])
    files.set(path, Buffer.concat([headerOf(bytes), ...list.slice(0, -1), last]))
  }
  corpus.add('frame: one more at the end', more, { code: 'frames', path, session })
}

/** By somebody who has the recording key. */
function payloads(corpus: Corpus, path: string, session: SessionId): void {
  const given = { payloads: true }
  const sequence = corpus.sample.sequenceOf.open + 2
  const edit = (change: (list: (Uint8Array | undefined)[]) => void, files: Map<string, Uint8Array>): void => {
    const bytes = Buffer.from(at(files, path))
    const [first, ...rest] = chunksOf(bytes)
    files.set(path, Buffer.concat([headerOf(bytes), withPayloads(first!, headerOf(bytes), change), ...rest]))
  }
  corpus.add('payload: as it is', () => {}, undefined, given)
  corpus.add(
    'payload: another one',
    (files) => edit((list) => (list[0] = Buffer.from('SELECT 1')), files),
    { code: 'payload', path, session, sequence },
    given,
  )
  corpus.add(
    'payload: taken out, and the log does not say so',
    (files) => edit((list) => (list[0] = undefined), files),
    { code: 'payload', path, session, sequence },
    given,
  )
  // Behind text and parameters of the same frame. Sealed values are committed to as they are stored: encrypted.
  corpus.add(
    'sealed values: the same ones, sealed again',
    (files) => edit((list) => (list[2] = sealedMarker(2)), files),
    { code: 'payload', path, session, sequence },
    given,
  )
  corpus.add(
    'sealed values: taken out, and the log does not say so',
    (files) => edit((list) => (list[2] = undefined), files),
    { code: 'payload', path, session, sequence },
    given,
  )
  corpus.add(
    'sealed values: in the place of the text',
    (files) => edit((list) => ([list[0], list[2]] = [list[2], list[0]]), files),
    { code: 'payload', path, session, sequence },
    given,
  )
  const encrypted = (files: Map<string, Uint8Array>): void => {
    const bytes = Buffer.from(at(files, path))
    const [first, ...rest] = chunksOf(bytes)
    files.set(path, Buffer.concat([headerOf(bytes), checked(flipped(first!, -40)), ...rest]))
  }
  corpus.add(
    'payload: ciphertext changed, checksum made right',
    encrypted,
    { code: 'payload', path, session },
    given,
  )
}

/** Of one that is older than what the log goes through, and in no log. */
function olderId(): SessionId {
  return newSessionId(BEGIN - 60_000, (length) => new Uint8Array(length).fill(9))
}

function headerOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, sealedHeaderBytes(bytes))
}

function chunksOf(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let from = sealedHeaderBytes(bytes); from < bytes.length; ) {
    const { publicStored, privateStored } = readChunkHeader(bytes.subarray(from))
    const end = from + CHUNK_HEADER_BYTES + publicStored + privateStored
    found.push(bytes.subarray(from, end))
    from = end
  }
  return found
}

/** The chunk with the same public parts, stored otherwise. */
function repacked(chunk: Buffer, change: (packed: Buffer) => readonly Buffer[]): Buffer {
  const end = CHUNK_HEADER_BYTES + readChunkHeader(chunk).publicStored
  const stored = Buffer.concat(change(chunk.subarray(CHUNK_HEADER_BYTES, end)))
  const made = Buffer.concat([chunk.subarray(0, CHUNK_HEADER_BYTES), stored, chunk.subarray(end)])
  made.writeUInt32LE(stored.length, 8)
  return checked(made)
}

/** The file with other public parts in its first chunk, all checksums right. */
export function withFirstChunk(file: Uint8Array, change: (parts: Buffer[]) => Buffer[]): Buffer {
  const bytes = Buffer.from(file)
  const [first, ...rest] = chunksOf(bytes)
  return Buffer.concat([headerOf(bytes), withFrames(first!, change), ...rest])
}

/** The chunk with other public parts, its private part left as it is. */
function withFrames(chunk: Buffer, change: (parts: Buffer[]) => Buffer[]): Buffer {
  const header = readChunkHeader(chunk)
  const open = zstdDecompressSync(
    chunk.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + header.publicStored),
  )
  const parts = change(partsOf(open))
  const bytes = Buffer.concat(parts.flatMap((part) => [lengthOf(part), part]))
  const stored = zstdCompressSync(bytes)
  const made = Buffer.concat([
    chunk.subarray(0, CHUNK_HEADER_BYTES),
    stored,
    chunk.subarray(CHUNK_HEADER_BYTES + header.publicStored),
  ])
  made.writeUInt32LE(stored.length, 8)
  made.writeUInt32LE(bytes.length, 12)
  made.writeUInt32LE(parts.length, 24)
  parts[0]?.copy(made, 32, 8, 16)
  return checked(made)
}

/** The chunk with other payloads, encrypted again as its header says; undefined takes one out. */
function withPayloads(
  chunk: Buffer,
  fileHeader: Buffer,
  change: (list: (Uint8Array | undefined)[]) => void,
): Buffer {
  const sealed = decodeSealedHeader(fileHeader)
  const key = unwrapDataKey(testKeys, sealed)
  const header = readChunkHeader(chunk)
  const publicBytes = openPublic(chunk, header)
  const reader = new PrivateReader(openPrivate(chunk, header, key, sealed.session))
  const stored = partsOf(publicBytes).flatMap((part) =>
    decodePublicPart(part).payloads.map(() => reader.next()),
  )
  const bytes = stored.map((each) => (typeof each === 'string' ? undefined : each.bytes))
  change(bytes)
  const privateBytes = Buffer.concat(
    stored.map((each, i) => {
      const now = bytes[i]
      // State 1, and nothing: removed.
      if (typeof each === 'string' || now === undefined) return Buffer.of(1, 0, 0, 0, 0, 0, 0, 0)
      return Buffer.concat([Buffer.alloc(4), lengthOf(now), each.salt, now])
    }),
  )
  const { counter, frames: count, firstSequence } = header
  return encodeChunk(
    { counter, frames: count, firstSequence, publicBytes, privateBytes },
    key,
    sealed.session,
  )
}

function partsOf(open: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let from = 0; from < open.length; ) {
    const end = from + 4 + open.readUInt32LE(from)
    parts.push(open.subarray(from + 4, end))
    from = end
  }
  return parts
}

function lengthOf(part: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(part.length)
  return length
}

function checked(chunk: Buffer): Buffer {
  chunk.writeUInt32LE(crc32(chunk.subarray(8)), 4)
  return chunk
}

function renumbered(chunk: Buffer, counter: number): Buffer {
  chunk.writeUInt32LE(counter, 28)
  return checked(chunk)
}

function recounted(chunk: Buffer): Buffer {
  chunk.writeUInt32LE(chunk.readUInt32LE(24) + 1, 24)
  return checked(chunk)
}

function flipped(bytes: Buffer, index: number): Buffer {
  const made = Buffer.from(bytes)
  flip(made, index)
  return made
}

/** The same frame with the next sequence number. */
function raised(part: Buffer): Buffer {
  const made = Buffer.from(part)
  made.writeUInt32LE(made.readUInt32LE(8) + 1, 8)
  return made
}
