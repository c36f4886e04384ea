import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { ConnectionName, CredentialId } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { CredentialProof, CredentialStore, Revocation, StoredCredential } from '../identity/port.ts'
import { chainSchema } from './json.ts'
import type { CredentialRow, Tables } from './schema.ts'

const bytesSchema = z.base64().transform((text): Uint8Array => Buffer.from(text, 'base64'))

const proofSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('scram'),
    verifier: z.strictObject({
      iterations: z.number(),
      salt: bytesSchema,
      storedKey: bytesSchema,
      serverKey: bytesSchema,
    }),
  }),
  z.strictObject({ kind: z.literal('token'), hash: bytesSchema }),
])

const useSchema = z.enum(['database', 'http'])

export class CredentialRepository implements CredentialStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async unexpired(now: number): Promise<readonly StoredCredential[]> {
    const rows = await this.#db
      .selectFrom('credentials')
      .selectAll()
      .where('expires_at', '>', now)
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    return rows.map(fromRow)
  }

  async get(id: CredentialId): Promise<StoredCredential | undefined> {
    const row = await this.#db.selectFrom('credentials').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? undefined : fromRow(row)
  }

  async add({ credential, proof, revoked }: StoredCredential): Promise<void> {
    await this.#db
      .insertInto('credentials')
      .values({
        id: credential.id,
        use: credential.use,
        connection: credential.connection,
        database: credential.database ?? null,
        chain: JSON.stringify(credential.chain),
        proof: proofToJson(proof),
        minted_by: credential.mintedBy,
        created_at: credential.createdAt,
        expires_at: credential.expiresAt,
        revoked_at: revoked?.at ?? null,
        revoked_by: revoked?.by ?? null,
      })
      .execute()
  }

  async revoke(id: CredentialId, revocation: Revocation): Promise<void> {
    await this.#db
      .updateTable('credentials')
      .set({ revoked_at: revocation.at, revoked_by: revocation.by })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .execute()
  }

  async forget(expiredBefore: number): Promise<number> {
    const [result] = await this.#db
      .deleteFrom('credentials')
      .where('expires_at', '<', expiredBefore)
      .execute()
    return Number(result?.numDeletedRows ?? 0)
  }

  async mockKey(candidate: Uint8Array): Promise<Uint8Array> {
    const name = 'credential mock key'
    await this.#db
      .insertInto('properties')
      .values({ name, value: base64(candidate) })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    const { value } = await this.#db
      .selectFrom('properties')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirstOrThrow()
    return bytesSchema.parse(value)
  }
}

function fromRow(row: CredentialRow): StoredCredential {
  const { revoked_at: at, revoked_by: by } = row
  return {
    credential: {
      id: brand<CredentialId>(row.id),
      use: useSchema.parse(row.use),
      chain: chainSchema.parse(JSON.parse(row.chain)),
      connection: brand<ConnectionName>(row.connection),
      ...(row.database === null ? {} : { database: row.database }),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      mintedBy: row.minted_by,
    },
    proof: proofSchema.parse(JSON.parse(row.proof)),
    ...(at === null || by === null ? {} : { revoked: { at, by } }),
  }
}

function proofToJson(proof: CredentialProof): string {
  if (proof.kind === 'token') return JSON.stringify({ kind: proof.kind, hash: base64(proof.hash) })
  const { iterations, salt, storedKey, serverKey } = proof.verifier
  return JSON.stringify({
    kind: proof.kind,
    verifier: {
      iterations,
      salt: base64(salt),
      storedKey: base64(storedKey),
      serverKey: base64(serverKey),
    },
  })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
