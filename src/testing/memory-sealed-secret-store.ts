import type { SealedSecret, SealedSecretStore } from '../connections/port.ts'

/** The in-memory twin of the repository of sealed secrets. */
export class MemorySealedSecretStore implements SealedSecretStore {
  readonly #rows = new Map<string, SealedSecret>()

  async all(): Promise<readonly SealedSecret[]> {
    return [...this.#rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async put(secret: SealedSecret): Promise<void> {
    this.#rows.set(secret.name, secret)
  }

  async keepFirst(secret: SealedSecret): Promise<SealedSecret> {
    const kept = this.#rows.get(secret.name) ?? secret
    this.#rows.set(secret.name, kept)
    return kept
  }

  async remove(name: string): Promise<void> {
    this.#rows.delete(name)
  }
}
