import type { Budget, BudgetKind } from '../core/index.ts'
import { BUDGET_KINDS } from '../core/index.ts'
import type { AccountKey, Amounts, BudgetStore, StoredAccount } from './port.ts'
import { Sketch } from './sketch.ts'

/** Whether so much may be used now: at once, when a block has been written, or not any more today. */
export type Answer = 'go' | 'wait' | 'spent'

/** The smallest blocks: enough to be asked for seldom, and so little that a crash costs nobody the day. */
const BLOCK_MIN: Amounts = { rows: 100, bytes: 256 * 1024, records: 10, questions: 10 }
/** At most 5 % of a budget are taken ahead at once. */
const BLOCKS = 20

const NOTHING: Amounts = { rows: 0, bytes: 0, records: 0, questions: 0 }

/**
 * What one identity has used of one budget in one day. It is used up from blocks: a block is written as taken before
 * anything of it is used, so that a crash counts it as spent, and the next is asked for before the last is used up.
 */
export class Account {
  readonly key: AccountKey
  readonly #store: BudgetStore
  readonly #used: Record<BudgetKind, number> = { ...NOTHING }
  /** Taken by this process, on the disk. */
  readonly #taken: Record<BudgetKind, number> = { ...NOTHING }
  /** Taken by everybody, as the store said last. */
  readonly #total: Record<BudgetKind, number>
  readonly #sketch: Sketch
  /** Records that are spent and not in the sketch: those of blocks that a crash has left behind. */
  readonly #lost: number
  readonly #recordsBefore: number
  readonly #report: (error: unknown) => void
  #budget: Budget
  #taking: Promise<void> | undefined

  constructor(
    key: AccountKey,
    budget: Budget,
    parts: { readonly store: BudgetStore; readonly report: (error: unknown) => void },
    stored: StoredAccount | undefined,
  ) {
    this.key = key
    this.#budget = budget
    this.#store = parts.store
    this.#report = parts.report
    this.#total = { ...NOTHING }
    for (const kind of BUDGET_KINDS) this.#total[kind] = stored?.[kind] ?? 0
    this.#sketch = Sketch.parse(stored?.sketch ?? '')
    this.#recordsBefore = this.#total.records
    this.#lost = Math.max(0, this.#recordsBefore - this.#sketch.estimate)
    // The first block is there by the time of the first command.
    this.#takeAhead()
  }

  get budget(): Budget {
    return this.#budget
  }

  /** The same budget as configured now. */
  set budget(budget: Budget) {
    this.#budget = budget
    this.#takeAhead()
  }

  /** Settles when more has been taken; rejects when it could not be. */
  get taking(): Promise<void> | undefined {
    return this.#taking
  }

  /** Nothing is left of it today. */
  isSpent(kind: BudgetKind): boolean {
    const max = this.#budget.max[kind]
    if (max === undefined) return false
    return this.#taken[kind] - this.#used[kind] + max - this.#total[kind] <= 0
  }

  ask(kind: BudgetKind, amount: number): Answer {
    const max = this.#budget.max[kind]
    if (max === undefined) return 'go'
    const left = this.#taken[kind] - this.#used[kind]
    if (amount <= left) return 'go'
    if (amount > left + max - this.#total[kind]) return 'spent'
    this.#take(kind, amount)
    return 'wait'
  }

  /** After `ask` has said `go`. */
  use(kind: BudgetKind, amount: number): void {
    if (this.#budget.max[kind] === undefined) return
    this.#used[kind] += amount
    if (this.#isLow(kind)) this.#take(kind, 0)
  }

  /** A protected value is shown, hidden or not. */
  record(high: number, low: number): void {
    if (!this.#sketch.add(high, low)) return
    const now = this.#sketch.estimate + this.#lost - this.#recordsBefore
    const more = now - this.#used.records
    if (more > 0) this.use('records', more)
  }

  /** Gives back what was taken and not used. */
  async close(): Promise<void> {
    await this.#taking?.catch(() => undefined)
    const back = { ...NOTHING }
    for (const kind of BUDGET_KINDS) back[kind] = this.#used[kind] - this.#taken[kind]
    if (BUDGET_KINDS.some((kind) => back[kind] !== 0)) {
      await this.#store.add(this.key, back, this.#sketch.toString())
      for (const kind of BUDGET_KINDS) this.#taken[kind] = this.#used[kind]
    }
  }

  #isLow(kind: BudgetKind): boolean {
    const max = this.#budget.max[kind]
    if (max === undefined || this.#total[kind] >= max) return false
    return this.#taken[kind] - this.#used[kind] < blockOf(kind, max) / 2
  }

  #takeAhead(): void {
    for (const kind of BUDGET_KINDS) if (this.#isLow(kind)) this.#take(kind, 0)
  }

  /** Takes a block of everything that runs low, and at least `amount` of one kind. */
  #take(needed: BudgetKind, amount: number): void {
    if (this.#taking !== undefined) return
    const asked = { ...NOTHING }
    for (const kind of BUDGET_KINDS) {
      const max = this.#budget.max[kind]
      if (max === undefined) continue
      const least = kind === needed ? amount : 0
      if (!this.#isLow(kind) && least === 0) continue
      asked[kind] = Math.max(0, Math.min(max - this.#total[kind], blockOf(kind, max) + least))
    }
    if (BUDGET_KINDS.every((kind) => asked[kind] === 0)) return
    const taking = this.#store.add(this.key, asked, this.#sketch.toString()).then((total) => {
      for (const kind of BUDGET_KINDS) {
        const max = this.#budget.max[kind] ?? 0
        // Others may have taken the last of it at the same time: then a part of this block, or all of it, is none.
        const over = asked[kind] === 0 ? 0 : Math.max(0, total[kind] - max)
        this.#taken[kind] += Math.max(0, asked[kind] - over)
        this.#total[kind] = total[kind]
      }
    })
    this.#taking = taking.finally(() => {
      this.#taking = undefined
    })
    // Whoever waits hears of it as well; the next who needs it asks again.
    this.#taking.catch(this.#report)
  }
}

function blockOf(kind: BudgetKind, max: number): number {
  return Math.min(max, Math.max(BLOCK_MIN[kind], Math.ceil(max / BLOCKS)))
}
