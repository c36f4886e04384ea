import type { Kysely } from 'kysely'
import type { SealedSecret, SealedSecretStore } from '../connections/port.ts'
import type { SealedSecretRow, Tables } from './schema.ts'

export class SealedSecretRepository implements SealedSecretStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async all(): Promise<readonly SealedSecret[]> {
    const rows = await this.#db.selectFrom('sealed_secrets').selectAll().orderBy('name').execute()
    return rows.map(fromRow)
  }

  async put(secret: SealedSecret): Promise<void> {
    const { name, ...values } = toRow(secret)
    await this.#db
      .insertInto('sealed_secrets')
      .values({ name, ...values })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
      .execute()
  }

  async keepFirst(secret: SealedSecret): Promise<SealedSecret> {
    await this.#db
      .insertInto('sealed_secrets')
      .values(toRow(secret))
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    const row = await this.#db
      .selectFrom('sealed_secrets')
      .selectAll()
      .where('name', '=', secret.name)
      .executeTakeFirstOrThrow()
    return fromRow(row)
  }

  async remove(name: string): Promise<void> {
    await this.#db.deleteFrom('sealed_secrets').where('name', '=', name).execute()
  }
}

function toRow(secret: SealedSecret): SealedSecretRow {
  return {
    name: secret.name,
    key_id: secret.keyId,
    nonce: Buffer.from(secret.nonce).toString('base64'),
    sealed: Buffer.from(secret.sealed).toString('base64'),
    updated_at: secret.updatedAt,
    updated_by: secret.updatedBy,
  }
}

function fromRow(row: SealedSecretRow): SealedSecret {
  return {
    name: row.name,
    keyId: row.key_id,
    nonce: Buffer.from(row.nonce, 'base64'),
    sealed: Buffer.from(row.sealed, 'base64'),
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}
