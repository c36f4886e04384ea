import type { Kysely } from 'kysely'
import type { AccountKey, Amounts, BudgetStore, StoredAccount } from '../budgets/index.ts'
import type { Tables } from './schema.ts'

export class BudgetRepository implements BudgetStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async since(day: string): Promise<readonly StoredAccount[]> {
    return await this.#db
      .selectFrom('budget_accounts')
      .selectAll()
      .where('day', '>=', day)
      .orderBy('day')
      .orderBy('budget')
      .orderBy('identity')
      .execute()
  }

  async add(key: AccountKey, amounts: Amounts, sketch: string): Promise<Amounts> {
    const { rows, bytes, records, questions } = amounts
    return await this.#db
      .insertInto('budget_accounts')
      .values({ ...key, rows, bytes, records, questions, sketch })
      .onConflict((conflict) =>
        conflict.columns(['day', 'budget', 'identity']).doUpdateSet((eb) => ({
          rows: eb('budget_accounts.rows', '+', eb.ref('excluded.rows')),
          bytes: eb('budget_accounts.bytes', '+', eb.ref('excluded.bytes')),
          records: eb('budget_accounts.records', '+', eb.ref('excluded.records')),
          questions: eb('budget_accounts.questions', '+', eb.ref('excluded.questions')),
          sketch: eb.ref('excluded.sketch'),
        })),
      )
      .returning(['rows', 'bytes', 'records', 'questions'])
      .executeTakeFirstOrThrow()
  }

  async forget(before: string): Promise<void> {
    await this.#db.deleteFrom('budget_accounts').where('day', '<', before).execute()
  }
}
