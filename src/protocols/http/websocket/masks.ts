import { GatewayError, isGatewayError } from '../../../core/index.ts'
import type { BodyRules } from '../../../session/index.ts'
import { BodyPlan, maskBody } from '../../../session/index.ts'
import { masksAnything } from '../answers/relay.ts'
import type { Message } from './messages.ts'

/** What JSON begins with that can hold something. RFC 8259 section 2. */
const LIKE_JSON = /^[ \t\r\n]*[{["]/
const BEGINNING_BYTES = 64

/** Masks messages, each of which is a document of its own. */
export class MessageMasks {
  readonly #plan: BodyPlan | undefined
  readonly #hasPaths: boolean

  constructor(rules: BodyRules) {
    this.#plan = masksAnything(rules) ? new BodyPlan(rules) : undefined
    this.#hasPaths = rules.paths.length > 0
  }

  /** Something may be masked, so that nothing goes that was not looked into. */
  get isNeeded(): boolean {
    return this.#plan !== undefined
  }

  /** The message as the client may have it. Throws GatewayError `denied` for one in which nobody finds what has to be masked. */
  apply(message: Message): Message {
    if (this.#plan === undefined) return message
    if (message.isBinary) throw withheld()
    const { data } = message
    const isJson = this.#hasPaths || LIKE_JSON.test(data.toString('latin1', 0, BEGINNING_BYTES))
    const machine = maskBody(isJson ? { kind: 'json-message' } : { kind: 'text' }, this.#plan)
    if (machine === undefined) throw withheld()
    try {
      // What a machine gives may be a view of what the next call writes to.
      const masked = Buffer.concat([Buffer.from(machine.write(data)), Buffer.from(machine.end())])
      return { data: masked, isBinary: false }
    } catch (error) {
      if (isGatewayError(error) && error.code === 'protocol_violation') throw withheld(error)
      throw error
    }
  }
}

function withheld(cause?: unknown): GatewayError {
  return new GatewayError(
    'denied',
    'A message holds protected fields and could not be read, so it is withheld.',
    {
      remedy: 'Messages of this route have to be JSON.',
      retry: 'only-if-changed',
      cause,
    },
  )
}
