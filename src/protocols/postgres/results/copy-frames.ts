import { encodeServer, HEADER_BYTES, SERVER_TYPES } from '../../../wire/postgres/index.ts'
import type { RowTarget } from './row-target.ts'

/** What is waiting is handed over when it has come to this. */
const FULL_BYTES = 64 * 1024
const EMPTY_FRAME = encodeServer({ kind: 'copyData', data: new Uint8Array() })

/**
 * Collects bytes of COPY and frames them as CopyData: one message a row, as the server sends them, or several for a
 * row that is large. Never holds more than a piece of a row and what was written since the last `take`.
 */
export class CopyFrames {
  #buffer = Buffer.allocUnsafe(FULL_BYTES)
  #end = 0
  /** Where the open frame begins; -1 while none is open. */
  #open = -1

  /** Room for this many bytes behind what is written. `written` tells how many of them were used. */
  room(bytes: number): { readonly buffer: Buffer; readonly at: number } {
    if (this.#open < 0) {
      this.#need(HEADER_BYTES + bytes)
      this.#open = this.#end
      EMPTY_FRAME.copy(this.#buffer, this.#end)
      this.#end += HEADER_BYTES
    } else {
      this.#need(bytes)
    }
    return { buffer: this.#buffer, at: this.#end }
  }

  written(bytes: number): void {
    this.#end += bytes
  }

  bytes(source: Uint8Array, from: number, to: number): void {
    if (from >= to) return
    const { buffer, at } = this.room(to - from)
    buffer.set(source.subarray(from, to), at)
    this.written(to - from)
  }

  byte(value: number): void {
    const { buffer, at } = this.room(1)
    buffer[at] = value
    this.written(1)
  }

  /** A row is complete. */
  endRow(): void {
    if (this.#open < 0) return
    this.#buffer[this.#open] = SERVER_TYPES.copyData
    this.#buffer.writeInt32BE(this.#end - this.#open - 1, this.#open + 1)
    this.#open = -1
  }

  /** Hands over the complete rows; and the part of one that is large, so that it need not be kept. */
  take(target: RowTarget): void {
    if (this.#open >= 0 && this.#end - this.#open >= FULL_BYTES) this.endRow()
    const complete = this.#open < 0 ? this.#end : this.#open
    if (complete === 0) return
    target(this.#buffer, 0, complete)
    this.#buffer.copyWithin(0, complete, this.#end)
    this.#end -= complete
    if (this.#open >= 0) this.#open = 0
    if (this.#buffer.length > 4 * FULL_BYTES && this.#end <= FULL_BYTES) {
      const smaller = Buffer.allocUnsafe(FULL_BYTES)
      this.#buffer.copy(smaller, 0, 0, this.#end)
      this.#buffer = smaller
    }
  }

  get isFull(): boolean {
    return this.#end >= FULL_BYTES
  }

  #need(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#end + bytes, 2 * this.#buffer.length))
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
  }
}
