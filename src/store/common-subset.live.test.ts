/**
 * Runs the repositories and migrations, which are written once, on PostgreSQL as well: nothing in them may be
 * SQLite's own.
 */
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, types } from 'pg'
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { TestServer } from '../../test/support/postgres.ts'
import { startTestServer } from '../../test/support/postgres.ts'
import { eventually } from '../../test/support/wait.ts'
import { approvalStoreContract } from '../testing/approval-store-contract.ts'
import { budgetStoreContract } from '../testing/budget-store-contract.ts'
import { credentialStoreContract } from '../testing/credential-store-contract.ts'
import { blockStoreContract, peopleStoreContract } from '../testing/people-store-contract.ts'
import { sealedSecretStoreContract } from '../testing/sealed-secret-store-contract.ts'
import { sessionIndexContract } from '../testing/session-index-contract.ts'
import { ApprovalRepository } from './approval-repository.ts'
import { BlockRepository } from './block-repository.ts'
import { BudgetRepository } from './budget-repository.ts'
import { CredentialRepository } from './credential-repository.ts'
import { migrate } from './migrations.ts'
import { PeopleRepository } from './people-repository.ts'
import type { Tables } from './schema.ts'
import { SealedSecretRepository } from './sealed-secret-repository.ts'
import { SessionIndexRepository } from './session-index-repository.ts'

/** The oid of the type bigint. */
const INT8 = 20

let server: TestServer
const opened: Kysely<Tables>[] = []
let databases = 0

beforeAll(async () => {
  server = await startTestServer(15)
})
afterEach(async () => {
  for (const db of opened.splice(0)) await db.destroy()
})
afterAll(async () => {
  // The pools have said goodbye; a server that stops before it has heard them complains to nobody's listener.
  await eventually('the connections of the stores to close', async () => {
    const rows = await server.sql("select 1 from pg_stat_activity where datname like 'store_%'")
    return rows.length === 0
  })
  await server.stop()
})

/** A database of its own for each test, its tables made by the migrations. */
async function open(): Promise<Kysely<Tables>> {
  const database = `store_${++databases}`
  await server.sql(`create database ${database}`)
  const pool = new Pool({
    connectionString: server.dsn({ database }),
    max: 4,
    // Times are BIGINT, which pg gives as text unless told otherwise.
    types: {
      getTypeParser: (id: number, format?: 'text' | 'binary') =>
        id === INT8 ? Number : types.getTypeParser(id, format),
    },
  })
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  opened.push(db)
  await migrate(db)
  return db
}

credentialStoreContract('PostgreSQL', async () => new CredentialRepository(await open()))
sealedSecretStoreContract('PostgreSQL', async () => new SealedSecretRepository(await open()))
approvalStoreContract('PostgreSQL', async () => new ApprovalRepository(await open()))
peopleStoreContract('PostgreSQL', async () => new PeopleRepository(await open()))
blockStoreContract('PostgreSQL', async () => new BlockRepository(await open()))
budgetStoreContract('PostgreSQL', async () => new BudgetRepository(await open()))
sessionIndexContract('PostgreSQL', async () => new SessionIndexRepository(await open()))
