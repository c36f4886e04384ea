import type { Clock, ConnectionName, IdentityChain, Review, RuleRef } from '../core/index.ts'
import { type CommandClass, describeChain } from '../core/index.ts'
import type { AccessAsked, Approval, ApprovalInput } from './approval.ts'
import type { Approvals } from './approvals.ts'

/** What a chain has been granted on a connection: the same object as long as it is the same. */
export type Access = {
  readonly names: readonly string[]
  /** When that changes at the latest. */
  readonly until: number
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
  #changes = 0

  constructor(approvals: Approvals, clock: Clock) {
    this.#clock = clock
    this.#approvals = approvals
    for (const approval of approvals.list({ states: ['approved'] })) this.#note(approval)
    approvals.onChange((approval) => this.#note(approval))
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
  return `${connection} ${describeChain(chain)}`
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
  const fingerprint = JSON.stringify([kind, access.name, connection, digest, describeChain(chain)])
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
