import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LabelName, MaskingRule, OutwardKind } from '../../core/index.ts'
import { brand, MaskingKey } from '../../core/index.ts'
import { cellMasker } from '../cell.ts'
import { maskedCell } from '../masker.ts'
import { TEXT } from '../types.ts'
import { withoutSecrets } from './hidden.ts'
import type { OutwardKnown } from './outward.ts'
import { outwardIn } from './outward.ts'

const key = new MaskingKey(brand<LabelName>('pii'), Buffer.alloc(32, 1), Buffer.alloc(32, 2))

function looked(text: string | Uint8Array, known: Partial<OutwardKnown> = {}): readonly OutwardKind[] {
  const looking = outwardIn([typeof text === 'string' ? Buffer.from(text) : text], { masks: [], ...known })
  for (let step = looking.next(); ; step = looking.next()) if (step.done === true) return step.value
}

function maskedBy(rule: MaskingRule, value: string): string {
  return Buffer.from(maskedCell(cellMasker(rule, TEXT, 'text'), Buffer.from(value)) ?? '').toString()
}

describe('a value that the gateway put in place of another', () => {
  it.each<[string, MaskingRule, string]>([
    ['partial email', { kind: 'partial', of: 'email' }, 'ada@example.com'],
    ['partial phone', { kind: 'partial', of: 'phone' }, '+49 30 123 4567'],
    ['partial card', { kind: 'partial', of: 'card' }, '4111111111111111'],
    ['partial name', { kind: 'partial', of: 'name' }, 'Ada Lovelace'],
    ['partial first', { kind: 'partial', of: 'first', keep: 2 }, 'Grace Hopper'],
    ['partial last', { kind: 'partial', of: 'last', keep: 3 }, 'DE4711-0815'],
    ['constant', { kind: 'constant', text: 'hidden by rule' }, 'anything'],
    ['full', { kind: 'full' }, 'anything'],
    ['hash', { kind: 'hash', prefix: 'h_', key }, 'anything'],
    ['pseudonym name', { kind: 'pseudonym', of: 'name', key }, 'Ada Lovelace'],
    ['pseudonym email', { kind: 'pseudonym', of: 'email', key }, 'ada@corp.test'],
  ])('is known as a whole in JSON and in a form: %s (P-02)', (_, rule, value) => {
    const shown = maskedBy(rule, value)
    expect(shown).not.toBe(value)
    const masks = [{ rule, key }]
    expect(looked(JSON.stringify({ a: { b: [shown] } }), { masks })).toContain('masked')
    expect(looked(`x=1&name=${encodeURIComponent(shown)}`, { masks })).toContain('masked')
    expect(looked(JSON.stringify({ a: value.toUpperCase() }), { masks })).not.toContain('masked')
  })

  it('is not taken for one when a text only has stars', () => {
    const masks = [{ rule: { kind: 'partial', of: 'email' } as const, key }]
    expect(looked(JSON.stringify({ note: 'a *** very *** bold note', rating: '*****' }), { masks })).toEqual(
      [],
    )
  })
})

describe('detectors', () => {
  it('find what stands in any place of a long text, and across what is looked at at once', () => {
    fc.assert(
      fc.property(fc.nat(60_000), fc.nat(60_000), (before, after) => {
        const text = `${'word '.repeat(before / 5)}bob@example.org ${'word '.repeat(after / 5)}`
        expect(looked(text)).toEqual(['email'])
      }),
      { numRuns: 40 },
    )
  })

  it('take noise for nothing: numbers, identifiers, hashes, pictures', () => {
    const noise = Array.from(
      { length: 2_000 },
      (_, n) => `${n * 7919}-${Buffer.from(`${n}`.repeat(9)).toString('hex')}`,
    )
    expect(looked(JSON.stringify(noise))).not.toContain('email')
    const picture = Uint8Array.from({ length: 40_000 }, (_, n) => (n * n * 31 + (n >> 3)) & 0xff)
    expect(looked(picture)).toEqual(['unread'])
  })

  it('see through letters that look like others and that do not show', () => {
    expect(looked('bob＠example.org')).toEqual(['email'])
    expect(looked('bob@exam\u200bple.org')).toEqual(['email'])
    expect(looked('bo\u00adb@example.\u2060org')).toEqual(['email'])
  })

  it('say that they could not read what is packed too often', () => {
    let text = 'write to bob@example.org soon'
    for (let n = 0; n < 4; n++) text = Buffer.from(text).toString('base64')
    expect(looked(text)).toEqual(['email'])
    for (let n = 0; n < 3; n++) text = Buffer.from(text).toString('base64')
    expect(looked(text)).toEqual(['unread'])
  })
})

describe('a text for people', () => {
  it('has no secret in it: given ones, keys and tokens, and what names say', () => {
    const token = `ghp_${'a'.repeat(36)}`
    const text = `{"password":"hunter2\\"x","nested":{"apiKey" : "k1"},"note":"${token} and s3cr3t-value","plain":"stays"}`
    const shown = withoutSecrets(Buffer.from(text), [Buffer.from('s3cr3t-value')]).toString()
    for (const each of ['hunter2', 'k1"', token, 's3cr3t-value']) expect(shown).not.toContain(each)
    expect(shown).toContain('"plain":"stays"')
    expect(withoutSecrets(Buffer.from('GET /x?api_key=abc&limit=3'), []).toString()).toBe(
      'GET /x?api_key=[hidden, 3 characters]&limit=3',
    )
  })

  it('is as it was where there is none, and other bytes are too', () => {
    const bytes = Buffer.from([0xff, 0x00, 0x41])
    expect(withoutSecrets(bytes, [])).toEqual(bytes)
    expect(withoutSecrets(Buffer.from('{"a":"ü"}'), []).toString()).toBe('{"a":"ü"}')
  })
})
