import type { KeyObject } from 'node:crypto'
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import { GatewayError, type RandomBytes, type RecordingKeys } from '../core/index.ts'
import { checkHeader, type FileHeader, writeHeader } from './file-header.ts'
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  FILE,
  putUint64,
  SEALED,
  SEALED_HEADER_BYTES,
  SEALED_MAGIC,
  TAG_BYTES,
} from './format.ts'

/*
 * Encryption of journal files, format 2: AES-256-GCM (NIST SP 800-38D) under a random key of each file, which is in
 * the file's header, wrapped under a recording key. The header and its own header are authenticated with each block.
 */
const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const OPTIONS = { authTagLength: TAG_BYTES } as const

const FIRST_BYTES = 64 * 1024
/** What the memory for a block is brought back to after a large one. */
const RESTING_BYTES = 1024 * 1024
const ATTEMPTS_MAX = 0xffff_ffff

/** Makes the blocks of one new file. */
export class BlockSealer {
  /** What the file begins with. */
  readonly header: Buffer
  readonly #key: KeyObject
  /** The file header and the block's: what is authenticated and not encrypted. */
  readonly #bound = Buffer.alloc(SEALED_HEADER_BYTES + BLOCK_HEADER_BYTES)
  readonly #view = new DataView(this.#bound.buffer, this.#bound.byteOffset + SEALED_HEADER_BYTES)
  readonly #nonce: Buffer
  #block = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #counter = 1
  #attempt = 0

  constructor([{ id, key }]: RecordingKeys, random: RandomBytes, of: Omit<FileHeader, 'bytes' | 'keyId'>) {
    const dataKey = Buffer.from(random(KEY_BYTES))
    const header = Buffer.alloc(SEALED_HEADER_BYTES)
    writeHeader(header, SEALED_MAGIC, of.number, of.firstSequence, of.time)
    header.write(id, SEALED.keyId, 'hex')
    header.set(random(NONCE_BYTES), SEALED.nonce)
    const cipher = createCipheriv(CIPHER, key, header.subarray(SEALED.nonce, SEALED.wrapped), OPTIONS)
    cipher.setAAD(boundToKey(header))
    header.set(cipher.update(dataKey), SEALED.wrapped)
    cipher.final()
    header.set(cipher.getAuthTag(), SEALED.tag)
    checkHeader(header)
    this.header = header
    this.#key = createSecretKey(dataKey)
    dataKey.fill(0)
    this.#bound.set(header)
    this.#view.setUint32(BLOCK.magic, BLOCK_MAGIC, true)
    const at = SEALED_HEADER_BYTES + BLOCK.counter
    this.#nonce = this.#bound.subarray(at, at + NONCE_BYTES)
  }

  /**
   * The next block: these frames, encrypted. Valid until the next call. Called again before `written`, it takes the
   * same place in the file under another nonce, since what was tried before may have reached the disk.
   */
  seal(frames: Uint8Array): Buffer {
    if (this.#attempt > ATTEMPTS_MAX) throw new Error('a block was tried too often')
    const length = BLOCK_HEADER_BYTES + frames.length + TAG_BYTES
    if (length > this.#block.length || this.#block.length > Math.max(length, RESTING_BYTES)) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(length, FIRST_BYTES))
    }
    const view = this.#view
    view.setUint32(BLOCK.length, length, true)
    putUint64(view, BLOCK.counter, this.#counter)
    view.setUint32(BLOCK.attempt, this.#attempt++, true)
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, OPTIONS)
    cipher.setAAD(this.#bound)
    const block = this.#block
    this.#bound.copy(block, 0, SEALED_HEADER_BYTES)
    block.set(cipher.update(frames), BLOCK_HEADER_BYTES)
    cipher.final()
    block.set(cipher.getAuthTag(), length - TAG_BYTES)
    return block.subarray(0, length)
  }

  /** The last block is in the file. */
  written(): void {
    this.#counter++
    this.#attempt = 0
  }
}

/** Opens the blocks of one file. */
export class BlockOpener {
  readonly #key: KeyObject
  readonly #bound = Buffer.alloc(SEALED_HEADER_BYTES + BLOCK_HEADER_BYTES)

  constructor(header: Buffer, key: KeyObject) {
    this.#bound.set(header)
    this.#key = key
  }

  /** The frames in a whole block; undefined when it is not, bit for bit, one that was made for this file. */
  open(block: Buffer): Buffer | undefined {
    const end = block.length - TAG_BYTES
    block.copy(this.#bound, SEALED_HEADER_BYTES, 0, BLOCK_HEADER_BYTES)
    const nonce = block.subarray(BLOCK.counter, BLOCK.counter + NONCE_BYTES)
    const decipher = createDecipheriv(CIPHER, this.#key, nonce, OPTIONS)
    decipher.setAAD(this.#bound)
    decipher.setAuthTag(block.subarray(end))
    const frames = decipher.update(block.subarray(BLOCK_HEADER_BYTES, end))
    return isAuthentic(decipher) ? frames : undefined
  }
}

/**
 * What opens the blocks of a file with this header; undefined when the key in the header is not what was written there.
 * Throws GatewayError `invalid`, with the id, when the recording key it needs is not among `keys`.
 */
export function openerOf(
  keys: RecordingKeys,
  file: string,
  header: FileHeader & { readonly keyId: string },
): BlockOpener | undefined {
  const { bytes, keyId } = header
  const recordingKey = keys.find(({ id }) => id === keyId)
  if (recordingKey === undefined) {
    const message = `The recording cannot be read: ${file} needs the key ${keyId}, which is not given.`
    throw new GatewayError('invalid', message, {
      remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
      facts: { file, keyId },
    })
  }
  const nonce = bytes.subarray(SEALED.nonce, SEALED.wrapped)
  const decipher = createDecipheriv(CIPHER, recordingKey.key, nonce, OPTIONS)
  decipher.setAAD(boundToKey(bytes))
  decipher.setAuthTag(bytes.subarray(SEALED.tag))
  const dataKey = decipher.update(bytes.subarray(SEALED.wrapped, SEALED.tag))
  if (!isAuthentic(decipher)) return undefined
  const opener = new BlockOpener(bytes, createSecretKey(dataKey))
  dataKey.fill(0)
  return opener
}

function isAuthentic(decipher: { final(): Buffer }): boolean {
  try {
    decipher.final()
    return true
  } catch {
    // Node says no more than that the tag does not fit.
    return false
  }
}

/** What the wrapped key is authenticated with: the header before its nonce, but for the checksum. */
function boundToKey(header: Buffer): Buffer {
  return Buffer.concat([header.subarray(0, FILE.crc), header.subarray(FILE.number, SEALED.nonce)])
}
