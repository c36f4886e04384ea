/** Values by keys of which nearly all have one: a set is made only for a key that has several. */
export class Several<K, V extends string | object> {
  readonly #byKey = new Map<K, V | Set<V>>()

  of(key: K): Iterable<V> {
    const found = this.#byKey.get(key)
    if (found === undefined) return []
    return found instanceof Set ? found : [found]
  }

  count(key: K): number {
    const found = this.#byKey.get(key)
    if (found === undefined) return 0
    return found instanceof Set ? found.size : 1
  }

  add(key: K, value: V): void {
    const found = this.#byKey.get(key)
    if (found instanceof Set) found.add(value)
    else if (found === undefined) this.#byKey.set(key, value)
    else if (found !== value) this.#byKey.set(key, new Set([found, value]))
  }

  remove(key: K, value: V): void {
    const found = this.#byKey.get(key)
    if (found === value) this.#byKey.delete(key)
    else if (found instanceof Set && found.delete(value) && found.size === 0) this.#byKey.delete(key)
  }
}
