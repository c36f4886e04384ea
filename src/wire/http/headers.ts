import { GatewayError } from '../../core/index.ts'
import { otherPreferences } from './prefer.ts'

/** Fields of one hop, never passed on. RFC 9110 section 7.6.1. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * Fields of a request that carry or change who is asking, where, or for which part; the gateway says these itself.
 * An answer is always asked for whole: cut out of a protected value, a few bytes are JSON of their own, with no path
 * that would say what they are. RFC 9110 section 14.2 lets everybody ignore a range.
 */
const REPLACED = new Set([
  'authorization',
  'cookie',
  'host',
  'content-length',
  'expect',
  'accept-encoding',
  'range',
  'if-range',
  // Where it comes from.
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-originating-ip',
  'x-remote-ip',
  'x-remote-addr',
  'true-client-ip',
  'client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  // Who asks, as proxies that have logged somebody in tell it.
  'remote-user',
  'x-remote-user',
  'x-remote-group',
  'x-remote-groups',
  'x-authenticated-user',
  'x-webauth-user',
  'x-goog-authenticated-user-email',
  'x-goog-authenticated-user-id',
  'x-ms-client-principal',
  'x-ms-client-principal-id',
  'x-ms-client-principal-name',
  // Another host, path or method than those that were judged.
  'x-host',
  'x-original-host',
  'x-original-url',
  'x-original-uri',
  'x-original-method',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-http-path-override',
  // A server that hands fields on as variables takes it for its own HTTP_PROXY (CVE-2016-5385).
  'proxy',
])

/** Beginnings of such names: `X-Forwarded-For`, `-Host`, `-User`, `-Prefix` and whatever else proxies tell. */
const REPLACED_BEGINNINGS = [
  'x-forwarded-',
  'x-auth-request-',
  'x-amzn-oidc-',
  'x-ssl-client-',
  'ssl-client-',
]

/** Fields by which the answer depends on what is in it: asked often enough, they tell a value that is masked. */
const CONDITIONS = new Set(['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'])

/** Names and values in turn, as node gives and takes them. */
export type RawHeaders = readonly string[]

/**
 * A name as servers read it that make variables of fields (RFC 3875 section 4.1.18): `X_Api_Key` and `X-Api-Key` are one there. Who
 * leaves a field out leaves out all that have its key.
 */
export function fieldKey(name: string): string {
  const known = KEYS.get(name)
  if (known !== undefined) return known
  const key = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
  if (name.length <= KEPT_NAME_MAX && KEYS.size < KEPT_NAMES_MAX) KEYS.set(name, key)
  return key
}

/** Of the names that come again and again; those that somebody makes up fill it once. */
const KEYS = new Map<string, string>()
const KEPT_NAMES_MAX = 1_000
const KEPT_NAME_MAX = 64

/** What of a request's fields goes upstream: neither of one hop, nor named by Connection, nor replaced by us. */
export function requestHeaders(raw: RawHeaders): string[] {
  return kept(raw, (key) => !HOP_BY_HOP.has(key) && !isReplaced(key))
}

/** The same without its conditions (RFC 9110 section 13.1): for a reading answer in which something is masked. */
export function unconditional(raw: RawHeaders): string[] {
  return kept(raw, (key) => !CONDITIONS.has(key))
}

function isReplaced(key: string): boolean {
  return REPLACED.has(key) || REPLACED_BEGINNINGS.some((beginning) => key.startsWith(beginning))
}

/** Fields of a request that say who asks, how to answer, or how to follow it up, but nothing of what is to be done. */
const WITHOUT_MEANING = new Set([
  'accept',
  'accept-charset',
  'accept-language',
  'baggage',
  'cache-control',
  'date',
  'idempotency-key',
  'origin',
  'pragma',
  'priority',
  'referer',
  'traceparent',
  'tracestate',
  'user-agent',
  'via',
  'x-correlation-id',
  'x-request-id',
])

/**
 * The fields of a request (as `requestHeaders` gave them) that can change what it does: its content type, and all that
 * nobody here knows. One text, equal for equal fields in any order.
 */
export function meaningOfHeaders(raw: RawHeaders): string {
  return meaningfulFields(raw).join('\n')
}

/** The same, a line for each field, sorted. */
export function meaningfulFields(raw: RawHeaders): string[] {
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    if (WITHOUT_MEANING.has(name) || name.startsWith('sec-')) continue
    // How long its client likes to wait makes no other request of it.
    const value = name === 'prefer' ? otherPreferences(raw[i + 1] ?? '') : (raw[i + 1] ?? '')
    if (name !== 'prefer' || value !== '') fields.push(`${name}: ${value}`)
  }
  return fields.sort()
}

/**
 * What of an answer's fields goes to the client. `changed`: the body is another than the upstream's. Throws GatewayError
 * `upstream_unreachable` where the body has a coding besides chunks, as nobody asked for (RFC 9112 section 7.4): it could not be read.
 */
export function responseHeaders(raw: RawHeaders, changed: boolean): string[] {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === 'transfer-encoding' && raw[i + 1]?.trim().toLowerCase() !== 'chunked')
      throw packedOnItsWay()
  }
  return kept(raw, (key) => {
    if (HOP_BY_HOP.has(key) || key === 'set-cookie' || key === 'sluice-masked') return false
    return !(changed && CHANGED_WITH_BODY.has(key))
  })
}

function packedOnItsWay(): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The answer of the upstream is packed on its way though nobody asked for that, so it cannot be read and is withheld.',
    { remedy: 'Have the upstream send chunks and no other Transfer-Encoding.', retry: 'only-if-changed' },
  )
}

/** What a field behind a body may not say: it frames, routes, authenticates or controls. RFC 9110 section 6.5.1. */
const NO_TRAILER = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'expires',
  'host',
  'location',
  'retry-after',
  'sluice-masked',
  'vary',
  'warning',
  'www-authenticate',
])

/** What of the fields behind an answer goes to the client. `changed` as for those in front of it. */
export function trailerFields(raw: RawHeaders, changed: boolean): string[] {
  return kept(responseHeaders(raw, changed), (name) => !NO_TRAILER.has(name))
}

/** Fields that describe the bytes of the body. */
const CHANGED_WITH_BODY = new Set([
  'content-length',
  'content-encoding',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'etag',
  'accept-ranges',
  'content-range',
  'last-modified',
])

function kept(raw: RawHeaders, wanted: (key: string) => boolean): string[] {
  const named = new Set<string>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'connection') continue
    for (const token of (raw[i + 1] ?? '').split(',')) named.add(fieldKey(token.trim()))
  }
  const result: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const key = fieldKey(name)
    if (!named.has(key) && wanted(key)) result.push(name, raw[i + 1] ?? '')
  }
  return result
}
