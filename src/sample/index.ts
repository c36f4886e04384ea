/**
 * The sample that `npm start` brings: a small company's customer database in a real PostgreSQL server, and the internal
 * HTTP API of the same company. Leaves the gateway itself, and the configuration that protects all this, to others.
 * Promise: no password is written to a file or shown in the process list, and nothing listens beyond loopback.
 */
import { npmBinaries } from './binaries.ts'
import { CRM_DATABASE, prepareCrm } from './crm.ts'
import { CRM_ROLE } from './crm.sql.ts'
import { makeCompany } from './people.ts'
import type { SampleApi } from './api.ts'
import { startApi } from './api.ts'
import type { PostgresServer } from './server.ts'
import { startPostgres } from './server.ts'
import { unprivilegedUser } from './unprivileged.ts'

export { npmBinaries } from './binaries.ts'
export type { PostgresOptions, PostgresServer } from './server.ts'
export { startPostgres } from './server.ts'
export type { SampleApi } from './api.ts'
export { startApi } from './api.ts'
export { makeCompany } from './people.ts'
export { CRM_DATABASE, prepareCrm } from './crm.ts'
export { CRM_ROLE } from './crm.sql.ts'
export { unprivilegedUser } from './unprivileged.ts'

export type SampleOptions = {
  /** Where the database keeps its files; made when absent. */
  readonly dataDirectory: string
  /** Fresh random texts, printable ASCII. The gateway gets `role` and `apiToken`; nobody keeps `superuser`. */
  readonly secrets: { readonly superuser: string; readonly role: string; readonly apiToken: string }
}

export type Sample = {
  readonly postgres: PostgresServer
  readonly api: SampleApi
  /** The role and the database that the gateway connects to. */
  readonly role: string
  readonly database: string
  stop(): Promise<void>
}

/** Starts both and fills the database on the first run: about 1.5 seconds then, 0.2 later. */
export async function startSample(options: SampleOptions): Promise<Sample> {
  const { secrets, dataDirectory } = options
  const company = makeCompany()
  const postgres = await startPostgres({
    binDirectory: await npmBinaries(unprivilegedUser()),
    dataDirectory,
    password: secrets.superuser,
    settings: { max_connections: 100, shared_buffers: '32MB' },
  })
  try {
    await prepareCrm(postgres, { superuser: secrets.superuser, role: secrets.role }, company)
    const api = await startApi({ company, token: secrets.apiToken })
    return {
      postgres,
      api,
      role: CRM_ROLE,
      database: CRM_DATABASE,
      async stop() {
        await Promise.all([api.stop(), postgres.stop()])
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}
export { SAMPLE_SECRETS, sampleConfiguration } from './configuration.ts'
