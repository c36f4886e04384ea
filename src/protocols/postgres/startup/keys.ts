import { timingSafeEqual } from 'node:crypto'
import type { RandomBytes } from '../../../core/index.ts'

/** A session as a cancel request names it: our own process id and key, never the server's. */
export type CancelKey = {
  readonly processId: number
  /** In hexadecimal, because a Buffer of four bytes takes two hundred. */
  readonly secret: string
}

/**
 * Cancel requests arrive on sockets of their own and carry only a process id and a key. Ours map to a session; the
 * server's own key stays here. A wrong key does nothing and is not answered, as the protocol asks.
 */
export class CancelKeys {
  readonly #cancels = new Map<number, { secret: string; cancel: () => Promise<void> }>()
  readonly #random: RandomBytes

  constructor(random: RandomBytes) {
    this.#random = random
  }

  add(cancel: () => Promise<void>): CancelKey {
    let processId = this.#draw()
    while (processId === 0 || this.#cancels.has(processId)) processId = this.#draw()
    const secret = Buffer.from(this.#random(4)).toString('hex')
    this.#cancels.set(processId, { secret, cancel })
    return { processId, secret }
  }

  remove(key: CancelKey): void {
    this.#cancels.delete(key.processId)
  }

  /** Cancels what the key names, and resolves when that is done; at once when there is no such session or the key is wrong. */
  async cancel(processId: number, secret: Uint8Array): Promise<void> {
    const entry = this.#cancels.get(processId)
    if (entry === undefined) return
    const right = Buffer.from(entry.secret, 'hex')
    if (right.length !== secret.length || !timingSafeEqual(right, secret)) return
    await entry.cancel()
  }

  #draw(): number {
    return Buffer.from(this.#random(4)).readUInt32BE(0) & 0x7fffffff
  }
}
