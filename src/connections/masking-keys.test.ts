import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { LabelName } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { maskingKeys } from './masking-keys.ts'
import { parseMasterKeys } from './master-key.ts'

const one = Buffer.alloc(32, 1).toString('base64')
const two = Buffer.alloc(32, 2).toString('base64')
const email = brand<LabelName>('pii.email')
const name = brand<LabelName>('pii.name')
const VALUE = Buffer.from('ada@example.com')

const keysOf = (text: string) => maskingKeys(parseMasterKeys(text, 'test'))
const macOf = (text: string, label: LabelName, tenant = '') =>
  keysOf(text).of(label, tenant).mac(VALUE).toString('hex')

describe('masking keys', () => {
  it('are the same for the same master key, label and tenant, and for nothing else', () => {
    expect(macOf(one, email)).toBe(macOf(one, email))
    const others = [
      macOf(two, email),
      macOf(one, name),
      macOf(one, email, 'acme'),
      macOf(one, email, 'umbrella'),
      macOf(one, brand<LabelName>('pii'), 'email'),
    ]
    expect(new Set([macOf(one, email), ...others]).size).toBe(others.length + 1)
  })

  it('stay the same when a master key is added in front', () => {
    expect(macOf(`${two}\n${one}`, email)).toBe(macOf(one, email))
  })

  it('have one check for all labels of a gateway', () => {
    const keys = keysOf(one)
    expect(keys.of(email, '').check('x')).toEqual(keys.of(name, 'acme').check('x'))
    expect(keysOf(two).of(email, '').check('x')).not.toEqual(keys.of(email, '').check('x'))
  })

  it('do not show themselves', () => {
    const key = keysOf(one).of(email, 'acme')
    expect(JSON.stringify({ kind: 'hash', key })).toBe('{"kind":"hash"}')
    for (const shown of [inspect({ key }, { depth: 9, showHidden: true }), `${key}`]) {
      expect(shown).toMatch(/\[masking key of pii.email of acme\]/)
      expect(shown).not.toMatch(/[0-9a-f]{32}|Buffer|KeyObject/)
    }
  })
})
