import type { Clock, ConnectionName, IdentityChain, Review, RuleRef, Ticket } from '../core/index.ts'
import { chainKey, type CommandClass } from '../core/index.ts'
import type { AccessAsked, Approval, ApprovalInput } from './approval.ts'
import type { Approvals } from './approvals.ts'
import { Deadlines } from './deadlines.ts'

/** What a chain has been granted on a connection: the same object as long as it is the same. */
export type Access = {
  readonly names: readonly string[]
  /** When that changes at the latest. */
  readonly until: number
}

/** That a chain does not hold an access on a connection any more. */
export type EndedAccess = {
  readonly ticket: Ticket
  readonly name: string
  readonly chain: IdentityChain
  readonly connection: ConnectionName
}

const NONE: Access = { names: [], until: Number.POSITIVE_INFINITY }

/**
 * Who holds what access now, from memory. A grant ends at a time, whatever sessions come and go: connecting again gives
 * nothing back, and what has ended is held by nobody, also while that has not been stored yet.
 */
export class AccessGrants {
  readonly #clock: Clock
  readonly #approvals: Approvals
  readonly #held = new Map<string, Access>()
  /** Grants whose end has not been told. */
  readonly #running = new Map<Ticket, Approval>()
  readonly #ends: Deadlines
  readonly #listeners = new Set<(ended: EndedAccess) => void>()
  #changes = 0

  constructor(approvals: Approvals, clock: Clock) {
    this.#clock = clock
    this.#approvals = approvals
    this.#ends = new Deadlines(clock, async () => this.#meetEnds())
    for (const approval of approvals.list({ states: ['approved'] })) this.#note(approval)
    approvals.onChange((approval) => this.#note(approval))
  }

  /**
   * Calls the listener when somebody does not hold an access any more: at its time, whether or not the store is there to keep
   * that, and when it was taken back.
   */
  onEnd(listener: (ended: EndedAccess) => void): void {
    this.#listeners.add(listener)
  }

  /** Ends the timer. */
  stop(): void {
    this.#ends.stop()
  }

  /** Goes up whenever somebody may hold something else. */
  get changes(): number {
    return this.#changes
  }

  of(chain: IdentityChain, connection: ConnectionName): Access {
    const holder = holderOf({ chain, connection })
    const held = this.#held.get(holder) ?? NONE
    return this.#clock.now() < held.until ? held : this.#rebuild(holder)
  }

  #note(approval: Approval): void {
    if (approval.access === undefined) return
    this.#changes++
    this.#rebuild(holderOf(approval))
    if (approval.state === 'approved') {
      this.#running.set(approval.ticket, approval)
      this.#ends.noLaterThan(approval.expiresAt)
    } else if (this.#running.has(approval.ticket)) {
      this.#tellEnd(approval)
    }
  }

  #meetEnds(): void {
    const now = this.#clock.now()
    for (const approval of this.#running.values()) if (approval.expiresAt <= now) this.#tellEnd(approval)
    this.#ends.set(Math.min(...[...this.#running.values()].map(({ expiresAt }) => expiresAt)))
  }

  #tellEnd({ ticket, access, chain, connection }: Approval): void {
    this.#running.delete(ticket)
    // Another grant may let it go on.
    if (access === undefined || this.of(chain, connection).names.includes(access.name)) return
    for (const listener of this.#listeners) listener({ ticket, name: access.name, chain, connection })
  }

  #rebuild(holder: string): Access {
    const granted = this.#approvals
      .list({ states: ['approved'] })
      .filter((approval) => approval.access !== undefined && holderOf(approval) === holder)
    if (granted.length === 0) {
      this.#held.delete(holder)
      return NONE
    }
    const names = [...new Set(granted.flatMap(({ access }) => access?.name ?? []))].sort()
    const held = { names, until: Math.min(...granted.map(({ expiresAt }) => expiresAt)) }
    this.#held.set(holder, held)
    return held
  }
}

function holderOf({ chain, connection }: Pick<Approval, 'chain' | 'connection'>): string {
  return `${connection} ${chainKey(chain)}`
}

/** What is asked when somebody asks for access. */
export function accessInput(asked: {
  readonly access: AccessAsked
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  readonly reason: string
  /** The strictest class that it lets run. */
  readonly class: CommandClass
  /** The rules that hold while it is granted. */
  readonly rules: readonly RuleRef[]
  readonly review: Review
  /** What the grant is bound to: as long as the configuration says the same of it. */
  readonly digest: string
}): ApprovalInput {
  const { access, chain, connection, reason, rules, review, digest } = asked
  const kind = access.emergency ? 'emergency' : 'access'
  const fingerprint = JSON.stringify([kind, access.name, connection, digest, chainKey(chain)])
  return {
    fingerprint,
    shape: fingerprint,
    kin: fingerprint,
    access,
    chain,
    connection,
    text: `Open ${access.name} on ${connection} for ${minutesText(access.ms)}: ${reason}`,
    class: asked.class,
    reads: [],
    writes: [],
    rules,
    review: [review],
    policyVersion: digest,
  }
}

function minutesText(ms: number): string {
  const minutes = Math.ceil(ms / 60_000)
  return minutes === 1 ? '1 minute' : `${minutes} minutes`
}
