import type { Kysely } from 'kysely'
import type { SealedSecret, SealedSecretStore } from '../connections/port.ts'
import type { Tables } from './schema.ts'

export class SealedSecretRepository implements SealedSecretStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async all(): Promise<readonly SealedSecret[]> {
    const rows = await this.#db.selectFrom('sealed_secrets').selectAll().orderBy('name').execute()
    return rows.map((row) => ({
      name: row.name,
      keyId: row.key_id,
      nonce: Buffer.from(row.nonce, 'base64'),
      sealed: Buffer.from(row.sealed, 'base64'),
      updatedAt: row.updated_at,
      updatedBy: row.updated_by,
    }))
  }

  async put(secret: SealedSecret): Promise<void> {
    const values = {
      key_id: secret.keyId,
      nonce: Buffer.from(secret.nonce).toString('base64'),
      sealed: Buffer.from(secret.sealed).toString('base64'),
      updated_at: secret.updatedAt,
      updated_by: secret.updatedBy,
    }
    await this.#db
      .insertInto('sealed_secrets')
      .values({ name: secret.name, ...values })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
      .execute()
  }

  async remove(name: string): Promise<void> {
    await this.#db.deleteFrom('sealed_secrets').where('name', '=', name).execute()
  }
}
