/** Random bodies in every format that is masked by place, with a marker in each labelled field in one of fourteen encodings. */
import * as fc from 'fast-check'
import type { MaskingRule } from '../core/index.ts'
import type { BodyKind } from '../masking/index.ts'
import { cellMasker, maskedCell, TEXT } from '../masking/index.ts'
import { anyCharacter } from './any-character.ts'
import { encodingsOf } from './body-pieces.ts'

/** The marker in every encoding: none of these may come out. */
export const MARKS = encodingsOf('mArKeR7f3a9')

/** What a record says, and how its fields are written: everything that a format leaves to its writer. */
export type MarkedField = { readonly name: string; readonly value: string; readonly style: number }
export type MarkedRecord = readonly MarkedField[]

const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 12 }),
  fc.constantFrom(
    '',
    ' ',
    '"',
    '""',
    ',',
    ';',
    '&',
    '<b>',
    ']]>',
    '[x] y',
    '{not json',
    'a\nb',
    'a\r\nb',
    '%41',
    '+',
  ),
)
const clear = text.filter((value) => !/mail|card|token|\\[ux]/.test(value))
const secret = fc.constantFrom(...MARKS)
const fields = fc.array(
  fc.oneof(
    fc.record({ name: fc.constantFrom('id', 'note', 'city'), value: clear, style: fc.nat() }),
    fc.record({ name: fc.constantFrom('email', 'card'), value: secret, style: fc.nat() }),
    fc.record({
      name: fc.constant('nested'),
      value: secret.map((value) => JSON.stringify({ a: 'b', token: value })),
      style: fc.nat(),
    }),
  ),
  { minLength: 1, maxLength: 5 },
)
export const records = fc.array(fields, { minLength: 1, maxLength: 4 })

/** The value as it is to come out under the rules of labelled names; undefined: as it went in. What is nested is masked in full. */
function shownOf(
  { name, value }: MarkedField,
  rules: Readonly<Record<string, MaskingRule>>,
): string | undefined {
  if (name === 'nested') return JSON.stringify({ a: 'b', token: '[masked]' })
  const rule = rules[name]
  if (rule === undefined) return undefined
  return Buffer.from(maskedCell(cellMasker(rule, TEXT, 'text'), Buffer.from(value)) ?? []).toString()
}

type Write = (field: MarkedField) => string

/** A format: how a record list is written, given how each value is. What is written may differ by `style`. */
export type Format = {
  readonly kind: BodyKind
  readonly write: (list: readonly MarkedRecord[], each: Write) => string
  readonly value: (field: MarkedField, shown: string | undefined) => string
  /** Values that this format cannot hold, or not in all ways. */
  readonly holds?: (value: string) => boolean
}

function jsonString({ value, style }: MarkedField, shown: string | undefined): string {
  if (shown !== undefined) return JSON.stringify(shown)
  const text_ = JSON.stringify(value)
  // Some writers escape everything but letters, and some nothing that they need not.
  return style % 2 === 0
    ? text_
    : text_.replaceAll(
        /[^\x20-\x7e]|[<>&/]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
}

const jsonRecord = (record: MarkedRecord, each: Write, gap: string): string =>
  `{${gap}${record
    .map((field) => {
      const name =
        field.style % 3 === 0
          ? `\\u00${field.name.charCodeAt(0).toString(16)}${field.name.slice(1)}`
          : field.name
      return `"${name}"${gap}: ${each(field)}`
    })
    .join(`,${gap}`)}}`

const xmlText = (value: string, style: number): string =>
  style % 2 === 0 || value.includes(']]>')
    ? value.replaceAll(/[&<>"]/g, (sign) =>
        style % 3 === 0 ? `&#${sign.charCodeAt(0)};` : (ENTITIES[sign] ?? ''),
      )
    : `<![CDATA[${value}]]>`
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const xmlShown = (value: string): string =>
  value.replaceAll(/[&<>"'\r]/g, (sign) => `&#${sign.charCodeAt(0)};`)

function csvValue({ value, style }: MarkedField, shown: string | undefined): string {
  const mustQuote = /[",;|\t\r\n]/.test(value) || style % 2 === 0 || value === ''
  const special = shown !== undefined && /[",;|\t\r\n]/.test(shown)
  const written = (shown ?? value).replaceAll('"', '""')
  return mustQuote || special ? `"${written}"` : (shown ?? value)
}

const formText = (value: string, style: number): string => {
  const written = encodeURIComponent(value).replaceAll('%20', style % 2 === 0 ? '+' : '%20')
  return style % 3 === 0
    ? written
        .replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)
        .replaceAll(/%(?=%)|%%/g, '%')
    : written
}

const COLUMNS = ['id', 'email', 'note', 'card', 'nested', 'city']

export const FORMATS: Readonly<Record<string, Format>> = {
  json: {
    kind: { kind: 'json' },
    value: jsonString,
    write: (list, each) => `[ ${list.map((record) => jsonRecord(record, each, '\n')).join(' ,')}]`,
  },
  'lines of JSON': {
    kind: { kind: 'json-lines' },
    value: jsonString,
    write: (list, each) => list.map((record) => jsonRecord(record, each, ' ')).join('\r\n\n'),
  },
  events: {
    kind: { kind: 'events' },
    value: jsonString,
    write: (list, each) =>
      `:hello\n${list
        .map((record) => `event: x\ndata:${jsonRecord(record, each, '\ndata: ')}\nid: 1\n`)
        .join('\n')}\ndata: [DONE]\n\n`,
  },
  csv: {
    kind: { kind: 'csv', header: 'unknown', tabs: false },
    value: csvValue,
    write: (list, each) =>
      `id,email,"note",card,nested,city\r\n${list
        .map((record) =>
          COLUMNS.map((name) => {
            const field = record.find((one) => one.name === name)
            return field === undefined ? '' : each(field)
          }).join(','),
        )
        .join('\r\n')}`,
  },
  form: {
    kind: { kind: 'form' },
    value: ({ value, style }, shown) =>
      shown === undefined ? formText(value, style) : encodeURIComponent(shown).replaceAll('%20', '+'),
    write: (list, each) =>
      list
        .flatMap((record, n) => record.map((field) => `row[${n}]%5B${field.name}]=${each(field)}`))
        .join('&'),
  },
  xml: {
    kind: { kind: 'xml' },
    value: ({ name, value, style }, shown) => {
      if (shown === undefined) return xmlText(value, style)
      // JSON in a text is written as the text was; a labelled element gets a text of its own.
      return name === 'nested' && style % 2 === 1 ? `<![CDATA[${shown}]]>` : xmlShown(shown)
    },
    write: (list, each) =>
      `<?xml version="1.0"?>\n<x:rows xmlns:x="urn:x"><!-- all -->${list
        .map(
          (record) =>
            `<x:row n='1'>${record
              .map((field) => `<x:${field.name}>${each(field)}</x:${field.name} >`)
              .join('\n')}</x:row>`,
        )
        .join('')}</x:rows>\n`,
    holds: (value) => !/[\0]/.test(value),
  },
}

/** A list in a format, as it is sent and as it is to come out. Values that the format cannot hold are others. */
export function markedBody(
  { write, value, holds }: Format,
  list: readonly MarkedRecord[],
  rules: Readonly<Record<string, MaskingRule>>,
): { readonly sent: string; readonly shown: string } {
  const held = list.map((record) =>
    record.map((field) => (holds?.(field.value) === false ? { ...field, value: 'x' } : field)),
  )
  return {
    sent: write(held, (field) => value(field, undefined)),
    shown: write(held, (field) => value(field, shownOf(field, rules))),
  }
}
