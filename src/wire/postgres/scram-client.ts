import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { GatewayError } from '../../core/errors.ts'
import type { RandomBytes } from '../../core/ids.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Secret } from '../../core/secret.ts'
import { violation } from '../bytes/index.ts'
import { saslPrep } from './saslprep.ts'
import {
  Attributes,
  BINDING_FLAG,
  decodeBase64,
  isNonce,
  KEY_BYTES,
  malformed,
  prove,
  SCRAM,
  SCRAM_PLUS,
} from './scram-common.ts'

/** Random bytes in our half of the nonce: libpq's number. */
const NONCE_BYTES = 18

/** SaltedPassword of RFC 5802: the slow part. Who opens many sessions may hand in one that remembers. */
export type SaltPassword = (password: string, salt: Uint8Array, iterations: number) => Promise<Uint8Array>

/** In the thread pool: about 2 ms for 4,096 rounds. */
export const saltPassword: SaltPassword = (password, salt, iterations) =>
  new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, KEY_BYTES, 'sha256', (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })

export type ScramClientOptions = {
  readonly password: Secret
  /** What the server offers, from AuthenticationSASL. */
  readonly mechanisms: readonly string[]
  /** Hash of the server's certificate; absent without TLS, and where it is not defined. */
  readonly endPointHash: Uint8Array | undefined
  /** Refuse a server that does not bind the channel: libpq's `channel_binding=require`. */
  readonly bindingRequired?: boolean
  readonly random: RandomBytes
  readonly saltPassword?: SaltPassword
  readonly iterationsMax?: number
}

/**
 * The client's side of one SCRAM-SHA-256 or SCRAM-SHA-256-PLUS exchange: `first`, `final`, `verify`. It never sends the
 * password or anything it could be tried from but to a server that knows its verifier, and `verify` proves that.
 * Binds the channel whenever both sides can.
 */
export class ScramClient {
  /** For SASLInitialResponse. */
  readonly mechanism: string
  readonly #options: ScramClientOptions
  readonly #gs2Header: string
  readonly #firstBare: string
  readonly #nonce: string
  #serverSignature: Buffer | undefined

  /** @throws GatewayError `upstream_unreachable` when the server offers nothing that we accept. */
  constructor(options: ScramClientOptions) {
    const { mechanisms, endPointHash } = options
    const bound = mechanisms.includes(SCRAM_PLUS) && endPointHash !== undefined
    if (!bound && options.bindingRequired === true) {
      throw refused('The upstream does not offer channel binding, which this connection requires.')
    }
    if (!bound && !mechanisms.includes(SCRAM)) {
      throw refused('The upstream offers no way of logging in that the gateway knows.')
    }
    this.mechanism = bound ? SCRAM_PLUS : SCRAM
    // "y" tells a server that did offer binding that its offer was removed on the way.
    const flag = bound ? BINDING_FLAG : endPointHash === undefined ? 'n' : 'y'
    this.#gs2Header = `${flag},,`
    this.#nonce = Buffer.from(options.random(NONCE_BYTES)).toString('base64')
    // The name stays empty, as libpq leaves it: the server knows it from the start-up packet.
    this.#firstBare = `n=,r=${this.#nonce}`
    this.#options = options
  }

  /** The data of SASLInitialResponse. */
  first(): Buffer {
    return Buffer.from(this.#gs2Header + this.#firstBare)
  }

  /**
   * Takes the data of AuthenticationSASLContinue, gives the data of SASLResponse.
   *
   * @throws GatewayError `protocol_violation` for a malformed message or a nonce that is not ours continued,
   *   `limit_exceeded` when it asks for too many rounds.
   */
  async final(serverFirst: Uint8Array): Promise<Buffer> {
    const attributes = new Attributes(serverFirst)
    const nonce = attributes.value('r')
    const salt = decodeBase64(attributes.value('s'))
    const rounds = attributes.value('i')
    attributes.done()
    if (!isNonce(nonce) || !/^[1-9]\d{0,9}$/.test(rounds)) throw malformed()
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw violation('The upstream did not continue the nonce of this login.')
    }
    const iterations = Number(rounds)
    const iterationsMax = this.#options.iterationsMax ?? LIMITS.scramIterationsMax
    if (iterations > iterationsMax) {
      throw new GatewayError('limit_exceeded', 'The upstream asks for too many rounds of password hashing.', {
        facts: { iterations, iterationsMax },
      })
    }
    const derive = this.#options.saltPassword ?? saltPassword
    const salted = await derive(saslPrep(this.#options.password.reveal()), salt, iterations)
    const withoutProof = `c=${this.#channel()},r=${nonce}`
    const authMessage = `${this.#firstBare},${attributes.text},${withoutProof}`
    const { proof, serverSignature } = prove(salted, authMessage)
    this.#serverSignature = serverSignature
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  /**
   * Takes the data of AuthenticationSASLFinal. Only after this has returned is the server the one that knows the
   * password's verifier; an AuthenticationOk without it must not be believed.
   *
   * @throws GatewayError `upstream_unreachable` when the proof is missing or wrong.
   */
  verify(serverFinal: Uint8Array): void {
    const expected = this.#serverSignature
    if (expected === undefined) throw new Error('a SCRAM exchange is verified once, after its final message')
    this.#serverSignature = undefined
    const attributes = new Attributes(serverFinal)
    const field = attributes.field()
    if (field.startsWith('e=')) throw refused('The upstream refused the credential of this connection.')
    if (!field.startsWith('v=')) throw malformed()
    const signature = decodeBase64(field.slice(2))
    attributes.done()
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
      throw refused('The upstream could not prove that it knows the credential of this connection.')
    }
  }

  #channel(): string {
    const header = Buffer.from(this.#gs2Header)
    const { endPointHash } = this.#options
    const bound = this.mechanism === SCRAM_PLUS && endPointHash !== undefined
    return (bound ? Buffer.concat([header, endPointHash]) : header).toString('base64')
  }
}

function refused(message: string): GatewayError {
  return new GatewayError('upstream_unreachable', message)
}
