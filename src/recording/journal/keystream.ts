import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv, type KeyObject } from 'node:crypto'

/*
 * AES-256 in counter mode (NIST SP 800-38A), from counter 0 on: the key of a file is used for nothing else. A place is
 * a byte of the keystream, counted from 0; no place is used for two bytes.
 */
const CIPHER = 'aes-256-ctr'
const BLOCK_BYTES = 16
const WORD_BYTES = 4
/** Made ahead at a time: one call of the cipher costs as much as encrypting some thousand bytes. */
const AHEAD_BYTES = 64 * 1024
const ZEROS = Buffer.alloc(AHEAD_BYTES)
/** Of this machine: what was read as words is written the same way. */
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1
const NO_WORDS: Uint32Array = new Uint32Array(0)

/** The keystream as its one writer uses it up, from its beginning on. */
export class Keystream {
  readonly #cipher: Cipheriv
  readonly #ahead = Buffer.allocUnsafeSlow(AHEAD_BYTES)
  readonly #aheadWords = new Uint32Array(this.#ahead.buffer)
  /** How much of what was made ahead is used up. */
  #used = AHEAD_BYTES
  /** The place behind what was made ahead. */
  #made = 0
  /** The memory that was encrypted last, as words: it is the same again and again. */
  #words = NO_WORDS

  constructor(key: KeyObject) {
    this.#cipher = createCipheriv(CIPHER, key, Buffer.alloc(BLOCK_BYTES))
  }

  /** Puts `plain`, encrypted, into `into` from `at` on. Gives the place of its first byte. */
  encrypt(plain: Uint8Array, into: DataView<ArrayBuffer>, at: number): number {
    const { length, byteOffset } = plain
    if (length > AHEAD_BYTES || byteOffset % WORD_BYTES !== 0) return this.#encryptDirectly(plain, into, at)
    if (length > AHEAD_BYTES - this.#used) this.#makeAhead()
    const place = this.#made - AHEAD_BYTES + this.#used
    if (this.#words.buffer !== plain.buffer) {
      this.#words = new Uint32Array(plain.buffer, 0, Math.floor(plain.buffer.byteLength / WORD_BYTES))
    }
    const words = this.#words
    const stream = this.#aheadWords
    const from = byteOffset / WORD_BYTES
    const key = this.#used / WORD_BYTES
    const whole = Math.floor(length / WORD_BYTES)
    for (let i = 0; i < whole; i++) {
      const word = (words[from + i] ?? 0) ^ (stream[key + i] ?? 0)
      into.setUint32(at + i * WORD_BYTES, word, LITTLE_ENDIAN)
    }
    for (let i = whole * WORD_BYTES; i < length; i++) {
      into.setUint8(at + i, (plain[i] ?? 0) ^ (this.#ahead[this.#used + i] ?? 0))
    }
    this.#used += Math.ceil(length / WORD_BYTES) * WORD_BYTES
    return place
  }

  /** What was made ahead and is not used up is passed over. */
  #encryptDirectly(plain: Uint8Array, into: DataView<ArrayBuffer>, at: number): number {
    const place = this.#made
    new Uint8Array(into.buffer, into.byteOffset + at).set(this.#cipher.update(plain))
    this.#made += plain.length
    this.#used = AHEAD_BYTES
    return place
  }

  #makeAhead(): void {
    this.#ahead.set(this.#cipher.update(ZEROS))
    this.#made += AHEAD_BYTES
    this.#used = 0
  }
}

/** The keystream as a reader needs it: from any place on, cheapest where places rise and hardly any are passed over. */
export class KeystreamReader {
  readonly #key: KeyObject
  #decipher: Decipheriv | undefined
  #place = 0

  constructor(key: KeyObject) {
    this.#key = key
  }

  decrypt(bytes: Uint8Array, place: number): Buffer {
    const passed = place - this.#place
    let decipher = this.#decipher
    if (decipher === undefined || passed < 0 || passed > AHEAD_BYTES) {
      decipher = createDecipheriv(CIPHER, this.#key, counterAt(place))
      this.#decipher = decipher
      decipher.update(ZEROS.subarray(0, place % BLOCK_BYTES))
    } else if (passed > 0) decipher.update(ZEROS.subarray(0, passed))
    this.#place = place + bytes.length
    return decipher.update(bytes)
  }
}

/** The counter of the block of the cipher that this place is in, most significant byte first. */
function counterAt(place: number): Buffer {
  const counter = Buffer.alloc(BLOCK_BYTES)
  counter.writeBigUInt64BE(BigInt(Math.floor(place / BLOCK_BYTES)), BLOCK_BYTES - 8)
  return counter
}
