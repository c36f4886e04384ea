import type { Client } from 'pg'
import { GatewayError } from '../../../core/index.ts'
import { unreachable } from './line.ts'

/** The same server and role, another database. */
export function inDatabase(dsn: string, database: string): string {
  const url = new URL(dsn)
  url.pathname = `/${encodeURIComponent(database)}`
  return url.href
}

export async function connect(dsn: string): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: dsn, application_name: 'sluice policy prove' })
  // Its queries tell of it.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw unreachable(error)
  }
  return client
}

/**
 * The database that the user named for the copy: made when there is none of that name, and dropped again in the end;
 * used when it is there and empty; refused when anything of anybody's is in it.
 */
export async function openScratch(
  source: Client,
  dsn: string,
  database: string,
): Promise<{ readonly client: Client; close(): Promise<void> }> {
  const { rows } = await source.query('SELECT FROM pg_database WHERE datname = $1', [database])
  const made = rows.length === 0
  const quoted = `"${database.replaceAll('"', '""')}"`
  if (made) {
    try {
      await source.query(`CREATE DATABASE ${quoted} TEMPLATE template0`)
    } catch (cause) {
      throw new GatewayError('invalid', `The database ${database} is not there and cannot be made.`, {
        cause,
        remedy: 'Make it, or let the role of the DSN make databases.',
      })
    }
  }
  const client = await connect(inDatabase(dsn, database))
  if (!made) {
    const { rows: found } = await client.query(
      "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 1",
    )
    if (found.length > 0) {
      await client.end()
      throw new GatewayError('invalid', `There is something in the database ${database}.`, {
        remedy: 'Name one that is empty, or one that is not there: it is made and dropped again.',
      })
    }
  }
  return {
    client,
    async close() {
      await client.end()
      if (made) await source.query(`DROP DATABASE ${quoted} WITH (FORCE)`)
    },
  }
}
