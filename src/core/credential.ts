import type { IdentityChain } from './identity.ts'
import type { ConnectionName, CredentialId } from './ids.ts'

/** What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): the password is not in it. */
export type ScramVerifier = {
  readonly iterations: number
  readonly salt: Uint8Array
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** A short-lived credential for the gateway, bound to who, what and until when. The secret itself is not kept. */
export type Credential = {
  readonly id: CredentialId
  readonly use: 'database' | 'http'
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  /** The one database it opens; absent: any of the connection's list. */
  readonly database?: string
  readonly createdAt: number
  readonly expiresAt: number
  /** `operator socket`, `token exchange`, `token`: shown to auditors. */
  readonly mintedBy: string
}
