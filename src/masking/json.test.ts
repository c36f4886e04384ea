import { describe, expect, it } from 'vitest'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { jsonMasker, parseJsonPath } from './index.ts'
import { maskedInPieces } from '../testing/json-pieces.ts'
import { everyday } from '../../test/support/fewer.ts'

const FULL: MaskingRule = { kind: 'full' }
const EMAIL: MaskingRule = { kind: 'partial', of: 'email' }
const LAST: MaskingRule = { kind: 'partial', of: 'last', keep: 4 }

function masked(document: string, ...paths: (string | readonly [string, MaskingRule])[]): string {
  const assignments = paths.map((each) =>
    typeof each === 'string' ? { path: each, rule: FULL } : { path: each[0], rule: each[1] },
  )
  return Buffer.from(jsonMasker(assignments).mask(Buffer.from(document)).bytes).toString()
}

describe('paths', () => {
  it.each([
    ['email', '{"email":"x"}', '{"email":"[masked]"}'],
    ['email', '{"Email":"x","emails":"x","e":"x"}', '{"Email":"x","emails":"x","e":"x"}'],
    ['[].email', '[{"email":"x"},{"email":"y"}]', '[{"email":"[masked]"},{"email":"[masked]"}]'],
    ['[].email', '{"email":"x"}', '{"email":"x"}'],
    ['[*].email', '[{"email":"x"}]', '[{"email":"[masked]"}]'],
    [
      'customer.contact.email',
      '{"customer":{"contact":{"email":"x"},"email":"y"}}',
      '{"customer":{"contact":{"email":"[masked]"},"email":"y"}}',
    ],
    [
      'items[].card',
      '{"items":[{"card":"x"},{"card":"y"}],"card":"z"}',
      '{"items":[{"card":"[masked]"},{"card":"[masked]"}],"card":"z"}',
    ],
    ['items[]', '{"items":["x","y"]}', '{"items":["[masked]","[masked]"]}'],
    ['[][]', '[["x"],"y"]', '[["[masked]"],"y"]'],
    [
      '*.email',
      '{"a":{"email":"x"},"b":{"c":{"email":"y"}}}',
      '{"a":{"email":"[masked]"},"b":{"c":{"email":"y"}}}',
    ],
    [
      '**.email',
      '{"email":"x","a":[{"b":{"email":"y"}}]}',
      '{"email":"[masked]","a":[{"b":{"email":"[masked]"}}]}',
    ],
    [
      'a.**.email',
      '{"email":"x","a":{"email":"y","b":{"email":"z"}}}',
      '{"email":"x","a":{"email":"[masked]","b":{"email":"[masked]"}}}',
    ],
    ['**', '{"a":1}', 'null'],
    ['a.**', '{"a":{"b":1},"c":2}', '{"a":null,"c":2}'],
    ['*', '{"a":"x","b":1}', '{"a":"[masked]","b":null}'],
    ['"e.mail"', '{"e.mail":"x","e":{"mail":"y"}}', '{"e.mail":"[masked]","e":{"mail":"y"}}'],
    ['"a \\u0022b\\""', '{"a \\"b\\"":"x"}', '{"a \\"b\\"":"[masked]"}'],
    ['straße', '{"straße":"x","stra\\u00dfe":"y"}', '{"straße":"[masked]","stra\\u00dfe":"[masked]"}'],
  ])('%s in %s', (path, document, expected) => expect(masked(document, path)).toBe(expected))

  it.each([
    ['email', '[{"email":"x"}]', '[{"email":"[masked]"}]'],
    ['customer.email', '{"customer":[{"email":"x"}]}', '{"customer":[{"email":"[masked]"}]}'],
    ['*.email', '[{"email":"x"}]', '[{"email":"[masked]"}]'],
    ['*.email', '[{"a":{"email":"x"}}]', '[{"a":{"email":"[masked]"}}]'],
    ['email', '[[[{"email":"x"}]]]', '[[[{"email":"[masked]"}]]]'],
  ])('%s looks through lists: %s', (path, document, expected) =>
    expect(masked(document, path)).toBe(expected),
  )

  it.each(['', '.', 'a.', '.a', 'a..b', 'a b', '[', '[0]', 'a[].', '[]email', '"a', '***', 'a.**b', '"\\x"'])(
    'is not one: %j',
    (path) => {
      expect(() => parseJsonPath(path)).toThrow(GatewayError)
      expect(() => jsonMasker([{ path, rule: FULL }])).toThrow('is not a path into JSON')
    },
  )

  it('says where a path stops making sense', () => {
    expect(() => parseJsonPath('customer.e mail')).toThrow('expected . or [] at character 11.')
  })

  it('has a bound on its steps', () => {
    expect(() => parseJsonPath('a.'.repeat(100) + 'a')).toThrow('more than 64 steps')
  })
})

describe('values', () => {
  it('masks strings by the rule, and what is not a string as null', () => {
    const document =
      '{"a":"ada@example.com","b":"4111111111111111","c":12.50,"d":true,"e":[1,"x"],"f":{"g":"h"},"i":null}'
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'i'].map(
      (path) => [path, path === 'b' ? LAST : EMAIL] as const,
    )
    expect(masked(document, ...all)).toBe(
      '{"a":"a***@example.com","b":"***1111","c":null,"d":null,"e":null,"f":null,"i":null}',
    )
  })

  it('shows nothing where two paths ask for different masks, and the one where they agree', () => {
    expect(masked('{"a":"ada@example.com"}', ['a', EMAIL], ['*', FULL])).toBe('{"a":null}')
    expect(masked('{"a":"ada@example.com"}', ['a', EMAIL], ['*', EMAIL])).toBe('{"a":"a***@example.com"}')
  })

  it('masks every member of the same name', () => {
    expect(masked('{"email":"x","email":"y","em\\u0061il":"z"}', 'email')).toBe(
      '{"email":"[masked]","email":"[masked]","em\\u0061il":"[masked]"}',
    )
  })

  it('reads escapes as the text they stand for', () => {
    const value = 'a\\u0064a\\u0040\\u0065xample\\u002ecom'
    expect(masked(`{"email":"${value}"}`, ['email', EMAIL])).toBe('{"email":"a***@example.com"}')
    expect(masked('{"x":"\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t1234"}', ['x', LAST])).toBe('{"x":"***1234"}')
    expect(masked('{"x":"12345678901234\\ud83d\\ude00"}', ['x', LAST])).toBe('{"x":"***234😀"}')
    const first: MaskingRule = { kind: 'partial', of: 'first', keep: 2 }
    expect(masked('{"x":"\\"\\n and more"}', ['x', first])).toBe('{"x":"\\"\\n***"}')
  })

  it.each([
    '\\ud83d',
    '\\ude00',
    '\\ud83dx',
    '\\ud83d\\u0041',
    '\\ud83d\\n',
    '\\ud83d\\ud83d\\ude00',
    '\\ud83dé',
  ])('hides a string with half a surrogate pair whole: %s', (half) => {
    expect(masked(`{"x":"1234567890${half}1234567890"}`, ['x', LAST])).toBe('{"x":"[masked]"}')
    expect(masked(`{"x":"1234567890${half}"}`, ['x', LAST])).toBe('{"x":"[masked]"}')
  })

  it('counts and lists what it masked, in the order of the assignments', () => {
    const masker = jsonMasker([
      { path: '**.email', rule: EMAIL },
      { path: 'never', rule: FULL },
      { path: '[].card', rule: LAST },
    ])
    const document =
      '[{"email":"a@b.cd","card":null},{"email":7,"card":"4111111111111111"},{"x":{"email":{"a":"b"}}}]'
    expect(masker.mask(Buffer.from(document)).masked).toEqual([
      { path: '**.email', count: 3 },
      { path: '[].card', count: 1 },
    ])
  })

  it('leaves all other bytes as they are', () => {
    const document =
      ' {\t"n" : 1.10e+05 ,"big":123456789012345678901234567890,\r\n"u":"\\u00e9\\/","email":"x" , "z":-0.0}\n '
    expect(masked(document, 'email')).toBe(document.replace('"x"', '"[masked]"'))
    expect(masked(document, 'nothing')).toBe(document)
  })

  it('passes a byte order mark', () => {
    expect(masked('\ufeff{"email":"x"}', 'email')).toBe('\ufeff{"email":"[masked]"}')
    expect(maskedInPieces(Buffer.from('\ufeff7'), [], 1).toString()).toBe('\ufeff7')
  })

  it.each(['"x"', '12', '-0.5e-3', 'true', 'null'])('masks a document that is one value: %s', (document) => {
    const expected = document === '"x"' ? '"[masked]"' : 'null'
    expect(masked(document, '**')).toBe(expected)
    expect(maskedInPieces(Buffer.from(document), [{ path: '**', rule: FULL }], 1).toString()).toBe(expected)
  })

  it('hides a value longer than the limit whole', () => {
    const long = 'x'.repeat(LIMITS.partialCellBytesMax + 1)
    expect(masked(`{"x":"${long}"}`, ['x', LAST])).toBe('{"x":"[masked]"}')
  })
})

describe('what is not JSON (P-03)', () => {
  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{"a" 1}',
    '{a:1}',
    "{'a':1}",
    '01',
    '1.',
    '.5',
    '-',
    '+1',
    '1e',
    '1e+',
    '0x1',
    'NaN',
    'Infinity',
    'tru',
    'truee',
    'nul',
    'True',
    '1 2',
    '{}{}',
    '[]]',
    '{"a":1]',
    '"\\x"',
    '"\\u12g4"',
    '"\n"',
    '"\t"',
    '"\u0000"',
    '// c\n1',
    '[1]//',
    '\ufeff',
    '\ufeff\ufeff1',
    '{"a":1 "b":2}',
  ])('%j is refused, whole and in pieces, labelled or not', (document) => {
    for (const path of ['**', 'a', 'z']) {
      const assignments = [{ path, rule: FULL }]
      expect(() => masked(document, path)).toThrow('not valid JSON')
      expect(() => maskedInPieces(Buffer.from(document), assignments, 1)).toThrow(GatewayError)
    }
  })

  it.each(['c0af', 'e08080', 'eda080', 'f4908080', 'f8888080', 'ff', '80', 'c3', 'e282', 'f09f98'])(
    'a string with the bytes %s, which are not UTF-8, is refused',
    (hex) => {
      const document = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(hex, 'hex'), Buffer.from('"}')])
      expect(() => jsonMasker([{ path: 'a', rule: FULL }]).mask(document)).toThrow('not valid JSON')
      expect(() => maskedInPieces(document, [], 1)).toThrow('not valid JSON')
    },
  )

  it('tells where, and nothing of what', () => {
    const failure = (() => {
      try {
        masked('{"password":"hunter2",}', 'x')
      } catch (error) {
        return error
      }
      return undefined
    })()
    expect(failure).toMatchObject({ code: 'protocol_violation', facts: { byte: 22 } })
    expect(JSON.stringify(failure)).not.toContain('hunter2')
  })

  it('is deeper than the limit', () => {
    const deep = (n: number): string => '['.repeat(n) + ']'.repeat(n)
    expect(masked(deep(LIMITS.jsonDepthMax), 'x')).toBe(deep(LIMITS.jsonDepthMax))
    expect(() => masked(deep(LIMITS.jsonDepthMax + 1), 'x')).toThrow('not valid JSON')
  })

  it('is larger than the limit', () => {
    const large = Buffer.alloc(LIMITS.jsonDocumentBytesMax + 1, ' ')
    expect(() => jsonMasker([]).mask(large)).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
  })
})

it('forgets places rather than keep very many', () => {
  // Each `**` in front of a name tells documents apart by the order in which names came.
  // After some 1400 documents all places that may be kept are taken: they are forgotten twice here, and met again; once in everyday use.
  const letters = 'abcdefghijklmnop'.split('')
  const masker = jsonMasker(letters.map((letter) => ({ path: `**.${letter}.**.x`, rule: FULL })))
  let seed = 1
  for (let round = 0; round < (everyday ? 1_600 : 4_000); round++) {
    let text = '{"x":"secret"}'
    let expected = '{"x":"secret"}'
    for (let depth = 0; depth < 14; depth++) {
      seed = (seed * 48271) % 2147483647
      const letter = letters[seed % letters.length]
      text = `{"${letter}":${text}}`
      expected = '{"x":"[masked]"}'
    }
    const out = Buffer.from(masker.mask(Buffer.from(text)).bytes).toString()
    if (!out.includes(expected) || out.includes('secret')) throw new Error(`${text} became ${out}`)
  }
})

it('knows thousands of paths with a name each, as an operation of GraphQL makes them, without holding others up (C-04)', () => {
  const names = Array.from({ length: 4_000 }, (_, n) => `a${n}`)
  const masker = jsonMasker(names.map((name) => ({ path: `data.${name}.email`, rule: FULL })))
  const data = Object.fromEntries(names.map((name) => [name, { email: 'secret' }]))
  const started = performance.now()
  const out = Buffer.from(masker.mask(Buffer.from(JSON.stringify({ data }))).bytes).toString()
  expect(performance.now() - started).toBeLessThan(60_000)
  expect(out).not.toContain('secret')
})
