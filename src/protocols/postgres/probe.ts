import type { Connection } from '../../core/index.ts'
import { asGatewayError, describeSecretRef, isThisMachine } from '../../core/index.ts'
import type { Finding, ProbePorts } from '../../session/index.ts'
import { matches, readPattern } from '../../sql/index.ts'
import type { PostgresSettings } from './settings.ts'
import { openUpstream, UpstreamClient, UpstreamRefused } from './startup/upstream.ts'

const ROLE = `SELECT r.rolsuper::text, r.rolreplication::text, r.rolbypassrls::text, r.rolcreaterole::text,
  (SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM pg_catalog.pg_roles g
    WHERE g.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')
      AND pg_catalog.pg_has_role(current_user, g.oid, 'member'))
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`

const COLUMNS = `SELECT n.nspname, c.relname, a.attname,
  pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')::text
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'm', 'v')`

/** Functions of users that triggers, defaults and generated columns run by themselves, and their texts. */
const FILLS = `SELECT DISTINCT n.nspname, c.relname, p.proname, p.prosrc
  FROM (
    SELECT t.tgrelid AS relation, t.tgfoid AS called FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal
    UNION SELECT d.adrelid, x.refobjid FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_depend x
      ON x.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND x.objid = d.oid
      AND x.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass) f
  JOIN pg_catalog.pg_proc p ON p.oid = f.called AND p.oid >= 16384
  JOIN pg_catalog.pg_class c ON c.oid = f.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  ORDER BY 1, 2, 3`

/** Logs in to each database of a connection and looks at what the role may do; reads definitions and no row. */
export async function probePostgres(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
): Promise<readonly Finding[]> {
  const { databases, upstream } = connection.settings
  if (databases.length === 0) {
    return [{ level: 'warning', message: 'No database may be opened.', remedy: 'List some under databases.' }]
  }
  const findings: Finding[] = []
  for (const database of databases) {
    try {
      findings.push(...(await probeDatabase(ports, connection, database)))
    } catch (error) {
      findings.push(failure(`${database} on ${upstream.host}:${upstream.port}`, error))
    }
  }
  return findings
}

async function probeDatabase(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
  database: string,
): Promise<Finding[]> {
  const { settings } = connection
  const { host, port, sslmode } = settings.upstream
  const user = nameOf(settings)
  const open = await openUpstream(
    ports,
    settings,
    database,
    new Map([['application_name', 'sluice doctor']]),
    0,
  )
  const client = new UpstreamClient(open)
  try {
    const { tls } = open.pipe
    const version = open.parameters.get('server_version') ?? 'of an unknown version'
    const findings: Finding[] = [
      {
        level: 'ok',
        message: `${database}: PostgreSQL ${version} at ${host}:${port} takes the role ${user}.`,
      },
    ]
    if (tls === undefined && !isThisMachine(host)) {
      findings.push({
        level: 'problem',
        message: `${database}: the line to ${host} is not encrypted (sslmode ${sslmode}).`,
        remedy: 'Give the server a certificate, and set sslmode: verify-full.',
      })
    } else if (tls !== undefined) {
      const verified = sslmode === 'verify-full'
      findings.push({
        level: verified ? 'ok' : 'warning',
        message: `${database}: ${tls.protocol}, the server is ${verified ? 'verified' : `not fully verified (sslmode ${sslmode})`}.`,
        ...(verified
          ? {}
          : { remedy: 'Set sslmode: verify-full, with sslrootcert when the authority is your own.' }),
      })
    }
    findings.push(...powers(user, (await client.query(ROLE))[0]))
    const columns = await client.query(COLUMNS)
    findings.push(...labelled(connection, database, columns))
    findings.push(...fills(connection, database, columns, await client.query(FILLS)))
    return findings
  } finally {
    client.close()
  }
}

/** A role that is made anew has no name that would mean anything later. */
function nameOf({ upstream: { user } }: PostgresSettings): string {
  return user.kind === 'literal' ? user.value.reveal() : describeSecretRef(user)
}

function powers(user: string, row: readonly (string | null)[] | undefined): Finding[] {
  const [superuser, replication, bypassrls, createrole, groups] = row ?? []
  const can = [
    ...(superuser === 'true' ? ['is a superuser'] : []),
    ...(replication === 'true' ? ['may replicate'] : []),
    ...(bypassrls === 'true' ? ['bypasses row security'] : []),
    ...(createrole === 'true' ? ['may create roles'] : []),
    ...(groups === null || groups === undefined || superuser === 'true' ? [] : [`is a member of ${groups}`]),
  ]
  if (can.length === 0) return [{ level: 'ok', message: `The role ${user} has no powers beyond its grants.` }]
  return [
    {
      level: 'warning',
      message: `The role ${user} ${can.join(', ')}.`,
      remedy: 'Give the gateway a role that may do no more than what its clients are meant to.',
    },
  ]
}

/** Labels that mean no column protect nothing; columns the role cannot read need no mask. */
function labelled(
  connection: Connection<PostgresSettings>,
  database: string,
  columns: readonly (readonly (string | null)[])[],
): Finding[] {
  const findings: Finding[] = []
  const readable = new Set<string>()
  const all = new Set<string>()
  for (const assignment of connection.labels) {
    const pattern = readPattern(assignment)
    if (pattern.database !== undefined && pattern.database !== database) continue
    let found = false
    for (const [schema, table, column, may] of columns) {
      if (!matches(pattern, database, schema ?? '', table ?? '', column ?? '')) continue
      found = true
      const name = JSON.stringify([schema, table, column])
      all.add(name)
      if (may === 'true') readable.add(name)
    }
    if (found) continue
    findings.push({
      level: 'warning',
      message: `${database}: the label ${assignment.label} for ${assignment.pattern} means no column.`,
      remedy: 'Correct the pattern, or remove it.',
    })
  }
  findings.push({
    level: 'ok',
    message: `${database}: the role may read ${readable.size} of ${all.size} labelled columns; what nobody needs in clear can be revoked from it.`,
  })
  return findings
}

/** What such a function reads of a labelled table it may put where no label is. */
function fills(
  connection: Connection<PostgresSettings>,
  database: string,
  columns: readonly (readonly (string | null)[])[],
  functions: readonly (readonly (string | null)[])[],
): Finding[] {
  const patterns = connection.labels.map(readPattern)
  const tables = new Set<string>()
  for (const [schema, table, column] of columns) {
    if (patterns.some((each) => matches(each, database, schema ?? '', table ?? '', column ?? '')))
      tables.add(table ?? '')
  }
  return functions.flatMap(([schema, table, name, source]) => {
    const words = new Set((source ?? '').match(/[\p{L}\p{N}_$]+/gu))
    const named = [...tables].filter((each) => each !== table && words.has(each)).sort()
    if (named.length === 0) return []
    return [
      {
        level: 'warning',
        message: `${database}: ${schema}.${table} runs ${name} by itself, which names ${named.join(', ')}: what it copies from there is in clear.`,
        remedy: 'Label the columns that it fills, unless they get nothing that is protected.',
      },
    ]
  })
}

function failure(what: string, error: unknown): Finding {
  if (error instanceof UpstreamRefused) {
    const message = error.fields.message ?? 'it gave no reason'
    return {
      level: 'problem',
      message: `${what} refuses the gateway: ${message}.`,
      remedy: 'Check role, password and database.',
    }
  }
  const { message, remedy, cause } = asGatewayError(error)
  const why = cause instanceof Error ? ` (${cause.message})` : ''
  return {
    level: 'problem',
    message: `${what}: ${message}${why}`,
    ...(remedy === undefined ? {} : { remedy }),
  }
}
