/** Runs pieces of work one after the other where they share a key, and side by side where they do not. */
export class Serial {
  readonly #last = new Map<string, Promise<unknown>>()

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    // What came before may have failed; that was told to whoever asked for it.
    const running = before.then(work, work)
    this.#last.set(key, running)
    const forget = (): void => {
      if (this.#last.get(key) === running) this.#last.delete(key)
    }
    running.then(forget, forget)
    return running
  }
}
