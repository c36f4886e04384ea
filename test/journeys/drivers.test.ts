/** A program changes its DSN and nothing else: what it sees through the gateway is what it saw of the server itself. */
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { CLIENT_NAMES, runClient } from './clients.ts'
import { JOURNEY_DATABASE, JOURNEY_PASSWORD, JOURNEY_ROLE, makeJourneyDatabase } from './fixture.ts'

/** How many things each client does, so that none is lost without notice. */
const STEPS = {
  'node-postgres': 17,
  'postgres.js': 15,
  Drizzle: 2,
  TypeORM: 3,
  psycopg2: 13,
  'psycopg 3': 17,
  pgjdbc: 15,
} as const satisfies Record<(typeof CLIENT_NAMES)[number], number>

describe.each(MAJORS)('P-01 transparent to real drivers: PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
    gateway = await startGateway({
      config: allowAll({ open: { server, user: JOURNEY_ROLE, databases: [JOURNEY_DATABASE] } }),
      env: { [UPSTREAM_PASSWORD]: JOURNEY_PASSWORD },
    })
    later(() => gateway.stop())
  })

  test.each(CLIENT_NAMES)('%s', async (name) => {
    await makeJourneyDatabase(server)
    const login = { database: JOURNEY_DATABASE, user: JOURNEY_ROLE, password: JOURNEY_PASSWORD }
    const expected = await runClient(name, server.dsn(login))
    expect(Object.keys(expected)).toHaveLength(STEPS[name])
    // A step that fails without the gateway proves nothing about it.
    const broken = Object.entries(expected).filter(([, outcome]) =>
      JSON.stringify(outcome).includes('"thrown"'),
    )
    expect(broken).toEqual([])

    await makeJourneyDatabase(server)
    const seen = await runClient(name, await gateway.dsn('open', TEST_IDENTITY))
    for (const [step, outcome] of Object.entries(expected)) expect.soft(seen[step], step).toEqual(outcome)
    expect(gateway.stderr()).toBe('')
  })
})
