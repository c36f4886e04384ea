import type { AccountKey, Amounts, BudgetStore, StoredAccount } from '../budgets/index.ts'

/** The in-memory twin of the repository of budget accounts. It can be slow, and it can fail. */
export class MemoryBudgetStore implements BudgetStore {
  readonly accounts = new Map<string, StoredAccount>()
  /** Set: what is added waits for it, or fails with it. */
  gate: Promise<void> | undefined

  since(day: string): Promise<readonly StoredAccount[]> {
    return Promise.resolve(this.#sorted().filter((each) => each.day >= day))
  }

  async add(key: AccountKey, amounts: Amounts, sketch: string): Promise<Amounts> {
    await this.gate
    const name = JSON.stringify([key.day, key.budget, key.identity])
    const before = this.accounts.get(name)
    const now = {
      rows: (before?.rows ?? 0) + amounts.rows,
      bytes: (before?.bytes ?? 0) + amounts.bytes,
      records: (before?.records ?? 0) + amounts.records,
      questions: (before?.questions ?? 0) + amounts.questions,
    }
    this.accounts.set(name, { ...key, ...now, sketch })
    return now
  }

  async forget(before: string): Promise<void> {
    for (const [name, { day }] of this.accounts) if (day < before) this.accounts.delete(name)
  }

  #sorted(): StoredAccount[] {
    return [...this.accounts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
  }
}
