import type { Kysely } from 'kysely'
import type { Migration, MigrationProvider } from 'kysely/migration'
import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { GatewayError } from '../core/index.ts'

/**
 * How the tables came to be, oldest first. A migration that has been in a release is never changed: a new one is
 * added. Its name sorts after those before it.
 */
const MIGRATIONS: Record<string, Migration> = {
  '0001-begin': {
    async up(db) {
      await db.schema
        .createTable('properties')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('value', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('credentials')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('use', 'text', (column) => column.notNull())
        .addColumn('connection', 'text', (column) => column.notNull())
        .addColumn('database', 'text')
        .addColumn('chain', 'text', (column) => column.notNull())
        .addColumn('proof', 'text', (column) => column.notNull())
        .addColumn('minted_by', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .addColumn('revoked_at', 'bigint')
        .addColumn('revoked_by', 'text')
        .execute()
      await db.schema.createIndex('credentials_by_expiry').on('credentials').column('expires_at').execute()
      await db.schema
        .createTable('sealed_secrets')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('nonce', 'text', (column) => column.notNull())
        .addColumn('sealed', 'text', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_by', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('approvals')
        .addColumn('ticket', 'text', (column) => column.primaryKey())
        .addColumn('open_fingerprint', 'text', (column) => column.unique())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('ended_at', 'bigint')
        .addColumn('body', 'text', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('approvals_by_end').on('approvals').column('ended_at').execute()
      await db.schema
        .createTable('sessions')
        .addColumn('session', 'text', (column) => column.primaryKey())
        .addColumn('opened_at', 'bigint', (column) => column.notNull())
        .addColumn('closed_at', 'bigint')
        .addColumn('close_reason', 'text')
        .addColumn('connection', 'text', (column) => column.notNull())
        .addColumn('protocol', 'text', (column) => column.notNull())
        .addColumn('chain', 'text', (column) => column.notNull())
        .addColumn('credential', 'text', (column) => column.notNull())
        .addColumn('minted_by', 'text', (column) => column.notNull())
        .addColumn('client_address', 'text', (column) => column.notNull())
        .addColumn('program', 'text', (column) => column.notNull())
        .addColumn('database', 'text', (column) => column.notNull())
        .addColumn('config', 'text', (column) => column.notNull())
        .addColumn('commands', 'bigint', (column) => column.notNull())
        .addColumn('denied', 'bigint', (column) => column.notNull())
        .addColumn('held', 'bigint', (column) => column.notNull())
        .addColumn('rows', 'bigint', (column) => column.notNull())
        .addColumn('bytes', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('session_identities')
        .addColumn('identity', 'text', (column) => column.notNull())
        .addColumn('session', 'text', (column) => column.notNull().references('sessions.session'))
        .addPrimaryKeyConstraint('session_identities_key', ['identity', 'session'])
        .execute()
      await db.schema
        .createTable('configurations')
        .addColumn('sequence', 'bigint', (column) => column.primaryKey())
        .addColumn('version', 'text', (column) => column.notNull())
        .addColumn('text', 'text', (column) => column.notNull())
        .addColumn('activated_at', 'bigint', (column) => column.notNull())
        .addColumn('activated_by', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('people')
        .addColumn('person', 'text', (column) => column.primaryKey())
        .addColumn('enrolled_at', 'bigint', (column) => column.notNull())
        .addColumn('device', 'text', (column) => column.notNull())
        .addColumn('last_step', 'bigint', (column) => column.notNull())
        .addColumn('failures', 'bigint', (column) => column.notNull())
        .addColumn('locked_until', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('invitations')
        .addColumn('person', 'text', (column) => column.primaryKey())
        .addColumn('hash', 'text', (column) => column.notNull().unique())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .addColumn('invited_by', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('blocks')
        .addColumn('identity', 'text', (column) => column.primaryKey())
        .addColumn('blocked_by', 'text', (column) => column.notNull())
        .addColumn('blocked_at', 'bigint', (column) => column.notNull())
        .execute()
    },
  },
  '0002-budgets': {
    async up(db) {
      await db.schema
        .createTable('budget_accounts')
        .addColumn('day', 'text', (column) => column.notNull())
        .addColumn('budget', 'text', (column) => column.notNull())
        .addColumn('identity', 'text', (column) => column.notNull())
        .addColumn('rows', 'bigint', (column) => column.notNull())
        .addColumn('bytes', 'bigint', (column) => column.notNull())
        .addColumn('records', 'bigint', (column) => column.notNull())
        .addColumn('questions', 'bigint', (column) => column.notNull())
        .addColumn('sketch', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('budget_accounts_key', ['day', 'budget', 'identity'])
        .execute()
    },
  },
  '0003-session-facts': {
    async up(db) {
      await db.schema
        .createTable('session_facts')
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('value', 'text', (column) => column.notNull())
        .addColumn('session', 'text', (column) => column.notNull().references('sessions.session'))
        .addColumn('commands', 'bigint', (column) => column.notNull())
        .addColumn('first_at', 'bigint', (column) => column.notNull())
        .addColumn('last_at', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('session_facts_key', ['kind', 'value', 'session'])
        .execute()
      await db.schema.createIndex('session_facts_by_session').on('session_facts').column('session').execute()
      await db.schema
        .createTable('sightings')
        .addColumn('session', 'text', (column) => column.notNull().references('sessions.session'))
        .addColumn('n', 'bigint', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('column_name', 'text', (column) => column.notNull())
        .addColumn('label', 'text', (column) => column.notNull())
        .addColumn('shown', 'text', (column) => column.notNull())
        .addColumn('outcome', 'text')
        .addColumn('rows', 'bigint', (column) => column.notNull())
        .addColumn('bytes', 'bigint', (column) => column.notNull())
        .addColumn('empty', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('sightings_key', ['session', 'n', 'label', 'column_name'])
        .execute()
      await db.schema
        .createIndex('sightings_by_column')
        .on('sightings')
        .columns(['column_name', 'at'])
        .execute()
      await db.schema.createIndex('sightings_by_label').on('sightings').columns(['label', 'at']).execute()
      // What the recordings hold has to be counted in once more: the list is made anew from them.
      await sql`delete from properties where name = 'session index position'`.execute(db)
    },
  },
  '0004-nodes': {
    async up(db) {
      await db.schema.alterTable('sessions').addColumn('node', 'text').execute()
      await db.schema
        .createTable('nodes')
        .addColumn('node', 'text', (column) => column.primaryKey())
        .addColumn('run', 'text', (column) => column.notNull())
        .addColumn('version', 'text', (column) => column.notNull())
        .addColumn('address', 'text')
        .addColumn('started_at', 'bigint', (column) => column.notNull())
        .addColumn('seen_at', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('changes')
        .addColumn('topic', 'text', (column) => column.primaryKey())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .execute()
    },
  },
  '0006-mutes': {
    async up(db) {
      await db.schema.alterTable('approvals').addColumn('muted_until', 'bigint').execute()
      await db.schema.createIndex('approvals_by_mute').on('approvals').column('muted_until').execute()
    },
  },
  '0007-channels': {
    async up(db) {
      await db.schema
        .createTable('notifications')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('channel', 'text', (column) => column.notNull())
        .addColumn('ticket', 'text', (column) => column.notNull())
        .addColumn('event', 'text', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('due_at', 'bigint', (column) => column.notNull())
        .addColumn('attempts', 'bigint', (column) => column.notNull())
        .addColumn('ref', 'text')
        .execute()
      await db.schema
        .createIndex('notifications_waiting')
        .on('notifications')
        .columns(['channel', 'state', 'at'])
        .execute()
      await db.schema.createIndex('notifications_by_time').on('notifications').column('at').execute()
      await db.schema
        .createTable('channel_messages')
        .addColumn('channel', 'text', (column) => column.notNull())
        .addColumn('message', 'text', (column) => column.notNull())
        .addColumn('until', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('channel_messages_key', ['channel', 'message'])
        .execute()
      await db.schema.createIndex('channel_messages_by_end').on('channel_messages').column('until').execute()
    },
  },
}

/** What a database has besides: migrations that stand in order among the others. */
export type OwnMigrations = Readonly<Record<string, Migration>>

/**
 * Brings the tables up to date, as a whole or not at all. `own`: what only this database has. Throws `conflict` for a
 * store that a newer version wrote.
 */
export async function migrate<T>(db: Kysely<T>, own: OwnMigrations = {}): Promise<void> {
  const migrations = { ...MIGRATIONS, ...own }
  const provider: MigrationProvider = { getMigrations: async () => migrations }
  const migrator = new Migrator({ db, provider })
  const unknown = await unknownMigrations(db, migrations)
  if (unknown.length > 0) {
    throw new GatewayError('conflict', 'The store was written by a newer version of Sluice.', {
      remedy: 'Start that version, or restore a copy made before it ran.',
      facts: { migrations: unknown.join(' ') },
    })
  }
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

async function unknownMigrations<T>(db: Kysely<T>, known: OwnMigrations): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some((table) => table.name === 'kysely_migration')) return []
  const rows = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  return rows.rows.map((row) => row.name).filter((name) => !(name in known))
}
