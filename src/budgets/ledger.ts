import type {
  BudgetKind,
  ConnectionName,
  Facts,
  IdentityChain,
  LabelName,
  Reason,
  RuleRef,
} from '../core/index.ts'
import { GatewayError } from '../core/index.ts'
import type { Account, Answer } from './account.ts'
import { nextDay } from './day.ts'
import type { KeyedHash } from './keyed-hash.ts'

/** What ledgers take their accounts from. */
export type AccountSource = {
  readonly hash: KeyedHash
  /** Changes whenever a ledger's accounts could be others, but for the day. */
  readonly version: number
  readonly now: number
  accounts(chain: IdentityChain, connection: ConnectionName, now: number): readonly Account[]
}

/** Why a budget stops something, and which. */
export type BudgetRefusal = { readonly reason: Reason; readonly rule: RuleRef }

const NONE: readonly Account[] = []
const WHAT = {
  rows: 'rows',
  bytes: 'bytes',
  records: 'protected records',
  questions: 'questions about protected data',
} as const satisfies Record<BudgetKind, string>

/** Beyond it a name is cut, so that a sentence stays short. */
const NAME_MAX = 60

/**
 * What one session counts: every account of every identity in its chain, all or none. Answers from memory. One that no
 * budget is about costs a comparison.
 */
export class Ledger {
  readonly #budgets: AccountSource
  readonly #chain: IdentityChain
  readonly #connection: ConnectionName
  #accounts = NONE
  #version = -1
  #dayEnds = 0
  /** What stopped the last thing that was asked for. */
  #stopped: { readonly account: Account; readonly kind: BudgetKind; readonly answer: Answer } | undefined
  #labels = new Map<LabelName, number>()
  countsRecords = false

  constructor(budgets: AccountSource, chain: IdentityChain, connection: ConnectionName) {
    this.#budgets = budgets
    this.#chain = chain
    this.#connection = connection
    this.#follow()
  }

  /** Before a command: counts the questions in it. Tells why it may not run. */
  admit(facts: Facts, listed = 0): BudgetRefusal | undefined {
    this.#follow()
    if (this.#accounts.length === 0) return undefined
    // What touches no data runs also when all is spent: a transaction has to be ended, a setting read.
    if (facts.reads.length > 0 || facts.writes.length > 0 || facts.class !== 'read') {
      for (const account of this.#accounts) {
        for (const kind of ['rows', 'bytes', 'records'] as const) {
          if (!account.isSpent(kind)) continue
          this.#stopped = { account, kind, answer: 'spent' }
          return this.refusal()
        }
      }
    }
    if (facts.touches.length === 0 && facts.filters.length === 0) return undefined
    const asked = (account: Account): number => questionsIn(facts, account.budget.labels, listed)
    if (this.#askAll('questions', asked) === 'go') return undefined
    return this.refusal()
  }

  /** Before a row, or a piece of a body. All or nothing: who waits or is refused has used none of it. */
  spend(rows: number, bytes: number): Answer {
    if (this.#accounts.length === 0) return 'go'
    for (const account of this.#accounts) {
      const records = account.ask('records', 0)
      const answer = worst(worst(account.ask('rows', rows), account.ask('bytes', bytes)), records)
      if (answer === 'go') continue
      const kind =
        account.ask('rows', rows) === answer
          ? 'rows'
          : account.ask('bytes', bytes) === answer
            ? 'bytes'
            : 'records'
      this.#stopped = { account, kind, answer }
      return answer
    }
    for (const account of this.#accounts) {
      account.use('rows', rows)
      account.use('bytes', bytes)
    }
    return 'go'
  }

  /** A value of these labels, `bytes[start, end)`, is shown, hidden or not. */
  record(labels: readonly LabelName[], bytes: Uint8Array, start: number, end: number): void {
    const { hash } = this.#budgets
    for (const label of labels) {
      hash.of(this.#numberOf(label), bytes, start, end)
      for (const account of this.#accounts) {
        if (account.budget.max.records !== undefined && account.budget.labels.includes(label))
          account.record(hash.high, hash.low)
      }
    }
  }

  /** After `wait`: resolves when there may be more. Rejects with `limit_exceeded` when it cannot be had. */
  async more(): Promise<void> {
    const taking = this.#stopped?.account.taking
    try {
      await taking
    } catch (cause) {
      const { reason } = this.refusal()
      throw new GatewayError('limit_exceeded', reason.message, {
        remedy: reason.remedy,
        retry: reason.retry,
        cause,
      })
    }
  }

  /** What stopped what was asked for last. */
  refusal(): BudgetRefusal {
    const stopped = this.#stopped
    if (stopped === undefined) throw new Error('no budget has stopped anything')
    const { account, kind, answer } = stopped
    const { ref, max } = account.budget
    const name = ref.name.length <= NAME_MAX ? ref.name : `${ref.name.slice(0, NAME_MAX - 3)}...`
    const plain = name.replace(/[^\x20-\x7e]/g, '?')
    const resets = new Date(this.#dayEnds).toISOString().slice(0, 16).replace('T', ' ')
    const reason: Reason =
      answer === 'wait'
        ? {
            message: `Try again in a moment: the gateway could not note down yet what you use of "${plain}".`,
            remedy: 'If it goes on, tell the operator of the gateway that its store is slow.',
            retry: 'later',
          }
        : {
            message: `Stop until ${resets} UTC: the daily budget "${plain}" of ${max[kind] ?? 0} ${WHAT[kind]} is spent.`,
            remedy: `It begins anew at ${resets} UTC. An administrator of the gateway can change the budget "${plain}".`,
            retry: 'later',
          }
    return { reason, rule: ref }
  }

  #askAll(kind: BudgetKind, amount: (account: Account) => number): Answer {
    for (const account of this.#accounts) {
      const answer = account.ask(kind, amount(account))
      if (answer === 'go') continue
      this.#stopped = { account, kind, answer }
      return answer
    }
    for (const account of this.#accounts) account.use(kind, amount(account))
    return 'go'
  }

  /** The accounts of today, under the budgets in force. */
  #follow(): void {
    const { version } = this.#budgets
    // Without accounts the day makes no difference, and the clock is not asked.
    if (version === this.#version && (this.#accounts.length === 0 || this.#budgets.now < this.#dayEnds))
      return
    const { now } = this.#budgets
    this.#version = version
    this.#dayEnds = nextDay(now)
    this.#accounts = this.#budgets.accounts(this.#chain, this.#connection, now)
    this.countsRecords = this.#accounts.some((each) => each.budget.max.records !== undefined)
  }

  /** The same number for a label in every process. FNV-1a. */
  #numberOf(label: LabelName): number {
    let number = this.#labels.get(label)
    if (number === undefined) {
      number = 0x811c9dc5
      for (const byte of Buffer.from(label)) number = Math.imul(number ^ byte, 0x01000193)
      this.#labels.set(label, number)
    }
    return number
  }
}

/** Every value that a labelled column is compared with is a question; any other use is one in each statement of a batch. */
function questionsIn(facts: Facts, labels: readonly LabelName[], listed: number): number {
  const statements = Math.max(1, facts.statements.length)
  let asked = 0
  for (const label of facts.touches)
    if (labels.includes(label)) asked += (facts.asked?.[label] ?? statements) + listed
  for (const label of facts.filters) if (labels.includes(label)) asked += statements
  return asked
}

function worst(a: Answer, b: Answer): Answer {
  if (a === 'spent' || b === 'spent') return 'spent'
  return a === 'wait' || b === 'wait' ? 'wait' : 'go'
}
