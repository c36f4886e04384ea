/** Of the shift table: a step is never longer. */
const STEP_MAX = 255

/**
 * Finds any of many byte strings in one pass that steps over most bytes: Wu and Manber, A fast algorithm for multi-pattern
 * searching (1994), with blocks of two bytes. Built once per set of secrets; 128 KiB.
 */
export class Searcher {
  /** How far to go on when these two bytes end the window; 0: something may end here. */
  readonly #shifts = new Uint8Array(65_536)
  readonly #ending = new Map<number, Buffer[]>()
  /** 1 where two bytes are the first of one; and those that begin so. */
  readonly #starts = new Uint8Array(65_536)
  readonly #beginning = new Map<number, Buffer[]>()
  readonly #firstBytes = new Uint8Array(256)
  /** The shortest and the longest, in bytes. */
  readonly #min: number
  readonly #max: number

  /** Each of `patterns` has two bytes at least. */
  constructor(patterns: readonly Buffer[]) {
    this.#min = Math.min(...patterns.map((each) => each.length))
    this.#max = Math.max(...patterns.map((each) => each.length))
    if (this.#min < 2) throw new RangeError('a pattern of less than two bytes')
    this.#shifts.fill(Math.min(this.#min - 1, STEP_MAX))
    for (const pattern of patterns) {
      for (let end = 2; end <= this.#min; end++) {
        const block = blockAt(pattern, end - 1)
        const shift = Math.min(this.#min - end, STEP_MAX)
        if (shift < (this.#shifts[block] ?? 0)) this.#shifts[block] = shift
      }
      push(this.#ending, blockAt(pattern, this.#min - 1), pattern)
      const first = blockAt(pattern, 1)
      push(this.#beginning, first, pattern)
      this.#starts[first] = 1
      this.#firstBytes[pattern[0] ?? 0] = 1
    }
  }

  /** Bytes that have to be seen in front of and behind a place to know that none is around it. */
  get reach(): number {
    return this.#max
  }

  /** Whether one of them is in there, whole. */
  isIn(bytes: Buffer): boolean {
    const shifts = this.#shifts
    const last = bytes.length - 1
    let at = this.#min - 1
    while (at <= last) {
      const block = ((bytes[at - 1] ?? 0) << 8) | (bytes[at] ?? 0)
      const shift = shifts[block] ?? 0
      if (shift > 0) {
        at += shift
        continue
      }
      const start = at - this.#min + 1
      for (const pattern of this.#ending.get(block) ?? []) {
        if (bytes[start] !== pattern[0] || start + pattern.length > bytes.length) continue
        if (bytes.compare(pattern, 0, pattern.length, start, start + pattern.length) === 0) return true
      }
      at++
    }
    return false
  }

  /** How many bytes at the end may be the beginning of one: what follows decides. 0 for none. */
  pending(bytes: Buffer): number {
    const starts = this.#starts
    const last = bytes.length - 1
    for (let start = Math.max(0, bytes.length - this.#max + 1); start < last; start++) {
      const block = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0)
      if (starts[block] === 0) continue
      const rest = bytes.length - start
      for (const pattern of this.#beginning.get(block) ?? []) {
        if (rest >= pattern.length) continue
        if (bytes.compare(pattern, 0, rest, start, bytes.length) === 0) return rest
      }
    }
    return last >= 0 && this.#firstBytes[bytes[last] ?? 0] === 1 ? 1 : 0
  }
}

function blockAt(pattern: Buffer, last: number): number {
  return ((pattern[last - 1] ?? 0) << 8) | (pattern[last] ?? 0)
}

function push(lists: Map<number, Buffer[]>, key: number, pattern: Buffer): void {
  const known = lists.get(key)
  if (known === undefined) lists.set(key, [pattern])
  else known.push(pattern)
}
