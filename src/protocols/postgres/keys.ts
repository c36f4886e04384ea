import type { RandomBytes } from '../../core/index.ts'

/** A session as a cancel request names it: our own process id and key, never the server's. */
export type CancelKey = { readonly processId: number; readonly secret: Uint8Array }

/**
 * Cancel requests arrive on sockets of their own and carry only a process id and a key. Ours map to a session; the
 * server's own key stays here. A wrong key does nothing and is not answered, as the protocol asks.
 */
export class CancelKeys {
  readonly #cancels = new Map<number, { secret: Uint8Array; cancel: () => void }>()
  readonly #random: RandomBytes

  constructor(random: RandomBytes) {
    this.#random = random
  }

  add(cancel: () => void): CancelKey {
    let processId = this.#draw()
    while (processId === 0 || this.#cancels.has(processId)) processId = this.#draw()
    const secret = this.#random(4)
    this.#cancels.set(processId, { secret, cancel })
    return { processId, secret }
  }

  remove(key: CancelKey): void {
    this.#cancels.delete(key.processId)
  }

  /** Cancels what the key names. False when there is no such session or the key is wrong. */
  cancel(processId: number, secret: Uint8Array): boolean {
    const entry = this.#cancels.get(processId)
    if (entry === undefined || entry.secret.length !== secret.length) return false
    let difference = 0
    for (let i = 0; i < secret.length; i++) difference |= (entry.secret[i] ?? 0) ^ (secret[i] ?? 0)
    if (difference !== 0) return false
    entry.cancel()
    return true
  }

  #draw(): number {
    return Buffer.from(this.#random(4)).readUInt32BE(0) & 0x7fffffff
  }
}
