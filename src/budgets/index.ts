/**
 * What each identity has used today, counted in memory and reserved on the disk in blocks. Leaves to others what a row
 * or a question is, and the telling. Promise: no restart and no crash gives back what was spent.
 */
export { Budgets } from './budgets.ts'
export type { AccountKey, Amounts, BudgetStore, StoredAccount } from './port.ts'
