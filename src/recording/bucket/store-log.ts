import { GatewayError } from '../../core/index.ts'
import type { LogStorage } from '../../evidence/log/storage.ts'
import { sameBytes } from '../../evidence/tree/hasher.ts'
import type { Bucket, Condition, StoredObject } from './bucket.ts'
import { bytesContent } from './content.ts'

/**
 * A log in a bucket. What is put is never overwritten, and what is replaced only in place of what was there when it was
 * last looked at: of two writers one is told `conflict`.
 */
export class StoreLog implements LogStorage {
  readonly #bucket: Bucket
  readonly #folder: string
  readonly #etags = new Map<string, string>()

  /** `folder` ends in `/`. */
  constructor(bucket: Bucket, folder: string) {
    this.#bucket = bucket
    this.#folder = folder
  }

  async read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    const found = await this.#bucket.get(this.#folder + path)
    if (found === undefined) {
      this.#etags.delete(path)
      return undefined
    }
    const bytes = await wholeOf(path, found, bytesMax)
    this.#etags.set(path, found.etag)
    return bytes
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const etag = await this.#bucket.put(this.#folder + path, bytesContent(bytes.slice()), { ifAbsent: true })
    return etag !== undefined
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const name = this.#folder + path
    const content = bytesContent(bytes.slice())
    const etag = this.#etags.get(path) ?? (await this.#bucket.head(name))?.etag
    const condition: Condition = etag === undefined ? { ifAbsent: true } : { ifEtag: etag }
    // Which one is there now, nobody knows until it is looked at.
    this.#etags.delete(path)
    const stored = await this.#bucket.put(name, content, condition)
    if (stored !== undefined) {
      this.#etags.set(path, stored)
      return
    }
    // Perhaps this very one, of which only the answer was lost.
    const there = await this.#bucket.get(name)
    const isSame = there?.bytes === bytes.length && sameBytes(await wholeOf(path, there, bytes.length), bytes)
    if (!isSame) throw otherWriter(path)
  }

  async removeBelow(path: string): Promise<void> {
    const names: string[] = []
    for await (const { name, bytes } of this.#bucket.list(this.#folder + path))
      if (bytes !== undefined) names.push(name)
    for (const name of names) await this.#bucket.remove(`${this.#folder}${path}${name}`)
  }
}

async function wholeOf(path: string, { bytes, body }: StoredObject, bytesMax: number): Promise<Uint8Array> {
  if (bytes > bytesMax) {
    throw new GatewayError(
      'limit_exceeded',
      `${path} of the log has ${bytes} bytes in the object store; it may have ${bytesMax}.`,
      {
        remedy: 'It is damaged, or not of this log: look at who can write into the bucket.',
      },
    )
  }
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

function otherWriter(path: string): GatewayError {
  return new GatewayError(
    'conflict',
    `Somebody else has written ${path} of the log in the object store: nothing was overwritten.`,
    {
      remedy:
        'Does another gateway use the same bucket and prefix, or a copy of this one? Give each a prefix of its own.',
    },
  )
}
