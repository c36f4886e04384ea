import { Client } from 'pg'
import { CRM_ROLE, CRM_SQL } from './crm.sql.ts'
import type { Company } from './people.ts'
import { scramVerifier } from './scram-verifier.ts'
import type { PostgresServer } from './server.ts'

export const CRM_DATABASE = 'crm'

/** Parents before children. */
const TABLES = [
  'employees',
  'customers',
  'payment_methods',
  'invoices',
  'api_keys',
  'support_tickets',
] as const satisfies readonly (keyof Company)[]

/**
 * Makes the database `crm` unless it is there, and gives the gateway's role its password for this run.
 * The database is filled under another name and renamed when complete, so that a half-filled one is never seen.
 */
export async function prepareCrm(
  server: Pick<PostgresServer, 'host' | 'port' | 'user'>,
  passwords: { readonly superuser: string; readonly role: string },
  company: Company,
): Promise<void> {
  const connect = async <T>(database: string, use: (client: Client) => Promise<T>): Promise<T> => {
    const { host, port, user } = server
    const client = new Client({ host, port, user, password: passwords.superuser, database })
    await client.connect()
    try {
      return await use(client)
    } finally {
      await client.end()
    }
  }

  await connect('postgres', async (client) => {
    const role = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [CRM_ROLE])
    const verb = role.rowCount === 0 ? 'CREATE' : 'ALTER'
    await client.query(`${verb} ROLE ${CRM_ROLE} LOGIN PASSWORD '${scramVerifier(passwords.role)}'`)
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [CRM_DATABASE])
    if (known.rowCount !== 0) return
    await client.query('DROP DATABASE IF EXISTS crm_loading')
    await client.query('CREATE DATABASE crm_loading')
    await client.query('REVOKE CONNECT, TEMPORARY ON DATABASE crm_loading FROM PUBLIC')
    await connect('crm_loading', async (loading) => fill(loading, company))
    await client.query(`ALTER DATABASE crm_loading RENAME TO ${CRM_DATABASE}`)
  })
}

async function fill(client: Client, company: Company): Promise<void> {
  await client.query('BEGIN')
  await client.query(CRM_SQL)
  for (const table of TABLES) {
    const rows = JSON.stringify(company[table])
    await client.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [
      rows,
    ])
    if (table === 'employees') continue
    await client.query(`SELECT setval(pg_get_serial_sequence($1, 'id'), (SELECT max(id) FROM ${table}))`, [
      table,
    ])
  }
  await client.query('COMMIT')
  await client.query('ANALYZE')
}
