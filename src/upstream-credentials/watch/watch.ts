import { GatewayError } from '../../core/index.ts'
import { Searcher } from './searcher.ts'
import { spellingsOf } from './spellings.ts'

const NOTHING = Buffer.alloc(0)

/** In `facts.reason` of what is thrown, and in the recording. */
export const REFLECTED = 'credential_reflected'

/** A searcher for every form of every one of these; undefined where there is none. */
export function searcherOf(secrets: readonly string[]): Searcher | undefined {
  if (secrets.length === 0) return undefined
  return new Searcher(secrets.flatMap(spellingsOf))
}

/**
 * One answer on its way to the client, searched for the secrets its request was sent with. Bytes that may begin one are kept
 * back until the next piece tells; all others go at once. What throws is over: nothing of the rest may be sent.
 */
export class ReflectionWatch {
  readonly #searcher: Searcher | undefined
  #kept: Buffer = NOTHING

  constructor(searcher: Searcher | undefined) {
    this.#searcher = searcher
  }

  /** Names and values in turn. Throws GatewayError `upstream_unreachable` when one holds a secret, or is a coding we cannot look into. */
  fields(raw: readonly string[]): void {
    if (this.#searcher === undefined) return
    for (let i = 0; i < raw.length; i++) {
      const text = raw[i] ?? ''
      if (this.#searcher.isIn(Buffer.from(text, 'latin1')) || this.#searcher.isIn(Buffer.from(text, 'utf8')))
        throw reflected()
      if (i % 2 === 0 && text.toLowerCase() === 'content-encoding' && !isPlain(raw[i + 1] ?? ''))
        throw unreadable()
    }
  }

  /** The bytes that may be sent after this piece: those kept back before it, and it, but for its end. Throws as `fields` does. */
  push(piece: Uint8Array): Uint8Array {
    const searcher = this.#searcher
    if (searcher === undefined) return piece
    const fresh = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    const window = this.#kept.length === 0 ? fresh : Buffer.concat([this.#kept, fresh])
    if (searcher.isIn(window)) throw reflected()
    const pending = searcher.pending(window)
    // A copy: whoever gave the piece may use its memory again.
    this.#kept = pending === 0 ? NOTHING : Buffer.from(window.subarray(window.length - pending))
    return window.subarray(0, window.length - pending)
  }

  /** What was kept back at the end: no secret, since nothing follows. */
  end(): Uint8Array {
    const rest = this.#kept
    this.#kept = NOTHING
    return rest
  }

  /** The body in pieces as it may be sent. Throws as `fields` does. */
  async *through(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of body) {
      const safe = this.push(piece)
      if (safe.length > 0) yield safe
    }
    const rest = this.end()
    if (rest.length > 0) yield rest
  }
}

function isPlain(coding: string): boolean {
  return coding.trim() === '' || coding.trim().toLowerCase() === 'identity'
}

export function reflected(): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The answer of the upstream holds the credential that the gateway keeps for it, so it is withheld.',
    {
      remedy: 'An administrator has the API stop giving it back, and replaces the credential.',
      retry: 'only-if-changed',
      facts: { reason: REFLECTED },
    },
  )
}

function unreadable(): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The answer is compressed though it was not asked to be, so it cannot be searched and is withheld.',
    { remedy: 'Have the upstream honour Accept-Encoding: identity.', retry: 'only-if-changed' },
  )
}
