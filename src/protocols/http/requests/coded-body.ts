import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { RawHeaders } from '../../../wire/http/index.ts'

type Decode = (body: Uint8Array, options: { maxOutputLength: number }) => Buffer

/** Content codings that servers undo by themselves, RFC 9110 section 8.4.1 and RFC 8878. */
const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync],
  ['zstd', zstdDecompressSync],
])

/** What the fields of a request (names and values in turn) say of how its body is packed, in lower case; empty: it is not. */
export function codingOf(headers: RawHeaders): string {
  return headers
    .filter((_, n) => n % 2 === 1 && headers[n - 1]?.toLowerCase() === 'content-encoding')
    .flatMap((value) => value.split(','))
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== '' && each !== 'identity')
    .join(', ')
}

/**
 * A body as a server has it that unpacks it. Throws GatewayError `invalid` for a coding that is not known, several of them, what
 * cannot be unpacked, and what is longer than a body may be that is looked into.
 */
export function unpacked(coding: string, body: Uint8Array): Uint8Array {
  if (coding === '' || body.length === 0) return body
  const decode = DECODERS.get(coding)
  if (decode === undefined) throw unreadable()
  try {
    return decode(body, { maxOutputLength: LIMITS.httpRequestBodyBytesMax })
  } catch (cause) {
    throw unreadable(cause)
  }
}

function unreadable(cause?: unknown): GatewayError {
  return new GatewayError(
    'invalid',
    `Send the body without Content-Encoding, or as gzip, deflate, br or zstd of at most ${LIMITS.httpRequestBodyBytesMax} bytes: it has to be looked into.`,
    { retry: 'only-if-changed', cause },
  )
}
