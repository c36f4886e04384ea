import type { BudgetKind } from '../core/index.ts'

/** What one identity may use up under one budget in one UTC day. */
export type AccountKey = { readonly day: string; readonly budget: string; readonly identity: string }

export type Amounts = Readonly<Record<BudgetKind, number>>

/** What has been taken from an account, by every process there is or was: never less than what was used. */
export type StoredAccount = AccountKey & Amounts & { readonly sketch: string }

/** Where accounts are kept. A promise that resolved is on the disk. */
export interface BudgetStore {
  /** Accounts of this day and later ones. */
  since(day: string): Promise<readonly StoredAccount[]>
  /** Adds to what is taken, or gives back what is negative, all at once; answers with what is taken now. */
  add(key: AccountKey, amounts: Amounts, sketch: string): Promise<Amounts>
  /** Accounts of earlier days. */
  forget(before: string): Promise<void>
}
