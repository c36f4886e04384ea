import { isIPv6 } from 'node:net'
import { GatewayError, LIMITS } from '../core/index.ts'

/** Wrong codes from one source for one person. */
type Failing = { readonly failures: number; readonly until: number }

/**
 * Who may try a code of a person now. Wrong codes lock the source that they come from, for this person; from many sources, the person
 * as well, which is stored. That lock lets by what an outsider cannot take away: sources from which this person has logged in
 * before, and one attempt a minute from any that has not failed. In memory, bounded, of each node by itself.
 *
 * What whoever guesses gets: from one address five attempts, then one after 30 seconds, a minute, and so on to one an hour: 35 on the first
 * day and 24 on each one after. From any number of addresses together one a minute, 1,440 a day and node. Three of a million codes
 * count at a time: at most one chance in 230 each day, and each attempt is in the recording.
 */
export class LoginLimits {
  /** By source and person; the oldest go. */
  readonly #failing = new Map<string, Failing>()
  /** By person, the latest last. */
  readonly #good = new Map<string, string[]>()
  /** When the next attempt beside the lock of a person may be made. */
  readonly #besideAt = new Map<string, number>()

  /** Throws `limit_exceeded`. `source`: an address; absent: nobody knows whence. `lockedUntil`: of the person. */
  admit(person: string, source: string | undefined, lockedUntil: number, now: number): void {
    const failing = source === undefined ? undefined : this.#failing.get(keyOf(person, source))
    if (failing !== undefined && now < failing.until) throw locked(failing.until)
    if (now >= lockedUntil) return
    if (source !== undefined && this.#good.get(person)?.includes(networkOf(source)) === true) return
    if (source === undefined || failing !== undefined) throw locked(lockedUntil)
    const besideAt = this.#besideAt.get(person) ?? 0
    if (now < besideAt) throw locked(Math.min(lockedUntil, besideAt))
    this.#besideAt.set(person, now + LIMITS.loginBesideMs)
  }

  failed(person: string, source: string | undefined, now: number): void {
    if (source === undefined) return
    const key = keyOf(person, source)
    const failures = (this.#failing.get(key)?.failures ?? 0) + 1
    this.#failing.delete(key)
    this.#failing.set(key, { failures, until: now + lockMsAfter(failures) })
    if (this.#failing.size <= LIMITS.apiSourcesMax) return
    const [oldest] = this.#failing.keys()
    if (oldest !== undefined) this.#failing.delete(oldest)
  }

  worked(person: string, source: string | undefined): void {
    if (source === undefined) return
    const network = networkOf(source)
    this.#failing.delete(keyOf(person, source))
    const others = (this.#good.get(person) ?? []).filter((each) => each !== network)
    this.#good.set(person, [...others, network].slice(-LIMITS.loginSourcesKept))
  }

  /** Another device, or none: who had the one before is nobody known any more. */
  forget(person: string): void {
    this.#good.delete(person)
    this.#besideAt.delete(person)
  }
}

/** For how long so many wrong codes in a row lock. */
export function lockMsAfter(failures: number): number {
  const beyond = failures - LIMITS.loginFailuresMax
  return beyond < 0 ? 0 : Math.min(LIMITS.loginLockMs * 2 ** beyond, LIMITS.loginLockMsMax)
}

function keyOf(person: string, source: string): string {
  return `${networkOf(source)} ${person}`
}

/** Of an IPv6 address its first 64 bits: whoever has one has all of them (RFC 6177). */
function networkOf(source: string): string {
  const [address = ''] = source.split('%')
  if (!isIPv6(address) || address.includes('.')) return source
  const [before = '', after] = address.split('::')
  const groups = before === '' ? [] : before.split(':')
  const behind = after === undefined || after === '' ? 0 : after.split(':').length
  const zeros = after === undefined ? [] : Array.from({ length: 8 - groups.length - behind }, () => '0')
  return [...groups, ...zeros, ...(after ?? '').split(':')].slice(0, 4).join(':')
}

function locked(until: number): GatewayError {
  return new GatewayError(
    'limit_exceeded',
    `Too many wrong codes; locked until ${new Date(until).toISOString()}.`,
    {
      facts: { reason: 'locked' },
      retry: 'later',
      remedy: 'From an address that has not failed one attempt a minute is still taken.',
    },
  )
}
