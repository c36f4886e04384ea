import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { anyCharacter } from '../testing/any-character.ts'
import { cellMasker } from './cell.ts'
import { maskedCell } from './masker.ts'
import { OTHER, TEXT } from './types.ts'
import { fewer } from '../../test/support/fewer.ts'

function masked(rule: MaskingRule, value: string): string | null {
  const masker = cellMasker(rule, TEXT, 'text')
  const bytes = maskedCell(masker, Buffer.from(value).subarray(0, masker.keeps))
  return bytes === null ? null : Buffer.from(bytes).toString()
}

const email: MaskingRule = { kind: 'partial', of: 'email' }
const first = (keep: number): MaskingRule => ({ kind: 'partial', of: 'first', keep })
const last = (keep: number): MaskingRule => ({ kind: 'partial', of: 'last', keep })

describe('rules that show nothing', () => {
  it.each<[MaskingRule, string | null]>([
    [{ kind: 'null' }, null],
    [{ kind: 'full' }, '[masked]'],
    [{ kind: 'constant', text: 'hidden by policy' }, 'hidden by policy'],
  ])('%j', (rule, expected) => {
    expect(cellMasker(rule, TEXT, 'text').keeps).toBe(0)
    expect(masked(rule, 'ada@example.com')).toBe(expected)
    expect(masked(rule, '')).toBe(expected)
  })

  it.each<MaskingRule>([
    { kind: 'null' },
    { kind: 'full' },
    { kind: 'constant', text: '0' },
    email,
    first(2),
    last(2),
  ])('a value that is not text is NULL under %j', (rule) => {
    const masker = cellMasker(rule, OTHER, 'text')
    expect(masker.keeps).toBe(0)
    expect(maskedCell(masker, Buffer.from('12345'))).toBeNull()
  })
})

describe('e-mail', () => {
  it.each([
    ['ada@example.com', 'a***@example.com'],
    ['ada.lovelace+crm@mail.example.co.uk', 'a***@mail.example.co.uk'],
    ['łukasz@example.pl', 'ł***@example.pl'],
    ['𝒶da@bücher.example', '𝒶***@bücher.example'],
    ['a@example.com', 'a***@example.com'],
  ])('%s', (value, expected) => expect(masked(email, value)).toBe(expected))

  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@localhost',
    'ada@example..com',
    'ada@example.com.',
    'ada@.example.com',
    'ada@grace@example.com',
    'Ada Lovelace <ada@example.com>',
    '"ada lovelace"@example.com',
    'ada@example.com, grace@example.com',
    'ada@example.com\n',
    'ada@example.com secret',
    `${'a'.repeat(250)}@example.com`,
  ])('%j is not one and is hidden whole', (value) => expect(masked(email, value)).toBe('[masked]'))

  it('hides bytes that are not UTF-8 whole', () => {
    const value = Buffer.concat([Buffer.from([0xff]), Buffer.from('da@example.com')])
    expect(Buffer.from(maskedCell(cellMasker(email, TEXT, 'text'), value) ?? []).toString()).toBe('[masked]')
  })
})

describe('first and last characters', () => {
  it.each<[MaskingRule, string, string]>([
    [first(1), 'Ada', 'A***'],
    [first(2), 'Grace', 'Gr***'],
    [first(2), 'żółw', 'żó***'],
    [last(4), '4111111111111111', '***1111'],
    [last(2), 'a😀b😀', '***b😀'],
  ])('%j of %s', (rule, value, expected) => expect(masked(rule, value)).toBe(expected))

  it.each<[MaskingRule, string]>([
    [first(2), 'Ada'],
    [last(4), '1234567'],
    [first(1), ''],
    [last(1), 'a'],
    [first(0), 'Grace'],
    [last(0), 'Grace'],
    [last(-1), 'Grace'],
    [first(Number.NaN), 'Grace'],
  ])('%j of %j would show too much, so nothing is shown', (rule, value) => {
    expect(masked(rule, value)).toBe('[masked]')
  })

  it('decides about the first characters on the bytes it asked for', () => {
    const masker = cellMasker(first(3), TEXT, 'text')
    for (const text of ['a'.repeat(1000), 'é'.repeat(1000), '€'.repeat(1000), '😀'.repeat(1000)]) {
      const shown = Buffer.from(
        maskedCell(masker, Buffer.from(text).subarray(0, masker.keeps)) ?? [],
      ).toString()
      expect(shown).toBe(`${[...text].slice(0, 3).join('')}***`)
    }
  })

  it('hides a cell longer than the limit whole', () => {
    const masker = cellMasker(last(4), TEXT, 'text')
    const long = Buffer.alloc(LIMITS.partialCellBytesMax + 100, 'x')
    expect(Buffer.from(maskedCell(masker, long.subarray(0, masker.keeps)) ?? []).toString()).toBe('[masked]')
    const fits = long.subarray(0, LIMITS.partialCellBytesMax)
    expect(Buffer.from(maskedCell(masker, fits) ?? []).toString()).toBe('***xxxx')
  })
})

describe('any value under any rule (P-02)', () => {
  const rules = fc.oneof(
    fc.constant(email),
    fc.integer({ min: -2, max: 40 }).map(first),
    fc.integer({ min: -2, max: 40 }).map(last),
  )

  it('shows at most half of its characters, and stays UTF-8', () => {
    fc.assert(
      fc.property(rules, fc.string({ unit: anyCharacter, maxLength: 120 }), (rule, value) => {
        const shown = masked(rule, value)
        if (shown === '[masked]' || shown === null) return
        if (rule.kind !== 'partial' || !('keep' in rule)) return
        const kept = [...shown].length - 3
        expect(kept).toBe(rule.keep)
        expect(kept * 2).toBeLessThanOrEqual([...value].length)
      }),
      { numRuns: fewer(2000) },
    )
  })

  it('never throws on bytes of any kind, and answers with UTF-8', () => {
    fc.assert(
      fc.property(rules, fc.uint8Array({ maxLength: 300 }), (rule, value) => {
        const masker = cellMasker(rule, TEXT, 'text')
        const shown = maskedCell(masker, value.subarray(0, masker.keeps)) ?? new Uint8Array()
        expect(() => new TextDecoder('utf-8', { fatal: true }).decode(shown)).not.toThrow()
      }),
      { numRuns: fewer(2000) },
    )
  })
})
