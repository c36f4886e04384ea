import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { Tables } from './schema.ts'

/** The clock of the database in milliseconds since 1970, as an expression. */
export const DATABASE_NOW = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint'

/** A gateway on a shared store, as the others see it. */
export type NodeState = {
  readonly node: string
  /** Of the program. */
  readonly version: string
  /** Where its control API is; absent without one. */
  readonly address?: string
  readonly startedAt: number
  /** By the clock of the database. */
  readonly seenAt: number
  readonly isRunning: boolean
}

/** Who this is: its name, and what tells this run of it from others. */
export type ThisNode = { readonly node: string; readonly run: string; readonly version: string }

/** The nodes of a store in PostgreSQL. */
export class Nodes {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  /**
   * Takes the name for this run. Throws `conflict` while another gateway runs under it: its data directory is a copy of
   * this one, or this one of it. A gateway that was killed a moment ago is waited for, to see that it is gone.
   */
  async join({ node, run, version }: ThisNode, now: number): Promise<void> {
    const before = await this.#look(node)
    if (before !== undefined && before.run !== '' && before.ageMs < LIMITS.storeBehindMs) {
      await sleep(2 * LIMITS.storeLookMs + 500)
      const after = await this.#look(node)
      if (after !== undefined && after.seen_at > before.seen_at) throw takenOver(node)
    }
    const values = { run, version, address: null, started_at: now, seen_at: now }
    await this.#db
      .insertInto('nodes')
      .values({ node, ...values })
      .onConflict((conflict) => conflict.column('node').doUpdateSet(values))
      .execute()
  }

  /** Says where the control API of this node is. */
  async announce({ node, run }: ThisNode, address: string): Promise<void> {
    await this.#db
      .updateTable('nodes')
      .set({ address })
      .where('node', '=', node)
      .where('run', '=', run)
      .execute()
  }

  /** Gives the name free. The row stays: what the node recorded is still there. */
  async leave({ node, run }: ThisNode): Promise<void> {
    await this.#db
      .updateTable('nodes')
      .set({ run: '' })
      .where('node', '=', node)
      .where('run', '=', run)
      .execute()
  }

  /** By name. */
  async all(): Promise<readonly NodeState[]> {
    const rows = await this.#db
      .selectFrom('nodes')
      .selectAll()
      .select(ageMs)
      .orderBy('node')
      .limit(LIMITS.nodesListedMax)
      .execute()
    return rows.map((row) => ({
      node: row.node,
      version: row.version,
      ...(row.address === null ? {} : { address: row.address }),
      startedAt: row.started_at,
      seenAt: row.seen_at,
      isRunning: row.run !== '' && row.ageMs < LIMITS.storeBehindMs,
    }))
  }

  async #look(node: string) {
    return await this.#db
      .selectFrom('nodes')
      .select(['run', 'seen_at'])
      .select(ageMs)
      .where('node', '=', node)
      .executeTakeFirst()
  }
}

const ageMs = sql<number>`${sql.raw(DATABASE_NOW)} - seen_at`.as('ageMs')

export function takenOver(node: string): GatewayError {
  return new GatewayError('conflict', `Another gateway runs as the node ${node} on this store.`, {
    remedy:
      'Two data directories have one name: one is a copy. Remove the file "node" and the directory "log" from the copy, or stop one.',
    retry: 'only-if-changed',
  })
}
