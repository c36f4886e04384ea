/** A program changes its DSN and nothing else: what it sees through the gateway is what it saw of the server itself. */
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createCertificates } from '../../src/net/index.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
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

/** With TLS required, clients that check certificates trust the authority that made the gateway's. */
const TLS =
  '{ port: 0, tls: { certificate: "${file:server.pem}", key: "${file:server-key.pem}", required: true } }'

describe.each([
  { major: 15, tls: false },
  { major: 18, tls: true },
] as const)('P-01 transparent to real drivers: PostgreSQL $major, TLS $tls', ({ major, tls }) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let trusted: Record<string, string>

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
    const made = await createCertificates({ names: ['127.0.0.1'], now: Date.now() })
    const connections = { open: { server, user: JOURNEY_ROLE, databases: [JOURNEY_DATABASE] } }
    gateway = await startGateway({
      config: tls ? allowAll(connections, TLS) : allowAll(connections),
      env: { [UPSTREAM_PASSWORD]: JOURNEY_PASSWORD },
      files: {
        'server.pem': made.certificate,
        'server-key.pem': made.key.reveal(),
        'authority.pem': made.authority,
      },
    })
    later(() => gateway.stop())
    trusted = { NODE_EXTRA_CA_CERTS: join(dirname(gateway.configFile), 'authority.pem') }
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
    const dsn = await gateway.dsn('open', TEST_IDENTITY)
    expect(dsn.endsWith('?sslmode=require')).toBe(tls)
    const seen = await runClient(name, dsn, [], trusted)
    for (const [step, outcome] of Object.entries(expected)) expect.soft(seen[step], step).toEqual(outcome)
    expect(gateway.stderr()).toBe('')
  })

  test('libpq binds the channel and checks the name where TLS is spoken', async () => {
    const dsn = (await gateway.dsn('open', TEST_IDENTITY)).replace(/\?.*$/, '')
    const authority = trusted['NODE_EXTRA_CA_CERTS'] ?? ''
    const strictest = `${dsn}?sslmode=verify-full&sslrootcert=${authority}&channel_binding=require`
    const done = await psql(strictest, String.raw`\conninfo`)
    const plain = await psql(`${dsn}?sslmode=disable`, 'SELECT 1')
    if (tls) {
      expect(done.stdout).toMatch(/SSL connection \(protocol: TLSv1\.3/)
      expect(plain.stderr).toMatch(/FATAL: .*sslmode=require/s)
    } else {
      expect(done.stderr).toMatch(/server does not support SSL/)
      expect(plain.code).toBe(0)
    }
  })
})
