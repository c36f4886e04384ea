import { GatewayError } from '../../../core/index.ts'
import type { Judgement, Session } from '../../../session/index.ts'
import type { JudgedRequest } from '../commands.ts'
import { MessageMasks } from './masks.ts'

/** What is known of a WebSocket under a configuration. */
export type Grounds = {
  /** Of the configuration in force; another object as soon as another is. */
  readonly connection: unknown
  /** Where its messages go. */
  readonly upstream: string
  readonly parts: JudgedRequest
}

/**
 * Whether a WebSocket that was permitted still is, asked at every message: it may stay open for days, and what it was judged by
 * changes meanwhile.
 */
export class Standing {
  readonly #session: Session
  readonly #now: () => Grounds
  /** People have looked at it, and so need not again. */
  readonly #wasHeld: boolean
  #grounds: Grounds
  #judgement: Judgement
  #masks: MessageMasks

  /** `now`: what is known of it at this moment; throws GatewayError where there is no such thing any more. */
  constructor(session: Session, judgement: Judgement, grounds: Grounds, now: () => Grounds) {
    this.#session = session
    this.#now = now
    this.#grounds = grounds
    this.#judgement = judgement
    this.#wasHeld = judgement.decision.kind === 'hold'
    this.#masks = masksOf(judgement, grounds)
  }

  /** How messages to the client are masked now. Throws GatewayError `denied` where it would not be permitted any more. */
  masks(): MessageMasks {
    this.check()
    return this.#masks
  }

  /** Throws as `masks` does. */
  check(): void {
    const grounds = this.#now()
    const isSame = grounds.connection === this.#grounds.connection
    if (isSame && this.#session.stands('', this.#judgement)) return
    if (grounds.upstream !== this.#grounds.upstream) throw over('its API is another one')
    this.#judgement = this.#session.judge('', undefined, grounds.parts.facts)
    this.#grounds = grounds
    const { decision } = this.#judgement
    if (decision.kind === 'deny') {
      const { message, remedy, retry } = decision.reason
      throw new GatewayError('denied', message, { remedy, retry })
    }
    if (decision.kind === 'hold' && !this.#wasHeld) throw over('people are asked about it')
    this.#masks = masksOf(this.#judgement, grounds)
  }
}

function masksOf({ decision }: Judgement, { parts }: Grounds): MessageMasks {
  return new MessageMasks(parts.rules(decision.kind === 'deny' ? new Map() : decision.masks))
}

function over(why: string): GatewayError {
  return new GatewayError('denied', `Open the WebSocket again: ${why} now.`, { retry: 'later' })
}
