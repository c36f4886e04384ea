import type { PostgresSettings } from '../settings.ts'

/** Keeps what is known of the definitions; told when that may be true no more. */
export type Definitions = { invalidate(): void }

/**
 * One database of one server, whichever connections lead to it: who changes its definitions through one of them changes
 * what is known of it through all.
 */
export class Database {
  readonly #known = new Set<Definitions>()
  /** Sessions whose changes of definitions may be committed at any time. */
  readonly #changing = new Set<object>()

  /** From now on `definitions` is told, until `leave`. */
  join(definitions: Definitions): void {
    this.#known.add(definitions)
  }

  leave(definitions: Definitions): void {
    this.#known.delete(definitions)
  }

  /**
   * A session is about to change definitions (`begun`), may have done so (`ended`), or will not do so any more, because its
   * transaction has ended or it has (`settled`).
   */
  redefine(by: object, when: 'begun' | 'ended' | 'settled'): void {
    if (when === 'settled' && !this.#changing.delete(by)) return
    if (when === 'begun') this.#changing.add(by)
    for (const each of this.#known) each.invalidate()
  }

  /** Whether another session than `by` may change definitions at any time. */
  isChangingFor(by: object | undefined): boolean {
    return this.#changing.size > (by !== undefined && this.#changing.has(by) ? 1 : 0)
  }
}

/** The databases that sessions are in, by the address of the server as it is configured. */
export class Databases {
  readonly #all = new Map<string, Database>()

  of({ upstream: { host, port } }: PostgresSettings, name: string): Database {
    const key = `${host.toLowerCase()}:${port}/${name}`
    let database = this.#all.get(key)
    if (database === undefined) this.#all.set(key, (database = new Database()))
    return database
  }
}
