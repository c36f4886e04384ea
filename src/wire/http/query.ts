import { parseMediaType } from './media-types.ts'

/** By this key Rack, Symfony, Laravel, WordPress and others take another method out of a query or a form. */
const METHOD_KEY = '_method'

/** What the escapes of a query or a form stand for, as far as they stand for something; a plus is a blank. */
export function unescapedQuery(text: string): string {
  if (!/[%+]/.test(text)) return text
  const spaced = Buffer.from(text.replaceAll('+', ' '), 'utf8').toString('latin1')
  const bytes = spaced.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/**
 * Whether somebody finds this key in a query or a form: in either case (ASP.NET), parted by semicolons (older Rack and Python), with
 * dots and blanks for underscores and brackets behind it (PHP).
 */
export function hasQueryKey(query: string, key: string): boolean {
  const wanted = readName(key)
  return query.split(/[&;]/).some((pair) => readName(unescapedQuery(pair.replace(/=.*$/s, ''))) === wanted)
}

function readName(name: string): string {
  return name
    .trimStart()
    .replace(/[[\0].*$/s, '')
    .replaceAll(/[. ]/g, '_')
    .toLowerCase()
}

/** Whether a server may take a request for one with another method than it has, by what stands in its query or body. */
export function saysAnotherMethod(query: string, contentType: string, body: Uint8Array): boolean {
  if (hasQueryKey(query, METHOD_KEY)) return true
  if (body.length === 0) return false
  const type = parseMediaType(contentType)?.type ?? ''
  const text = (): string => Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  if (type === 'application/x-www-form-urlencoded') return hasQueryKey(text(), METHOD_KEY)
  if (type === 'multipart/form-data') return NAMED_PART.test(text())
  return /^application\/(?:[^/]+\+)?json$/.test(type) && /method/i.test(text()) && hasMember(text())
}

const NAMED_PART = /name\s*=\s*"?\s*[_.]method["\s;[]/i
/** More than that can match, once blanks are one. */
const NAMED_PART_CHARACTERS = 64

/** Where a body of this type could name another method; `undefined`: nowhere. Servers that look for it do so in a POST. */
export function namesMethod(contentType: string): 'anywhere' | 'in a part' | undefined {
  const type = parseMediaType(contentType)?.type ?? ''
  if (type === 'multipart/form-data') return 'in a part'
  const isRead = type === 'application/x-www-form-urlencoded' || /^application\/(?:[^/]+\+)?json$/.test(type)
  return isRead ? 'anywhere' : undefined
}

/** Looks for that in a multipart body that comes in pieces. What is in its files counts as well. */
export class MethodWatch {
  #tail = ''

  finds(piece: Uint8Array): boolean {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const text = (this.#tail + bytes.toString('latin1')).replaceAll(/\s+/g, ' ')
    this.#tail = text.slice(-NAMED_PART_CHARACTERS)
    return NAMED_PART.test(text)
  }
}

function hasMember(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, METHOD_KEY)
  } catch {
    // What is no JSON has no members that anybody could agree on.
    return false
  }
}
