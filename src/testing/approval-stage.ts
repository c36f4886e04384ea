import { randomBytes } from 'node:crypto'
import type { Answer, Approval, ApprovalInput, Approvals, NamedRoute, Use } from '../approvals/index.ts'
import { createApprovals } from '../approvals/index.ts'
import type {
  AdminHead,
  ConnectionName,
  Identity,
  RequestId,
  ReuseOffer,
  Review,
  SessionId,
  Ticket,
} from '../core/index.ts'
import { brand } from '../core/index.ts'
import { FakeClock } from './fake-clock.ts'
import { MemoryApprovalStore } from './memory-approvals.ts'

export const AGENT: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: ['agents'] }

/** A person with the role approver, in these groups. */
export function approver(name: string, ...groups: string[]): Identity {
  return { kind: 'person', name, issuer: 'local', groups: ['approvers', ...groups] }
}

export const ADA = approver('ada')
export const SESSION = brand<SessionId>('01J00000000000000000000000')
export const OTHER_SESSION = brand<SessionId>('01J00000000000000000000001')

/** Approvals over a store in memory, with routes that a test makes as it goes. */
export class ApprovalStage {
  readonly clock = new FakeClock()
  readonly store = new MemoryApprovalStore()
  readonly recorded: AdminHead[] = []
  readonly faults: unknown[] = []
  readonly routes = new Map<string, NamedRoute>()
  /** Names of people who are blocked. */
  readonly blocked = new Set<string>()
  usual: string | undefined
  desk: Approvals
  #asked = 0

  private constructor() {
    // Replaced before anybody sees it.
    this.desk = undefined as never
  }

  static async open(): Promise<ApprovalStage> {
    const stage = new ApprovalStage()
    await stage.restart()
    return stage
  }

  /** Another process on the same store, in the place of the one before. */
  async restart(): Promise<void> {
    this.desk?.stop()
    this.desk = await createApprovals({
      store: this.store,
      clock: this.clock,
      random: (length) => randomBytes(length),
      routes: () => ({ routes: this.routes, default: this.usual }),
      mayAnswer: (who) => who.groups.includes('approvers') && !this.blocked.has(who.name),
      record: async (head) => void this.recorded.push(head),
      onFault: (error) => this.faults.push(error),
    })
  }

  /** What a rule says that names a route such as this. */
  via(rest: Partial<NamedRoute>, reuse: ReuseOffer = {}): Review {
    const name = `route-${this.routes.size}`
    this.routes.set(name, {
      steps: [{ groups: [], identities: [], anyone: true, people: 1 }],
      escalation: undefined,
      hours: undefined,
      reason: false,
      ownPerson: false,
      ...rest,
      name,
    })
    return { route: name, reuse }
  }

  command(rest: Partial<ApprovalInput & Use> = {}): ApprovalInput & Use {
    return {
      fingerprint: 'delete 1',
      shape: 'delete ?',
      kin: 'delete',
      requestId: brand<RequestId>(`${SESSION}.${++this.#asked}`),
      session: SESSION,
      chain: [AGENT, approver('grace')],
      connection: brand<ConnectionName>('crm'),
      text: 'DELETE FROM t WHERE id = 1',
      class: 'write',
      reads: [],
      writes: ['public.t'],
      rules: [],
      policyVersion: 'v1',
      ...rest,
    }
  }

  async ask(rest: Partial<ApprovalInput> = {}): Promise<Ticket> {
    return (await this.desk.open(this.command(rest))).ticket
  }

  answer(
    ticket: Ticket,
    verdict: Answer['verdict'],
    who: Identity,
    rest: Partial<Answer> = {},
  ): Promise<Approval> {
    const proof = { chain: [who], at: this.clock.now(), method: 'code' } as const
    return this.desk.answer(ticket, { verdict, proof, through: 'cli', ...rest })
  }

  /** Asks as a session does, and runs the command if it may at once. */
  async run(rest: Partial<ApprovalInput & Use> = {}): Promise<boolean> {
    const asked = this.command(rest)
    const { ticket, state } = await this.desk.open(asked)
    return state === 'approved' && (await this.desk.consume(ticket, asked))
  }

  take(ticket: Ticket, rest: Partial<Use> = {}): Promise<boolean> {
    return this.desk.consume(ticket, this.command(rest))
  }

  /** What was recorded of a ticket. */
  actions(ticket: Ticket): string[] {
    return this.recorded.filter(({ target }) => target === ticket).map(({ action }) => action)
  }

  settled(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}
