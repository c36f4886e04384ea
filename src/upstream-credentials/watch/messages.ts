import { LIMITS } from '../../core/index.ts'
import type { Searcher } from './searcher.ts'
import { reflected } from './watch.ts'

const NOTHING = Buffer.alloc(0)

/**
 * Messages on their way to a client, searched for the secrets that their line was made with. A message goes whole or not at all: its
 * end cannot wait for the next one, which may come in an hour. So one that ends with the beginning of a secret, of as many bytes as the
 * shortest secret has, is taken for a part of it. What throws is over: nothing of the rest may be sent.
 */
export class MessageWatch {
  readonly #searcher: Searcher | undefined
  /** The end of what was sent, where it may be the beginning of a secret. */
  #sent: Buffer = NOTHING

  constructor(searcher: Searcher | undefined) {
    this.#searcher = searcher
  }

  /** Throws GatewayError `upstream_unreachable` for a message that holds a secret, or completes one, or begins one at its end. */
  check(message: Uint8Array): void {
    const searcher = this.#searcher
    if (searcher === undefined) return
    const fresh = Buffer.from(message.buffer, message.byteOffset, message.length)
    const window = this.#sent.length === 0 ? fresh : Buffer.concat([this.#sent, fresh])
    if (searcher.isIn(window)) throw reflected()
    const pending = searcher.pending(window)
    if (pending >= LIMITS.upstreamSecretCharactersMin) throw reflected()
    this.#sent = pending === 0 ? NOTHING : Buffer.from(window.subarray(window.length - pending))
  }
}
