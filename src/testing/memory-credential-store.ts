import type { CredentialId } from '../core/index.ts'
import type { CredentialStore, Revocation, StoredCredential } from '../identity/port.ts'

/** The in-memory twin of the credential repository. */
export class MemoryCredentialStore implements CredentialStore {
  readonly #rows = new Map<CredentialId, StoredCredential>()
  #mockKey: Uint8Array | undefined

  async unexpired(now: number): Promise<readonly StoredCredential[]> {
    return [...this.#rows.values()]
      .filter((row) => row.credential.expiresAt > now)
      .sort((a, b) => a.credential.createdAt - b.credential.createdAt)
  }

  async get(id: CredentialId): Promise<StoredCredential | undefined> {
    return this.#rows.get(id)
  }

  async add(stored: StoredCredential): Promise<void> {
    if (this.#rows.has(stored.credential.id)) throw new Error('the id of this credential is taken')
    this.#rows.set(stored.credential.id, stored)
  }

  async revoke(id: CredentialId, revocation: Revocation): Promise<void> {
    const row = this.#rows.get(id)
    if (row !== undefined && row.revoked === undefined) this.#rows.set(id, { ...row, revoked: revocation })
  }

  async forget(expiredBefore: number): Promise<number> {
    let count = 0
    for (const [id, row] of this.#rows) {
      if (row.credential.expiresAt >= expiredBefore) continue
      this.#rows.delete(id)
      count++
    }
    return count
  }

  async mockKey(candidate: Uint8Array): Promise<Uint8Array> {
    this.#mockKey ??= candidate
    return this.#mockKey
  }
}
