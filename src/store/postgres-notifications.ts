import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What nodes keep in memory, by the table it is in. */
export const TOPICS = ['approvals', 'blocks', 'configurations', 'credentials', 'sealed_secrets'] as const
export type Topic = (typeof TOPICS)[number]

/** The channel that every node listens on. */
export const CHANNEL = 'sluice'

/** Which column names a row to other nodes, and which changes of it they have to hear of. */
const HEARD = {
  approvals: { key: 'ticket', when: 'insert or update' },
  blocks: { key: 'identity', when: 'insert or update or delete' },
  configurations: { key: 'version', when: 'insert' },
  // What expired is deleted; every node knows by itself when something expires.
  credentials: { key: 'id', when: 'insert or update' },
  sealed_secrets: { key: 'name', when: 'insert or update or delete' },
} as const satisfies Record<Topic, unknown>

/**
 * The migration that only PostgreSQL has: each change of a topic counts its revision up and notifies, in the
 * transaction of the change. The row of the revision serialises those who change a topic, so that revisions are
 * committed in order and none is missing. A key that is too long for a notification (8,000 bytes) is left out.
 */
export const NOTIFICATIONS: Migration = {
  async up(db) {
    await sql`
      create function sluice_changed() returns trigger language plpgsql as $$
      declare
        counted bigint;
        named text;
      begin
        execute format('insert into %I.changes (topic, revision) values ($1, 1)
                        on conflict (topic) do update set revision = changes.revision + 1
                        returning revision', tg_table_schema)
          into counted using tg_table_name;
        if tg_op = 'DELETE' then
          execute format('select ($1).%I::text', tg_argv[0]) into named using old;
        else
          execute format('select ($1).%I::text', tg_argv[0]) into named using new;
        end if;
        perform pg_notify(${sql.lit(CHANNEL)}, json_build_object(
          'schema', tg_table_schema, 'topic', tg_table_name, 'revision', counted,
          'key', case when octet_length(named) <= 4000 then named end)::text);
        return null;
      end $$`.execute(db)
    for (const topic of TOPICS) {
      const { key, when } = HEARD[topic]
      await sql`create trigger sluice_changed after ${sql.raw(when)} on ${sql.table(topic)}
                for each row execute function sluice_changed(${sql.lit(key)})`.execute(db)
    }
  },
}
