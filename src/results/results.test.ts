import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ServerMessage } from '../wire/postgres/index.ts'
import { encodeServer } from '../wire/postgres/index.ts'
import { resultParts } from './index.ts'

const field = (name: string, format = 0) => ({
  name,
  tableOid: 0,
  attnum: 0,
  typeOid: 25,
  typlen: -1,
  typmod: -1,
  format,
})
const cells = (...values: (string | null)[]): ServerMessage => ({
  kind: 'dataRow',
  cells: values.map((value) => (value === null ? null : Buffer.from(value, 'latin1'))),
})
const postgres = (...messages: ServerMessage[]) => [...resultParts('postgres', encodeServer(...messages))]

it('reads the rows of a result that describes itself: texts, NULL, and bytes for what is binary or no UTF-8', () => {
  expect(
    postgres(
      { kind: 'rowDescription', fields: [field('id', 1), field('email')] },
      cells('\0\0\0\x07', 'a@b'),
      cells(null, '\xff'),
      { kind: 'commandComplete', tag: 'SELECT 2' },
    ),
  ).toEqual([
    {
      kind: 'columns',
      columns: [
        { name: 'id', format: 'binary' },
        { name: 'email', format: 'text' },
      ],
    },
    { kind: 'row', cells: ['\\x00000007', 'a@b'] },
    { kind: 'row', cells: [null, '\\xff'] },
    { kind: 'tag', tag: 'SELECT 2' },
  ])
})

it('does not take bytes for text where nothing says what they are', () => {
  expect(postgres(cells('plain', '\0\0\0\x07'), cells('two', '\x1b[31m'))).toEqual([
    {
      kind: 'columns',
      columns: [
        { name: '', format: 'unknown' },
        { name: '', format: 'unknown' },
      ],
    },
    { kind: 'row', cells: ['plain', '\\x00000007'] },
    { kind: 'row', cells: ['two', '\\x1b5b33316d'] },
  ])
})

it('tells several results, errors, notices and COPY apart', () => {
  const copied = Buffer.from('1\tx\n')
  expect(
    postgres(
      { kind: 'rowDescription', fields: [field('a')] },
      { kind: 'commandComplete', tag: 'SELECT 0' },
      { kind: 'noticeResponse', fields: { severity: 'NOTICE', code: '00000', message: 'n' } },
      { kind: 'copyOutResponse', format: 0, columnFormats: [0, 0] },
      { kind: 'copyData', data: copied },
      { kind: 'copyDone' },
      { kind: 'copyOutResponse', format: 1, columnFormats: [1, 1] },
      { kind: 'copyData', data: copied },
      { kind: 'errorResponse', fields: { severity: 'ERROR', code: '22012', message: 'division by zero' } },
    ),
  ).toEqual([
    { kind: 'columns', columns: [{ name: 'a', format: 'text' }] },
    { kind: 'tag', tag: 'SELECT 0' },
    { kind: 'notice', code: '00000', message: 'n' },
    { kind: 'text', text: '1\tx' },
    { kind: 'bytes', hex: '3109780a', length: 4 },
    { kind: 'error', code: '22012', message: 'division by zero' },
  ])
})

it('says where a result that was not kept whole ends, and never throws', () => {
  const whole = encodeServer({ kind: 'rowDescription', fields: [field('a')] }, cells('one'), cells('two'))
  expect([...resultParts('postgres', whole.subarray(0, -2))].at(-1)).toEqual({ kind: 'broken', length: 12 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 60 }), (noise, at) => {
      const bytes = Buffer.concat([whole.subarray(0, at), noise])
      for (const protocol of ['postgres', 'http', 'other'])
        expect(Array.from(resultParts(protocol, bytes)).length).toBeLessThan(400)
    }),
  )
})

it('shows a body as text, or as bytes when it is none', () => {
  expect([...resultParts('http', Buffer.from('{"a": "ü"}'))]).toEqual([{ kind: 'text', text: '{"a": "ü"}' }])
  expect([...resultParts('http', Buffer.from([0x1f, 0x8b, 0]))]).toEqual([
    { kind: 'bytes', hex: '1f8b00', length: 3 },
  ])
  expect([...resultParts('http', Buffer.alloc(0))]).toEqual([])
  expect([...resultParts('smtp', Buffer.from('x'))]).toEqual([{ kind: 'bytes', hex: '78', length: 1 }])
})
