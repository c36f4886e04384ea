import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seed, tally, times } from '../../../test/support/proof.ts'
import type { MaskingRule } from '../../core/index.ts'
import { anyCharacter } from '../../testing/any-character.ts'
import { bodyInPieces, encodingsOf } from '../../testing/body-pieces.ts'
import { cellMasker, maskedCell, TEXT } from '../index.ts'
import type { BodyKind, JsonAssignment } from '../index.ts'

const FULL: MaskingRule = { kind: 'full' }
const LAST: MaskingRule = { kind: 'partial', of: 'last', keep: 4 }
const MARKER = 'mArKeR7f3a9'
const MARKS = encodingsOf(MARKER)

/** What a record says, and how its fields are written: everything that a format leaves to its writer. */
type Field = { readonly name: string; readonly value: string; readonly style: number }
type Record_ = readonly Field[]

const PATHS: readonly JsonAssignment[] = [
  { path: '**.email', rule: FULL },
  { path: '**.card', rule: LAST },
  { path: '**.nested.token', rule: FULL },
]
const RULES: Readonly<Record<string, MaskingRule>> = { email: FULL, card: LAST }

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
const records = fc.array(fields, { minLength: 1, maxLength: 4 })

/** The value as it is to come out; undefined: as it went in. */
function shownOf({ name, value }: Field): string | undefined {
  if (name === 'nested') return JSON.stringify({ a: 'b', token: '[masked]' })
  const rule = RULES[name]
  if (rule === undefined) return undefined
  return Buffer.from(maskedCell(cellMasker(rule, TEXT, 'text'), Buffer.from(value)) ?? []).toString()
}

type Write = (field: Field, shown: string | undefined) => string

/** A format: how a record list is written, given how each value is. What is written may differ by `style`. */
type Format = {
  readonly kind: BodyKind
  readonly write: (list: readonly Record_[], each: Write) => string
  readonly value: Write
  /** Values that this format cannot hold, or not in all ways. */
  readonly holds?: (value: string) => boolean
}

function jsonString({ value, style }: Field, shown: string | undefined): string {
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

const jsonRecord = (record: Record_, each: Write, gap: string): string =>
  `{${gap}${record
    .map((field) => {
      const name =
        field.style % 3 === 0
          ? `\\u00${field.name.charCodeAt(0).toString(16)}${field.name.slice(1)}`
          : field.name
      return `"${name}"${gap}: ${each(field, shownOf(field))}`
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

function csvValue({ value, style }: Field, shown: string | undefined): string {
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

const FORMATS: Readonly<Record<string, Format>> = {
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
            return field === undefined ? '' : each(field, shownOf(field))
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
        .flatMap((record, n) =>
          record.map((field) => `row[${n}]%5B${field.name}]=${each(field, shownOf(field))}`),
        )
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
              .map((field) => `<x:${field.name}>${each(field, shownOf(field))}</x:${field.name} >`)
              .join('\n')}</x:row>`,
        )
        .join('')}</x:rows>\n`,
    holds: (value) => !/[\0]/.test(value),
  },
}

describe.each(Object.entries(FORMATS))('a body of %s', (name, { kind, write, value, holds }) => {
  it('comes out with labelled values masked and nothing else changed, whatever the pieces it came in (P-02)', () => {
    const numRuns = times({ small: 60, full: 20_000 })
    let masked = 0
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 60 }), (list_, size) => {
        const list = list_.map((record) =>
          record.map((field) => (holds?.(field.value) === false ? { ...field, value: 'x' } : field)),
        )
        const source = write(list, (field) => value(field, undefined))
        const expected = write(list, value)
        const { bytes } = bodyInPieces(Buffer.from(source), kind, { paths: PATHS }, size)
        expect(bytes.toString()).toBe(expected)
        for (const mark of MARKS) expect(bytes.includes(mark)).toBe(false)
        if (source !== expected) masked++
      }),
      { numRuns, seed },
    )
    expect(masked).toBeGreaterThan(numRuns / 3)
    tally(`bodies of ${name} masked`, numRuns)
  })

  it('is passed byte for byte where no path leads', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 60 }), (list_, size) => {
        const list = list_.map((record) =>
          record.map((field) => (holds?.(field.value) === false ? { ...field, value: 'x' } : field)),
        )
        const source = write(list, (field) => value(field, undefined))
        const paths = [{ path: 'nowhere.city', rule: FULL }]
        const form: BodyKind = kind.kind === 'csv' ? { ...kind, header: 'present' } : kind
        expect(bodyInPieces(Buffer.from(source), form, { paths }, size).bytes.toString()).toBe(source)
      }),
      { numRuns: times({ small: 25, full: 5_000 }), seed },
    )
  })

  it('is read alike or refused in pieces of every size, whatever is broken in it (P-03)', () => {
    let refused = 0
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.integer({ min: 0, max: 2 }),
      add: fc.constantFrom(
        '"',
        '<',
        '>',
        '&',
        '\\',
        '\n',
        '\r',
        ',',
        '{',
        '}',
        '[',
        ']',
        ':',
        '=',
        '%',
        ';',
        '',
        '\0',
      ),
    })
    fc.assert(
      fc.property(records, fc.array(edit, { minLength: 1, maxLength: 2 }), (list, edits) => {
        const whole = list.map((record) => [...record, { name: 'id', value: 'x', style: 0 }])
        let body = Buffer.from(write(whole, (field) => value(field, undefined)))
        for (const { at, remove, add } of edits) {
          const where = at % (body.length + 1)
          body = Buffer.concat([body.subarray(0, where), Buffer.from(add), body.subarray(where + remove)])
        }
        let first: Buffer | string = 'refused'
        for (const size of [1, 7, body.length]) {
          let out: Buffer | string = 'refused'
          try {
            out = bodyInPieces(body, kind, { paths: PATHS }, Math.max(1, size)).bytes
          } catch {
            refused++
          }
          if (size === 1) first = out
          else expect(out).toEqual(first)
        }
      }),
      { numRuns: times({ small: 60, full: 20_000 }), seed },
    )
    expect(refused).toBeGreaterThan(0)
  })
})

describe('a value that is too long to be kept', () => {
  const long = 'z'.repeat(200_000)
  it.each([
    ['json', `{"card":"${long}","id":1}`, '{"card":"[masked]","id":1}'],
    ['lines of JSON', `{"card":"${long}","id":1}\n`, '{"card":"[masked]","id":1}\n'],
    ['events', `data: {"card":"${long}","id":1}\n\n`, 'data: {"card":"[masked]","id":1}\n\n'],
    ['csv', `id,card\n1,"${long}"\n2,${long}\n`, 'id,card\n1,"[masked]"\n2,[masked]\n'],
    ['form', `card=${long}&id=1`, 'card=%5Bmasked%5D&id=1'],
    ['xml', `<r><card>${long}</card><id>1</id></r>`, '<r><card>[masked]</card><id>1</id></r>'],
  ])('is hidden whole in a labelled place, and passed in another: %s', (name, body, expected) => {
    const kind = FORMATS[name]?.kind ?? { kind: 'text' }
    for (const size of [1000, 64 * 1024, body.length]) {
      expect(bodyInPieces(Buffer.from(body), kind, { paths: PATHS }, size).bytes.toString()).toBe(expected)
      const clear_ = body.replaceAll('card', 'city')
      const plain = clear_.replace('id,', 'email,')
      expect(
        bodyInPieces(
          Buffer.from(plain),
          kind,
          { paths: [{ path: 'email.x', rule: FULL }] },
          size,
        ).bytes.toString(),
      ).toBe(plain)
    }
  })
})

describe('a body that is not what it says it is', () => {
  const json = '{"email":"ada@example.com"}'
  it.each([
    ['lines of JSON', 'email: ada@example.com'],
    ['events', json],
    ['events', 'email: ada@example.com\n\n'],
    ['events', 'data: {"email":"ada@example.com\ndata: "}\n\n'],
    ['csv', `${json}\n`],
    ['csv', 'email=ada@example.com\n'],
    ['csv', 'id;email,x\n1;ada@example.com,2\n'],
    ['csv', 'email\n"ada"@example.com\n'],
    ['csv', 'email\nada "@" example.com\n'],
    ['csv', 'email\n1\rada@example.com\n'],
    ['csv', 'email\n"ada@example.com'],
    ['form', json],
    ['form', 'ada@example.com'],
    ['form', 'ada'],
    ['form', 'a=1;email=ada'],
    ['xml', json],
    ['xml', 'ada@example.com<a/>'],
    ['xml', '<a/>ada@example.com'],
    ['xml', '<a></a><a></a>'],
    ['xml', '<a><email>ada</a></email>'],
    ['xml', '<!DOCTYPE a [<!ENTITY x "ada">]><a>&x;</a>'],
    ['xml', '<a>&x;</a>'],
    ['xml', '<a b=ada></a>'],
    ['xml', '<a><email>ada'],
    ['xml', '<?xml version="1.0" encoding="utf-16"?><a/>'],
    ['xml', '<?xml version="1.0" encoding="iso-8859-1"?><a/>'],
    ['json', '\ufffe{"email":1}'],
    ['json', Buffer.from(json, 'utf16le').toString('latin1')],
  ])('is not read (P-03): %s in %j', (name, body) => {
    const kind = FORMATS[name]?.kind ?? { kind: 'text' }
    for (const size of [1, 1000]) {
      expect(() => bodyInPieces(Buffer.from(body), kind, { paths: PATHS }, size)).toThrow('withheld')
    }
  })
})

describe('a line, an event and a row', () => {
  it.each(['email', '[].email', 'items[].email', 'result.items[].email', '*.email', '**.email'])(
    'are elements of the list that a path names first: %s',
    (path) => {
      const rules = { paths: [{ path, rule: FULL }] }
      const shown = (name: string, body: string): string =>
        bodyInPieces(Buffer.from(body), FORMATS[name]?.kind ?? { kind: 'text' }, rules, 5).bytes.toString()
      expect(shown('lines of JSON', '{"email":"a","b":"c"}\n')).toBe('{"email":"[masked]","b":"c"}\n')
      expect(shown('events', 'data: {"email":"a","b":"c"}\n\n')).toBe(
        'data: {"email":"[masked]","b":"c"}\n\n',
      )
      expect(shown('csv', 'email,b\na,c\n')).toBe('email,b\n[masked],c\n')
    },
  )
})

describe('XML', () => {
  const mask = (body: string, path: string): string =>
    bodyInPieces(Buffer.from(body), { kind: 'xml' }, { paths: [{ path, rule: FULL }] }, 1).bytes.toString()

  it.each([
    [
      'email',
      '<c><email>a</email><x><email>b</email></x></c>',
      '<c><email>[masked]</email><x><email>b</email></x></c>',
    ],
    ['c.email', '<c><email>a</email></c>', '<c><email>[masked]</email></c>'],
    [
      'items[].email',
      '<items><item><email>a</email></item></items>',
      '<items><item><email>[masked]</email></item></items>',
    ],
    [
      'c.items[].email',
      '<c><items><email>a</email></items></c>',
      '<c><items><email>[masked]</email></items></c>',
    ],
    ['**.email', '<c email="a" id="1"/>', '<c email="[masked]" id="1"/>'],
    [
      '**.email',
      '<n:c xmlns:n="u"><n:email kind="a">b</n:email></n:c>',
      '<n:c xmlns:n="u"><n:email kind="[masked]">[masked]</n:email></n:c>',
    ],
    ['**.email', '<c><email>a<b>c</b>d</email>e</c>', '<c><email></email>e</c>'],
    ['**.email', '<c><email>a<!-- b -->&#99;<![CDATA[<d]]]]></email></c>', '<c><email>[masked]</email></c>'],
    ['**.email', '<c><email/><email></email></c>', '<c><email/><email></email></c>'],
  ])('is masked at %s: %s', (path, body, expected) => {
    expect(mask(body, path)).toBe(expected)
  })
})
