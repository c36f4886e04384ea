/** Something pgbench can be pointed at. */
import type { RecordingKeys } from '../../src/core/index.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { DATABASE, ROLE, ROLE_PASSWORD } from './data.ts'

/** What libpq programs are told, as PGHOST and the like. */
export type Coordinates = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export type TargetName = 'direct' | 'pgbouncer' | 'relay' | 'relay-events' | 'sluice'

export type Target = {
  readonly name: TargetName
  readonly at: Coordinates
  /** The process in between; none for `direct`. */
  readonly pid: number | undefined
  readonly version: string
  /** Where Sluice keeps its recordings, and what they are read with; nobody else has any. */
  readonly recording?: { readonly directory: string; readonly keys: RecordingKeys }
  stop(): Promise<void>
}

export function environmentOf(at: Coordinates): Record<string, string> {
  return {
    PGHOST: at.host,
    PGPORT: String(at.port),
    PGUSER: at.user,
    PGPASSWORD: at.password,
    PGDATABASE: at.database,
    PGSSLMODE: 'disable',
  }
}

/** The server itself, as the benchmark's role. */
export function upstreamOf(server: TestServer): Coordinates {
  return { host: server.host, port: server.port, user: ROLE, password: ROLE_PASSWORD, database: DATABASE }
}
