import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, sql } from 'kysely'
import type { Clock, RandomBytes } from '../core/index.ts'
import { GatewayError, isGatewayError, LIMITS } from '../core/index.ts'
import { migrate } from './migrations.ts'
import { nodeName } from './node-name.ts'
import { postgresDialect } from './postgres-dialect.ts'
import { NOTIFICATIONS } from './postgres-notifications.ts'
import type { Tables } from './schema.ts'
import { SharedStore } from './shared-store.ts'
import type { PostgresStoreSettings, StoreTarget } from './store-dsn.ts'
import { storeTarget } from './store-dsn.ts'

/** What a store that several gateways share is opened with. */
export type JoinOptions = {
  readonly dataDirectory: string
  readonly postgres: PostgresStoreSettings
  readonly clock: Clock
  readonly random: RandomBytes
  /** Of the program, for the others. */
  readonly version: string
  readonly report: (error: unknown) => void
}

/** A store in PostgreSQL that this gateway has joined, and how it is left. */
type Joined = { readonly db: Kysely<Tables>; readonly shared: SharedStore; close(): Promise<void> }

/** Brings the tables up to date, and joins the gateways that use them. Throws as `Store.openShared` says. */
export async function joinStore(options: JoinOptions): Promise<Joined> {
  const { dataDirectory, clock, random, version, report } = options
  const target = storeTarget(options.postgres)
  const node = nodeName(dataDirectory, random)
  try {
    await migrateShared(target, node)
  } catch (error) {
    throw isGatewayError(error) && error.code === 'store_unavailable' ? cannotReach(target, error) : error
  }
  const db = new Kysely<Tables>({
    dialect: postgresDialect(target, { application: `sluice ${node}`, statementMs: LIMITS.storeStatementMs }),
  })
  try {
    const self = { node, run: Buffer.from(random(16)).toString('hex'), version }
    const shared = await SharedStore.join({ target, db, self, clock, report })
    return {
      db,
      shared,
      async close() {
        await shared.leave()
        // A server that does not say goodbye is not waited for.
        await Promise.race([db.destroy(), sleep(LIMITS.storeStatementMs, undefined, { ref: false })])
      },
    }
  } catch (error) {
    await db.destroy()
    throw error
  }
}

/** Under a lock of the database: nodes that start together take turns. */
async function migrateShared(target: StoreTarget, node: string): Promise<void> {
  const db = new Kysely<Tables>({
    dialect: postgresDialect(target, {
      application: `sluice ${node} migrations`,
      statementMs: LIMITS.storeMigrationMs,
    }),
  })
  try {
    await db.connection().execute(async (locked) => {
      await sql`select pg_advisory_lock(${sql.lit(MIGRATION_LOCK)})`.execute(locked)
      const { rows } = await sql<{ is: string }>`select current_setting('synchronous_commit') as is`.execute(
        locked,
      )
      if (rows[0]?.is === 'off') throw losesCommits()
      await migrate(db, { '0005-notifications': NOTIFICATIONS })
    })
  } finally {
    await db.destroy()
  }
}

/** "sluice" in ASCII. The connection that holds it is closed, which lets it go. */
const MIGRATION_LOCK = 0x736c75696365

function cannotReach({ name }: StoreTarget, { cause }: GatewayError): GatewayError {
  const why = cause instanceof Error && cause.message !== '' ? cause.message.replace(/\.$/, '') : 'no answer'
  return new GatewayError('store_unavailable', `The store ${name} cannot be used: ${why}.`, {
    remedy: 'Check host, port, role, password and certificate with: psql DSN',
    retry: 'later',
    cause,
  })
}

function losesCommits(): GatewayError {
  return new GatewayError('invalid', 'The store would lose revocations: synchronous_commit is off.', {
    remedy: 'Switch it on for the role of the gateway: ALTER ROLE ... SET synchronous_commit = on',
    retry: 'only-if-changed',
  })
}
