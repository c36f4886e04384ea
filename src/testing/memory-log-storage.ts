import type { LogStorage } from '../evidence/index.ts'

/** A step of a storage that a test may let fail: before it did anything, or after it did everything. */
export type LogStep = { readonly count: number; readonly name: keyof LogStorage; readonly path: string }

/** A log in memory, for as long as somebody holds on to it. `fault` is asked at every step that stores. */
export class MemoryLogStorage implements LogStorage {
  readonly pieces = new Map<string, Uint8Array>()
  fault: (step: LogStep) => 'before' | 'after' | undefined = () => undefined
  steps = 0

  async read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    const bytes = this.pieces.get(path)
    if (bytes !== undefined && bytes.length > bytesMax) throw new Error(`${path} is too long`)
    return bytes?.slice()
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    return this.#step('putIfAbsent', path, () => {
      if (this.pieces.has(path)) return false
      this.pieces.set(path, bytes.slice())
      return true
    })
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    this.#step('replace', path, () => void this.pieces.set(path, bytes.slice()))
  }

  async removeBelow(path: string): Promise<void> {
    this.#step('removeBelow', path, () => {
      for (const each of this.pieces.keys()) if (each.startsWith(path)) this.pieces.delete(each)
    })
  }

  #step<T>(name: keyof LogStorage, path: string, work: () => T): T {
    this.steps += 1
    const fault = this.fault({ count: this.steps, name, path })
    if (fault === 'before') throw new Error('made by a test, before')
    const done = work()
    if (fault === 'after') throw new Error('made by a test, after')
    return done
  }
}
