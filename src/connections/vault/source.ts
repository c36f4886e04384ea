import type { Clock, SecretRef, Timer, VaultSettings } from '../../core/index.ts'
import { GatewayError, LIMITS, Secret } from '../../core/index.ts'
import type { VaultAnswer } from './client.ts'
import { VaultClient, VaultRefusal } from './client.ts'
import { VaultLogin } from './login.ts'

/** What stands under one path: all its fields, which belong together as a name and its password do. */
type Kept = {
  readonly fields: Readonly<Record<string, unknown>>
  readonly renewAt: number
  readonly endsAt: number
  /** Of the database engine and others that make what they give; absent where a value is only kept. */
  readonly lease: { readonly id: string; readonly lifeMs: number } | undefined
}

export type VaultSourceParts = {
  readonly settings: VaultSettings
  readonly clock: Clock
  /** PEM, read from where `settings.ca` says. */
  readonly ca: string | undefined
  readonly resolve: (ref: SecretRef) => Promise<Secret>
  readonly report: (error: unknown) => void
}

/**
 * Secrets of a Vault, path by path. What is leased is renewed at three quarters of its life for as long as Vault lets it be, also
 * while nobody asks, since sessions live by it; shortly before it cannot be any more, new sessions get another. What is
 * only kept (KV) is read again after a minute. In memory only.
 */
export class VaultSource {
  readonly #client: VaultClient
  readonly #login: VaultLogin
  readonly #clock: Clock
  readonly #report: (error: unknown) => void
  readonly #kept = new Map<string, Kept>()
  readonly #reading = new Map<string, Promise<Kept>>()
  readonly #timers = new Map<string, Timer>()

  constructor(parts: VaultSourceParts) {
    const { url, namespace, auth } = parts.settings
    this.#client = new VaultClient({ url, namespace, ca: parts.ca })
    this.#clock = parts.clock
    this.#report = parts.report
    this.#login = new VaultLogin({
      client: this.#client,
      auth,
      clock: parts.clock,
      resolve: parts.resolve,
      // What was leased under the old token ends with it.
      replaced: () => this.#forgetLeases(),
    })
  }

  /** Throws `invalid` for a path or field that is not there or not for the gateway to read, `upstream_unreachable` when Vault is away. */
  async read(path: string, field: string): Promise<Secret> {
    const { fields } = await this.#current(path)
    const value = Object.hasOwn(fields, field) ? fields[field] : undefined
    if (typeof value === 'string' && value !== '') return new Secret(value)
    if (typeof value === 'number') return new Secret(String(value))
    throw new GatewayError('invalid', `there is no ${field} in it that is a text.`)
  }

  /** The upstream no longer takes what is there: it is to be read anew. */
  forget(path: string): void {
    this.#timers.get(path)?.cancel()
    this.#timers.delete(path)
    this.#kept.delete(path)
  }

  /** Asks and renews no more, and gives nothing back. */
  async abandon(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    this.#login.abandon()
    await this.#client.close()
  }

  /** Gives back what is leased: no session lives by it any more. */
  async close(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel()
    const leases = [...this.#kept.values()].flatMap(({ lease }) => (lease === undefined ? [] : [lease.id]))
    this.#timers.clear()
    this.#kept.clear()
    try {
      await Promise.all(leases.map((id) => this.#login.ask('POST', 'sys/leases/revoke', { lease_id: id })))
      await this.#login.end()
    } catch (error) {
      // They end by themselves; only later.
      this.#report(error)
    } finally {
      await this.#client.close()
    }
  }

  async #current(path: string): Promise<Kept> {
    const now = this.#clock.now()
    const kept = this.#kept.get(path)
    if (kept === undefined || now >= kept.endsAt) return await this.#read(path)
    // A failure is nobody's yet: what is kept is good until it ends, and then whoever waits is told.
    if (now >= kept.renewAt && kept.lease === undefined) void this.#read(path).catch(this.#report)
    return kept
  }

  /** Many that ask together share one answer: each would be another role in the database. */
  async #read(path: string): Promise<Kept> {
    const reading = this.#reading.get(path) ?? this.#ask(path).finally(() => this.#reading.delete(path))
    this.#reading.set(path, reading)
    return await reading
  }

  async #ask(path: string): Promise<Kept> {
    const since = this.#clock.now()
    let answer: VaultAnswer
    try {
      answer = await this.#login.ask('GET', path)
    } catch (error) {
      if (!(error instanceof VaultRefusal)) throw error
      throw new GatewayError(
        'invalid',
        error.status === 404 ? 'there is nothing in Vault.' : `Vault answers ${error.status}.`,
        { remedy: 'Check the path (KV version 2 has /data/ in it) and the policy of the gateway in Vault.' },
      )
    }
    const kept = keptOf(answer, since)
    this.forget(path)
    if (this.#kept.size >= LIMITS.vaultPathsMax) this.#forgetOldest()
    this.#kept.set(path, kept)
    if (kept.lease !== undefined) this.#watch(path, kept)
    return kept
  }

  #watch(path: string, kept: Kept): void {
    const inMs = Math.max(kept.renewAt - this.#clock.now(), LIMITS.vaultRetryMs)
    this.#timers.set(
      path,
      this.#clock.after(inMs, () => void this.#renew(path, kept)),
    )
  }

  #watchAgain(path: string, kept: Kept): void {
    const again = { ...kept, renewAt: this.#clock.now() + LIMITS.vaultRetryMs }
    this.#kept.set(path, again)
    this.#watch(path, again)
  }

  async #renew(path: string, kept: Kept): Promise<void> {
    const { lease } = kept
    if (lease === undefined || this.#kept.get(path) !== kept) return
    const since = this.#clock.now()
    try {
      const { lease_duration: seconds } = await this.#login.ask('POST', 'sys/leases/renew', {
        lease_id: lease.id,
        increment: Math.ceil(lease.lifeMs / 1000),
      })
      if (this.#kept.get(path) !== kept) return
      const lifeMs = seconds * 1000
      // Near the longest life that Vault gives it, each renewal gives less: new sessions get another while this one is good.
      if (lifeMs < lease.lifeMs / 2) {
        await this.#read(path)
        return
      }
      const next = { ...kept, renewAt: since + (lifeMs * 3) / 4, endsAt: since + lifeMs }
      this.#kept.set(path, next)
      this.#watch(path, next)
    } catch (error) {
      if (this.#kept.get(path) !== kept) return
      if (error instanceof VaultRefusal) {
        // It was revoked, or is not to be renewed.
        await this.#read(path).catch(this.#report)
        return
      }
      this.#report(error)
      if (this.#clock.now() < kept.endsAt) this.#watchAgain(path, kept)
    }
  }

  #forgetLeases(): void {
    for (const [path, { lease }] of this.#kept) if (lease !== undefined) this.forget(path)
  }

  #forgetOldest(): void {
    const oldest = this.#kept.keys().next()
    if (!oldest.done) this.forget(oldest.value)
  }
}

function keptOf(answer: VaultAnswer, since: number): Kept {
  const data = answer.data ?? {}
  if (answer.lease_id !== '' && answer.lease_duration > 0) {
    const lifeMs = answer.lease_duration * 1000
    const renewAt = since + (lifeMs * 3) / 4
    return { fields: data, renewAt, endsAt: since + lifeMs, lease: { id: answer.lease_id, lifeMs } }
  }
  // Static roles of the database engine say in how many seconds their password changes.
  const { ttl } = data
  const lifeMs =
    typeof ttl === 'number' && ttl > 0 ? Math.min(ttl * 1000, LIMITS.secretKeptMs) : LIMITS.secretKeptMs
  const fields = isVersioned(data) ? data.data : data
  return { fields, renewAt: since + (lifeMs * 3) / 4, endsAt: since + lifeMs, lease: undefined }
}

/** The form of KV version 2, which has the values one level deeper, beside what is known of their version. */
function isVersioned(
  data: Readonly<Record<string, unknown>>,
): data is { readonly data: Readonly<Record<string, unknown>>; readonly metadata: object } {
  return isObject(data['data']) && isObject(data['metadata'])
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
