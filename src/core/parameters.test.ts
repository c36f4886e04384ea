import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parameterLine } from './parameters.ts'

describe('a parameter that people read', () => {
  it.each([
    ['0300', undefined, '"0300"'],
    ['0300', 'text integer', '"0300" as integer'],
    ['NULL', 'text', '"NULL"'],
    ['x\n$2 = 1', 'text', '"x\\n$2 = 1"'],
    ['" as integer', 'text', '"\\" as integer"'],
    ['\u202e\u200b\u{e0041}\u0085', 'text', '"\\u202e\\u200b\\udb40\\udc41\\u0085"'],
    [Buffer.from([0xe9]), 'text', '\\xe9 (1 byte, text, but not UTF-8)'],
    ['0300', 'binary', '\\x30333030 (4 bytes, 808661040 if it is a whole number)'],
    ['0300', 'binary integer', '\\x30333030 (4 bytes, 808661040) as integer'],
    [Buffer.from([0xff, 0xfe]), 'binary smallint', '\\xfffe (2 bytes, -2) as smallint'],
    [Buffer.alloc(8, 0xff), 'binary bigint', '\\xffffffffffffffff (8 bytes, -1) as bigint'],
    [Buffer.alloc(4, 0xff), 'binary oid', '\\xffffffff (4 bytes, 4294967295) as oid'],
    [Buffer.from([1]), 'binary boolean', '\\x01 (1 byte, true) as boolean'],
    ['abc', 'binary integer', '\\x616263 (3 bytes) as integer'],
    ['abc', 'binary character varying', '\\x616263 (3 bytes, "abc") as character varying'],
    ['', 'binary', '\\x (0 bytes)'],
    [null, 'binary integer', 'NULL'],
  ])('%j read as %s is %s', (value, reading, shown) => {
    expect(parameterLine(typeof value === 'string' ? Buffer.from(value) : value, reading)).toBe(shown)
  })

  it('is one line, unlike every other', () => {
    const readings = ['text', 'binary', 'text integer', 'binary integer', 'binary text']
    const one = fc.record({
      value: fc.oneof(
        fc
          .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 12 })
          .map((points) => Buffer.from(String.fromCodePoint(...points))),
        fc.uint8Array({ maxLength: 9 }),
      ),
      reading: fc.constantFrom(...readings),
    })
    const LINE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u
    fc.assert(
      fc.property(one, one, (a, b) => {
        const shown = parameterLine(a.value, a.reading)
        expect(shown).toMatch(LINE)
        const same = a.reading === b.reading && Buffer.from(a.value).equals(Buffer.from(b.value))
        expect(shown === parameterLine(b.value, b.reading)).toBe(same)
      }),
    )
  })
})
