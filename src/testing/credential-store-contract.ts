import { describe, expect, it } from 'vitest'
import type { ConnectionName, CredentialId, Identity } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { CredentialStore, StoredCredential } from '../identity/index.ts'

const ada: Identity = {
  kind: 'person',
  name: 'ada@example.com',
  issuer: 'https://id.example',
  groups: ['a', 'b'],
}
const agent: Identity = { kind: 'agent', name: 'støtte-🤖', issuer: 'local', groups: [] }

function stored(id: string, changes: Partial<StoredCredential['credential']> = {}): StoredCredential {
  return {
    credential: {
      id: brand<CredentialId>(id),
      use: 'database',
      chain: [agent, ada],
      connection: brand<ConnectionName>('crm'),
      createdAt: 1_767_225_600_000,
      expiresAt: 1_767_225_660_000,
      mintedBy: 'operator socket',
      ...changes,
    },
    proof: {
      kind: 'scram',
      verifier: {
        iterations: 4096,
        salt: Buffer.from([0, 255, 1]),
        storedKey: Buffer.alloc(32, 2),
        serverKey: Buffer.alloc(32, 3),
      },
    },
  }
}

/** What every credential store does; the real one and its twin run through it. */
export function credentialStoreContract(name: string, open: () => Promise<CredentialStore>): void {
  describe(`${name} keeps credentials`, () => {
    it('gives back exactly what was added, oldest first', async () => {
      const store = await open()
      const second = stored('c_2', { createdAt: 1_767_225_600_002, database: 'crm' })
      const first: StoredCredential = {
        ...stored('c_1', { createdAt: 1_767_225_600_001, use: 'http', chain: [ada] }),
        proof: { kind: 'token', hash: Buffer.from([9, 8, 7, 0]) },
      }
      await store.add(second)
      await store.add(first)
      expect(await store.unexpired(0)).toEqual([first, second])
      expect(await store.get(brand<CredentialId>('c_1'))).toEqual(first)
      expect(await store.get(brand<CredentialId>('c_9'))).toBeUndefined()
    })

    it('refuses an id that is taken, and keeps the first', async () => {
      const store = await open()
      await store.add(stored('c_1'))
      await expect(store.add(stored('c_1', { mintedBy: 'somebody else' }))).rejects.toThrow()
      expect(await store.unexpired(0)).toEqual([stored('c_1')])
    })

    it('leaves out what has expired, to the millisecond', async () => {
      const store = await open()
      await store.add(stored('c_1', { expiresAt: 1_000 }))
      await store.add(stored('c_2', { expiresAt: 1_001 }))
      expect((await store.unexpired(1_000)).map((each) => each.credential.id)).toEqual(['c_2'])
    })

    it('keeps the first of two revocations, and knows nothing of unknown ids', async () => {
      const store = await open()
      await store.add(stored('c_1'))
      await store.add(stored('c_2'))
      await store.revoke(brand<CredentialId>('c_1'), { by: 'ada', at: 5 })
      await store.revoke(brand<CredentialId>('c_1'), { by: 'eve', at: 6 })
      await store.revoke(brand<CredentialId>('c_9'), { by: 'eve', at: 6 })
      expect((await store.unexpired(0)).map((each) => each.revoked)).toEqual([
        { by: 'ada', at: 5 },
        undefined,
      ])
    })

    it('forgets what expired long ago', async () => {
      const store = await open()
      await store.add(stored('c_1', { expiresAt: 1_000 }))
      await store.add(stored('c_2', { expiresAt: 2_000 }))
      expect(await store.forget(1_000)).toBe(0)
      expect(await store.forget(1_001)).toBe(1)
      expect((await store.unexpired(0)).map((each) => each.credential.id)).toEqual(['c_2'])
    })

    it('gives the first mock key for ever', async () => {
      const store = await open()
      const first = Buffer.alloc(32, 1)
      expect(Buffer.from(await store.mockKey(first)).equals(first)).toBe(true)
      expect(Buffer.from(await store.mockKey(Buffer.alloc(32, 2))).equals(first)).toBe(true)
    })
  })
}
