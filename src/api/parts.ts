import type { Approvals } from '../approvals/index.ts'
import type { Config } from '../config/index.ts'
import type { SealedSecrets } from '../connections/index.ts'
import type { Clock, Identity, Journal } from '../core/index.ts'
import type { Credentials } from '../identity/index.ts'
import type { SessionIndex } from '../recording/index.ts'
import type { Gateway } from '../session/index.ts'

/** The domains behind the control API. It has no powers of its own. */
export type ApiParts = {
  readonly clock: Clock
  readonly journal: Journal
  readonly gateway: Gateway
  readonly credentials: Credentials
  readonly approvals: Approvals
  readonly sealed: SealedSecrets
  readonly sessions: SessionIndex
  /** The configuration in force. */
  config(): Config
  /** A local identity by `kind:name`, or by its bare name when only one kind has it. */
  localIdentity(name: string): Identity | undefined
  /** Where each protocol listens, and what a client has to trust. */
  endpoints(): Readonly<Record<string, { readonly address: string; readonly port: number }>>
}
