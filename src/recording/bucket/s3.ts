import type * as Sdk from '@aws-sdk/client-s3'
import { GatewayError } from '../../core/index.ts'
import type { Bucket, Condition, Listed, ObjectFacts, StoredObject } from './bucket.ts'
import { type Content, sha256Base64 } from './content.ts'
import { type AccessKeys, type BucketSettings, placeOf } from './settings.ts'

export type S3Options = {
  /** Who the gateway is; asked for again now and then. Undefined: as the SDK finds out. */
  readonly keys?: (() => Promise<AccessKeys>) | undefined
  /** Attempts of one request; 3 when absent. */
  readonly attempts?: number
  /** Until the connection stands, and silence on one that does. */
  readonly connectMs?: number
  readonly silenceMs?: number
}

const CONNECT_MS = 5_000
const SILENCE_MS = 30_000
const ATTEMPTS = 3
/** Keys that were looked up are looked up again half a minute later: the SDK asks five minutes before they end. */
const KEYS_MS = 5 * 60_000 + 30_000

/** Opens a bucket of AWS, or of whoever speaks its protocol. Loads the SDK; sends nothing yet. */
export async function openS3(settings: BucketSettings, options: S3Options = {}): Promise<Bucket> {
  const sdk = await import('@aws-sdk/client-s3')
  const { endpoint, region, pathStyle } = settings
  const { keys, attempts = ATTEMPTS, connectMs = CONNECT_MS, silenceMs = SILENCE_MS } = options
  const client = new sdk.S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(keys === undefined
      ? {}
      : { credentials: async () => ({ ...(await keys()), expiration: new Date(Date.now() + KEYS_MS) }) }),
    forcePathStyle: pathStyle,
    maxAttempts: attempts,
    // Stores other than AWS's take the trailers of the default for content. The SHA-256 is sent as a header.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: silenceMs,
      socketTimeout: silenceMs,
      throwOnRequestTimeout: true,
    },
  })
  return new S3Bucket(sdk, client, settings)
}

type Put = { ETag?: string | undefined }

class S3Bucket implements Bucket {
  readonly #sdk: typeof Sdk
  readonly #client: Sdk.S3Client
  readonly #settings: BucketSettings

  constructor(sdk: typeof Sdk, client: Sdk.S3Client, settings: BucketSettings) {
    this.#sdk = sdk
    this.#client = client
    this.#settings = settings
  }

  async head(name: string): Promise<ObjectFacts | undefined> {
    return this.#tried(async () => {
      const input = { ...this.#at(name), ChecksumMode: 'ENABLED' } as const
      return factsOf(await this.#client.send(new this.#sdk.HeadObjectCommand(input)))
    }, isAbsent)
  }

  async get(name: string): Promise<StoredObject | undefined> {
    return this.#tried(async () => {
      const answer = await this.#client.send(new this.#sdk.GetObjectCommand(this.#at(name)))
      const facts = factsOf(answer)
      const { Body: body } = answer
      if (body === undefined || !(Symbol.asyncIterator in body)) throw new Error('the store sent no body')
      return { ...facts, body: this.#whole(body, facts.bytes) }
    }, isAbsent)
  }

  async put(name: string, content: Content, condition: Condition): Promise<string | undefined> {
    const { partBytes } = content
    return await this.#tried(async () => {
      const { ETag: etag } =
        partBytes === undefined
          ? await this.#putWhole(name, content, condition)
          : await this.#putParts(name, content, partBytes, condition)
      if (etag === undefined) throw new Error('the store does not say what it has stored')
      return etag
    }, isRefused)
  }

  async *list(folder: string): AsyncGenerator<Listed> {
    const { Bucket: bucket, Key: prefix } = this.#at(folder)
    let token: string | undefined
    do {
      const page = await this.#tried(() =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            Delimiter: '/',
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      )
      for (const { Prefix = '' } of page.CommonPrefixes ?? [])
        yield { name: Prefix.slice(prefix.length).replace(/\/$/, ''), bytes: undefined }
      for (const { Key = '', Size = 0 } of page.Contents ?? [])
        if (Key !== prefix) yield { name: Key.slice(prefix.length), bytes: Size }
      token = page.NextContinuationToken
    } while (token !== undefined)
  }

  async remove(name: string): Promise<void> {
    await this.#tried(() => this.#client.send(new this.#sdk.DeleteObjectCommand(this.#at(name))))
  }

  async abandon(before: number): Promise<number> {
    const { Bucket, Key: Prefix } = this.#at('')
    let abandoned = 0
    let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const input = { Bucket, Prefix, ...from }
      const page = await this.#tried(() =>
        this.#client.send(new this.#sdk.ListMultipartUploadsCommand(input)),
      )
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || Initiated === undefined || Initiated.getTime() >= before) continue
        const upload = { Bucket, Key, UploadId }
        await this.#tried(
          () => this.#client.send(new this.#sdk.AbortMultipartUploadCommand(upload)),
          isAbsent,
        )
        abandoned++
      }
      if (page.IsTruncated !== true) return abandoned
      from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  close(): void {
    this.#client.destroy()
  }

  async #putWhole(name: string, content: Content, condition: Condition): Promise<Put> {
    return await this.#client.send(
      new this.#sdk.PutObjectCommand({
        ...this.#at(name),
        ...headersOf(condition),
        Body: await content.read(0, content.bytes),
        ContentLength: content.bytes,
        ChecksumSHA256: content.checksum,
      }),
    )
  }

  async #putParts(name: string, content: Content, partBytes: number, condition: Condition): Promise<Put> {
    const at = this.#at(name)
    const { UploadId } = await this.#client.send(
      new this.#sdk.CreateMultipartUploadCommand({
        ...at,
        ChecksumAlgorithm: 'SHA256',
        ChecksumType: 'COMPOSITE',
      }),
    )
    try {
      const parts: Sdk.CompletedPart[] = []
      for (let offset = 0; offset < content.bytes; offset += partBytes) {
        const bytes = await content.read(offset, Math.min(partBytes, content.bytes - offset))
        const PartNumber = parts.length + 1
        const ChecksumSHA256 = sha256Base64(bytes)
        const part = { ...at, UploadId, PartNumber, Body: bytes, ContentLength: bytes.length, ChecksumSHA256 }
        const { ETag } = await this.#client.send(new this.#sdk.UploadPartCommand(part))
        parts.push({ PartNumber, ChecksumSHA256, ETag })
      }
      const MultipartUpload = { Parts: parts }
      const input = { ...at, ...headersOf(condition), UploadId, MultipartUpload }
      return await this.#client.send(new this.#sdk.CompleteMultipartUploadCommand(input))
    } catch (error) {
      // Nobody is going to end it. What cannot be taken away now is abandoned later.
      await this.#client
        .send(new this.#sdk.AbortMultipartUploadCommand({ ...at, UploadId }))
        .catch(() => undefined)
      throw error
    }
  }

  /** What the store sends, which must be as much as it said. */
  async *#whole(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
    const pieces = body[Symbol.asyncIterator]()
    let left = bytes
    try {
      for (;;) {
        const { done, value } = await this.#tried(() => pieces.next())
        if (done === true) break
        left -= value.length
        yield value
      }
    } finally {
      await pieces.return?.()
    }
    if (left !== 0) throw this.#failure(new Error('the body has another length than it should'))
  }

  #at(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#settings.bucket, Key: `${this.#settings.prefix}${name}` }
  }

  #tried<T>(work: () => Promise<T>): Promise<T>
  #tried<T>(work: () => Promise<T>, isNothing: (error: unknown) => boolean): Promise<T | undefined>
  async #tried<T>(work: () => Promise<T>, isNothing?: (error: unknown) => boolean): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (isNothing?.(error) === true) return undefined
      throw this.#failure(error)
    }
  }

  #failure(cause: unknown): unknown {
    if (cause instanceof GatewayError) return cause
    const place = placeOf(this.#settings)
    const status = statusOf(cause)
    const what = nameOf(cause)
    if (status === 401 || status === 403 || what === 'CredentialsProviderError') {
      return new GatewayError('denied', `The object store ${place} does not let the gateway in (${what}).`, {
        remedy:
          'Check accessKey and secretKey of recording.store, what they may do in the bucket (docs/audit.md), and the clock of this machine.',
        retry: 'only-if-changed',
        cause,
      })
    }
    if (what === 'NoSuchBucket' || status === 301) {
      return new GatewayError('not_found', `There is no bucket of ${place} in this region (${what}).`, {
        remedy:
          'Check url, endpoint and region of recording.store; redirects to other regions are not followed.',
        retry: 'only-if-changed',
        cause,
      })
    }
    const said = status === undefined ? what : `${status} ${what}`
    return new GatewayError(
      'upstream_unreachable',
      `The object store ${place} does not answer as it should (${said}).`,
      {
        remedy: 'Nothing is lost: it is tried again, later and later.',
        retry: 'later',
        cause,
      },
    )
  }
}

function headersOf(condition: Condition): { IfNoneMatch: string } | { IfMatch: string } {
  return 'ifAbsent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.ifEtag }
}

function factsOf(answer: {
  ContentLength?: number | undefined
  ETag?: string | undefined
  ChecksumSHA256?: string | undefined
}): ObjectFacts {
  const { ContentLength: bytes, ETag: etag, ChecksumSHA256: checksum } = answer
  if (bytes === undefined || etag === undefined) throw new Error('the store does not say what an object is')
  return { bytes, etag, checksum }
}

function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket'
}

/** The condition of an upload does not hold: RFC 9110 section 13.1. */
function isRefused(error: unknown): boolean {
  // A store may say so of If-Match where there is nothing.
  return statusOf(error) === 412 || (statusOf(error) === 404 && nameOf(error) === 'NoSuchKey')
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  const { $metadata: metadata } = error
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined
}

/** The code of a fault, and never its text, which is the store's. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return /^\w{1,64}$/.test(code) ? code : 'unknown'
}
