import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MaskingRule } from '../core/index.ts'
import { MaskingKey } from '../core/index.ts'
import { cellMasker } from './cell.ts'
import { recognises } from './guard.ts'
import { maskedCell } from './masker.ts'
import type { ValueFormat, ValueType } from './types.ts'
import { TEXT } from './types.ts'
import { fewer } from '../../test/support/fewer.ts'

const CHECK = Buffer.alloc(32, 9)
const key = new MaskingKey('pii.email', Buffer.alloc(32, 1), CHECK)
const otherLabel = new MaskingKey('pii.name', Buffer.alloc(32, 2), CHECK)
const stranger = new MaskingKey('pii.email', Buffer.alloc(32, 1), Buffer.alloc(32, 8))

const hash: MaskingRule = { kind: 'hash', prefix: 'h_', key }
const pseudonym = (of: (MaskingRule & { kind: 'pseudonym' })['of']): MaskingRule => ({
  kind: 'pseudonym',
  of,
  key,
})
const full: MaskingRule = { kind: 'full' }

function masked(
  rule: MaskingRule,
  value: string | Uint8Array,
  type: ValueType = TEXT,
  format: ValueFormat = 'text',
) {
  return Buffer.from(maskedCell(cellMasker(rule, type, format), Buffer.from(value)) ?? [])
}

describe('a document', () => {
  it('is known by what is hidden whole in it', () => {
    const written = (text: string) => recognises(Buffer.from(text), undefined, key)
    expect(written('{"city":"B","contact":{"email":"[masked]"}}')).toBe(true)
    expect(written('\u0001{"cards": ["[masked]"]}')).toBe(true)
    expect(written('{"note":"nothing is [masked] here"}')).toBe(false)
  })
})

describe('a hash', () => {
  it('is the same for the same value and key, and never for others', () => {
    const values = ['', 'ada@example.com', 'Ada@example.com', 'x'.repeat(60_000)]
    const hashes = values.map((value) => masked(hash, value).toString())
    for (const each of hashes) expect(each).toMatch(/^h_[a-z2-7]{26}$/)
    expect(new Set(hashes).size).toBe(values.length)
    expect(values.map((value) => masked(hash, value).toString())).toEqual(hashes)
    expect(masked({ ...hash, key: otherLabel }, values[1] ?? '')).not.toEqual(masked(hash, values[1] ?? ''))
  })

  it('without a key is no hash', () => {
    const { key: _none, ...keyless } = { ...hash }
    expect(masked(keyless, 'ada@example.com').toString()).toBe('[masked]')
    expect(maskedCell(cellMasker(keyless, { kind: 'uuid' }, 'text'), Buffer.from('x'))).toBeNull()
  })

  it('of a uuid or of binary is one, the same in both formats', () => {
    const uuid = '0190163d-8694-739b-aea5-966c26f8ad91'
    const text = masked(hash, uuid, { kind: 'uuid' }).toString()
    expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const binary = masked(hash, Buffer.from(uuid.replaceAll('-', ''), 'hex'), { kind: 'uuid' }, 'binary')
    expect(binary.toString('hex')).toBe(text.replaceAll('-', ''))

    const bytea = masked(hash, Buffer.from([0, 92, 255]), { kind: 'bytea' }, 'binary')
    expect(masked(hash, '\\x005cff', { kind: 'bytea' }).toString()).toBe(`\\x${bytea.toString('hex')}`)
    expect(masked(hash, '\\000\\\\\\377', { kind: 'bytea' }).toString()).toBe(`\\x${bytea.toString('hex')}`)
  })
})

describe('a pseudonym', () => {
  it.each<[MaskingRule, string, RegExp]>([
    [pseudonym('email'), 'ada@example.com', /^[a-z2-7]{16}@example\.(com|net|org)$/],
    [pseudonym('email'), 'no address', /^[a-z2-7]{16}@example\.(com|net|org)$/],
    [pseudonym('phone'), '+49 (30) 123-45.67', /^\+[1-9]\d \(\d\d\) \d{3}-\d\d\.\d\d$/],
    [pseudonym('phone'), '030 1234567', /^0\d\d \d{7}$/],
    [pseudonym('phone'), '030 1234567 ext. 3', /^\[masked\]$/],
    [pseudonym('phone'), '12345', /^\[masked\]$/],
    [pseudonym('digits'), '4111 1111 1111 1111', /^[1-9]\d{3} \d{4} \d{4} \d{4}$/],
    [pseudonym('digits'), '+49301234567', /^\[masked\]$/],
    [pseudonym('name'), 'Ada Lovelace', /^[A-Z][a-z]+ [A-Z]\. [A-Z][a-z]+$/],
    [pseudonym('uuid'), 'whatever', /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
  ])('%j of %s has its form', (rule, value, form) => {
    const shown = masked(rule, value).toString()
    expect(shown).toMatch(form)
    expect(masked(rule, value).toString()).toBe(shown)
  })

  it('of a number does not depend on its punctuation', () => {
    const digits = (value: string) => masked(pseudonym('phone'), value).toString().replace(/\D/g, '')
    expect(digits('+49 30 1234567')).toBe(digits('+49-30-123-4567'))
    expect(digits('+49 30 1234567')).not.toBe(digits('+49 30 1234568'))
  })

  it('of text that has the form of a uuid is that of the uuid', () => {
    const uuid = '0190163d-8694-739b-aea5-966c26f8ad91'
    expect(masked(pseudonym('uuid'), uuid)).toEqual(masked(pseudonym('uuid'), uuid, { kind: 'uuid' }))
  })

  it('hardly ever is that of two addresses', () => {
    const made = Array.from({ length: fewer(20_000) }, (_, i) =>
      masked(pseudonym('email'), `user${i}@example.com`).toString(),
    )
    expect(new Set(made).size).toBe(made.length)
  })
})

describe('what was emitted is known when it comes back', () => {
  const rules: readonly (readonly [MaskingRule, ValueType, ValueFormat])[] = [
    [hash, TEXT, 'text'],
    [{ kind: 'hash', prefix: '', key }, TEXT, 'text'],
    [{ kind: 'hash', prefix: 'hash', key }, TEXT, 'text'],
    [hash, { kind: 'uuid' }, 'text'],
    [hash, { kind: 'uuid' }, 'binary'],
    [hash, { kind: 'bytea' }, 'text'],
    [hash, { kind: 'bytea' }, 'binary'],
    [hash, { kind: 'json', versioned: true }, 'binary'],
    [pseudonym('email'), TEXT, 'text'],
    [pseudonym('uuid'), TEXT, 'text'],
    [pseudonym('uuid'), { kind: 'uuid' }, 'binary'],
    [full, TEXT, 'text'],
    [full, { kind: 'bytea' }, 'text'],
    [full, { kind: 'json', versioned: false }, 'text'],
  ]

  it.each(rules)('%j as %j in %s, whichever label the column has', (rule, type, format) => {
    const value =
      type.kind === 'uuid'
        ? format === 'binary'
          ? Buffer.alloc(16, 7)
          : '0190163d-8694-739b-aea5-966c26f8ad91'
        : type.kind === 'bytea' && format === 'text'
          ? '\\x01'
          : 'ada@example.com'
    const shown = masked(rule, value, type, format)
    for (const column of [rule, { kind: 'null' } as const, undefined]) {
      expect(recognises(shown, column, otherLabel)).toBe(true)
      expect(recognises(Buffer.from(value), column, otherLabel)).toBe(false)
    }
    if (rule.kind !== 'full') expect(recognises(shown, undefined, stranger)).toBe(false)
  })

  it('also in other letters, with blanks around it, or inside something', () => {
    for (const shown of [
      masked(hash, 'ada'),
      masked(pseudonym('email'), 'ada'),
      masked(pseudonym('uuid'), 'ada'),
    ]) {
      const text = shown.toString()
      for (const form of [
        text.toUpperCase(),
        `  ${text}\n`,
        `{"email":"${text}"}`,
        `{${text},NULL}`,
        `see ${text}.`,
      ]) {
        expect(recognises(Buffer.from(form), undefined, key), form).toBe(true)
      }
    }
  })

  it.each(['phone', 'digits', 'name'] as const)('%s, in columns that have such pseudonyms', (of) => {
    for (let i = 0; i < 200; i++) {
      const shown = masked(
        pseudonym(of),
        of === 'name' ? `name ${i}` : `0301234${String(i).padStart(4, '0')}`,
      )
      expect(recognises(shown, pseudonym(of), otherLabel)).toBe(true)
      expect(recognises(shown, full, otherLabel)).toBe(false)
    }
  })

  it('partial values by their stars, constants by their text, where the column has that rule', () => {
    const partial: MaskingRule = { kind: 'partial', of: 'email' }
    expect(recognises(Buffer.from('a***@example.com'), partial, key)).toBe(true)
    expect(recognises(Buffer.from('a***@example.com'), hash, key)).toBe(false)
    expect(recognises(Buffer.from('hidden'), { kind: 'constant', text: 'hidden' }, key)).toBe(true)
    expect(recognises(Buffer.from('hidden'), { kind: 'constant', text: '' }, key)).toBe(false)
    expect(recognises(Buffer.from(''), { kind: 'constant', text: '' }, key)).toBe(false)
  })

  it('and what people write is not taken for it', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.emailAddress(),
      fc.uuid(),
      fc.stringMatching(/^[a-z2-7]{16,40}$/),
      fc.stringMatching(/^[a-z2-7]{16}@example\.com$/),
    )
    fc.assert(
      fc.property(text, (value) => !recognises(Buffer.from(value), hash, key)),
      { numRuns: fewer(3000) },
    )
    const names = ['Ada Lovelace', 'Grace B. Hopper', 'Ida', 'Nora Klein', '']
    for (const name of names) expect(recognises(Buffer.from(name), pseudonym('name'), key)).toBe(false)
    let taken = 0
    for (let i = 0; i < 2000; i++) {
      if (recognises(Buffer.from(`+49 30 ${1_000_000 + i * 4409}`), pseudonym('phone'), key)) taken++
    }
    // One in 10,000 by chance.
    expect(taken).toBeLessThan(5)
  })

  it('in 2 MB of candidates within a turn', () => {
    const value = Buffer.from('abcdefghijklmnopqrstuvwxyz '.repeat(80_000))
    const from = performance.now()
    expect(recognises(value, hash, key)).toBe(false)
    expect(performance.now() - from).toBeLessThan(200)
  })
})
