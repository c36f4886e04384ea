import { rootCertificates } from 'node:tls'
import type { Client, ClientConfig } from 'pg'
import { GatewayError } from '../../core/index.ts'
import type { FoundColumn } from './labels.ts'

/** A database as `--postgres DSN` names it. */
export type Target = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | undefined
  readonly database: string
  /** As it was asked for; absent: the strictest that works. */
  readonly sslmode: SslMode | undefined
}

export type SslMode = (typeof SSL_MODES)[number]

const SSL_MODES = ['verify-full', 'verify-ca', 'require', 'prefer', 'disable'] as const

export type Survey = {
  readonly sslmode: SslMode
  readonly serverVersion: string
  readonly tables: number
  readonly columns: readonly FoundColumn[]
  /** What the role may do beyond what a gateway needs, in words. */
  readonly powers: readonly string[]
}

/** Reads a DSN as libpq does; what is missing comes from the usual variables. Throws `invalid`, without the DSN. */
export function readDsn(dsn: string, environment: Readonly<Record<string, string | undefined>>): Target {
  const url = URL.parse(dsn)
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    throw new GatewayError('invalid', 'This is no DSN of a PostgreSQL database.', {
      remedy: 'Write it like postgresql://ROLE:PASSWORD@HOST:5432/DATABASE',
    })
  }
  const given = (text: string | null): string | undefined =>
    text === null || text === '' ? undefined : decodeURIComponent(text)
  const written = url.searchParams.get('sslmode')
  const sslmode = SSL_MODES.find((mode) => mode === written)
  if (written !== null && sslmode === undefined) {
    throw new GatewayError('invalid', `This sslmode is not known; use ${SSL_MODES.join(', ')}.`)
  }
  const user = given(url.username) ?? environment.PGUSER ?? environment.USER ?? 'postgres'
  return {
    host:
      given(url.searchParams.get('host')) ??
      given(url.hostname.replaceAll(/[[\]]/g, '')) ??
      environment.PGHOST ??
      '127.0.0.1',
    port: Number(given(url.port) ?? environment.PGPORT ?? 5432),
    user,
    password: given(url.password) ?? environment.PGPASSWORD,
    database: given(url.pathname.slice(1)) ?? environment.PGDATABASE ?? user,
    sslmode,
  }
}

/** Connects and looks at names only: no row of any table is read. Throws GatewayError in the server's own words. */
export async function survey(target: Target): Promise<Survey> {
  const { client, sslmode } = await connect(target)
  try {
    const columns = await rows(
      client,
      `SELECT n.nspname AS schema, c.relname AS "table", a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition
          AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
        ORDER BY 1, 2, a.attnum`,
    )
    const [version] = await rows(client, `SELECT current_setting('server_version') AS version`)
    const found = columns.map((row) => ({
      schema: row.schema ?? '',
      table: row.table ?? '',
      column: row.column ?? '',
      type: row.type ?? '',
    }))
    return {
      sslmode,
      serverVersion: version?.version ?? 'unknown',
      tables: new Set(found.map(({ schema, table }) => JSON.stringify([schema, table]))).size,
      columns: found,
      powers: await powersOf(client),
    }
  } finally {
    await client.end()
  }
}

async function powersOf(client: Client): Promise<string[]> {
  const [role] = await rows(
    client,
    `SELECT rolsuper::text AS superuser, rolreplication::text AS replication, rolbypassrls::text AS bypassrls,
            rolcreaterole::text AS createrole,
            (SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) FROM pg_roles r
              WHERE r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')
                AND pg_has_role(current_user, r.oid, 'member')) AS groups
       FROM pg_roles WHERE rolname = current_user`,
  )
  if (role === undefined) return []
  return [
    ...(role.superuser === 'true' ? ['is a superuser'] : []),
    ...(role.replication === 'true' ? ['may replicate'] : []),
    ...(role.bypassrls === 'true' ? ['bypasses row security'] : []),
    ...(role.createrole === 'true' ? ['may create roles'] : []),
    ...(role.groups === undefined || role.superuser === 'true' ? [] : [`is a member of ${role.groups}`]),
  ]
}

async function rows(client: Client, text: string): Promise<Readonly<Record<string, string | undefined>>[]> {
  const answer = await client.query<Record<string, string | null>>(text)
  return answer.rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? undefined])),
  )
}

/** The strictest way that works, or the one that was asked for. */
async function connect(target: Target): Promise<{ client: Client; sslmode: SslMode }> {
  const { default: pg } = await import('pg')
  const local = target.host.startsWith('/')
  const modes = target.sslmode === undefined ? (local ? DISABLED : TRIED) : [target.sslmode]
  let last: unknown
  for (const sslmode of modes) {
    const client = new pg.Client({ ...optionsOf(target), ssl: tlsOf(sslmode) })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return { client, sslmode }
    } catch (error) {
      last = error
      // The server has answered: another way of talking to it changes nothing.
      if (error instanceof pg.DatabaseError) break
    }
  }
  const words = last instanceof Error && last.message !== '' ? last.message : 'no answer'
  throw new GatewayError('not_found', `${target.host}:${target.port} cannot be used: ${words}.`, {
    remedy: 'Check host, port, role and password with: psql DSN',
    cause: last,
  })
}

const TRIED = ['verify-full', 'require', 'disable'] as const
const DISABLED = ['disable'] as const

function optionsOf(target: Target): ClientConfig {
  return {
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    application_name: 'sluice init',
    connectionTimeoutMillis: 10_000,
    ...(target.password === undefined ? {} : { password: target.password }),
  }
}

function tlsOf(sslmode: SslMode): NonNullable<ClientConfig['ssl']> {
  if (sslmode === 'disable') return false
  return { rejectUnauthorized: sslmode.startsWith('verify'), ca: [...rootCertificates] }
}
