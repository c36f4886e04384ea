/**
 * HalfSipHash-2-4 with a result of 64 bits: https://github.com/veorq/SipHash. Keyed, so that what is left of values in
 * a sketch says nothing to whoever has no key, and nobody can choose values that fall together. It is made for 32-bit
 * arithmetic, which is all that JavaScript has, and costs a tenth of an HMAC; a cell of a result can afford it.
 */
export class KeyedHash {
  readonly #k0: number
  readonly #k1: number
  /** Of the last value: the two halves of the result. */
  high = 0
  low = 0

  /** `key`: at least 8 secret bytes. */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
    this.#k0 = view.getInt32(0, true)
    this.#k1 = view.getInt32(4, true)
  }

  /** Hashes `bytes[start, end)`; the result is in `low` and `high`. `prefix` keeps equal values of two kinds apart. */
  of(prefix: number, bytes: Uint8Array, start: number, end: number): void {
    let v0 = this.#k0
    let v1 = this.#k1 ^ 0xee
    let v2 = 0x6c796765 ^ this.#k0
    let v3 = 0x74656462 ^ this.#k1
    const round = (): void => {
      v0 = (v0 + v1) | 0
      v1 = (v1 << 5) | (v1 >>> 27)
      v1 ^= v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = (v3 << 8) | (v3 >>> 24)
      v3 ^= v2
      v0 = (v0 + v3) | 0
      v3 = (v3 << 7) | (v3 >>> 25)
      v3 ^= v0
      v2 = (v2 + v1) | 0
      v1 = (v1 << 13) | (v1 >>> 19)
      v1 ^= v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    const absorb = (word: number): void => {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }
    absorb(prefix)
    let at = start
    for (; at + 4 <= end; at += 4) {
      absorb(
        (bytes[at] ?? 0) |
          ((bytes[at + 1] ?? 0) << 8) |
          ((bytes[at + 2] ?? 0) << 16) |
          ((bytes[at + 3] ?? 0) << 24),
      )
    }
    let last = (end - start + 4) << 24
    for (let i = 0; at + i < end; i++) last |= (bytes[at + i] ?? 0) << (8 * i)
    absorb(last)
    v2 ^= 0xee
    for (let i = 0; i < 4; i++) round()
    this.low = v1 ^ v3
    v1 ^= 0xdd
    for (let i = 0; i < 4; i++) round()
    this.high = v1 ^ v3
  }
}
