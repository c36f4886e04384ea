import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { LIMITS, Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemorySealedSecretStore } from '../testing/memory-sealed-secret-store.ts'
import type { MasterKeys } from './master-key.ts'
import { parseMasterKeys } from './master-key.ts'
import { SealedSecrets } from './sealed.ts'

const KEY = randomBytes(32).toString('base64')
const keys = parseMasterKeys(KEY, 'test')

async function setUp(store = new MemorySealedSecretStore(), using: MasterKeys = keys) {
  const clock = new FakeClock()
  const sealed = await SealedSecrets.open({ store, keys: using, clock, random: randomBytes })
  return { sealed, store, clock }
}

describe('a sealed secret', () => {
  it('comes back after a restart with the same key', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('crm.password', new Secret('correct horse ☕'), 'operator')
    expect(sealed.get('crm.password')?.reveal()).toBe('correct horse ☕')
    const again = await setUp(store)
    expect(again.sealed.get('crm.password')?.reveal()).toBe('correct horse ☕')
    expect(again.sealed.get('unknown')).toBeUndefined()
  })

  it('is noise on the disk, never the same twice, and shows itself nowhere (P-08)', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('one', new Secret('planted-secret'), 'operator')
    await sealed.set('two', new Secret('planted-secret'), 'operator')
    const [one, two] = await store.all()
    expect(Buffer.from(one!.sealed).includes('planted')).toBe(false)
    expect(Buffer.from(one!.sealed).equals(Buffer.from(two!.sealed))).toBe(false)
    const shown = [
      inspect(sealed, { depth: 9, showHidden: true }),
      inspect(sealed.get('one')),
      JSON.stringify({ list: sealed.list(), secret: sealed.get('one') }),
      `${sealed.get('one')}`,
    ]
    for (const text of shown) expect(text).not.toContain('planted')
    expect(shown[3]).toBe('[secret]')
  })

  it('set and removed at another node is so here when this one looks', async () => {
    const { sealed, store } = await setUp()
    const { sealed: other } = await setUp(store)
    await sealed.set('a', new Secret('one'), 'operator')
    await other.refresh()
    expect(other.get('a')?.reveal()).toBe('one')
    await sealed.remove('a')
    await other.refresh()
    expect(other.get('a')).toBeUndefined()
  })

  it('of the gateway itself is the one that was kept first, at every node', async () => {
    const { sealed, store } = await setUp()
    const { sealed: other } = await setUp(store)
    const kept = await Promise.all([
      sealed.vault('issuer').keepFirst('key', new Secret('one')),
      other.vault('issuer').keepFirst('key', new Secret('two')),
    ])
    expect(new Set(kept.map((each) => each.reveal())).size).toBe(1)
    expect(other.vault('issuer').get('key')?.reveal()).toBe(kept[0]?.reveal())
  })

  it('is listed by name, without the parts the gateway keeps for itself', async () => {
    const { sealed, clock } = await setUp()
    await sealed.set('b', new Secret('x'), 'operator')
    await sealed.set('a', new Secret('x'), 'person:ada')
    await sealed.vault('issuer').set('key', new Secret('x'))
    expect(sealed.list()).toEqual([
      { name: 'a', updatedAt: clock.now(), updatedBy: 'person:ada' },
      { name: 'b', updatedAt: clock.now(), updatedBy: 'operator' },
    ])
  })

  it('is replaced and removed', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('a', new Secret('old'), 'operator')
    await sealed.set('a', new Secret('new'), 'operator')
    expect(sealed.get('a')?.reveal()).toBe('new')
    expect(await sealed.remove('a')).toBe(true)
    expect(await sealed.remove('a')).toBe(false)
    expect(await store.all()).toEqual([])
  })

  it('is refused when empty, too long, or badly named', async () => {
    const { sealed, store } = await setUp()
    const long = new Secret('x'.repeat(LIMITS.secretBytesMax + 1))
    await expect(sealed.set('a', new Secret(''), 'operator')).rejects.toMatchObject({ code: 'invalid' })
    await expect(sealed.set('a', long, 'operator')).rejects.toMatchObject({ code: 'invalid' })
    for (const name of ['', '.', '../a', 'issuer/key', 'a b', 'a\n', 'x'.repeat(129)]) {
      await expect(sealed.set(name, new Secret('x'), 'operator'), name).rejects.toMatchObject({
        code: 'invalid',
      })
    }
    expect(await store.all()).toEqual([])
  })
})

describe('a vault', () => {
  it('is out of reach of names that people give', async () => {
    const { sealed } = await setUp()
    const vault = sealed.vault('issuer')
    await vault.set('key', new Secret('inner'))
    expect(vault.get('key')?.reveal()).toBe('inner')
    expect(sealed.vault('people').get('key')).toBeUndefined()
    expect(sealed.get('issuer/key')).toBeUndefined()
    await vault.remove('key')
    expect(vault.get('key')).toBeUndefined()
  })
})

describe('tampering and wrong keys', () => {
  it('refuses to open under another key, and names the one that is missing', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('a', new Secret('x'), 'operator')
    const other = parseMasterKeys(randomBytes(32).toString('base64'), 'test')
    await expect(setUp(store, other)).rejects.toThrow(
      `The secret a was sealed under another master key (${keys[0].id}).`,
    )
  })

  it('notices one changed byte, moved bytes and cut bytes', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('a', new Secret('secret of a'), 'operator')
    await sealed.set('b', new Secret('secret of b'), 'operator')
    const [a, b] = await store.all()
    const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
    const damaged = [
      { ...a!, sealed: flipped(a!.sealed, 0) },
      { ...a!, sealed: flipped(a!.sealed, a!.sealed.length - 1) },
      { ...a!, nonce: flipped(a!.nonce, 3) },
      { ...a!, sealed: b!.sealed, nonce: b!.nonce },
      { ...a!, sealed: a!.sealed.subarray(0, 10) },
      { ...a!, sealed: new Uint8Array() },
      { ...a!, name: 'c' },
    ]
    for (const each of damaged) {
      const tampered = new MemorySealedSecretStore()
      await tampered.put(each)
      await expect(setUp(tampered)).rejects.toThrow('was damaged or changed on the disk')
    }
  })

  it('rotates: a new first key seals, the old one still opens until everything is resealed', async () => {
    const { sealed, store } = await setUp()
    await sealed.set('a', new Secret('x'), 'operator')
    const fresh = randomBytes(32).toString('base64')
    const both = parseMasterKeys(`${fresh}\n${KEY}`, 'test')
    const rotated = await setUp(store, both)
    expect(rotated.sealed.get('a')?.reveal()).toBe('x')
    expect(await rotated.sealed.reseal()).toBe(1)
    expect(await rotated.sealed.reseal()).toBe(0)
    expect(rotated.sealed.list()).toMatchObject([{ name: 'a', updatedBy: 'operator' }])
    const later = await setUp(store, parseMasterKeys(fresh, 'test'))
    expect(later.sealed.get('a')?.reveal()).toBe('x')
  })
})
