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
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])

/** Names and values in turn, as node gives and takes them. */
export type RawHeaders = readonly string[]

/** What of a request's fields goes upstream: neither of one hop, nor named by Connection, nor replaced by us. */
export function requestHeaders(raw: RawHeaders): string[] {
  return kept(raw, (name) => !HOP_BY_HOP.has(name) && !REPLACED.has(name))
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
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    if (!WITHOUT_MEANING.has(name) && !name.startsWith('sec-')) fields.push(`${name}: ${raw[i + 1] ?? ''}`)
  }
  return fields.sort().join('\n')
}

/** What of an answer's fields goes to the client. `changed`: the body is another than the upstream's. */
export function responseHeaders(raw: RawHeaders, changed: boolean): string[] {
  return kept(raw, (name) => {
    if (HOP_BY_HOP.has(name) || name === 'set-cookie') return false
    return !(changed && CHANGED_WITH_BODY.has(name))
  })
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

function kept(raw: RawHeaders, wanted: (name: string) => boolean): string[] {
  const named = new Set<string>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'connection') continue
    for (const token of (raw[i + 1] ?? '').split(',')) named.add(token.trim().toLowerCase())
  }
  const result: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const lower = name.toLowerCase()
    if (!named.has(lower) && wanted(lower)) result.push(name, raw[i + 1] ?? '')
  }
  return result
}
