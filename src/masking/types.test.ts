import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BucketUnit, MaskingRule } from '../core/index.ts'
import { LIMITS, MaskingKey } from '../core/index.ts'
import { cellMasker } from './cell.ts'
import { maskedCell } from './masker.ts'
import type { ValueFormat, ValueType } from './types.ts'
import { TEXT } from './types.ts'
import { fewer } from '../../test/support/fewer.ts'

function masked(rule: MaskingRule, type: ValueType, value: string | Buffer, format: ValueFormat = 'text') {
  const shown = maskedCell(cellMasker(rule, type, format), Buffer.from(value))
  return shown === null ? null : Buffer.from(shown)
}
const text = (rule: MaskingRule, type: ValueType, value: string) =>
  masked(rule, type, value)?.toString() ?? null
const hex = (rule: MaskingRule, type: ValueType, value: string) =>
  masked(rule, type, Buffer.from(value.replaceAll(' ', ''), 'hex'), 'binary')?.toString('hex') ?? null

const bucket = (size: number, unit: BucketUnit = 'month'): MaskingRule => ({ kind: 'bucket', size, unit })
const constant = (value: string): MaskingRule => ({ kind: 'constant', text: value })
const year: MaskingRule = { kind: 'year' }
const full: MaskingRule = { kind: 'full' }
const int = (bytes: 2 | 4 | 8): ValueType => ({ kind: 'integer', bytes })
const float = (bytes: 4 | 8): ValueType => ({ kind: 'float', bytes })
const numeric: ValueType = { kind: 'numeric' }
const date: ValueType = { kind: 'date' }
const timestamp: ValueType = { kind: 'timestamp', zoned: false }
const timestamptz: ValueType = { kind: 'timestamp', zoned: true }
const array = (element: ValueType, delimiter = ','): ValueType => ({ kind: 'array', element, delimiter })

describe('numbers in buckets', () => {
  it.each<[ValueType, number, string, string | null]>([
    [int(4), 10, '42', '40'],
    [int(4), 10, '40', '40'],
    [int(4), 10, '-1', '-10'],
    [int(4), 1000, '999', '0'],
    [int(2), 10, '-32768', null],
    [int(8), 1000, '9223372036854775807', '9223372036854775000'],
    [int(4), 10, '4x', null],
    [float(8), 10, '42.5', '40'],
    [float(8), 10, '-0.5', '-10'],
    [float(8), 10, '1e+300', null],
    [float(4), 10, '16777216', null],
    [float(8), 10, 'NaN', null],
    [float(8), 10, '-Infinity', null],
    [numeric, 100, '123.45', '100'],
    [numeric, 100, '-0.00', '0'],
    [numeric, 100, '-0.01', '-100'],
    [numeric, 100, '123456789012345678901234567890.5', '123456789012345678901234567800'],
    [numeric, 100, 'NaN', null],
  ])('%j by %i: %s is shown as %s', (type, size, value, expected) => {
    expect(text(bucket(size), type, value)).toBe(expected)
  })

  it.each<[ValueType, number, string, string | null]>([
    [int(4), 10, '0000002a', '00000028'],
    [int(2), 10, 'ffff', 'fff6'],
    [int(8), 10, '0000000000000013', '000000000000000a'],
    [int(4), 10, '2a', null],
    [float(8), 10, '4045400000000000', '4044000000000000'],
    [float(4), 10, '422a0000', '42200000'],
    // 123.45, -0.01, NaN, 10000, and one with fewer digits than it says.
    [numeric, 100, '0002 0000 0000 0002 007b 1194', '0001000000000000 0064'.replace(' ', '')],
    [numeric, 100, '0001 ffff 4000 0002 0064', '00010000400000000064'],
    [numeric, 100, '0000 0000 c000 0000', null],
    [numeric, 100, '0001 0001 0000 0000 0001', '000200010000000000010000'],
    [numeric, 100, '0002 0000 0000 0000 0001', null],
  ])('%j by %i in binary: %s is shown as %s', (type, size, value, expected) => {
    expect(hex(bucket(size), type, value)).toBe(expected)
  })

  it('are NULL under rules that have no number to show', () => {
    const rules: MaskingRule[] = [full, year, { kind: 'partial', of: 'email' }, constant('n/a')]
    for (const rule of rules)
      for (const type of [int(4), float(8), numeric]) expect(text(rule, type, '42')).toBeNull()
    expect(text(constant('7'), int(2), '42')).toBe('7')
    expect(hex(constant('7'), int(2), '002a')).toBe('0007')
    expect(text(constant('70000'), int(2), '42')).toBeNull()
  })
})

describe('dates and times', () => {
  it.each<[MaskingRule, ValueType, string, string | null]>([
    [year, date, '1984-05-12', '1984-01-01'],
    [year, date, '12345-05-12', '12345-01-01'],
    [year, date, '0044-03-15 BC', null],
    [year, date, 'infinity', null],
    [year, date, '12.05.1984', null],
    [bucket(10, 'month'), date, '1984-05-12', '1984-05-01'],
    [bucket(10, 'quarter'), date, '1984-05-12', '1984-04-01'],
    [bucket(10, 'decade'), date, '1984-05-12', '1980-01-01'],
    [bucket(10, 'decade'), date, '0005-05-12', '0001-01-01'],
    [year, timestamp, '1984-05-12 13:14:15.123456', '1984-01-01 00:00:00'],
    [bucket(10, 'day'), timestamp, '1984-05-12 13:14:15', '1984-05-12 00:00:00'],
    [year, timestamp, '1984-05-12 13:14:15+02', null],
    [year, timestamptz, '1984-05-12 13:14:15+02', '1984-01-01 00:00:00+00'],
    [year, timestamptz, '1984-01-01 01:00:00+05:30', '1983-01-01 00:00:00+00'],
    [year, timestamptz, '1984-12-31 23:00:00-02', '1985-01-01 00:00:00+00'],
  ])('%j of %j: %s is shown as %s', (rule, type, value, expected) => {
    expect(text(rule, type, value)).toBe(expected)
  })

  it.each<[MaskingRule, ValueType, string, string | null]>([
    // 2000-03-01, 1999-12-31, infinity.
    [year, date, '0000003c', '00000000'],
    [year, date, 'ffffffff', 'fffffe93'],
    [year, date, '7fffffff', null],
    [year, timestamp, '0000000000000001', '0000000000000000'],
    [year, timestamp, 'ffffffffffffffff', 'ffffe35173ec2000'],
    [year, timestamp, '8000000000000000', null],
  ])('%j of %j in binary: %s is shown as %s', (rule, type, value, expected) => {
    expect(hex(rule, type, value)).toBe(expected)
  })

  it('show the constant that is a date', () => {
    expect(text(constant('2000-01-02'), date, '1984-05-12')).toBe('2000-01-02')
    expect(hex(constant('2000-01-02'), date, '0000003c')).toBe('00000001')
    expect(text(constant('2000-02-30'), date, '1984-05-12')).toBeNull()
  })
})

describe('addresses', () => {
  const inet: ValueType = { kind: 'inet', cidr: false }
  it.each<[string, string | null]>([
    ['192.168.17.23', '192.168.17.0/24'],
    ['192.168.17.23/16', '192.168.0.0/16'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['::1', '::/48'],
    ['::ffff:1.2.3.4', '::/48'],
    ['1.2.3', null],
    ['1::2::3', null],
  ])('%s is shown as its network %s', (value, expected) => {
    expect(text(bucket(10), inet, value)).toBe(expected)
  })

  it('in binary', () => {
    expect(hex(bucket(10), inet, '02200004 c0a81117')).toBe('02180004c0a81100')
    expect(hex(bucket(10), inet, '03800010 20010db8000100020003000400050006')).toBe(
      '0330001020010db8000100000000000000000000',
    )
    expect(hex(bucket(10), inet, '02200005 c0a81117')).toBeNull()
  })
})

describe('values made of values', () => {
  const first: MaskingRule = { kind: 'partial', of: 'first', keep: 1 }
  it.each<[ValueType, string, string | null]>([
    [array(TEXT), '{Grace,NULL,"NULL","a \\"b\\" c"}', '{"G***",NULL,"N***","a***"}'],
    [array(TEXT), '{{Grace,Ada},{NULL,Linus}}', '{{"G***","A***"},{NULL,"L***"}}'],
    [array(TEXT), '[2:3]={Grace,Linus}', '[2:3]={"G***","L***"}'],
    [array(TEXT), '{}', '{}'],
    [array(TEXT, ';'), '{Grace;Li\\,nus}', '{"G***";"L***"}'],
    [array(TEXT), '{Grace', null],
    [array(TEXT), '{Grace}}', null],
    [array(TEXT), 'Grace', null],
    [array(TEXT), '{"Grace', null],
    [array(int(4)), '{1,2}', null],
    [{ kind: 'composite', attributes: [int(4), TEXT, TEXT] }, '(42,"Grace ""H"" \\\\",)', '(,"G***",)'],
    [{ kind: 'composite', attributes: [int(4), TEXT, TEXT] }, '(42,Grace)', null],
    [{ kind: 'composite', attributes: [int(4)] }, '(42)', null],
    [
      array({ kind: 'composite', attributes: [TEXT, TEXT] }),
      '{"(Grace,\\"x y\\")"}',
      '{"(\\"G***\\",\\"x***\\")"}',
    ],
  ])('%j: %s is shown as %s', (type, value, expected) => {
    expect(text(first, type, value)).toBe(expected)
  })

  it('in binary, NULLs that come of masking counted', () => {
    const head = '00000001 00000000 00000019 00000002 00000001'
    const value = `${head} 00000005 4772616365 ffffffff`
    expect(hex(first, array(TEXT), value)).toBe(
      '0000000100000001000000190000000200000001 00000004472a2a2a ffffffff'.replaceAll(' ', ''),
    )
    expect(hex(first, array(TEXT), `${head} 00000005 4772`)).toBeNull()
    expect(hex(first, array(TEXT), '00000001 00000000 00000019 7fffffff 00000001')).toBeNull()
  })

  it.each<[ValueType, string, string | null]>([
    [int(4), '[3,7)', '["0","0"]'],
    [int(4), '[3,17)', '["0","10")'],
    [int(4), '(,17)', '(,"10")'],
    [int(4), 'empty', 'empty'],
    [date, '[2024-05-12,infinity)', null],
    [
      timestamp,
      '["2024-05-12 01:02:03","2024-07-12 01:02:03"]',
      '["2024-05-01 00:00:00","2024-07-01 00:00:00"]',
    ],
    [int(4), '[3', null],
  ])('a range of %j: %s is shown as %s', (of, value, expected) => {
    expect(text(bucket(10), { kind: 'range', of }, value)).toBe(expected)
    expect(text(full, { kind: 'range', of }, value)).toBe('empty')
  })

  it('ranges in binary', () => {
    const range: ValueType = { kind: 'range', of: int(4) }
    expect(hex(bucket(10), range, '02 00000004 00000003 00000004 00000007')).toBe(
      '0600000004000000000000000400000000',
    )
    expect(hex(bucket(10), range, '01')).toBe('01')
    expect(hex(bucket(10), range, '02 00000004 00000003')).toBeNull()
  })
})

describe('multiranges', () => {
  const multirange = (of: ValueType): ValueType => ({ kind: 'multirange', of })

  it.each<[ValueType, string, string | null]>([
    [int(4), '{}', '{}'],
    [int(4), '{[3,7)}', '{["0","0"]}'],
    [int(4), '{(,7),[13,27),[35,)}', '{(,"0"),["10","20"),["30",)}'],
    [date, '{[2024-05-12,infinity)}', null],
    [
      timestamp,
      '{["2024-05-12 01:02:03","2024-07-12 01:02:03"],["2025-05-12 01:02:03",)}',
      '{["2024-05-01 00:00:00","2024-07-01 00:00:00"],["2025-05-01 00:00:00",)}',
    ],
    [int(4), '{[3,7)[8,9)}', null],
    [int(4), '{[3,7', null],
    [int(4), '[3,7)', null],
  ])('of %j: %s is shown as %s', (of, value, expected) => {
    expect(text(bucket(10), multirange(of), value)).toBe(expected)
  })

  it('in binary', () => {
    const range = '02 00000004 00000003 00000004 00000007'
    const shown = '06 00000004 00000000 00000004 00000000'.replaceAll(' ', '')
    expect(hex(bucket(10), multirange(int(4)), `00000002 00000011 ${range} 00000001 01`)).toBe(
      `0000000200000011${shown}0000000101`,
    )
    expect(hex(bucket(10), multirange(int(4)), `00000002 00000011 ${range}`)).toBeNull()
    expect(hex(bucket(10), multirange(int(4)), '00000001 ffffffff')).toBeNull()
    expect(hex(full, multirange(int(4)), `00000001 00000011 ${range}`)).toBe('00000000')
  })
})

describe('values hidden whole', () => {
  it.each<[ValueType, string, string | null]>([
    [{ kind: 'char' }, 'x', '*'],
    [{ kind: 'json', versioned: false }, '{"a":1}', '"[masked]"'],
    [{ kind: 'xml' }, '<a/>', '<masked/>'],
    [{ kind: 'bytea' }, '\\x01', '\\x5b6d61736b65645d'],
    [{ kind: 'boolean' }, 't', null],
    [{ kind: 'enum', labels: ['a'] }, 'a', null],
    [{ kind: 'neutral', name: 'hstore' }, '"a"=>"b"', '"[masked]"=>NULL'],
    [{ kind: 'neutral', name: 'time' }, '13:47:59', '00:00:00'],
    [{ kind: 'neutral', name: 'bit' }, '10110011', '00000000'],
    [{ kind: 'neutral', name: 'money' }, '-$98,765.43', '$0'],
    [{ kind: 'neutral', name: 'money' }, '98.765,43 €', '0 €'],
    [{ kind: 'neutral', name: 'money' }, '($9.00)', '$0'],
    [{ kind: 'neutral', name: 'money' }, 'R$ 7', 'R$ 0'],
    [{ kind: 'multirange', of: int(4) }, '{[1,5)}', '{}'],
    [{ kind: 'other' }, '1', null],
  ])('%j', (type, value, expected) => expect(text(full, type, value)).toBe(expected))

  it('jsonb has its version in front in binary', () => {
    expect(hex(full, { kind: 'json', versioned: true }, '017b7d')).toBe(
      `01${Buffer.from('"[masked]"').toString('hex')}`,
    )
  })

  it.each<[string, ValueType, string | null]>([
    ['a', { kind: 'enum', labels: ['a', 'b'] }, 'a'],
    ['c', { kind: 'enum', labels: ['a', 'b'] }, null],
    ['hidden', { kind: 'json', versioned: false }, '"hidden"'],
    ['{"a":1}', { kind: 'json', versioned: false }, '{"a":1}'],
    ['1e400000', { kind: 'json', versioned: true }, '"1e400000"'],
    ['<a', { kind: 'xml' }, '<masked/>'],
    ['x', { kind: 'char' }, 'x'],
    ['xy', { kind: 'char' }, '*'],
    ['08:30', { kind: 'neutral', name: 'time' }, '08:30'],
    ['08:30:00+00', { kind: 'neutral', name: 'timetz' }, '08:30:00+00'],
    ['25:00', { kind: 'neutral', name: 'time' }, '00:00:00'],
    ['02:00:00:00:00:01', { kind: 'neutral', name: 'macaddr' }, '02:00:00:00:00:01'],
    ['101', { kind: 'neutral', name: 'varbit' }, '101'],
    ['42', { kind: 'neutral', name: 'oid' }, '42'],
    ['4294967296', { kind: 'neutral', name: 'oid' }, '0'],
    ['16/B374D848', { kind: 'neutral', name: 'lsn' }, '16/B374D848'],
    ['(1,2)', { kind: 'neutral', name: 'point' }, '(0,0)'],
    ['true', { kind: 'boolean' }, 't'],
    ['10.0.0.0/8', { kind: 'inet', cidr: false }, '10.0.0.0/8'],
    ['10.0.0.0/8', { kind: 'inet', cidr: true }, null],
    ['00000000-0000-0000-0000-000000000000', { kind: 'uuid' }, '00000000-0000-0000-0000-000000000000'],
    ['0', { kind: 'uuid' }, null],
  ])('the constant %s of %j', (value, type, expected) => {
    expect(text(constant(value), type, 'whatever')).toBe(expected)
  })
})

describe('partial values of more kinds', () => {
  it.each<['phone' | 'card' | 'name', string, string]>([
    ['phone', '+49 (30) 123-4567', '***67'],
    ['phone', '123456', '[masked]'],
    ['phone', '+49 30 1234567 ext', '[masked]'],
    ['card', '4111 1111 1111 1234', '***1234'],
    ['card', '41111111111', '[masked]'],
    ['card', '4111+1111+1111+1234', '[masked]'],
    ['name', 'Ada Lovelace', 'A*** L***'],
    ['name', ' Żaneta  d ', 'Ż*** ***'],
    ['name', 'a b c d e', '[masked]'],
    ['name', '', '[masked]'],
    ['name', '  ', '[masked]'],
  ])('%s: %s is shown as %s', (of, value, expected) => {
    expect(text({ kind: 'partial', of }, TEXT, value)).toBe(expected)
  })
})

describe('any bytes under any rule, as any type (P-02)', () => {
  const key = new MaskingKey('test', Buffer.alloc(32, 1), Buffer.alloc(32, 2))
  const rules: MaskingRule[] = [
    full,
    year,
    bucket(7, 'quarter'),
    constant('42'),
    { kind: 'hash', prefix: 'h_', key },
    ...(['email', 'phone', 'name', 'digits', 'uuid'] as const).map(
      (of) => ({ kind: 'pseudonym', of, key }) as const,
    ),
    ...(['email', 'phone', 'name', 'card'] as const).map((of) => ({ kind: 'partial', of }) as const),
    { kind: 'partial', of: 'last', keep: 2 },
  ]
  const scalars: ValueType[] = [
    TEXT,
    { kind: 'char' },
    { kind: 'boolean' },
    int(2),
    int(8),
    float(4),
    numeric,
    date,
    timestamptz,
    { kind: 'uuid' },
    { kind: 'inet', cidr: true },
    { kind: 'bytea' },
    { kind: 'json', versioned: true },
    { kind: 'xml' },
    { kind: 'enum', labels: ['42'] },
  ]
  const types: ValueType[] = [
    ...scalars,
    ...scalars.map((each) => array(each)),
    { kind: 'range', of: int(4) },
    { kind: 'multirange', of: int(4) },
    { kind: 'composite', attributes: scalars },
    array({ kind: 'composite', attributes: [TEXT, date] }),
    ...(['hstore', 'money', 'bit', 'time', 'tsquery'] as const).map(
      (name): ValueType => ({ kind: 'neutral', name }),
    ),
    array({ kind: 'neutral', name: 'box' }, ';'),
    { kind: 'other' },
  ]
  const values = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.string({ maxLength: 60 }).map((value) => Buffer.from(value)),
    fc.stringMatching(/^[{}(),"\\a1; -]{0,40}$/).map((value) => Buffer.from(value)),
  )

  it('never throws, and stays in the room it asked for', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...rules),
        fc.constantFrom(...types),
        fc.constantFrom<ValueFormat>('text', 'binary'),
        values,
        (rule, type, format, value) => {
          const masker = cellMasker(rule, type, format)
          const seen = Math.min(value.length, masker.keeps)
          const target = Buffer.alloc(seen + masker.grows + 1, 0xaa)
          const end = masker.write(value, 0, seen, target, 0)
          expect(end).toBeLessThanOrEqual(seen + masker.grows)
          expect(target.at(-1)).toBe(0xaa)
        },
      ),
      { numRuns: fewer(3000) },
    )
  })

  it('a cell of 2 MB takes no longer than a turn, and shows nothing of itself', () => {
    const secret = Buffer.from(`{"${'marker,'.repeat(300_000)}"}`)
    for (const rule of rules) {
      for (const type of types) {
        for (const format of ['text', 'binary'] as const) {
          const masker = cellMasker(rule, type, format)
          const from = performance.now()
          const shown = maskedCell(masker, secret.subarray(0, masker.keeps))
          expect(performance.now() - from).toBeLessThan(200)
          expect(masker.keeps).toBeLessThanOrEqual(LIMITS.partialCellBytesMax + 1)
          expect(Buffer.from(shown ?? []).includes('marker')).toBe(false)
        }
      }
    }
  })
})
