import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { cellMasker } from './cell.ts'
import { jsonMasker, parseJsonPath } from './index.ts'
import type { JsonAssignment } from './index.ts'
import type { Step } from './json-path.ts'

const FULL: MaskingRule = { kind: 'full' }
const EMAIL: MaskingRule = { kind: 'partial', of: 'email' }
const LAST: MaskingRule = { kind: 'partial', of: 'last', keep: 4 }

function masked(document: string, ...paths: (string | readonly [string, MaskingRule])[]): string {
  const assignments = paths.map((each) =>
    typeof each === 'string' ? { path: each, rule: FULL } : { path: each[0], rule: each[1] },
  )
  return Buffer.from(jsonMasker(assignments).mask(Buffer.from(document)).bytes).toString()
}

/** The same, in pieces of `size` bytes, each in memory of its own that is overwritten afterwards. */
function maskedInPieces(document: Uint8Array, assignments: readonly JsonAssignment[], size: number): Buffer {
  const masking = jsonMasker(assignments).begin()
  const out: Buffer[] = []
  for (let at = 0; at < document.length; at += size) {
    const piece = Buffer.from(document.subarray(at, at + size))
    out.push(Buffer.from(masking.write(piece)))
    piece.fill(0)
  }
  out.push(Buffer.from(masking.end()))
  return Buffer.concat(out)
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

describe('what is not JSON', () => {
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
    const large = Buffer.alloc(LIMITS.httpMaskedBodyBytesMax + 1, ' ')
    expect(() => jsonMasker([]).mask(large)).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
  })
})

/** A value, and the text of it written with blanks and escapes as somebody might. */
const NAMES = ['email', 'card', 'a', 'b', 'items', 'e.mail', '', 'ключ', '__proto__']
const names = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 3 }))

type Written = { readonly text: (at: readonly (string | number)[], rewrite: Rewrite) => string }
type Rewrite = (
  at: readonly (string | number)[],
  value: 'string' | 'other' | 'null',
  decoded: string,
) => string | undefined

const blank = fc.constantFrom('', '', '', ' ', '\n\t')

const string = fc.record({
  decoded: fc.string({ unit: 'binary', maxLength: 20 }),
  escape: fc.array(fc.boolean(), { maxLength: 24 }),
})

function quoted(decoded: string, escape: readonly boolean[]): string {
  let n = 0
  let text = ''
  for (const unit of decoded.split('')) {
    const code = unit.charCodeAt(0)
    const must = code < 0x20 || unit === '"' || unit === '\\'
    const isSurrogate = code >= 0xd800 && code <= 0xdfff
    // Both halves of a pair, or neither: half a pair as raw bytes is no UTF-8.
    const wants = escape[n++ % Math.max(1, escape.length)] === true && !isSurrogate
    text += must || wants ? `\\u${code.toString(16).padStart(4, '0')}` : unit
  }
  return `"${text}"`
}

const leaf: fc.Arbitrary<Written> = fc.oneof(
  string.map(({ decoded, escape }) => ({
    text: (at: readonly (string | number)[], rewrite: Rewrite) =>
      rewrite(at, 'string', decoded) ?? quoted(decoded, escape),
  })),
  fc.constantFrom('0', '-1.50', '1e400', '12345678901234567890.10', 'true', 'false').map((text) => ({
    text: (at: readonly (string | number)[], rewrite: Rewrite) => rewrite(at, 'other', '') ?? text,
  })),
  fc.constant({
    text: (at: readonly (string | number)[], rewrite: Rewrite) => rewrite(at, 'null', '') ?? 'null',
  }),
)

const { document } = fc.letrec<{ document: Written }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.tuple(blank, fc.array(tie('document'), { maxLength: 4 })).map(([gap, elements]) => ({
      text: (at: readonly (string | number)[], rewrite: Rewrite) =>
        rewrite(at, 'other', '') ??
        `[${gap}${elements.map((each, n) => each.text([...at, n], rewrite)).join(`${gap},`)}${gap}]`,
    })),
    fc
      .tuple(blank, fc.array(fc.tuple(names, fc.array(fc.boolean()), tie('document')), { maxLength: 4 }))
      .map(([gap, members]) => ({
        text: (at: readonly (string | number)[], rewrite: Rewrite) =>
          rewrite(at, 'other', '') ??
          `{${gap}${members
            .map(
              ([name, escape, value]) =>
                `${quoted(name, escape)}${gap}:${value.text([...at, name], rewrite)}`,
            )
            .join(`,${gap}`)}}`,
      })),
  ),
}))

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom(...NAMES).map((name) => ({ kind: 'key' as const, name })),
  fc.constantFrom<Step>({ kind: 'element' }, { kind: 'any' }, { kind: 'deep' }),
)

function written(steps: readonly Step[]): string {
  let text = ''
  for (const each of steps) {
    if (each.kind === 'element') text += '[]'
    else
      text += `${text === '' ? '' : '.'}${each.kind === 'key' ? JSON.stringify(each.name) : each.kind === 'any' ? '*' : '**'}`
  }
  return text
}

/** The meaning of a path, said once more and differently: backwards and by hand. */
function leadsTo(steps: readonly Step[], at: readonly (string | number)[]): boolean {
  const [head, ...rest] = steps
  if (head === undefined) return at.length === 0
  if (head.kind === 'deep' && leadsTo(rest, at)) return true
  const [first, ...behind] = at
  if (first === undefined) return false
  const isElement = typeof first === 'number'
  switch (head.kind) {
    case 'deep':
      return leadsTo(steps, behind)
    case 'element':
      return isElement && leadsTo(rest, behind)
    case 'any':
      return leadsTo(rest, behind) || (isElement && leadsTo(steps, behind))
    case 'key':
      return isElement ? leadsTo(steps, behind) : first === head.name && leadsTo(rest, behind)
  }
}

describe('any document, any paths', () => {
  const assignments = fc.array(
    fc.record({
      steps: fc.array(step, { minLength: 1, maxLength: 4 }),
      rule: fc.constantFrom(FULL, EMAIL, LAST),
    }),
    { minLength: 1, maxLength: 4 },
  )

  it('comes out as the reference says, byte for byte, whatever the pieces it came in', () => {
    fc.assert(
      fc.property(document, assignments, fc.integer({ min: 1, max: 40 }), (written_, rules, size) => {
        const original = written_.text([], () => undefined)
        let hidden = 0
        const expected = written_.text([], (at, value, decoded) => {
          const asked = rules.filter((each) => leadsTo(each.steps, at))
          const first = asked[0]
          if (first === undefined) return undefined
          if (value !== 'null') hidden += asked.length
          if (value !== 'string') return 'null'
          const rule = asked.every((each) => each.rule === first.rule)
            ? first.rule
            : { kind: 'null' as const }
          const shown = cellMasker(rule, 'text').mask(Buffer.from(decoded))
          return shown === null ? 'null' : JSON.stringify(Buffer.from(shown).toString())
        })
        const list = rules.map((each) => ({ path: written(each.steps), rule: each.rule }))
        const whole = jsonMasker(list).mask(Buffer.from(original))
        expect(Buffer.from(whole.bytes).toString()).toBe(expected)
        expect(whole.masked.reduce((sum, each) => sum + each.count, 0)).toBe(hidden)
        expect(maskedInPieces(Buffer.from(original), list, size).toString()).toBe(expected)
        expect(() => JSON.parse(expected)).not.toThrow()
      }),
      { numRuns: 1500 },
    )
  })

  it('is refused exactly when JSON.parse refuses it', () => {
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.integer({ min: 0, max: 2 }),
      add: fc.oneof(
        fc.constantFrom(
          '"',
          '\\',
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '0',
          '-',
          '.',
          'e',
          'u',
          ' ',
          '\u0001',
          '\\u',
          'null',
        ),
        fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
    })
    let refused = 0
    fc.assert(
      fc.property(
        document,
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        assignments,
        (written_, edits, rules) => {
          let bytes = Buffer.from(written_.text([], () => undefined))
          for (const { at, remove, add } of edits) {
            const where = at % (bytes.length + 1)
            bytes = Buffer.concat([
              bytes.subarray(0, where),
              Buffer.from(add, 'latin1'),
              bytes.subarray(where + remove),
            ])
          }
          let valid = true
          try {
            // Keeps the byte order mark, as JSON.parse refuses one; that case has a test of its own.
            JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
          } catch {
            valid = false
            refused++
          }
          const list = rules.map((each) => ({ path: written(each.steps), rule: each.rule }))
          const attempt = (): unknown => jsonMasker(list).mask(bytes)
          if (valid) expect(attempt).not.toThrow()
          else expect(attempt).toThrow(GatewayError)
        },
      ),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(500)
  })

  it('never lets a marked value out of a labelled field, in pieces of every size', () => {
    const marker = 'MARKER-7f3a9'
    const text = JSON.stringify({
      email: `${marker}-1`,
      list: [
        { email: `${marker}-2`, keep: 'yes' },
        { email: [`${marker}-3`] },
        { email: { deep: `${marker}-4` } },
      ],
      other: { card: `${marker}-5`, n: 1.5 },
    })
      .replace('"email":{', '"em\\u0061il":{')
      .replace('"card":', '"card" :\n')
    const list: JsonAssignment[] = [
      { path: '**.email', rule: EMAIL },
      { path: 'other.card', rule: FULL },
    ]
    for (let size = 1; size <= text.length; size++) {
      const out = maskedInPieces(Buffer.from(text), list, size).toString()
      expect(out).not.toContain('MARKER')
      expect(out).toContain('"keep":"yes"')
    }
  })
})

it('forgets places rather than keep very many', () => {
  // Each `**` in front of a name tells documents apart by the order in which names came.
  const letters = 'abcdefghijklmnop'.split('')
  const masker = jsonMasker(letters.map((letter) => ({ path: `**.${letter}.**.x`, rule: FULL })))
  let seed = 1
  for (let round = 0; round < 12_000; round++) {
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
