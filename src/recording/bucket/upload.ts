import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { GatewayError, type SessionId } from '../../core/index.ts'
import { damaged } from '../files/damaged.ts'
import { openIfThere } from '../files/files.ts'
import { sessionFile, sessionName } from '../files/names.ts'
import { decodeSealedHeader, SEALED_PREFIX_BYTES, sealedHeaderBytes } from '../sealed/file-header.ts'
import type { Bucket, Condition, ObjectFacts } from './bucket.ts'
import { type Content, fileContent } from './content.ts'
import type { Mark, Marks } from '../files/upload-marks.ts'

export type UploadOptions = {
  /** The data directory. */
  readonly directory: string
  readonly bucket: Bucket
  readonly marks: Marks
  /** For tests: what is larger goes up in parts of so many bytes. */
  readonly wholeBytesMax?: number | undefined
}

/**
 * Brings the file of one session into the store, and marks it once the store says that it has it, whole. Where there is one
 * already it must be the same, or the version that this gateway had uploaded before: else throws `conflict`, and
 * nothing is overwritten. Does nothing where the file has gone meanwhile.
 */
export async function uploadSession(options: UploadOptions, session: SessionId): Promise<void> {
  const { directory, bucket, marks, wholeBytesMax } = options
  const path = sessionFile(directory, session)
  const file = await openIfThere(path)
  if (file === undefined) return
  try {
    const content = await fileContent(file, wholeBytesMax)
    const keyId = await keyIdOf(path, content)
    await store(bucket, sessionName(session), content, await marks.read(session, 'was'))
    await marks.write(session, { bytes: content.bytes, sha256: content.sha256, keyId })
    // Written anew while it was uploaded: then that one has to go up as well. Another look behind the mark, which whoever puts
    // another file here takes away before and after.
    if (await isFile(path, file)) await marks.confirm(session)
    if (!(await isFile(path, file))) await marks.outdate(session)
  } finally {
    await file.close()
  }
}

/** Whether the file that is open is the one at this path, or none is there. */
async function isFile(path: string, file: FileHandle): Promise<boolean> {
  const now = await openIfThere(path)
  try {
    return now === undefined || (await now.stat()).ino === (await file.stat()).ino
  } finally {
    await now?.close()
  }
}

async function store(bucket: Bucket, name: string, content: Content, was: Mark | undefined): Promise<void> {
  const before = was === undefined ? undefined : await bucket.head(name)
  // Only what this gateway put there itself makes way.
  const isEarlier = was !== undefined && before !== undefined && (await isMarked(bucket, name, before, was))
  const condition: Condition = isEarlier ? { ifEtag: before.etag } : { ifAbsent: true }
  const etag = await bucket.put(name, content, condition)
  const there = await bucket.head(name)
  if (there !== undefined && (await isSame(bucket, name, there, content))) return
  throw new GatewayError(
    'conflict',
    etag !== undefined
      ? `${name} is not in the object store as it was uploaded.`
      : `The object store has another ${name} than the gateway: it was not overwritten.`,
    {
      remedy:
        'What is here stays here. Find out who else writes into the bucket; once the other object has been moved away, this one is uploaded.',
    },
  )
}

/** What a store says of its objects is asked first; where that does not tell, the object is read back. */
async function isSame(bucket: Bucket, name: string, there: ObjectFacts, content: Content): Promise<boolean> {
  if (there.bytes !== content.bytes) return false
  if (there.checksum === content.checksum) return true
  // Of one in parts it depends on how large the parts were.
  if (there.checksum !== undefined && !there.checksum.includes('-')) return false
  return (await digestOf(bucket, name)) === content.sha256
}

/** Whether what is there is what a mark says. */
async function isMarked(bucket: Bucket, name: string, there: ObjectFacts, mark: Mark): Promise<boolean> {
  if (there.bytes !== mark.bytes) return false
  if (there.checksum === Buffer.from(mark.sha256, 'hex').toString('base64')) return true
  return (await digestOf(bucket, name)) === mark.sha256
}

/** SHA-256 of an object, in hexadecimal digits. */
async function digestOf(bucket: Bucket, name: string): Promise<string | undefined> {
  const found = await bucket.get(name)
  if (found === undefined) return undefined
  const hash = createHash('sha256')
  for await (const piece of found.body) hash.update(piece)
  return hash.digest('hex')
}

/** The recording key that a session file needs. */
async function keyIdOf(path: string, content: Content): Promise<string> {
  try {
    const prefix = Buffer.from(await content.read(0, Math.min(SEALED_PREFIX_BYTES, content.bytes)))
    const length = sealedHeaderBytes(prefix)
    return decodeSealedHeader(Buffer.from(await content.read(0, Math.min(length, content.bytes)))).key.id
  } catch (error) {
    throw damaged(path, 0, error instanceof Error ? error.message : String(error))
  }
}
