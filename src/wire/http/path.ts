import { GatewayError } from '../../core/index.ts'

/** A request target taken apart. `path` is in one normal form, so that rule and upstream read the same. */
export type Target = { readonly path: string; readonly query: string }

/** RFC 3986 section 3.3: unreserved, sub-delims, colon and at; in a path nothing else stands for itself. */
const SEGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$/
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?[\]|{}"<>^`\\]|%[0-9A-Fa-f]{2})*$/
const UNRESERVED = /^[A-Za-z0-9\-._~]$/
/** Steps up or stays for servers that cut parameters off a segment, or blanks off its end, before they look. */
const DOTS_FOR_SOME = /^\.{1,2}(?:\s*(?:;|$))/
const TARGET_BYTES_MAX = 16 * 1024

/**
 * Reads an origin-form request target (RFC 9112 section 3.2.1). Refused is whatever two readers could read in two ways:
 * absolute form, dot segments in any spelling and with parameters (`..;x`), empty segments, encoded slashes, backslashes, control
 * characters, percent signs that encode nothing, bytes that are no UTF-8 (overlong forms of a dot or a slash are none), and characters
 * that a compatibility mapping makes a slash or dots. Escapes of unreserved characters are undone, others keep capitals.
 * Throws GatewayError `invalid`.
 */
export function parseTarget(target: string): Target {
  if (target.length > TARGET_BYTES_MAX) throw refused('too long')
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  const query = at < 0 ? '' : target.slice(at + 1)
  if (!path.startsWith('/')) throw refused('not in origin form')
  if (!QUERY.test(query)) throw refused('its query has characters that must be escaped')
  const segments = path.slice(1).split('/')
  const normal = segments.map((segment, i) => normalSegment(segment, i === segments.length - 1))
  return { path: `/${normal.join('/')}`, query }
}

function normalSegment(segment: string, last: boolean): string {
  if (!SEGMENT.test(segment)) throw refused('its path has characters that must be escaped')
  if (segment === '' && !last) throw refused('its path has an empty segment')
  const normal = segment.replaceAll(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const code = Number.parseInt(escape.slice(1), 16)
    const character = String.fromCharCode(code)
    if (code < 0x20 || code === 0x7f || character === '/' || character === '\\' || character === '%') {
      throw refused('its path escapes a character that could be read in two ways')
    }
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
  const read = normal.includes('%') ? unescaped(normal) : normal
  if (DOTS_FOR_SOME.test(read)) throw refused('its path has a dot segment')
  return normal
}

/** What a server that maps characters to plain ones reads: Unicode Standard Annex 15, form KC. */
function unescaped(segment: string): string {
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    throw refused('its path escapes bytes that are no UTF-8')
  }
  const mapped = text.normalize('NFKC')
  if (/[/\\]/.test(mapped)) throw refused('its path has a character that some read as a slash')
  return mapped
}

function refused(why: string): GatewayError {
  return new GatewayError('invalid', `Write the request target in its plain form; ${why}.`, {
    retry: 'only-if-changed',
  })
}
