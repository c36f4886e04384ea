import type { Pipe } from '../core/index.ts'
import { giveBlock, takeBlock } from './blocks.ts'

/** The first block of a turn is small, because most turns send little; later ones are not. */
const FIRST_BLOCK_BYTES = 1024
const BLOCK_BYTES = 16 * 1024
/** A piece this long gets a block of its own: a part of a large result. */
const PIECE_BYTES = 4 * 1024

/** What goes out as one write; `block` is to be given back behind it. */
type Full = { readonly bytes: Buffer; readonly block?: Buffer }

/**
 * Bytes waiting for the end of the turn, on their way to one pipe. Bytes are copied in, because what a socket was read
 * into is used again before they leave; blocks are never moved, so that what was appended can be viewed until then.
 */
export class Outbox {
  #full: Full[] = []
  #block: Buffer | undefined
  #at = 0
  #bytes = 0

  /** Bytes appended in this turn. */
  get bytes(): number {
    return this.#bytes
  }

  append(source: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length === 0) return
    this.#bytes += length
    if (length >= PIECE_BYTES) {
      this.#seal()
      this.#full.push(pieceOf(source, start, end))
      return
    }
    if (this.#block === undefined || this.#block.length - this.#at < length) {
      this.#seal()
      this.#block = Buffer.allocUnsafe(this.#bytes <= FIRST_BLOCK_BYTES ? FIRST_BLOCK_BYTES : BLOCK_BYTES)
    }
    this.#block.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.#at)
    this.#at += length
  }

  /** Up to `bytesMax` of what was appended since `from` (a value that `bytes` had), as one piece. */
  since(from: number, bytesMax: number): Buffer {
    const views: Buffer[] = []
    let before = 0
    let left = Math.min(this.#bytes - from, bytesMax)
    const take = (block: Buffer, length: number): void => {
      const begin = Math.max(0, from - before)
      before += length
      if (left <= 0 || begin >= length) return
      const view = block.subarray(begin, Math.min(length, begin + left))
      left -= view.length
      views.push(view)
    }
    for (const { bytes } of this.#full) take(bytes, bytes.length)
    if (this.#block !== undefined) take(this.#block, this.#at)
    const first = views[0]
    return views.length === 1 && first !== undefined ? first : Buffer.concat(views)
  }

  clear(): void {
    for (const { block } of this.#full) if (block !== undefined) giveBlock(block)
    this.#forget()
  }

  #forget(): void {
    this.#full = []
    this.#block = undefined
    this.#at = 0
    this.#bytes = 0
  }

  /** Writes everything; false when the pipe asks to stop producing. */
  drainTo(pipe: Pipe): boolean {
    if (this.#bytes === 0) return true
    this.#seal()
    const pieces = this.#full
    this.#forget()
    let welcome = true
    for (const { bytes, block } of pieces) {
      welcome = block === undefined ? pipe.write(bytes) : pipe.write(bytes, () => giveBlock(block))
    }
    return welcome
  }

  #seal(): void {
    if (this.#block !== undefined && this.#at > 0)
      this.#full.push({ bytes: this.#block.subarray(0, this.#at) })
    this.#block = undefined
    this.#at = 0
  }
}

function pieceOf(source: Uint8Array, start: number, end: number): Full {
  const part = start === 0 && end === source.length ? source : source.subarray(start, end)
  const block = takeBlock(end - start)
  if (block === undefined) return { bytes: Buffer.from(part) }
  block.set(part, 0)
  return { bytes: block.subarray(0, end - start), block }
}
