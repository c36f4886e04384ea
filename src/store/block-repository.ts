import type { Kysely } from 'kysely'
import type { Block, BlockStore } from '../identity/index.ts'
import type { Tables } from './schema.ts'

export class BlockRepository implements BlockStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async all(): Promise<readonly Block[]> {
    const rows = await this.#db.selectFrom('blocks').selectAll().orderBy('identity').execute()
    return rows.map((row) => ({ identity: row.identity, by: row.blocked_by, at: row.blocked_at }))
  }

  async add(block: Block): Promise<void> {
    await this.#db
      .insertInto('blocks')
      .values({ identity: block.identity, blocked_by: block.by, blocked_at: block.at })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  async remove(identity: string): Promise<void> {
    await this.#db.deleteFrom('blocks').where('identity', '=', identity).execute()
  }
}
