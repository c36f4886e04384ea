import { type Cipheriv, createCipheriv, type KeyObject } from 'node:crypto'
import type { RandomBytes } from '../../core/index.ts'

const BLOCK_BYTES = 16

/**
 * AES-256 in counter mode (NIST SP 800-38A) for one piece after the other: from a random counter block on, each piece from where the
 * one before ended, so that no block of the keystream is used twice. A cipher of its own for each would cost twice as much.
 */
export class FieldStream {
  readonly #cipher: Cipheriv
  readonly #counter: Buffer

  constructor(key: KeyObject, random: RandomBytes) {
    this.#counter = Buffer.from(random(BLOCK_BYTES))
    this.#cipher = createCipheriv('aes-256-ctr', key, this.#counter)
  }

  /** Encrypts whole blocks of `bytes[start, end)` in place, and writes the counter block that they begin with before them. */
  seal(bytes: Buffer, start: number, end: number): void {
    if ((end - start) % BLOCK_BYTES !== 0) throw new Error('a piece has whole blocks')
    bytes.set(this.#counter, start - BLOCK_BYTES)
    bytes.set(this.#cipher.update(bytes.subarray(start, end)), start)
    this.#advance((end - start) / BLOCK_BYTES)
  }

  #advance(blocks: number): void {
    let carry = blocks
    for (let i = BLOCK_BYTES - 1; i >= 0 && carry > 0; i--) {
      const sum = (this.#counter[i] ?? 0) + carry
      this.#counter[i] = sum & 0xff
      carry = Math.floor(sum / 256)
    }
  }
}
