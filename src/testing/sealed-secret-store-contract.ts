import { describe, expect, it } from 'vitest'
import type { SealedSecret, SealedSecretStore } from '../connections/index.ts'

function secret(name: string, changes: Partial<SealedSecret> = {}): SealedSecret {
  return {
    name,
    keyId: '0123456789abcdef',
    nonce: Buffer.from([0, 1, 255]),
    sealed: Buffer.from([7, 0, 7]),
    updatedAt: 1_767_225_600_000,
    updatedBy: 'operator',
    ...changes,
  }
}

/** What every store of sealed secrets does; the real one and its twin run through it. */
export function sealedSecretStoreContract(name: string, open: () => Promise<SealedSecretStore>): void {
  describe(`${name} keeps sealed secrets`, () => {
    it('gives back exactly what was put, by name', async () => {
      const store = await open()
      await store.put(secret('b'))
      await store.put(secret('a'))
      expect(await store.all()).toEqual([secret('a'), secret('b')])
    })

    it('replaces the one of the same name as a whole', async () => {
      const store = await open()
      const next = secret('a', {
        keyId: 'f',
        nonce: Buffer.from([4]),
        sealed: Buffer.from([5]),
        updatedAt: 6,
      })
      await store.put(secret('a'))
      await store.put(next)
      expect(await store.all()).toEqual([next])
    })

    it('keeps the first of several that come at once, and gives it to all', async () => {
      const store = await open()
      const many = Array.from({ length: 5 }, (_, i) => secret('a', { updatedAt: i }))
      const kept = await Promise.all(many.map((each) => store.keepFirst(each)))
      const [first] = await store.all()
      expect(many).toContainEqual(first)
      expect(kept).toEqual(many.map(() => first))
    })

    it('removes, and does nothing for an unknown name', async () => {
      const store = await open()
      await store.put(secret('a'))
      await store.remove('b')
      await store.remove('a')
      expect(await store.all()).toEqual([])
    })
  })
}
