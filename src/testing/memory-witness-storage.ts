import type { Witnessed, WitnessStorage } from '../evidence/index.ts'

/** What a witness remembers, for as long as somebody holds on to it. */
export class MemoryWitnessStorage implements WitnessStorage {
  readonly #latest = new Map<string, Witnessed>()
  readonly #contradictions = new Map<string, Uint8Array[]>()

  async latest(origin: string): Promise<Witnessed | undefined> {
    return this.#latest.get(origin)
  }

  async advance(origin: string, before: number | undefined, next: Witnessed): Promise<boolean> {
    if (this.#latest.get(origin)?.size !== before) return false
    this.#latest.set(origin, next)
    return true
  }

  async keepContradiction(origin: string, signed: Uint8Array): Promise<void> {
    this.#contradictions.set(origin, [...this.contradictions(origin), signed])
  }

  contradictions(origin: string): readonly Uint8Array[] {
    return this.#contradictions.get(origin) ?? []
  }
}
