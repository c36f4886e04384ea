/** Runs the corpus in one mode against one target, on a fresh copy of the database, each section on a connection of its own. */
import type { TestServer } from '../support/postgres.ts'
import { CORPUS, FIXTURE } from './corpus.ts'
import type { Mode } from './modes.ts'
import type { Target } from './raw-client.ts'
import { RawClient } from './raw-client.ts'
import { Shower } from './shown.ts'

const TEMPLATE = 'differential_template'
export const DIFFERENTIAL_DATABASE = 'differential'
export const DIFFERENTIAL_ROLE = 'differential_app'
export const DIFFERENTIAL_PASSWORD = 'differential-upstream-password'

/** Once per server. */
export async function prepareTemplate(server: TestServer): Promise<void> {
  await server.role(DIFFERENTIAL_ROLE, DIFFERENTIAL_PASSWORD, { superuser: true })
  await server.sql(`CREATE DATABASE ${TEMPLATE} OWNER ${DIFFERENTIAL_ROLE}`)
  const client = await server.client(TEMPLATE)
  try {
    await client.query(`SET ROLE ${DIFFERENTIAL_ROLE}`)
    await client.query(FIXTURE)
  } finally {
    await client.end()
  }
}

/** Every section as `name: lines`. The database is made anew under the same name; one section finds what another left. */
export async function runSide(
  server: TestServer,
  target: Target,
  mode: Mode,
): Promise<Map<string, string[]>> {
  await server.sql(`DROP DATABASE IF EXISTS ${DIFFERENTIAL_DATABASE} WITH (FORCE)`)
  await server.sql(`CREATE DATABASE ${DIFFERENTIAL_DATABASE} TEMPLATE ${TEMPLATE} OWNER ${DIFFERENTIAL_ROLE}`)
  const seen = new Map<string, string[]>()
  for (const section of CORPUS) {
    const { client, greeting } = await RawClient.open(target, section.parameters)
    const messages = [...greeting, ...(await mode.run(client, section))]
    await client.close()
    seen.set(section.name, new Shower().show(messages))
  }
  return seen
}
