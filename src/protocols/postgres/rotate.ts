import type { Connection, Secret } from '../../core/index.ts'
import { createScramVerifier, GatewayError, SCRAM_ITERATIONS, SCRAM_SALT_BYTES } from '../../core/index.ts'
import type { ProbePorts, Rotation } from '../../session/index.ts'
import type { PostgresSettings } from './settings.ts'
import { openUpstream, UpstreamClient, UpstreamRefused } from './startup/upstream.ts'

/** A role changes its own password by ALTER ROLE, in any database and without further rights. */
export const postgresRotation: Rotation = {
  secretOf: (connection) => ours(connection).settings.upstream.password,
  accountOf(connection) {
    const { host, port, user } = ours(connection).settings.upstream
    return JSON.stringify([host.toLowerCase(), port, user])
  },
  takes: (ports, connection, secret) => takes(ports, ours(connection), secret),
  replace: (ports, connection, now, next) => replace(ports, ours(connection), now, next),
}

async function takes(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
  secret: Secret,
): Promise<boolean> {
  try {
    const client = await loggedIn(ports, connection, secret)
    client.close()
    return true
  } catch (error) {
    if (isNotTaken(error)) return false
    throw said(error)
  }
}

async function replace(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
  now: Secret,
  next: Secret,
): Promise<void> {
  const client = await loggedIn(ports, connection, now).catch((error: unknown) => {
    throw said(error)
  })
  try {
    await client.query(alterRole(ports, next))
    let reason: unknown
    try {
      if (await takes(ports, connection, next)) return
    } catch (error) {
      reason = error
    }
    // The session in which it was changed lives on: over it, it is put back.
    await client.query(alterRole(ports, now))
    throw reason ?? notTaken()
  } catch (error) {
    throw said(error)
  } finally {
    client.close()
  }
}

/**
 * With what the server keeps of a password, and not with it: statements like this stand in its log. A verifier is taken whatever
 * `password_encryption` says (CREATE ROLE, PostgreSQL's manual).
 */
function alterRole(ports: ProbePorts, secret: Secret): string {
  const { iterations, salt, storedKey, serverKey } = createScramVerifier(
    secret.reveal(),
    SCRAM_ITERATIONS,
    ports.random(SCRAM_SALT_BYTES),
  )
  const written = [salt, storedKey, serverKey].map((each) => Buffer.from(each).toString('base64'))
  return `ALTER ROLE CURRENT_USER PASSWORD 'SCRAM-SHA-256$${iterations}:${written[0]}$${written[1]}:${written[2]}'`
}

async function loggedIn(
  ports: ProbePorts,
  { settings }: Connection<PostgresSettings>,
  secret: Secret,
): Promise<UpstreamClient> {
  const [database] = settings.databases
  if (database === undefined) {
    throw new GatewayError('invalid', 'This connection lists no database to log in to.', {
      remedy: 'List one under databases.',
    })
  }
  const parameters = new Map([['application_name', 'sluice rotation']])
  const resolveSecret: ProbePorts['resolveSecret'] = (reference) =>
    reference === settings.upstream.password ? Promise.resolve(secret) : ports.resolveSecret(reference)
  return new UpstreamClient(
    await openUpstream({ ...ports, resolveSecret }, settings, database, parameters, 0),
  )
}

/** SQLSTATE class 28: who logs in is not who he says. */
function isNotTaken(error: unknown): boolean {
  return error instanceof UpstreamRefused && error.fields.code?.startsWith('28') === true
}

/** The server's refusal as an error of the gateway's. */
function said(error: unknown): unknown {
  return error instanceof UpstreamRefused ? unchanged(error) : error
}

function unchanged(cause: UpstreamRefused): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    `The server refused to change the password (SQLSTATE ${cause.fields.code ?? 'unknown'}); the old one is in force.`,
    { remedy: 'Check this connection with: sluice doctor', retry: 'only-if-changed', cause },
  )
}

function notTaken(): GatewayError {
  return new GatewayError(
    'conflict',
    'The server did not take the new password, so the old one was put back and is in force.',
    {
      remedy: 'Have pg_hba.conf ask this role for scram-sha-256.',
      retry: 'only-if-changed',
    },
  )
}

function ours(connection: Connection): Connection<PostgresSettings> {
  if (!isOurs(connection)) throw new TypeError('a connection of another protocol')
  return connection
}

/** The configuration has read the settings of every connection of ours by our schema. */
function isOurs(connection: Connection): connection is Connection<PostgresSettings> {
  return connection.protocol === 'postgres'
}
