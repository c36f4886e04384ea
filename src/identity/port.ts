import type { Credential, CredentialId, ScramVerifier } from '../core/index.ts'

/** What is kept of a minted secret: enough to check it, not enough to use it. */
export type CredentialProof =
  | { readonly kind: 'scram'; readonly verifier: ScramVerifier }
  /** SHA-256 of the token's secret part. */
  | { readonly kind: 'token'; readonly hash: Uint8Array }

export type Revocation = {
  /** Who revoked it, as an auditor reads it. */
  readonly by: string
  readonly at: number
}

export type StoredCredential = {
  readonly credential: Credential
  readonly proof: CredentialProof
  readonly revoked?: Revocation
}

/** Where minted credentials outlive the process. A promise resolves only when what it did is on the disk. */
export interface CredentialStore {
  /** Every credential that expires after `now`, revoked or not, oldest first. */
  unexpired(now: number): Promise<readonly StoredCredential[]>
  /** Fails when the id is taken. */
  add(stored: StoredCredential): Promise<void>
  /** Marks a credential as revoked. Of two revocations the first counts; an unknown id is nothing to do. */
  revoke(id: CredentialId, revocation: Revocation): Promise<void>
  /** Removes what expired before this time. Gives how many. */
  forget(expiredBefore: number): Promise<number>
  /** The key of the mock verifiers: `candidate` the first time, what was kept then ever after. */
  mockKey(candidate: Uint8Array): Promise<Uint8Array>
}
