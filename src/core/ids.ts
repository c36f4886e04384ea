import type { Brand } from './brand.ts'
import { brand } from './brand.ts'

/** One client connection from open to close. 26 characters, sorts by time. */
export type SessionId = Brand<string, 'SessionId'>
/** One command or refused attempt; the id a client, an approver and an auditor all quote. `<session id>.<n>`. */
export type RequestId = Brand<string, 'RequestId'>
/** The short name of one approval request, such as `T-7K2M9Q`: printed, typed and spoken by people. */
export type Ticket = Brand<string, 'Ticket'>
/** The name of a configured connection, such as `crm`. */
export type ConnectionName = Brand<string, 'ConnectionName'>
/** What a piece of data is, such as `pii.email`. */
export type LabelName = Brand<string, 'LabelName'>
/** The public half of a minted credential; it is the user name of a DSN. */
export type CredentialId = Brand<string, 'CredentialId'>
/** The digest that names one configuration as a whole. */
export type ConfigVersion = Brand<string, 'ConfigVersion'>

/** Randomness as a port: `length` fresh random bytes. */
export type RandomBytes = (length: number) => Uint8Array

/** Crockford's base 32: no I, L, O or U, so that an id can be read aloud. https://www.crockford.com/base32.html */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

function base32(bytes: Uint8Array, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += ALPHABET.charAt((bytes[i] ?? 0) & 31)
  return text
}

function timePart(now: number): string {
  let text = ''
  let rest = now
  for (let i = 0; i < 10; i++) {
    text = ALPHABET.charAt(rest % 32) + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** A session id in the form of a ULID (https://github.com/ulid/spec): 48 bits of time, 80 random bits. */
export function newSessionId(now: number, random: RandomBytes): SessionId {
  return brand<SessionId>(timePart(now) + base32(random(16), 16))
}

/** A ticket with 40 random bits: a name, not a capability; every use checks who asks. */
export function newTicket(random: RandomBytes): Ticket {
  return brand<Ticket>(`T-${base32(random(8), 8)}`)
}

export function newCredentialId(random: RandomBytes): CredentialId {
  return brand<CredentialId>(`c_${base32(random(16), 16).toLowerCase()}`)
}

export function requestIdOf(session: SessionId, sequence: number): RequestId {
  return brand<RequestId>(`${session}.${sequence}`)
}
