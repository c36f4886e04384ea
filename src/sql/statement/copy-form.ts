import type { CopyStmt, Node } from 'libpg-query'
import type { CopyForm } from '../../core/command.ts'

/** Options of COPY ... FROM STDIN that change nothing about where a value begins and ends. */
const KNOWN_IN: ReadonlySet<string> = new Set([
  'default',
  'force_not_null',
  'force_null',
  'freeze',
  'log_verbosity',
  'on_error',
  'reject_limit',
])

/** Encodings in which no quote and no delimiter may be half of a character. */
const PLAIN_ENCODING =
  /^(utf8|unicode|sqlascii|latin\d{1,2}|iso8859\d{1,2}|win(dows)?(866|874|125\d)|koi8[ru]?|euc[a-z]{2}|eucjis2004)$/

/** How COPY ... FROM STDIN reads its rows; undefined as with `copyForm`, though a text for NULL may be any. */
export function copyInForm(copy: CopyStmt): CopyForm | undefined {
  if (copy.is_program === true || copy.filename !== undefined) return undefined
  const options = (copy.options ?? []).filter((each) => {
    if (!('DefElem' in each)) return true
    const { defname = '', arg } = each.DefElem
    if (defname !== 'encoding') return !KNOWN_IN.has(defname)
    const encoding = arg === undefined ? undefined : valueOf(arg)
    return encoding === undefined || !PLAIN_ENCODING.test(encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))
  })
  return formOf(options, true)
}

/**
 * How COPY ... TO STDOUT writes its rows, in the old syntax of options or the new. Undefined for COPY FROM and for COPY
 * to a file or program; for another encoding than the session's; and for any option that is not known here: then
 * nobody could tell one value in the rows from the next.
 */
export function copyForm(copy: CopyStmt): CopyForm | undefined {
  if (copy.is_from === true || copy.is_program === true || copy.filename !== undefined) return undefined
  return formOf(copy.options ?? [], false)
}

function formOf(options: readonly Node[], reads: boolean): CopyForm | undefined {
  const given = new Map<string, string>()
  for (const option of options) {
    if (!('DefElem' in option)) return undefined
    const { defname = '', arg } = option.DefElem
    if (defname === 'force_quote') continue
    const value = arg === undefined ? 'true' : valueOf(arg)
    if (value === undefined || given.has(defname) || !KNOWN.has(defname)) return undefined
    given.set(defname, value)
  }
  const encoding = given.get('encoding')
  if (encoding !== undefined && !/^(utf-?8|unicode)$/i.test(encoding)) return undefined
  const asked = (given.get('header') ?? 'false').toLowerCase()
  const header = reads && asked === 'match' ? true : HEADERS.get(asked)
  if (header === undefined) return undefined
  switch (given.get('format') ?? 'text') {
    case 'binary':
      return { kind: 'binary' }
    case 'text': {
      const { delimiter = '\t', null: empty = '\\N' } = Object.fromEntries(given)
      if (!isByte(delimiter) || !(reads || isNoValue(empty))) return undefined
      return { kind: 'text', delimiter, null: empty, header }
    }
    case 'csv': {
      const { delimiter = ',', null: empty = '', quote = '"' } = Object.fromEntries(given)
      const escape = given.get('escape') ?? quote
      if (![delimiter, quote, escape].every(isByte)) return undefined
      return { kind: 'csv', delimiter, null: empty, header, quote, escape }
    }
    default:
      return undefined
  }
}

const KNOWN: ReadonlySet<string> = new Set([
  'format',
  'delimiter',
  'null',
  'header',
  'quote',
  'escape',
  'encoding',
])

/** As defGetCopyHeaderChoice reads it; `match` is for COPY FROM alone. */
const HEADERS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['off', false],
  ['0', false],
])

function valueOf(arg: Node): string | undefined {
  if ('String' in arg) return arg.String.sval ?? ''
  if ('Boolean' in arg) return String(arg.Boolean.boolval ?? false)
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0)
  return undefined
}

/**
 * The text format does not tell NULL from a value that is written the same: whoever chose the words could ask for a
 * value by them. With a backslash they are none, and these ask for nothing.
 */
function isNoValue(text: string): boolean {
  return text.includes('\\') || /^(null|nil|none|n\/a|-|\?)?$/i.test(text)
}

function isByte(text: string): boolean {
  return /^[\x01-\x7f]$/.test(text)
}
