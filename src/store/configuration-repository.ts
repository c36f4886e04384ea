import type { Kysely } from 'kysely'
import type { ConfigVersion } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { ConfigurationRow, Tables } from './schema.ts'

/** One time that a configuration became the active one. */
export type Activation = {
  /** 1 for the first; the highest is active. */
  readonly sequence: number
  readonly version: ConfigVersion
  readonly at: number
  readonly by: string
}

/** An activation with the text that was applied, as it was written. */
export type ActivatedConfiguration = Activation & { readonly text: string }

/**
 * Which configurations were active, and which one is. Nothing is ever taken out: a rollback is an activation of an
 * older text.
 */
export class ConfigurationRepository {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async active(): Promise<ActivatedConfiguration | undefined> {
    const row = await this.#latest(this.#db)
    return row === undefined ? undefined : fromRow(row)
  }

  /**
   * Makes a configuration the active one. `expected` is the version it was compared with (none: the first one ever).
   * Gives nothing, and changes nothing, when another one is active by now.
   */
  async activate(
    next: Omit<ActivatedConfiguration, 'sequence'>,
    expected: ConfigVersion | undefined,
  ): Promise<Activation | undefined> {
    return await this.#db.transaction().execute(async (transaction) => {
      const latest = await this.#latest(transaction)
      if (latest?.version !== expected) return undefined
      const activation = {
        sequence: (latest?.sequence ?? 0) + 1,
        version: next.version,
        at: next.at,
        by: next.by,
      }
      const { numInsertedOrUpdatedRows } = await transaction
        .insertInto('configurations')
        .values({
          sequence: activation.sequence,
          version: next.version,
          text: next.text,
          activated_at: next.at,
          activated_by: next.by,
        })
        // Another node may be a moment ahead.
        .onConflict((conflict) => conflict.column('sequence').doNothing())
        .executeTakeFirst()
      return numInsertedOrUpdatedRows === 1n ? activation : undefined
    })
  }

  /** Newest first, at most `limit`, without the texts. */
  async history(limit: number): Promise<readonly Activation[]> {
    const rows = await this.#db
      .selectFrom('configurations')
      .select(['sequence', 'version', 'activated_at', 'activated_by'])
      .orderBy('sequence', 'desc')
      .limit(limit)
      .execute()
    return rows.map(activationOf)
  }

  /** The latest activation of a version, whether or not it is the active one. */
  async find(version: ConfigVersion): Promise<ActivatedConfiguration | undefined> {
    const row = await this.#db
      .selectFrom('configurations')
      .selectAll()
      .where('version', '=', version)
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row === undefined ? undefined : fromRow(row)
  }

  async #latest(db: Kysely<Tables>): Promise<ConfigurationRow | undefined> {
    return await db
      .selectFrom('configurations')
      .selectAll()
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst()
  }
}

function activationOf(row: Omit<ConfigurationRow, 'text'>): Activation {
  return {
    sequence: row.sequence,
    version: brand<ConfigVersion>(row.version),
    at: row.activated_at,
    by: row.activated_by,
  }
}

function fromRow(row: ConfigurationRow): ActivatedConfiguration {
  return { ...activationOf(row), text: row.text }
}
