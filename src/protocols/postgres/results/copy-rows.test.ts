import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CopyForm } from '../../../core/index.ts'
import type { CellMasker } from '../../../session/index.ts'
import { cellMasker, maskedCell, NOTHING, TEXT } from '../../../session/index.ts'
import { copyRows } from './copy-rows.ts'
import { fewer } from '../../../../test/support/fewer.ts'

type Row = readonly (string | null)[]

const TEXT_FORM: CopyForm & { kind: 'text' } = { kind: 'text', delimiter: '\t', null: '\\N', header: false }
const CSV: CopyForm & { kind: 'csv' } = {
  kind: 'csv',
  delimiter: ',',
  null: '',
  header: false,
  quote: '"',
  escape: '"',
}
const FULL = cellMasker({ kind: 'full' }, TEXT, 'text')
const EMAIL = cellMasker({ kind: 'partial', of: 'email' }, TEXT, 'text')
const LAST = cellMasker({ kind: 'partial', of: 'last', keep: 1 }, TEXT, 'text')

/** As CopyOneRowTo and CopyAttributeOutText/CSV of the server write it. */
function written(rows: readonly Row[], form: CopyForm, forceQuote = false): Buffer {
  if (form.kind === 'binary') return binary(rows)
  const field = (value: string | null, alone: boolean) => {
    if (value === null) return form.null
    if (form.kind === 'text') {
      const letters: Record<string, string> = {
        '\b': 'b',
        '\f': 'f',
        '\n': 'n',
        '\r': 'r',
        '\t': 't',
        '\v': 'v',
      }
      return Array.from(value, (char) => {
        const letter = letters[char]
        if (letter !== undefined) return `\\${letter}`
        return char === '\\' || char === form.delimiter ? `\\${char}` : char
      }).join('')
    }
    const special = [form.delimiter, form.quote, '\n', '\r'].some((char) => value.includes(char))
    if (!forceQuote && !special && value !== form.null && !(alone && value === '\\.')) return value
    const quoted = Array.from(value, (char) =>
      char === form.quote || char === form.escape ? form.escape + char : char,
    )
    return form.quote + quoted.join('') + form.quote
  }
  const line = (row: Row) => `${row.map((value) => field(value, row.length === 1)).join(form.delimiter)}\n`
  const names = form.header ? line(rows[0]?.map((_, i) => `name ${i}`) ?? []) : ''
  return Buffer.from(names + rows.map(line).join(''))
}

function binary(rows: readonly Row[]): Buffer {
  const int = (bytes: number, value: number) => {
    const target = Buffer.alloc(bytes)
    target.writeIntBE(value, 0, bytes)
    return target
  }
  const fields = (row: Row) =>
    row.flatMap((value) =>
      value === null ? [int(4, -1)] : [int(4, Buffer.byteLength(value)), Buffer.from(value)],
    )
  const head = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
  return Buffer.concat([head, ...rows.flatMap((row) => [int(2, row.length), ...fields(row)]), int(2, -1)])
}

/** What a client gets: the bodies of the CopyData messages. */
function through(
  columns: readonly (CellMasker | undefined)[],
  form: CopyForm,
  bytes: Buffer,
  cuts: readonly number[],
) {
  const rows = copyRows(form, columns)
  const frames: Buffer[] = []
  const target = (buffer: Buffer, from: number, to: number) => {
    for (let at = from; at < to; ) {
      expect(buffer[at]).toBe(0x64)
      const end = at + 1 + buffer.readInt32BE(at + 1)
      expect(end).toBeLessThanOrEqual(to)
      frames.push(Buffer.from(buffer.subarray(at + 5, end)))
      at = end
    }
  }
  const all = [...cuts, bytes.length]
  let from = 0
  for (const cut of all) {
    rows.push(bytes, from, cut, target)
    rows.take(target)
    from = cut
  }
  rows.end(target)
  return { bytes: Buffer.concat(frames), frames }
}

const maskedRows = (rows: readonly Row[], columns: readonly (CellMasker | undefined)[]): Row[] =>
  rows.map((row) =>
    row.map((value, i) => {
      const masker = columns[i]
      if (masker === undefined || value === null) return value
      return maskedCell(masker, Buffer.from(value))?.toString() ?? null
    }),
  )

const COLUMNS = [undefined, EMAIL, undefined, FULL, NOTHING, LAST]
const ROWS: Row[] = [
  ['1', 'ada@example.com', 'plain', 'secret', '42', '411'],
  ['2', null, null, null, null, null],
  ['3', 'not an address', '', '', '', ''],
  ['4\t"', 'a\tb\\c\nd"e', 'x,y\\\n"', 'x,y\\\n"', '\\N', 'tab\t'],
  ['5', 'łu@example.pl', '\r\v\f\b', '\\.', 'NULL', '"quoted"'],
]

describe('rows of COPY', () => {
  const forms: CopyForm[] = [
    TEXT_FORM,
    { ...TEXT_FORM, delimiter: '|', null: 'nil', header: true },
    CSV,
    { ...CSV, header: true, null: 'NULL' },
    { ...CSV, delimiter: ';', quote: "'", escape: '\\' },
    { ...CSV, delimiter: '\t', quote: '$', escape: '$' },
    { kind: 'binary' },
  ]

  it.each(forms)('%j: masked, cut at every byte (P-02)', (form) => {
    const bytes = written(ROWS, form)
    const expected = written(maskedRows(ROWS, COLUMNS), form)
    const whole = through(COLUMNS, form, bytes, [])
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(through(COLUMNS, form, bytes, [cut]).bytes.equals(whole.bytes)).toBe(true)
    }
    const each = Array.from({ length: bytes.length }, (_, i) => i)
    expect(through(COLUMNS, form, bytes, each).bytes.equals(whole.bytes)).toBe(true)
    if (form.kind === 'csv') {
      // A field that was in quotes stays in them, also where what is shown needs none.
      expect(read(whole.bytes.toString(), form)).toEqual(read(expected.toString(), form))
    } else {
      expect(whole.bytes.toString()).toBe(expected.toString())
    }
  })

  it.each(forms)('%j: what is not masked is not touched', (form) => {
    const bytes = written(ROWS, form, true)
    expect(through(ROWS[0]?.map(() => undefined) ?? [], form, bytes, [7, 8, 50]).bytes.equals(bytes)).toBe(
      true,
    )
  })

  it('one message a row', () => {
    const { frames } = through(COLUMNS, TEXT_FORM, written(ROWS, TEXT_FORM), [10, 20])
    expect(frames).toHaveLength(ROWS.length)
    for (const frame of frames) expect(frame.at(-1)).toBe(0x0a)
  })

  it.each<[CopyForm, string]>([
    [TEXT_FORM, 'a\tb\n'],
    [TEXT_FORM, 'a\tb\tc\td\n'],
    [TEXT_FORM, 'a\tb\tc'],
    [CSV, 'a,"b"x,c\n'],
    [CSV, 'a,"b,c\n'],
    [{ kind: 'binary' }, 'PGCOPY\n'],
    [{ kind: 'binary' }, 'a\tb\tc\n'.repeat(9)],
    [{ kind: 'binary' }, 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02'],
    [{ kind: 'binary' }, 'PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0\xff\xff'],
    [{ kind: 'binary' }, 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff\0'],
  ])('%j: %j is no rows of three columns', (form, text) => {
    expect(() => through([FULL, FULL, FULL], form, Buffer.from(text, 'latin1'), [])).toThrow(
      'not what was asked for',
    )
  })

  const value = fc.option(
    fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.stringMatching(/^[\t\n\r",;\\N.'|]{0,8}$/),
      fc.constantFrom('ada@example.com', 'NULL', '\\N', '\\.', ''),
    ),
    { freq: 5 },
  )
  const form = fc.oneof(
    fc.constant<CopyForm>({ kind: 'binary' }),
    fc.record({
      kind: fc.constant('text' as const),
      delimiter: fc.constantFrom('\t', '|', ',', ';'),
      null: fc.constant('\\N'),
      header: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('csv' as const),
      delimiter: fc.constantFrom('\t', '|', ',', ';'),
      null: fc.constantFrom('', 'NULL', '\\N'),
      header: fc.boolean(),
      quote: fc.constantFrom('"', "'"),
      escape: fc.constantFrom('"', "'", '\\'),
    }),
  )
  const masker = fc.constantFrom(undefined, FULL, EMAIL, NOTHING, LAST)

  it('of any form, cut anywhere, are those of the masked values (P-02)', () => {
    const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
      fc.record({
        columns: fc.array(masker, { minLength: width, maxLength: width }),
        rows: fc.array(fc.array(value, { minLength: width, maxLength: width }), {
          minLength: 1,
          maxLength: 6,
        }),
        form,
        forceQuote: fc.boolean(),
        cuts: fc.array(fc.nat(400), { maxLength: 8 }),
      }),
    )
    fc.assert(
      fc.property(table, ({ columns, rows, form: as, forceQuote, cuts }) => {
        const bytes = written(rows, as, forceQuote)
        const places = cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b)
        const shown = through(columns, as, bytes, places).bytes
        const expected = written(maskedRows(rows, columns), as, forceQuote)
        if (as.kind === 'csv') expect(read(shown.toString(), as)).toEqual(read(expected.toString(), as))
        else expect(shown.toString('latin1')).toBe(expected.toString('latin1'))
      }),
      { numRuns: fewer(2000) },
    )
  })

  it.each(forms)('%j: a row of 20 MB is masked in little memory', (as) => {
    const secret = 'marker. '.repeat(1_300_000)
    const line = as.kind === 'binary' ? '' : `${secret}${as.delimiter}${secret}\n`
    const bytes =
      as.kind === 'binary'
        ? written([[secret, secret]], as)
        : Buffer.from(as.header ? `a${as.delimiter}b\n${line}` : line)
    const rows = copyRows(as, [undefined, FULL])
    let passed = 0
    let largest = 0
    const target = (_buffer: Buffer, from: number, to: number) => {
      passed += to - from
      largest = Math.max(largest, to - from)
    }
    for (let at = 0; at < bytes.length; at += 65_536) {
      rows.push(bytes, at, Math.min(at + 65_536, bytes.length), target)
      rows.take(target)
    }
    rows.end(target)
    expect(passed).toBeGreaterThan(secret.length)
    expect(passed).toBeLessThan(secret.length * 1.1)
    expect(largest).toBeLessThan(300_000)
  })
})

/** Fields of CSV, NULL told from what was in quotes. */
function read(text: string, form: CopyForm & { kind: 'csv' }): Row[] {
  const rows: Row[] = []
  let row: (string | null)[] = []
  let at = 0
  while (at < text.length) {
    let field: string | null = ''
    if (text[at] === form.quote) {
      at++
      for (;;) {
        const char = text[at] ?? ''
        const next = text[at + 1]
        if (char === form.escape && (next === form.quote || next === form.escape)) {
          field += next
          at += 2
        } else if (char === form.quote) {
          at++
          break
        } else {
          field += char
          at++
        }
      }
    } else {
      while (text[at] !== form.delimiter && text[at] !== '\n') field += text[at++] ?? ''
      if (field === form.null) field = null
    }
    row.push(field)
    if (text[at++] === '\n') {
      rows.push(row)
      row = []
    }
  }
  return rows
}
