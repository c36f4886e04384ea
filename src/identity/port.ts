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
  get(id: CredentialId): Promise<StoredCredential | undefined>
  /** Fails when the id is taken. */
  add(stored: StoredCredential): Promise<void>
  /** Marks a credential as revoked. Of two revocations the first counts; an unknown id is nothing to do. */
  revoke(id: CredentialId, revocation: Revocation): Promise<void>
  /** Removes what expired before this time. Gives how many. */
  forget(expiredBefore: number): Promise<number>
  /** The key of the mock verifiers: `candidate` the first time, what was kept then ever after. */
  mockKey(candidate: Uint8Array): Promise<Uint8Array>
}

/** A person who has enrolled a device that makes codes. The device's secret is not here: it is sealed. */
export type EnrolledPerson = {
  /** `identityKey` of the person. */
  readonly person: string
  readonly enrolledAt: number
  /** Under which name the device's secret is sealed. */
  readonly device: string
  /** The latest time step whose code was used (RFC 6238 section 5.2): it and all before it are used up. */
  readonly lastStep: number
  /** Wrong codes since the last right one. */
  readonly failures: number
  /** No code is looked at before this. */
  readonly lockedUntil: number
}

/** A one-time code that lets a person enrol. */
export type Invitation = {
  /** SHA-256 of the code, base64. */
  readonly hash: string
  readonly person: string
  readonly expiresAt: number
  readonly invitedBy: string
}

/** Where people and their one-time codes are kept. A promise resolves only when what it did is on the disk. */
export interface PeopleStore {
  all(): Promise<readonly EnrolledPerson[]>
  find(person: string): Promise<EnrolledPerson | undefined>
  /** Puts an invitation in the place of any that the person has. */
  invite(invitation: Invitation): Promise<void>
  invitation(hash: string): Promise<Invitation | undefined>
  /**
   * Uses an invitation up and enrols its person, in the place of any earlier enrolment. False, and nothing done, when
   * there is no such invitation: of two attempts with one invitation, one succeeds.
   */
  redeem(hash: string, enrolled: EnrolledPerson): Promise<boolean>
  /** Uses a time step up and forgets failures. False when it or a later one was used already. */
  useStep(person: string, step: number): Promise<boolean>
  /** Counts a wrong code, and locks the person until `lockedUntil`. */
  fail(person: string, failures: number, lockedUntil: number): Promise<void>
  /** Forgets a person and any invitation. */
  remove(person: string): Promise<void>
}

/** An identity that gets nothing more, whatever token or credential it shows. */
export type Block = {
  /** `identityKey` */
  readonly identity: string
  readonly by: string
  readonly at: number
}

export interface BlockStore {
  all(): Promise<readonly Block[]>
  /** Of two blocks of one identity the first is kept. */
  add(block: Block): Promise<void>
  remove(identity: string): Promise<void>
}
