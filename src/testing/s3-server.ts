import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type KnownKeys, signatureFault } from './sigv4.ts'

/** What goes wrong with one request. */
export type S3Fault =
  /** Answered so, and nothing done. */
  | { readonly status: number; readonly code: string }
  /** Never answered; `done`: but done. */
  | { readonly stall: true }
  /** The connection ends without an answer, after it was done. */
  | { readonly lost: true }
  /** The connection ends before anything is done. */
  | { readonly cut: true }
  /** The body of the answer ends in its middle, goes no further from there, or has another byte there. */
  | { readonly body: 'cut' | 'stalled' | 'damaged' }
  /** What is stored has another byte in its middle than what came. */
  | { readonly stored: 'damaged' }

/** `n` counts from 1; `what` is the operation (`PUT`, `GET`, `HEAD`, `DELETE`, `LIST`, `CREATE`, `PART`, `COMPLETE`, `ABORT`, `UPLOADS`). */
export type S3Asked = { readonly n: number; readonly what: string; readonly key: string }

type Stored = {
  readonly bytes: Buffer
  readonly etag: string
  readonly checksum: string | undefined
  readonly meta: Readonly<Record<string, string>>
}

type Upload = {
  readonly key: string
  readonly meta: Readonly<Record<string, string>>
  readonly initiated: number
  readonly parts: Map<number, Buffer>
}

type Answer = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export const S3_KEYS = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'secret/of+the/stand-in' } as const
export const S3_BUCKET = 'recordings'

const PAGE = 1_000
/**
 * A stand-in for S3 in this process: one bucket, addressed by path; requests must be signed (version 4). Conditional puts, uploads
 * in parts, checksums and listing are as in the API reference. A hook says what goes wrong.
 */
export class S3Server {
  readonly objects = new Map<string, Stored>()
  readonly uploads = new Map<string, Upload>()
  readonly asked: S3Asked[] = []
  /** Asked about each request that is signed well. */
  fault: (asked: S3Asked) => S3Fault | undefined = () => undefined
  /** A store that takes no notice of conditions. */
  keepsConditions = true
  /** A store that keeps no checksums. */
  keepsChecksums = true
  pageKeys = PAGE
  now: () => number = Date.now
  keys: KnownKeys = { [S3_KEYS.accessKeyId]: S3_KEYS.secretAccessKey }
  readonly #server: Server
  #nextUpload = 1

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<S3Server> {
    const server = createServer()
    const store = new S3Server(server)
    server.on(
      'request',
      (request: IncomingMessage, response: ServerResponse) => void store.#serve(request, response),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return store
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What was asked since the last call, in words: `PUT sessions/...`. */
  taken(): string[] {
    return this.asked.splice(0).map(({ what, key }) => `${what} ${key}`)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const body = Buffer.concat(chunks)
    const { method = '', url: path = '', headers } = request
    const wrong = signatureFault({ method, path, headers, body, now: this.now() }, this.keys)
    if (wrong !== undefined) return this.#send(response, method, failure(403, wrong))
    const url = new URL(path, 'http://store')
    const [, bucket = '', ...rest] = decodeURIComponent(url.pathname).split('/')
    const key = rest.join('/')
    const what = operationOf(method, url.searchParams, key)
    const asked = {
      n: this.asked.length + 1,
      what,
      key: key === '' ? (url.searchParams.get('prefix') ?? '') : key,
    }
    this.asked.push(asked)
    const fault = this.fault(asked)
    if (fault !== undefined && 'stall' in fault) return
    if (fault !== undefined && 'cut' in fault) return void request.socket.destroy()
    if (fault !== undefined && 'status' in fault)
      return this.#send(response, method, failure(fault.status, fault.code))
    if (bucket !== S3_BUCKET) return this.#send(response, method, failure(404, 'NoSuchBucket'))
    const stored = fault !== undefined && 'stored' in fault ? damaged(body) : body
    const answer = this.#answer(what, key, url.searchParams, { headers, body, stored })
    if (fault !== undefined && 'lost' in fault) return void request.socket.destroy()
    const kind = fault !== undefined && 'body' in fault ? fault.body : undefined
    this.#send(response, method, answer, kind)
  }

  #answer(
    what: string,
    key: string,
    query: URLSearchParams,
    { headers, body, stored }: { headers: IncomingMessage['headers']; body: Buffer; stored: Buffer },
  ): Answer {
    switch (what) {
      case 'PUT': {
        const checksum = headers['x-amz-checksum-sha256']
        if (this.keepsChecksums && checksum !== undefined && checksum !== sha256(body))
          return failure(400, 'BadDigest')
        const refused = this.#refused(key, headers)
        if (refused !== undefined) return refused
        return this.#keep(key, stored, { etag: md5(stored), checksum: sha256(stored), meta: metaOf(headers) })
      }
      case 'GET':
      case 'HEAD': {
        const found = this.objects.get(key)
        if (found === undefined) return failure(404, what === 'GET' ? 'NoSuchKey' : 'NotFound')
        const { bytes, etag, checksum, meta } = found
        const told =
          headers['x-amz-checksum-mode'] === 'ENABLED' && this.keepsChecksums && checksum !== undefined
        return {
          status: 200,
          headers: {
            'content-length': String(bytes.length),
            etag: `"${etag}"`,
            ...Object.fromEntries(Object.entries(meta).map(([name, value]) => [`x-amz-meta-${name}`, value])),
            ...(told ? { 'x-amz-checksum-sha256': checksum } : {}),
          },
          body: bytes,
        }
      }
      case 'DELETE':
        this.objects.delete(key)
        return { status: 204 }
      case 'LIST':
        return this.#list(query)
      case 'CREATE': {
        const id = `upload-${this.#nextUpload++}`
        this.uploads.set(id, { key, meta: metaOf(headers), initiated: this.now(), parts: new Map() })
        return xml(
          `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        )
      }
      case 'PART': {
        const upload = this.uploads.get(query.get('uploadId') ?? '')
        if (upload === undefined || upload.key !== key) return failure(404, 'NoSuchUpload')
        if (headers['x-amz-checksum-sha256'] !== sha256(body)) return failure(400, 'BadDigest')
        upload.parts.set(Number(query.get('partNumber')), stored)
        return { status: 200, headers: { etag: `"${md5(body)}"` } }
      }
      case 'COMPLETE':
        return this.#complete(key, query.get('uploadId') ?? '', headers, body.toString())
      case 'ABORT':
        return this.uploads.delete(query.get('uploadId') ?? '')
          ? { status: 204 }
          : failure(404, 'NoSuchUpload')
      case 'UPLOADS': {
        const prefix = query.get('prefix') ?? ''
        const found = [...this.uploads].filter(([, each]) => each.key.startsWith(prefix))
        const entries = found.map(
          ([id, each]) =>
            `<Upload><Key>${each.key}</Key><UploadId>${id}</UploadId><Initiated>${new Date(each.initiated).toISOString()}</Initiated></Upload>`,
        )
        return xml(
          `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListMultipartUploadsResult>`,
        )
      }
      default:
        return failure(501, 'NotImplemented')
    }
  }

  #complete(key: string, id: string, headers: IncomingMessage['headers'], body: string): Answer {
    const upload = this.uploads.get(id)
    if (upload === undefined || upload.key !== key) return failure(404, 'NoSuchUpload')
    const named = [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      etag: /<ETag>(?:"|&quot;)?([0-9a-f]+)/.exec(part)?.[1],
      checksum: /<ChecksumSHA256>([^<]+)</.exec(part)?.[1],
    }))
    const parts: Buffer[] = []
    for (const [at, { number, checksum }] of named.entries()) {
      const part = upload.parts.get(number)
      if (part === undefined || number !== at + 1 || checksum === undefined)
        return failure(400, 'InvalidPart')
      parts.push(part)
    }
    if (parts.length === 0) return failure(400, 'MalformedXML')
    const refused = this.#refused(key, headers)
    if (refused !== undefined) return refused
    this.uploads.delete(id)
    const composite = createHash('sha256')
    for (const { checksum = '' } of named) composite.update(Buffer.from(checksum, 'base64'))
    const bytes = Buffer.concat(parts)
    const { meta } = upload
    this.#keep(key, bytes, {
      etag: `${md5(bytes)}-${parts.length}`,
      checksum: `${composite.digest('base64')}-${parts.length}`,
      meta,
    })
    return xml(
      `<CompleteMultipartUploadResult><ETag>"${this.objects.get(key)?.etag}"</ETag></CompleteMultipartUploadResult>`,
    )
  }

  #refused(key: string, headers: IncomingMessage['headers']): Answer | undefined {
    if (!this.keepsConditions) return undefined
    const there = this.objects.get(key)
    if (headers['if-none-match'] === '*' && there !== undefined) return failure(412, 'PreconditionFailed')
    const match = headers['if-match']
    if (match === undefined) return undefined
    if (there === undefined) return failure(404, 'NoSuchKey')
    return match.replaceAll('"', '') === there.etag ? undefined : failure(412, 'PreconditionFailed')
  }

  #keep(key: string, bytes: Buffer, facts: Omit<Stored, 'bytes'>): Answer {
    this.objects.set(key, { bytes, ...facts })
    return { status: 200, headers: { etag: `"${facts.etag}"` } }
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? ''
    const after = query.get('continuation-token') ?? ''
    const folders = new Set<string>()
    const found: { readonly sort: string; readonly text: string }[] = []
    for (const [key, { bytes }] of this.objects) {
      if (!key.startsWith(prefix)) continue
      const slash = key.indexOf('/', prefix.length)
      if (query.get('delimiter') === '/' && slash >= 0) {
        const folder = key.slice(0, slash + 1)
        if (folders.has(folder)) continue
        folders.add(folder)
        found.push({ sort: folder, text: `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>` })
      } else
        found.push({ sort: key, text: `<Contents><Key>${key}</Key><Size>${bytes.length}</Size></Contents>` })
    }
    const sorted = found.toSorted((a, b) => (a.sort < b.sort ? -1 : 1)).filter(({ sort }) => sort > after)
    const page = sorted.slice(0, this.pageKeys)
    const last = sorted.length > page.length ? page.at(-1)?.sort : undefined
    const next = last === undefined ? '' : `<NextContinuationToken>${last}</NextContinuationToken>`
    const text = page.map((each) => each.text).join('')
    return xml(`<ListBucketResult><IsTruncated>${next !== ''}</IsTruncated>${next}${text}</ListBucketResult>`)
  }

  #send(
    response: ServerResponse,
    method: string,
    answer: Answer,
    kind?: 'cut' | 'stalled' | 'damaged',
  ): void {
    const { status, headers = {}, body = '' } = answer
    const bytes = Buffer.from(body)
    response.writeHead(status, {
      date: new Date(this.now()).toUTCString(),
      'content-length': String(bytes.length),
      ...headers,
    })
    if (method === 'HEAD') response.end()
    else if (kind === 'stalled') response.write(bytes.subarray(0, bytes.length >> 1))
    else if (kind === 'cut')
      response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.destroy())
    else response.end(kind === 'damaged' ? damaged(bytes) : bytes)
  }
}

function operationOf(method: string, query: URLSearchParams, key: string): string {
  if (query.has('uploads')) return method === 'POST' ? 'CREATE' : 'UPLOADS'
  if (query.has('uploadId')) return { PUT: 'PART', POST: 'COMPLETE', DELETE: 'ABORT' }[method] ?? method
  return method === 'GET' && key === '' ? 'LIST' : method
}

function metaOf(headers: IncomingMessage['headers']): Record<string, string> {
  const meta = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))
  return Object.fromEntries(meta.map(([name, value]) => [name.slice('x-amz-meta-'.length), String(value)]))
}

function xml(text: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>${text}` }
}

function failure(status: number, code: string): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as the test wants</Message></Error>`
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const at = copy.length >> 1
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64')
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}
