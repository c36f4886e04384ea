import type { ScramVerifier } from '../../core/credential.ts'
import { GatewayError } from '../../core/errors.ts'
import type { RandomBytes } from '../../core/ids.ts'
import { violation } from '../bytes/index.ts'
import {
  Attributes,
  BINDING_FLAG,
  checkProof,
  decodeBase64,
  isNonce,
  KEY_BYTES,
  malformed,
  SCRAM,
  SCRAM_PLUS,
} from './scram-common.ts'

/** Random bytes in our half of the nonce: PostgreSQL's number. */
const NONCE_BYTES = 18

type Exchange = {
  /** The beginning of the client's first message, to be repeated in its last. */
  readonly gs2Header: string
  readonly bound: boolean
  readonly nonce: string
  /** `client-first-message-bare,server-first-message`, the first two thirds of AuthMessage. */
  readonly messages: string
}

/**
 * The server's side of one SCRAM-SHA-256 or SCRAM-SHA-256-PLUS exchange: `begin`, then `finish`.
 * RFC 5802, RFC 7677, https://www.postgresql.org/docs/current/sasl-authentication.html
 *
 * Who logs in comes from the start-up packet; the name inside SCRAM is ignored, as PostgreSQL does. For a name that is
 * unknown use `mockScramVerifier`, so that nothing here tells it from a wrong password.
 */
export class ScramServer {
  /** To be offered in AuthenticationSASL, best first. */
  readonly mechanisms: readonly string[]
  readonly #verifier: ScramVerifier
  readonly #endPointHash: Uint8Array | undefined
  readonly #random: RandomBytes
  #exchange: Exchange | undefined

  /**
   * @param endPointHash hash of the certificate we showed (RFC 5929 `tls-server-end-point`); absent without TLS, and
   *   for a certificate whose hash is not defined: then no channel binding is offered
   */
  constructor(verifier: ScramVerifier, endPointHash: Uint8Array | undefined, random: RandomBytes) {
    this.mechanisms = endPointHash === undefined ? [SCRAM] : [SCRAM_PLUS, SCRAM]
    this.#verifier = verifier
    this.#endPointHash = endPointHash
    this.#random = random
  }

  /**
   * Takes the mechanism and data of a SASLInitialResponse, gives the data of AuthenticationSASLContinue.
   *
   * @throws GatewayError `protocol_violation`, or `unauthenticated` when someone between us and the client hid that
   *   channel binding was offered.
   */
  begin(mechanism: string, clientFirst: Uint8Array): Buffer {
    if (!this.mechanisms.includes(mechanism))
      throw violation('The client chose a SASL mechanism that was not offered.')
    const attributes = new Attributes(clientFirst)
    const bound = this.#readFlag(attributes.field(), mechanism)
    // An authorisation identity would mean acting as somebody else than who proves the secret.
    if (attributes.field() !== '') throw violation('SCRAM with an authorisation identity is not supported.')
    const bareAt = attributes.at
    // A first attribute `m` announces an extension that must be understood; there are none, so only `n` will do.
    attributes.value('n')
    const clientNonce = attributes.value('r')
    if (!isNonce(clientNonce)) throw malformed()
    const nonce = clientNonce + Buffer.from(this.#random(NONCE_BYTES)).toString('base64')
    const salt = Buffer.from(this.#verifier.salt).toString('base64')
    const serverFirst = `r=${nonce},s=${salt},i=${this.#verifier.iterations}`
    this.#exchange = {
      gs2Header: attributes.text.slice(0, bareAt),
      bound,
      nonce,
      messages: `${attributes.text.slice(bareAt)},${serverFirst}`,
    }
    return Buffer.from(serverFirst)
  }

  /**
   * Takes the data of a SASLResponse, gives the data of AuthenticationSASLFinal: the client is who it says.
   *
   * @throws GatewayError `unauthenticated` for a wrong password or channel, `protocol_violation` for what is no answer.
   */
  finish(clientFinal: Uint8Array): Buffer {
    const exchange = this.#exchange
    if (exchange === undefined) throw new Error('a SCRAM exchange begins once and finishes once')
    this.#exchange = undefined
    const attributes = new Attributes(clientFinal)
    const channel = attributes.value('c')
    const nonce = attributes.value('r')
    let proofAt = attributes.at
    let field = attributes.field()
    // Extensions that nobody defined are to be ignored.
    while (!field.startsWith('p=')) {
      proofAt = attributes.at
      field = attributes.field()
    }
    attributes.done()
    const proof = decodeBase64(field.slice(2))
    if (proof.length !== KEY_BYTES || nonce !== exchange.nonce) throw malformed()
    if (channel !== this.#channel(exchange)) {
      throw new GatewayError(
        'unauthenticated',
        'Channel binding failed: the TLS session of the client does not end here.',
      )
    }
    const authMessage = `${exchange.messages},${attributes.text.slice(0, proofAt - 1)}`
    const signature = checkProof(this.#verifier, authMessage, proof)
    if (signature === undefined) {
      throw new GatewayError('unauthenticated', 'The credential is unknown, wrong, expired or revoked.')
    }
    return Buffer.from(`v=${signature.toString('base64')}`)
  }

  /** Checks the client's channel binding flag (RFC 5802 section 6); true when the channel is bound. */
  #readFlag(flag: string, mechanism: string): boolean {
    if (mechanism === SCRAM_PLUS) {
      if (flag !== BINDING_FLAG)
        throw violation('The client announced another channel binding than it chose.')
      return true
    }
    if (flag === 'n') return false
    if (flag !== 'y') throw violation('The client announced another channel binding than it chose.')
    // "y": the client could bind and believes that we cannot. If we offered it, somebody removed the offer.
    if (this.#endPointHash !== undefined) {
      throw new GatewayError(
        'unauthenticated',
        'Channel binding was offered, but the offer did not reach the client.',
      )
    }
    return false
  }

  /** What `c` must say. */
  #channel(exchange: Exchange): string {
    const header = Buffer.from(exchange.gs2Header)
    const bound = exchange.bound && this.#endPointHash !== undefined
    return (bound ? Buffer.concat([header, this.#endPointHash]) : header).toString('base64')
  }
}
