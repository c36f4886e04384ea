/** So many messages a minute, and as many at once after a quiet one. */
export class Allowance {
  readonly #perMinute: number
  #left: number
  #at: number

  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute
    this.#left = perMinute
    this.#at = now
  }

  /** How many may go out now. */
  left(now: number): number {
    // A clock that was put back gives nothing, and takes nothing.
    const gained = (Math.max(0, now - this.#at) / 60_000) * this.#perMinute
    this.#left = Math.min(this.#perMinute, this.#left + gained)
    this.#at = now
    return Math.floor(this.#left)
  }

  spend(): void {
    this.#left = Math.max(0, this.#left - 1)
  }

  /** How long until one may go out. */
  waitMs(): number {
    return this.#left >= 1 ? 0 : Math.ceil(((1 - this.#left) / this.#perMinute) * 60_000)
  }
}
