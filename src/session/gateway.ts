import type { Clock, ConfigVersion, Journal, Network, RandomBytes, SessionId } from '../core/index.ts'
import { chainKey, GatewayError, LIMITS, newSessionId } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import { JudgementCache } from './judgements.ts'
import type { AccessDesk, ApprovalDesk, BudgetDesk } from './ports.ts'
import { NO_ACCESS, NO_BUDGETS } from './ports.ts'
import type { Opening } from './session.ts'
import { Session } from './session.ts'
import { Turn } from './turn.ts'

/** How often it is looked, while the gateway stops, who has come to rest. */
const DRAIN_LOOK_MS = 50

/** A session as the control API shows it. */
export type LiveSession = {
  readonly id: SessionId
  readonly opening: Opening
  readonly openedAt: number
  readonly commands: number
  /** Under which access, granted for a time, something was decided in it. */
  readonly accessUsed: ReadonlySet<string>
}

/**
 * What all sessions of a gateway share: the policy in force, the journal, the turn, the decision cache, and the list
 * of who is connected. Opens sessions; everything else is the session's.
 */
export class Gateway {
  readonly clock: Clock
  readonly journal: Journal
  readonly approvals: ApprovalDesk
  readonly access: AccessDesk
  readonly budgets: BudgetDesk
  readonly network: Network
  readonly turn: Turn
  readonly judgements = new JudgementCache()
  readonly #random: RandomBytes
  readonly #live = new Map<SessionId, { session: Session; openedAt: number }>()
  /** How many live sessions each identity chain has on each connection. */
  readonly #perIdentity = new Map<string, number>()
  #policy: Policy
  #config: ConfigVersion
  #configuration: string | undefined
  readonly #refuses: () => GatewayError | undefined
  #draining = false
  #onEmpty: (() => void) | undefined
  #onChange: ((change: 'open' | 'close', session: LiveSession) => void) | undefined

  constructor(parts: {
    clock: Clock
    journal: Journal
    approvals: ApprovalDesk
    /** Absent: nobody is granted anything. */
    access?: AccessDesk
    /** Absent: nothing is counted. */
    budgets?: BudgetDesk
    network: Network
    random: RandomBytes
    policy: Policy
    config: ConfigVersion
    /** The address of the snapshot of the configuration; without it the recording does not say what commands are judged by. */
    configuration?: string | undefined
    /** Why no session may be opened now. */
    refuses?: () => GatewayError | undefined
  }) {
    this.clock = parts.clock
    this.journal = parts.journal
    this.approvals = parts.approvals
    this.access = parts.access ?? NO_ACCESS
    this.budgets = parts.budgets ?? NO_BUDGETS
    this.network = parts.network
    this.turn = new Turn(parts.journal)
    this.#random = parts.random
    this.#policy = parts.policy
    this.#config = parts.config
    this.#configuration = parts.configuration
    this.#refuses = parts.refuses ?? (() => undefined)
  }

  get policy(): Policy {
    return this.#policy
  }

  get configuration(): string | undefined {
    return this.#configuration
  }

  /** Live sessions take the new policy at their next command. */
  adopt(policy: Policy, config: ConfigVersion, configuration?: string): void {
    this.#policy = policy
    this.#config = config
    this.#configuration = configuration
    this.judgements.clear()
  }

  /** The recording begins here; throws when it cannot, and then nothing has been reached. */
  open(opening: Opening): Session {
    if (this.#draining) {
      throw new GatewayError('shutting_down', 'The gateway is stopping; connect again in a moment.', {
        retry: 'later',
      })
    }
    const refusal = this.#refuses()
    if (refusal !== undefined) throw refusal
    if (this.#live.size >= LIMITS.sessionsMax) {
      throw new GatewayError('limit_exceeded', `The gateway already has ${LIMITS.sessionsMax} sessions.`, {
        remedy: 'Close sessions that are not used.',
        retry: 'later',
      })
    }
    const place = placeOf(opening)
    const there = this.#perIdentity.get(place) ?? 0
    const { name, sessionsPerIdentity } = opening.connection
    if (there >= sessionsPerIdentity) {
      throw new GatewayError('limit_exceeded', `Close a session first: you have ${there} open on ${name}.`, {
        remedy: 'Share sessions in a pool. An administrator may raise sessionsPerIdentity of the connection.',
        retry: 'later',
      })
    }
    const now = this.clock.now()
    const id = newSessionId(now, this.#random)
    this.journal.append(id, {
      kind: 'open',
      head: {
        connection: opening.connection.name,
        protocol: opening.connection.protocol,
        chain: opening.chain,
        credential: opening.credential,
        mintedBy: opening.mintedBy,
        clientAddress: opening.clientAddress,
        program: opening.program,
        database: opening.database,
        config: this.#config,
      },
    })
    this.journal.flush()
    const session = new Session(this, id, opening)
    this.#live.set(id, { session, openedAt: now })
    this.#perIdentity.set(place, there + 1)
    this.#onChange?.('open', { id, opening, openedAt: now, commands: 0, accessUsed: session.accessUsed })
    return session
  }

  sessions(): readonly LiveSession[] {
    return [...this.#live.values()].map(({ session, openedAt }) => shown(session, openedAt))
  }

  onChange(listener: (change: 'open' | 'close', session: LiveSession) => void): void {
    this.#onChange = listener
  }

  /** Ends every live session that matches, with the reason shown to its client. Returns how many. */
  terminate(match: (session: LiveSession) => boolean, reason: GatewayError): number {
    let ended = 0
    for (const { session, openedAt } of this.#live.values()) {
      if (!match(shown(session, openedAt))) continue
      session.terminate(reason)
      ended++
    }
    return ended
  }

  /** Refuses new sessions, ends the live ones as soon as they idle, and after `drainMs` those that still do not. */
  async drain(drainMs: number): Promise<void> {
    this.#draining = true
    if (this.#live.size === 0) return
    const reason = new GatewayError('shutting_down', 'The gateway is stopping.', { retry: 'later' })
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
      const late = this.clock.after(drainMs, resolve)
      const look = (): void => {
        this.terminate(({ opening }) => opening.isIdle(), reason)
        if (this.#live.size === 0) late.cancel()
        else this.clock.after(DRAIN_LOOK_MS, look)
      }
      look()
    })
    this.terminate(() => true, reason)
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Called by a session when it has written its last entry. */
  closed(session: Session): void {
    const live = this.#live.get(session.id)
    if (live === undefined) return
    this.#live.delete(session.id)
    const place = placeOf(session.opening)
    const others = (this.#perIdentity.get(place) ?? 1) - 1
    if (others === 0) this.#perIdentity.delete(place)
    else this.#perIdentity.set(place, others)
    this.#onChange?.('close', shown(session, live.openedAt))
    if (this.#live.size === 0) this.#onEmpty?.()
  }
}

function placeOf({ chain, connection }: Opening): string {
  return `${connection.name} ${chainKey(chain)}`
}

function shown({ id, opening, commands, accessUsed }: Session, openedAt: number): LiveSession {
  return { id, opening, openedAt, commands, accessUsed }
}
