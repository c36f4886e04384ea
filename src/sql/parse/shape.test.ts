import fc from 'fast-check'
import { loadModule, scanSync } from 'libpg-query'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Shape } from './shape.ts'
import { literalText, shapeOf } from './shape.ts'
import { fewer } from '../../../test/support/fewer.ts'

beforeAll(() => loadModule())

function shape(text: string): Shape | undefined {
  // With something before and after it, as in a network buffer.
  const bytes = Buffer.from(`x'${text}\0'y`)
  return shapeOf(bytes, 2, bytes.length - 3)
}

function literals(text: string): string[] | undefined {
  const found = shape(text)
  return found?.literals.flatMap((_, i) => (i % 2 === 0 ? [literalText(found, i / 2)] : []))
}

describe('the shape of', () => {
  it.each([
    [
      'SELECT abalance FROM pgbench_accounts WHERE aid = 5;',
      'SELECT abalance FROM pgbench_accounts WHERE aid = \x01;',
      ['5'],
    ],
    ['SELECT \'it\'\'s\', 1.5, "a""b", $1', 'SELECT \x02, \x01, "a""b", $1', ["'it''s'", '1.5']],
    ['SELECT -5 - 3', 'SELECT -\x01 - \x01', ['5', '3']],
    ['SELECT a1, b_2 FROM t', 'SELECT a1, b_2 FROM t', []],
    ['', '', []],
    ["SELECT x::text = 'a' AND y>=10", 'SELECT x::text = \x02 AND y>=\x01', ["'a'", '10']],
    ['SELECT 1/2*3%4^5', 'SELECT \x01/\x01*\x01%\x01^\x01', ['1', '2', '3', '4', '5']],
    ['SELECT a[1:2]', 'SELECT a[\x01:\x01]', ['1', '2']],
  ])('%j', (text, expected, values) => {
    expect(shape(text)?.text).toBe(expected)
    expect(literals(text)).toEqual(values)
  })

  it.each([
    'SELECT 1 -- comment',
    'SELECT 1--comment',
    'SELECT /* comment */ 1',
    'SELECT 1/**/',
    "SELECT E'a'",
    "SELECT e'a\\'b'",
    "SELECT B'01'",
    "SELECT X'1f'",
    "SELECT N'a'",
    "SELECT U&'a'",
    'SELECT U&"a"',
    'SELECT u&"a"',
    'SELECT $$a$$',
    'SELECT $tag$a$tag$',
    "SELECT 'a\\b'",
    "SELECT 'a'\n'b'",
    "SELECT 'a' 'b'",
    "SELECT 'é'",
    'SELECT é',
    'SELECT "é"',
    "SELECT 'unterminated",
    'SELECT "unterminated',
    'SELECT ""',
    'SELECT .5',
    'SELECT 1.',
    'SELECT 1..2',
    'SELECT 1.5.6',
    'SELECT 1e5',
    'SELECT 0x1F',
    'SELECT 1_000',
    'SELECT 1a',
    'SELECT $1a',
    'SELECT a$b',
    'SELECT $',
    "SELECT 1'a'",
    'SELECT 1"a"',
    'SELECT t.5',
    "date'2020-01-01'",
    'SELECT 1\f',
    'SELECT \\d',
    'SELECT {}',
    "SELECT 'tab\u0007'",
  ])('%j is not told', (text) => {
    expect(shape(text)).toBeUndefined()
  })
})

const LITERAL_TOKENS = new Set(['ICONST', 'FCONST', 'SCONST'])

/** Texts close to the edge of what the lexer knows. */
const text = fc
  .array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom('SELECT', ' ', 'a', 'b1', '1', '20', '1.5', ',', '(', ')', '=', ';', '\n'),
      },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          "'x'",
          "''",
          "'it''s'",
          '"q"',
          '"a""b"',
          '$1',
          '::',
          '+',
          '-',
          '*',
          '/',
          '<>',
        ),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          "'",
          '"',
          '$',
          '--',
          '/*',
          '*/',
          '\\',
          'E',
          'U&',
          'u',
          '&',
          '.',
          '$$',
          'e5',
          '_',
          '0x',
          '\t',
          'é',
          '|',
          '@',
          '#',
        ),
      },
    ),
    { maxLength: 25 },
  )
  .map((parts) => parts.join(''))

describe('the lexer', () => {
  it('finds the literals where the grammar finds them, or gives up', () => {
    let told = 0
    let withLiterals = 0
    fc.assert(
      fc.property(text, (sql) => {
        const found = shape(sql)
        if (found === undefined) return
        told++
        const tokens = sql.trim() === '' ? [] : scanSync(sql).tokens
        const expected = tokens
          .filter((token) => LITERAL_TOKENS.has(token.tokenName))
          .flatMap((token) => [token.start, token.end])
        expect(found.literals).toEqual(expected)
        if (expected.length > 0) withLiterals++
      }),
      { numRuns: fewer(5_000), seed: 7 },
    )
    expect(told).toBeGreaterThan(fewer(500))
    expect(withLiterals).toBeGreaterThan(fewer(300))
  })

  it('keeps apart texts that differ in anything but their literals', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [left, right] = [shape(a), shape(b)]
        if (left === undefined || right === undefined || left.text !== right.text) return
        const blank = (sql: string, { literals: at }: Shape): string => {
          let rest = ''
          let from = 0
          for (let i = 0; i < at.length; i += 2) {
            rest += `${sql.slice(from, at[i])}?`
            from = at[i + 1] ?? 0
          }
          return rest + sql.slice(from)
        }
        expect(blank(a, left)).toBe(blank(b, right))
      }),
      { numRuns: fewer(2_000), seed: 7 },
    )
  })
})
