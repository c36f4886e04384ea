import { createHash } from 'node:crypto'
import { Secret as OtpSecret, TOTP } from 'otpauth'
import type { Clock, Identity, IdentityChain, RandomBytes } from '../core/index.ts'
import { GatewayError, LIMITS, Secret } from '../core/index.ts'
import { lockMsAfter, LoginLimits } from './login-limits.ts'
import type { EnrolledPerson, PeopleStore } from './port.ts'

/** RFC 6238's own values, which every authenticator app has. */
const PERIOD_SECONDS = 30
const DIGITS = 6
/** The step before and the one after count too: telephones are late and people type slowly (section 5.2). */
const WINDOW = 1
/** RFC 4226 section 4: 160 bits. */
const SECRET_BYTES = 20

/** Crockford's base 32, since the code is read from one screen and typed at another. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 20 letters of five bits. */
const INVITATION_LENGTH = 20

/** That a person has just logged in: what answering an approval request asks for. */
export type Login = {
  /** The person, acting for nobody else. */
  readonly chain: IdentityChain
  readonly at: number
  readonly method: 'code' | 'passkey'
}

export type InvitedPerson = {
  /** Shown once, to whoever hands it to the person. */
  readonly code: Secret
  readonly expiresAt: number
}

/** What an authenticator app needs: to be shown as a QR code, or typed. */
export type Enrolment = { readonly person: string; readonly uri: Secret; readonly secret: Secret }

/** Where the secrets of devices are kept: sealed. */
export interface DeviceVault {
  get(name: string): Secret | undefined
  set(name: string, value: Secret): Promise<void>
  remove(name: string): Promise<void>
}

export type PeopleOptions = {
  readonly store: PeopleStore
  readonly vault: DeviceVault
  readonly clock: Clock
  readonly random: RandomBytes
  /** A configured identity by its `identityKey`, as the configuration has it now. */
  readonly find: (key: string) => Identity | undefined
}

/**
 * People and their fresh logins on a terminal: codes of an authenticator app (TOTP, RFC 6238), enrolled with a
 * one-time code that an administrator hands over. A code counts once, in its half minute, and guessing is slowed
 * down more with every wrong one (`LoginLimits`). What a person may do (roles) is the configuration's business.
 */
export class People {
  readonly #options: PeopleOptions
  /** Secrets shown but not confirmed yet, by the hash of the invitation. Bounded; the oldest go. */
  readonly #shown = new Map<string, OtpSecret>()
  /** One attempt of a person at a time: parallel guesses would all be made before the first is counted. */
  readonly #attempts = new Map<string, Promise<unknown>>()
  readonly #limits = new LoginLimits()

  constructor(options: PeopleOptions) {
    this.#options = options
  }

  /**
   * Makes a one-time code with which a person enrols a device, in the place of any earlier one. What is enrolled stays
   * valid until the code is used. Throws `not_found` for who is no configured person.
   */
  async invite(person: string, by: string): Promise<InvitedPerson> {
    this.#person(person)
    const code = newInvitationCode(this.#options.random)
    const expiresAt = this.#options.clock.now() + LIMITS.invitationMs
    await this.#options.store.invite({ hash: hashOf(code), person, expiresAt, invitedBy: by })
    return { code: new Secret(code), expiresAt }
  }

  /** Shows the secret of a new device. Nothing changes before `confirm`. Throws `unauthenticated`. */
  async begin(code: string): Promise<Enrolment> {
    const { hash, person } = await this.#invitation(code)
    const secret = this.#shown.get(hash) ?? newDeviceSecret(this.#options.random)
    if (this.#shown.size >= LIMITS.invitationsOpenMax) {
      const oldest = this.#shown.keys().next()
      if (!oldest.done) this.#shown.delete(oldest.value)
    }
    this.#shown.set(hash, secret)
    return { person, uri: new Secret(totp(secret, person).toString()), secret: new Secret(secret.base32) }
  }

  /**
   * Ends an enrolment with the first code of the new device, and is a login. The one-time code is used up, and an
   * earlier device of the person counts no longer. Throws `unauthenticated`.
   */
  async confirm(code: string, digits: string): Promise<Login> {
    const { hash, person } = await this.#invitation(code)
    return await this.#oneAtATime(person, async () => {
      const secret = this.#shown.get(hash)
      if (secret === undefined) throw refusal('not_begun', 'Begin the enrolment again.')
      const now = this.#options.clock.now()
      const step = stepOf(secret, digits, now)
      if (step === undefined) {
        throw refusal(
          'wrong_code',
          'The code is not the one of the new device.',
          'Check the time on the device.',
        )
      }
      const identity = this.#person(person)
      const before = await this.#options.store.find(person)
      // Sealed before it counts; should the process end in between, an unused secret is left, and the old device works.
      await this.#options.vault.set(hash, new Secret(secret.base32))
      const enrolled = {
        person,
        enrolledAt: now,
        device: hash,
        lastStep: step,
        failures: 0,
        lockedUntil: 0,
      }
      if (!(await this.#options.store.redeem(hash, enrolled))) throw unknownInvitation()
      this.#shown.delete(hash)
      this.#limits.forget(person)
      if (before !== undefined) await this.#options.vault.remove(before.device)
      return { chain: [identity], at: now, method: 'code' }
    })
  }

  /**
   * A fresh login by the code of an enrolled device. Throws `unauthenticated` (why is in `facts.reason`:
   * `unknown_person`, `not_enrolled`, `wrong_code`, `used_code`), and `limit_exceeded` after too many wrong codes. `source`: the address it
   * comes from; see `LoginLimits` for what wrong codes lock.
   */
  async login(person: string, digits: string, source?: string): Promise<Login> {
    return await this.#oneAtATime(person, async () => {
      const now = this.#options.clock.now()
      const identity = this.#options.find(person)
      if (identity?.kind !== 'person') throw noLogin('unknown_person')
      const enrolled = await this.#options.store.find(person)
      const secret = enrolled === undefined ? undefined : this.#options.vault.get(enrolled.device)
      if (enrolled === undefined || secret === undefined) throw noLogin('not_enrolled')
      this.#limits.admit(person, source, enrolled.lockedUntil, now)
      const step = stepOf(OtpSecret.fromBase32(secret.reveal()), digits, now)
      if (step === undefined) {
        this.#limits.failed(person, source, now)
        const failures = enrolled.failures + 1
        await this.#options.store.fail(person, failures, now + lockMsAfter(failures))
        throw noLogin('wrong_code')
      }
      if (!(await this.#options.store.useStep(person, step))) throw noLogin('used_code')
      this.#limits.worked(person, source)
      return { chain: [identity], at: now, method: 'code' }
    })
  }

  /** Who has a device, by `identityKey`. */
  async enrolled(): Promise<readonly Pick<EnrolledPerson, 'person' | 'enrolledAt'>[]> {
    const all = await this.#options.store.all()
    return all.map(({ person, enrolledAt }) => ({ person, enrolledAt }))
  }

  /** Takes a person's device and invitation away. */
  async forget(person: string): Promise<void> {
    await this.#oneAtATime(person, async () => {
      const enrolled = await this.#options.store.find(person)
      this.#limits.forget(person)
      await this.#options.store.remove(person)
      if (enrolled !== undefined) await this.#options.vault.remove(enrolled.device)
    })
  }

  #person(key: string): Identity {
    const identity = this.#options.find(key)
    if (identity?.kind === 'person') return identity
    throw new GatewayError('not_found', `${key} is no configured person.`, {
      remedy: 'Add it to the configuration first, as in person:ada@example.com.',
    })
  }

  async #invitation(code: string): Promise<{ readonly hash: string; readonly person: string }> {
    const hash = hashOf(code)
    const invitation = await this.#options.store.invitation(hash)
    if (invitation === undefined || invitation.expiresAt <= this.#options.clock.now())
      throw unknownInvitation()
    return invitation
  }

  async #oneAtATime<T>(person: string, attempt: () => Promise<T>): Promise<T> {
    const before = this.#attempts.get(person)
    const mine = (async () => {
      // How the attempt before ended is for its own caller.
      await before?.catch(() => undefined)
      return await attempt()
    })()
    this.#attempts.set(person, mine)
    try {
      return await mine
    } finally {
      if (this.#attempts.get(person) === mine) this.#attempts.delete(person)
    }
  }
}

function totp(secret: OtpSecret, person: string): TOTP {
  return new TOTP({
    issuer: 'Sluice',
    label: person.replace(/^person:/, ''),
    algorithm: 'SHA1',
    digits: DIGITS,
    period: PERIOD_SECONDS,
    secret,
  })
}

/** The time step that this code belongs to; nothing when it is none of those that count now. */
function stepOf(secret: OtpSecret, digits: string, now: number): number | undefined {
  const token = digits.replaceAll(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const delta = TOTP.validate({
    token,
    secret,
    algorithm: 'SHA1',
    digits: DIGITS,
    period: PERIOD_SECONDS,
    timestamp: now,
    window: WINDOW,
  })
  return delta === null ? undefined : TOTP.counter({ period: PERIOD_SECONDS, timestamp: now }) + delta
}

function newDeviceSecret(random: RandomBytes): OtpSecret {
  return new OtpSecret({ buffer: Uint8Array.from(random(SECRET_BYTES)).buffer })
}

/** `XXXXX-XXXXX-XXXXX-XXXXX`: 100 random bits. */
function newInvitationCode(random: RandomBytes): string {
  const letters = [...random(INVITATION_LENGTH)].map((byte) => ALPHABET.charAt(byte & 31)).join('')
  return letters.replace(/.{5}(?!$)/g, '$&-')
}

/** As it was meant: case, hyphens and blanks do not count, and look-alike letters are the digits they look like. */
function hashOf(code: string): string {
  const letters = code.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll(/[IL]/g, '1').replaceAll('O', '0')
  return createHash('sha256').update(letters).digest('base64url')
}

function refusal(reason: string, message: string, remedy?: string): GatewayError {
  return new GatewayError('unauthenticated', message, {
    facts: { reason },
    retry: 'only-if-changed',
    ...(remedy === undefined ? {} : { remedy }),
  })
}

function unknownInvitation(): GatewayError {
  return refusal(
    'unknown_invitation',
    'There is no such one-time code, or it was used or has expired.',
    'Ask an administrator for a new one.',
  )
}

/** One sentence for all reasons: whoever guesses learns nothing of who exists. */
function noLogin(reason: 'unknown_person' | 'not_enrolled' | 'wrong_code' | 'used_code'): GatewayError {
  return refusal(
    reason,
    'This code is wrong or was used already, or this person has no device enrolled.',
    'Wait for the next code and try again.',
  )
}
