import type { Clock, Secret, SecretRef } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'

/** What credentials are made with. */
export type CredentialPorts = {
  readonly clock: Clock
  resolveSecret(reference: SecretRef): Promise<Secret>
  /** The upstream no longer takes what this gave: it is to be had anew. */
  forgetSecret(reference: SecretRef): void
  /** Faults, for the log. Never values or secrets. */
  report(error: unknown): void
}

/** A request as it is to leave, but for its credential. Fields are names and values in turn. */
export type BareRequest = {
  readonly method: string
  /** `https://api.internal:8443` */
  readonly origin: string
  /** Path and query. */
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** What is put on one request. */
export type Worn = {
  readonly target: string
  readonly headers: readonly string[]
  /** None of these may come back to the client. */
  readonly secrets: readonly string[]
}

/** The key and the certificates with which a line to the upstream is made, as PEM. */
export type LineCredential = { readonly certificate: string; readonly key: Secret }

/** Who the gateway is to an upstream. */
export interface UpstreamCredential {
  /** What it fills: fields in lower case, and keys of the query. What a client writes there does not go on. */
  readonly fields: readonly string[]
  readonly queryKeys: readonly string[]
  /** Throws GatewayError `upstream_unreachable` when it cannot be had. */
  putOn(request: BareRequest): Promise<Worn>
  /** The upstream answered 401 to what it was sent with. True: there is another by now, so it may be tried once more. */
  refused(worn: Worn): Promise<boolean>
  /** Reads all that it needs from where it is kept. Throws GatewayError, saying what is wrong and never a value. */
  check(): Promise<void>
  /** For the line itself; absent where nothing is shown on it. */
  line?(): Promise<LineCredential>
}

/** A secret that may be sent and searched for. Throws GatewayError `invalid`, saying what is wrong with it. */
export function usable(secret: Secret): string {
  const value = secret.reveal()
  if (value.length < LIMITS.upstreamSecretCharactersMin) {
    throw new GatewayError(
      'invalid',
      `A credential of an upstream has at least ${LIMITS.upstreamSecretCharactersMin} characters: answers are searched for it.`,
      { remedy: 'Have the upstream issue a longer one.' },
    )
  }
  if (Buffer.byteLength(value) > LIMITS.upstreamSecretBytesMax)
    throw new GatewayError('invalid', `It has more than ${LIMITS.upstreamSecretBytesMax} bytes.`)
  return value
}

/** The same, as the value of a field. RFC 9110 section 5.5, without what is obsolete. */
export function usableInField(secret: Secret): string {
  const value = usable(secret)
  if (!/^[\x21-\x7e]+(?: +[\x21-\x7e]+)*$/.test(value))
    throw new GatewayError('invalid', 'It has characters that a field of a request cannot hold.')
  return value
}
