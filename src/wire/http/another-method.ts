import { hasQueryKey } from './query.ts'

/** By this key Rack, Symfony, Laravel, WordPress and others take another method out of a query or a body. */
const METHOD_KEY = '_method'

type Kind = 'form' | 'parts' | 'json'

/**
 * What a body is read as by servers that look at its type up to what may end it (PHP), and that take one without a type for a form
 * and parts of any kind for those of a form (Rack). Undefined: nobody reads fields of it.
 */
function kindOf(contentType: string): Kind | undefined {
  const type = typeOf(contentType)
  if (type === '' || type === 'application/x-www-form-urlencoded') return 'form'
  if (type.startsWith('multipart/')) return 'parts'
  return /^(?:application|text)\/(?:[^/]+\+)?json$/.test(type) ? 'json' : undefined
}

function typeOf(contentType: string): string {
  const [type = ''] = contentType.trim().split(/[;,\s]/, 1)
  return type.toLowerCase()
}

/** Whether a server may take a request for one with another method than it has, by what stands in its query or body. */
export function saysAnotherMethod(query: string, contentType: string, body: Uint8Array): boolean {
  if (hasQueryKey(query, METHOD_KEY)) return true
  if (body.length === 0) return false
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  switch (kindOf(contentType)) {
    case 'form':
      return hasQueryKey(text, METHOD_KEY)
    case 'parts':
      return NAMED_PART.test(unquoted(text))
    case 'json':
      return hasMember(text)
    case undefined:
      return false
  }
}

/** Letters as they are, or as a URL writes them. */
const METHOD = [...'method']
  .map((letter) => `(?:${letter}|%${hex(letter)}|%${hex(letter.toUpperCase())})`)
  .join('')
const UNDERSCORE = '(?:[_.+ ]|%5f|%2e|%20)'
/** The name of a part, in either quotes or none (PHP), or as RFC 8187 writes it. */
const NAMED_PART = new RegExp(
  String.raw`name(?:\*\d{0,2})?\*?\s*=\s*(?:[\w-]{0,20}'[\w-]{0,20}')?["']?\s*${UNDERSCORE}${METHOD}["'\s;[%]`,
  'i',
)
const FORM_KEY = new RegExp(String.raw`[&;](?:[\s+]|%20)*${UNDERSCORE}${METHOD}(?:[=[\0]|%5b|%00)`, 'i')
/** More than either can match, once blanks are one. */
const MATCHED_CHARACTERS = 128

function hex(letter: string): string {
  return letter.charCodeAt(0).toString(16)
}

/** Blanks as one, and letters without a backslash that some readers of quotes take away. */
function unquoted(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('\\', '')
}

/** Where a body of this type could name another method; `undefined`: nowhere. Servers that look for it do so in a POST. */
export function namesMethod(contentType: string): 'anywhere' | 'in a part' | undefined {
  const kind = kindOf(contentType)
  // Without a type it is most often no form at all, and may be long.
  if (kind === undefined || typeOf(contentType) === '') return kind && 'in a part'
  return kind === 'parts' ? 'in a part' : 'anywhere'
}

/** Looks for that in a body that comes in pieces: of parts, where what is in files counts as well, or without a type. */
export class MethodWatch {
  readonly #pattern: RegExp
  #tail = '&'

  constructor(contentType: string) {
    this.#pattern = kindOf(contentType) === 'parts' ? NAMED_PART : FORM_KEY
  }

  finds(piece: Uint8Array): boolean {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const text = unquoted(this.#tail + bytes.toString('latin1'))
    this.#tail = text.slice(-MATCHED_CHARACTERS)
    return this.#pattern.test(text)
  }
}

function hasMember(written: string): boolean {
  // Of UTF-16, and of a mark in front, what is left is what a reader of either finds.
  const json = written.replaceAll('\0', '').replace(/^[^\x21-\x7e]+/, '')
  if (!/method|\\u/i.test(json)) return false
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, METHOD_KEY)
  } catch {
    // What is no JSON has no members that anybody could agree on.
    return false
  }
}
