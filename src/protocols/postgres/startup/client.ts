import type { Connection, Credential, Pipe, RandomBytes } from '../../../core/index.ts'
import { GatewayError, isLoopback } from '../../../core/index.ts'
import type { ConnectionName } from '../../../core/index.ts'
import type { CredentialDesk } from '../../../session/index.ts'
import type { Startup } from '../../../wire/postgres/index.ts'
import {
  CLIENT_TYPES,
  decodeSaslInitial,
  encodeServer,
  negotiate,
  ScramServer,
} from '../../../wire/postgres/index.ts'
import { Inbox } from './inbox.ts'
import type { PostgresSettings } from '../settings.ts'

/** A client that has proved its credential, with what it opens. */
export type Admitted = {
  readonly credential: Credential
  readonly connection: Connection<PostgresSettings>
  readonly database: string
  readonly minor: number
  /** Bytes the client sent ahead of our answer. */
  readonly rest: Buffer
  /** SASLFinal, withheld until the upstream is there, so that a failure still ends the login. */
  readonly final: Buffer
}

export type AdmissionPorts = {
  readonly credentials: CredentialDesk
  readonly random: RandomBytes
  connection(name: ConnectionName): Connection<PostgresSettings> | undefined
}

/** Checks the credential of a start-up by SCRAM and finds what it opens. */
export async function admit(
  pipe: Pipe,
  startup: Startup,
  first: Buffer,
  ports: AdmissionPorts,
): Promise<Admitted> {
  refuseAtOnce(pipe, startup)
  const { minor, mustTell } = negotiate(startup)
  if (mustTell) {
    pipe.write(
      encodeServer({ kind: 'negotiateProtocolVersion', minor, options: [...startup.protocolOptions] }),
    )
  }
  const inbox = new Inbox(pipe, () => new GatewayError('canceled', 'The client went away.'), first)
  const final = await authenticate(pipe, inbox, startup.user, ports)
  const rest = inbox.detach()
  pipe.pause()
  const credential = ports.credentials.find(startup.user)
  if (credential === undefined || credential.use !== 'database') throw wrongCredential()
  const connection = ports.connection(credential.connection)
  if (connection === undefined) {
    throw new GatewayError(
      'connection_unknown',
      `There is no connection ${credential.connection} for databases here.`,
    )
  }
  const database = databaseOf(startup, credential, connection)
  return { credential, connection, database, minor, rest, final }
}

function refuseAtOnce(pipe: Pipe, startup: Startup): void {
  if (startup.replication) {
    throw new GatewayError(
      'unsupported',
      'Connect without replication: a replication stream is not spoken here.',
    )
  }
  if (startup.database === '') {
    throw new GatewayError('connection_unknown', 'Name a database: an empty one is not filled in here.', {
      remedy: 'Use a DSN as printed by: sluice dsn',
      retry: 'only-if-changed',
    })
  }
  if (pipe.tls === undefined && !isLoopback(pipe.remote.address)) {
    throw new GatewayError(
      'unauthenticated',
      'Connect with TLS: credentials are checked in clear only on loopback.',
      {
        remedy: 'Set sslmode=require or stricter.',
        retry: 'only-if-changed',
      },
    )
  }
}

async function authenticate(pipe: Pipe, inbox: Inbox, user: string, ports: AdmissionPorts): Promise<Buffer> {
  const scram = new ScramServer(ports.credentials.verifier(user), pipe.tls?.endPointHash, ports.random)
  pipe.write(encodeServer({ kind: 'authenticationSasl', mechanisms: scram.mechanisms }))
  const { mechanism, data } = decodeSaslInitial(await nextPassword(inbox))
  const continued = scram.begin(mechanism, data ?? new Uint8Array(0))
  pipe.write(encodeServer({ kind: 'authenticationSaslContinue', data: continued }))
  const final = scram.finish(await nextPassword(inbox))
  return encodeServer({ kind: 'authenticationSaslFinal', data: final })
}

async function nextPassword(inbox: Inbox): Promise<Buffer> {
  const { type, body } = await inbox.next()
  if (type !== CLIENT_TYPES.password) throw new GatewayError('protocol_violation', 'A login was expected.')
  return body
}

function databaseOf(
  startup: Startup,
  credential: Credential,
  connection: Connection<PostgresSettings>,
): string {
  const { database } = startup
  if (credential.database !== undefined && credential.database !== database) {
    throw new GatewayError(
      'connection_unknown',
      `This credential opens the database ${credential.database} only.`,
    )
  }
  if (!connection.settings.databases.includes(database)) {
    throw new GatewayError(
      'connection_unknown',
      `The connection ${connection.name} does not open that database.`,
      {
        remedy: `Name one of its databases: ${connection.settings.databases.join(', ') || 'none is configured'}.`,
        retry: 'only-if-changed',
      },
    )
  }
  return database
}

export function wrongCredential(): GatewayError {
  return new GatewayError('unauthenticated', 'The credential is unknown, wrong, expired or revoked.', {
    remedy: 'Get a fresh one with: sluice dsn CONNECTION --as IDENTITY',
    retry: 'only-if-changed',
  })
}
