import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CopyForm, LabelName } from '../../../core/index.ts'
import { brand, GatewayError } from '../../../core/index.ts'
import { copySearch } from './copy-search.ts'

const LABEL = brand<LabelName>('pii.email')
const TEXT: CopyForm = { kind: 'text', delimiter: '\t', null: '\\N', header: false }
const CSV: CopyForm = { kind: 'csv', delimiter: ',', null: '', header: false, quote: '"', escape: '"' }
const BINARY: CopyForm = { kind: 'binary' }

/** The values that are looked at, of rows of two columns of which the second has a label, cut into pieces. */
function lookedAt(form: CopyForm, data: Buffer, cut: number, columns = 2, labelled = [1]): string[] {
  const seen: string[] = []
  const search = copySearch(
    {
      form,
      columns: Array.from({ length: columns }, (_, i) => (labelled.includes(i) ? [LABEL] : [])),
    },
    { format: form.kind === 'binary' ? 1 : 0, columnFormats: Array<number>(2).fill(0) },
    () => (value) => {
      seen.push(Buffer.from(value).toString())
    },
  )
  for (let at = 0; at < data.length; at += cut) search.push(data, at, Math.min(at + cut, data.length))
  search.end()
  // An empty value is none that anybody looks for: line ends of two bytes make some.
  return seen.filter((each) => each !== '')
}

function everyCut(form: CopyForm, data: string | Buffer): string[] {
  const bytes = Buffer.from(data)
  const whole = lookedAt(form, bytes, bytes.length + 1)
  for (const cut of [1, 2, 3, 5]) expect(lookedAt(form, bytes, cut)).toEqual(whole)
  return whole
}

function int(bytes: number, value: number): Buffer {
  const target = Buffer.alloc(bytes)
  target.writeIntBE(value, 0, bytes)
  return target
}

function binary(rows: readonly (readonly (string | null)[])[], extension = 0): Buffer {
  const cell = (value: string | null) =>
    value === null ? int(4, -1) : Buffer.concat([int(4, Buffer.byteLength(value)), Buffer.from(value)])
  return Buffer.concat([
    Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
    int(4, 0),
    int(4, extension),
    Buffer.alloc(extension),
    ...rows.map((row) => Buffer.concat([int(2, row.length), ...row.map(cell)])),
    int(2, -1),
  ])
}

describe('what is looked at in rows of COPY FROM', () => {
  it.each<[string, CopyForm, string, string[]]>([
    ['text', TEXT, '1\ta\n2\tb\n', ['a', 'b']],
    ['the last line without an end', TEXT, '1\ta\n2\tb', ['a', 'b']],
    ['NULL, which looks like a letter', TEXT, '1\t\\N\n2\tN\n', ['N', 'N']],
    ['lines that end in CR, or both', TEXT, '1\ta\r2\tb\r\n3\tc\r\n', ['a', 'b', 'c']],
    ['escapes', TEXT, '1\ta\\\tb\\\\\\n\\\nc\\x\\b\n', ['a\tb\\\n\ncx\b']],
    ['octal and hexadecimal numbers', TEXT, '1\t\\1631\\x2a\\52*\\x5\t\n', ['s1***\u0005']],
    ['numbers at the end', TEXT, '1\t\\52', ['*']],
    ['numbers and what follows them', TEXT, '1\t\\5a\\x5g\\xg\\0011\n', ['\u0005a\u0005gxg\u00011']],
    ['a header', { ...TEXT, header: true }, 'id\temail\n1\ta\n', ['a']],
    ['another delimiter', { ...TEXT, delimiter: '|' }, '1\t|a\t\n', ['a\t']],
    ['another word for NULL', { ...TEXT, null: '[masked]' }, '1\t[masked]\n2\t\\[masked]\n', ['[masked]']],
    ['csv', CSV, '1,a\n2,"b"\n3,\n', ['a', 'b']],
    ['csv in quotes', CSV, '1,"a,""\n\r\n"\n"2\n,","b"\n', ['a,"\n\r\n', 'b']],
    ['quotes in the middle', CSV, '1,a"b,\n"c\r\n2,"d"e\n', ['ab,\nc', 'de']],
    ['backslashes, which mean nothing there', CSV, '1,\\x2a\n', ['\\x2a']],
    ['another escape', { ...CSV, escape: '\\' }, '1,"a\\"\\\\\\b",x\n', ['a"\\\\b']],
    ['a quote that ends where it is no escape', { ...CSV, escape: '\\' }, '1,"a""b"\n', ['ab']],
    ['another quote', { ...CSV, quote: "'", escape: "'" }, `1,'a"''b'\n`, [`a"'b`]],
    ['a csv header of two lines', { ...CSV, header: true }, '"i\nd",email\n1,a\n', ['a']],
    ['another word for NULL in csv', { ...CSV, null: '***' }, '1,***\n2,"***"\n', ['***']],
  ])('%s', (_what, form, data, expected) => {
    expect(everyCut(form, data)).toEqual(expected)
  })

  it('binary', () => {
    const rows = [
      ['1', 'a'],
      [null, 'b'],
      ['2', null],
      ['', ''],
      ['3', 'c'.repeat(300)],
    ]
    expect(everyCut(BINARY, binary(rows))).toEqual(['a', 'b', 'c'.repeat(300)])
    expect(everyCut(BINARY, binary(rows, 40))).toEqual(['a', 'b', 'c'.repeat(300)])
  })

  it.each<[string, Buffer]>([
    ['without a signature', Buffer.from('1\ta\n'.repeat(10))],
    ['with another number of fields', binary([['1', 'a', 'b']])],
    ['behind the end', Buffer.concat([binary([]), Buffer.from('x')])],
    ['with a length that is none', Buffer.concat([binary([]).subarray(0, 19), int(2, 2), int(4, -2)])],
    ['with an extension that is none', Buffer.concat([binary([]).subarray(0, 15), int(4, -1)])],
  ])('refuses binary rows %s', (_what, data) => {
    expect(() => lookedAt(BINARY, data, 7)).toThrow(GatewayError)
  })

  it('looks at every column where there are others than were analysed', () => {
    expect(lookedAt(TEXT, Buffer.from('a\tb\n'), 9, 3)).toEqual(['a', 'b'])
    expect(lookedAt(TEXT, Buffer.from('a\tb\n'), 9, 0)).toEqual(['a', 'b'])
  })

  it('refuses a server that reads another form', () => {
    expect(() =>
      copySearch({ form: TEXT, columns: [[LABEL]] }, { format: 1, columnFormats: [1] }, () => () => {}),
    ).toThrow(/not what was asked for/)
  })

  it.each([TEXT, CSV, BINARY])('finds what is short anywhere in what is long ($kind)', (form) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 1, max: 70_000 }), (before, cut) => {
        const value = `${'x'.repeat(before)}<mark>${'y'.repeat(70_000 - before)}`
        const data = form.kind === 'binary' ? binary([['1', value]]) : Buffer.from(value)
        const pieces = lookedAt(form, data, cut, 2, form.kind === 'binary' ? [1] : [0, 1])
        expect(pieces.some((each) => each.includes('<mark>'))).toBe(true)
        expect(Math.max(...pieces.map((each) => each.length))).toBeLessThanOrEqual(16 * 1024)
      }),
      { numRuns: 100 },
    )
  })
})
