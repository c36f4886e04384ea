import type { Basis, Clock, Connection, IdentityChain } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { JudgementCache, Scope } from './judgements.ts'
import type { AccessDesk } from './ports.ts'

/** What an adapter knows of what its commands are judged by. */
export type Ground = Pick<Basis, 'catalogue' | 'names'>

/** What decides for every session, as it is now. */
type Deciding = {
  readonly policy: Policy
  readonly configuration: string | undefined
  readonly judgements: JudgementCache
  readonly access: AccessDesk
  readonly clock: Clock
}
type Whose = { readonly chain: IdentityChain; readonly connection: Connection }

/** Where a session's commands are judged now, and what the recording has been told of that. */
export class SessionScope {
  readonly #gateway: Deciding
  readonly #whose: Whose
  #policy: Policy
  #name = ''
  #access: ReturnType<AccessDesk['of']>
  #changes: number
  #scope: Scope
  /** What the scope of this name rests on, as the adapter has told. */
  #ground: { readonly scope: string; readonly basis: Ground } | undefined
  /** What the recording has said last. */
  #told: Basis | undefined

  constructor(gateway: Deciding, whose: Whose) {
    this.#gateway = gateway
    this.#whose = whose
    this.#policy = gateway.policy
    this.#changes = gateway.access.changes
    this.#access = gateway.access.of(whose.chain, whose.connection.name)
    this.#scope = this.#named('')
  }

  /** What the chain had been granted when the scope was entered last, by name. */
  get access(): readonly string[] {
    return this.#access.names
  }

  /** By which the scope that was entered last decides. */
  get policy(): Policy {
    return this.#policy
  }

  /** The scope of this name under the policy as it is now. */
  enter(name: string): Scope {
    const access = this.#granted()
    const isCurrent = this.#policy === this.#gateway.policy && name === this.#name && access === this.#access
    if (isCurrent && !this.#scope.dropped) return this.#scope
    this.#access = access
    this.#policy = this.#gateway.policy
    this.#name = name
    this.#scope = this.#named(name)
    return this.#scope
  }

  /** The scope that was entered last, under the policy as it is now. */
  again(): Scope {
    return this.enter(this.#name)
  }

  /** What decisions of this scope rest on: told before the first of them. The same object while it is the same scope. */
  rests(scope: string, basis: Ground): void {
    this.#ground = { scope, basis }
  }

  /** What the recording has to say of the basis of this scope: nothing when it is the one of the command before. */
  news({ basis }: Scope): Basis | undefined {
    if (basis === undefined || basis === this.#told) return undefined
    this.#told = basis
    return basis
  }

  #granted(): ReturnType<AccessDesk['of']> {
    const { access, clock } = this.#gateway
    const { until } = this.#access
    // Nearly always: nothing has been granted to anybody since.
    const isSame = access.changes === this.#changes
    if (isSame && (until === Number.POSITIVE_INFINITY || clock.now() < until)) return this.#access
    this.#changes = access.changes
    return access.of(this.#whose.chain, this.#whose.connection.name)
  }

  #named(name: string): Scope {
    const { chain, connection } = this.#whose
    const { names } = this.#access
    const granted = names.length === 0 ? '' : `\n${JSON.stringify(names)}`
    const key = `${this.#policy.version}\n${connection.name}\n${JSON.stringify(chain)}${granted}\n${name}`
    const scope = this.#gateway.judgements.scope(key)
    const { configuration } = this.#gateway
    if (scope.basis === undefined && configuration !== undefined) {
      const ground = this.#ground?.scope === name ? this.#ground.basis : {}
      const access = names.length === 0 ? {} : { access: names }
      scope.basis = { policy: this.#policy.version, configuration, ...ground, ...access }
    }
    return scope
  }
}
