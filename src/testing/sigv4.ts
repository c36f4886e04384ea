import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** A request as it came, for who checks its signature. */
export type SignedRequest = {
  readonly method: string
  /** As it stands in the request line. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What a store knows of who may ask: key ids and their secrets. */
export type KnownKeys = Readonly<Record<string, string>>

const SKEW_MS_MAX = 15 * 60 * 1000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

/**
 * Checks the signature of a request, version 4, as S3 does:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Gives the code of what is wrong, or undefined.
 */
export function signatureFault(request: SignedRequest, keys: KnownKeys): string | undefined {
  const { headers, method, path, body, now } = request
  const [, id = '', day = '', region = '', names = '', given = ''] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (given === '') return 'AccessDenied'
  const secret = keys[id]
  if (secret === undefined) return 'InvalidAccessKeyId'
  const time = String(headers['x-amz-date'])
  if (!time.startsWith(day) || Number.isNaN(timeOf(time))) return 'AccessDenied'
  if (Math.abs(timeOf(time) - now) > SKEW_MS_MAX) return 'RequestTimeTooSkewed'
  const signed = names.split(';')
  const must = Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'))
  if (must.some((name) => !signed.includes(name)) || signed.join() !== signed.toSorted().join())
    return 'AccessDenied'
  const payload = String(headers['x-amz-content-sha256'])
  // Without TLS nothing else protects the body.
  if (payload !== sha256(body)) return 'XAmzContentSHA256Mismatch'
  const [uri = '', query = ''] = path.split('?')
  const canonical = [
    method,
    uri,
    canonicalQuery(query),
    ...signed.map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, ' ')}`),
    '',
    names,
    payload,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (last, part) => hmac(last, part),
    `AWS4${secret}`,
  )
  return timingSafeEqual(hmac(key, text), Buffer.from(given, 'hex')) ? undefined : 'SignatureDoesNotMatch'
}

function canonicalQuery(query: string): string {
  const pairs = query === '' ? [] : query.split('&')
  return pairs
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .toSorted()
    .join('&')
}

/** `20260131T120000Z`. */
function timeOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
