import type { Budget, Clock, ConnectionName, Identity, IdentityChain, RuleWho, Timer } from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import { Account } from './account.ts'
import { dayOf, nextDay } from './day.ts'
import { KeyedHash } from './keyed-hash.ts'
import type { AccountSource } from './ledger.ts'
import { Ledger } from './ledger.ts'
import type { BudgetStore, StoredAccount } from './port.ts'

export type BudgetsOptions = {
  readonly store: BudgetStore
  readonly clock: Clock
  /** Secret, and the same after a restart: values are known again by it. */
  readonly key: Uint8Array
  readonly budgets: readonly Budget[]
  /** A block could not be written; who needed it is refused meanwhile. */
  readonly report: (error: unknown) => void
}

/** Blocks of the next day are taken this long before it begins, so that nobody waits at midnight. */
const AHEAD_MS = 30_000
/** Into a new day until the one before is forgotten. */
const FORGET_AFTER_MS = 5 * 60_000

/** All accounts of this process. Sessions use them through ledgers; nothing here waits for the disk but `stop`. */
export class Budgets implements AccountSource {
  readonly #options: BudgetsOptions
  readonly #accounts = new Map<string, Account>()
  readonly #stored: Map<string, StoredAccount>
  readonly hash: KeyedHash
  #budgets: readonly Budget[]
  #version = 0
  #timer: Timer | undefined

  private constructor(options: BudgetsOptions, stored: readonly StoredAccount[]) {
    this.#options = options
    this.#budgets = options.budgets
    this.hash = new KeyedHash(options.key)
    this.#stored = new Map(stored.map((each) => [accountName(each.day, each.budget, each.identity), each]))
    this.#watchMidnight()
  }

  static async open(options: BudgetsOptions): Promise<Budgets> {
    const today = dayOf(options.clock.now())
    // Another node, whose clock is behind, may be counting in the day before.
    await options.store.forget(dayOf(options.clock.now() - FORGET_AFTER_MS))
    return new Budgets(options, await options.store.since(today))
  }

  /** What a session of this chain on this connection counts with. */
  open(chain: IdentityChain, connection: ConnectionName): Ledger {
    return new Ledger(this, chain, connection)
  }

  get version(): number {
    return this.#version
  }

  get now(): number {
    return this.#options.clock.now()
  }

  /** Puts other budgets in force; what was used counts under the same name. */
  adopt(budgets: readonly Budget[]): void {
    this.#budgets = budgets
    this.#version++
    const byName = new Map(budgets.map((each) => [each.ref.name, each]))
    for (const account of this.#accounts.values()) {
      const budget = byName.get(account.key.budget)
      if (budget !== undefined) account.budget = budget
    }
  }

  /** One account for each identity of the chain under each budget that is about it. */
  accounts(chain: IdentityChain, connection: ConnectionName, now: number): readonly Account[] {
    const found = new Map<string, Account>()
    for (const budget of this.#budgets) {
      if (!budget.on.includes(connection)) continue
      for (const identity of chain) {
        if (!isAbout(budget.who, identity)) continue
        const account = this.#account(dayOf(now), budget, identityKey(identity))
        found.set(accountName(account.key.day, account.key.budget, account.key.identity), account)
      }
    }
    return [...found.values()]
  }

  /** Gives back what was taken and not used, so that a restart finds exactly what was spent. */
  async stop(): Promise<void> {
    this.#timer?.cancel()
    const done = await Promise.allSettled([...this.#accounts.values()].map((each) => each.close()))
    for (const each of done) if (each.status === 'rejected') this.#options.report(each.reason)
    this.#accounts.clear()
  }

  #account(day: string, budget: Budget, identity: string): Account {
    const name = accountName(day, budget.ref.name, identity)
    const known = this.#accounts.get(name)
    if (known !== undefined) return known
    const key = { day, budget: budget.ref.name, identity }
    const account = new Account(key, budget, this.#options, this.#stored.get(name))
    this.#stored.delete(name)
    this.#accounts.set(name, account)
    return account
  }

  #watchMidnight(): void {
    const { clock, store, report } = this.#options
    const begins = nextDay(clock.now() + AHEAD_MS)
    this.#timer = clock.after(begins - AHEAD_MS - clock.now(), () => {
      const day = dayOf(begins)
      const today = dayOf(begins - AHEAD_MS)
      store.forget(today).catch(report)
      for (const account of this.#accounts.values()) {
        if (account.key.day < today) {
          this.#accounts.delete(accountName(account.key.day, account.key.budget, account.key.identity))
        } else if (account.key.day < day) {
          this.#account(day, account.budget, account.key.identity)
        }
      }
      this.#watchMidnight()
    })
  }
}

/** The same reading as that of rules: every list that is given must match, and no list at all is nobody. */
function isAbout(who: RuleWho, identity: Identity): boolean {
  if (who === 'everyone') return true
  const { groups, identities, kinds } = who
  if (groups === undefined && identities === undefined && kinds === undefined) return false
  return (
    (groups?.some((group) => identity.groups.includes(group)) ?? true) &&
    (identities?.includes(identityKey(identity)) ?? true) &&
    (kinds?.includes(identity.kind) ?? true)
  )
}

function accountName(day: string, budget: string, identity: string): string {
  return JSON.stringify([day, budget, identity])
}
