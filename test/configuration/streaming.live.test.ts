/** A gateway that streams what it records: to receivers that take it, refuse it, and across a crash. */
import { writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { httpReceiver, type Receiver, syslogReceiver, TakenEvents } from '../../src/testing/event-receiver.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { psqlRows } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

const MARKER = 'marker@example.com'
const TOKEN = 'siem-token-4711'

describe('a gateway with outlets', () => {
  const later = teardown()
  const byHttp = new TakenEvents()
  const bySyslog = new TakenEvents()
  let http: Receiver
  let syslog: Receiver
  let server: TestServer
  let gateway: TestGateway
  let isKnown = true

  const text = (include = '') => `listen: { postgres: { port: 0 } }
identities: { local: [{ name: agent, kind: agent }] }
connections:
  shop:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: app, password: "\${env:SLUICE_TEST_PASSWORD}", sslmode: disable }
    databases: [postgres]
rules:
  - { name: agents read, who: everyone, on: all, permit: { run: [read], unreviewed: [read] } }
recording:
  stream:
    - kind: http
      name: http
      url: http://127.0.0.1:${http.port}/events
      header: { scheme: Bearer, value: "\${env:SLUICE_TEST_TOKEN}" }
      ${include}
    - { kind: syslog, name: syslog, host: 127.0.0.1, port: ${syslog.port}, transport: tcp }
`
  const eventsOf = (taken: TakenEvents) =>
    [...taken.byId.values()].map((json) => JSON.parse(json) as Record<string, unknown>)
  const typesOf = (taken: TakenEvents) => eventsOf(taken).map(({ type_name }) => type_name)
  const waitFor = (taken: TakenEvents, type: string, count = 1) =>
    expect
      .poll(() => typesOf(taken).filter((each) => each === type).length, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(count)

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role('app', 'app-password')
    await server.sql(`CREATE TABLE people (email text); INSERT INTO people VALUES ('${MARKER}');`)
    await server.sql('GRANT SELECT ON people TO app')
    http = await httpReceiver(
      byHttp,
      () => true,
      ({ authorization }) => (isKnown && authorization === `Bearer ${TOKEN}` ? 200 : 401),
    )
    later(() => http.close())
    syslog = await syslogReceiver(bySyslog)
    later(() => syslog.close())
    gateway = await startGateway({
      config: text(),
      env: { SLUICE_TEST_PASSWORD: 'app-password', SLUICE_TEST_TOKEN: TOKEN },
    })
    later(() => gateway.stop())
  })

  test('tells who did what, and no value (P-02)', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    expect(await psqlRows(dsn, `SELECT email FROM people WHERE email <> '${MARKER}x'`)).toEqual([MARKER])
    await expect(psqlRows(dsn, `DELETE FROM people WHERE email = '${MARKER}'`)).rejects.toThrow('ended with')
    for (const taken of [byHttp, bySyslog]) {
      await waitFor(taken, 'Authentication: Logoff', 2)
      expect(typesOf(taken)).toEqual(
        expect.arrayContaining([
          'Authentication: Logon',
          'Datastore Activity: Query',
          'Entity Management: credential.mint',
        ]),
      )
      expect(
        eventsOf(taken).find(({ type_name }) => type_name === 'Datastore Activity: Update'),
      ).toMatchObject({
        action: 'Denied',
        actor: { user: { uid: 'agent:agent' } },
        dst_endpoint: { svc_name: 'shop' },
        unmapped: { decision: 'deny', writes: [expect.stringMatching(/people$/)] },
      })
      expect([...taken.byId.values()].join('')).not.toContain(MARKER)
    }
  })

  test('tells statements where that is asked for, and what it was told to tell at once', async () => {
    const config = text('include: [statements]')
    await writeFile(gateway.configFile, config)
    const applied = await gateway.cli(['config', 'apply', gateway.configFile])
    expect(applied.stderr).toBe('')
    expect(applied.code).toBe(0)
    await psqlRows(await mintDsn(gateway, 'shop', 'agent'), "SELECT 'told' FROM people")
    await expect
      .poll(() => [...byHttp.byId.values()].join(''), { timeout: 20_000 })
      .toContain("SELECT 'told'")
    await waitFor(bySyslog, 'Authentication: Logoff', 3)
    expect([...bySyslog.byId.values()].join('')).not.toContain("SELECT 'told'")
  })

  test('goes on serving while a receiver refuses it, says so, and brings what came meanwhile', async () => {
    isKnown = false
    await psqlRows(await mintDsn(gateway, 'shop', 'agent'), 'SELECT 1')
    const status = async () => (await gateway.cli(['status'])).stdout
    await expect
      .poll(status, { timeout: 20_000, interval: 500 })
      .toMatch(
        /outlet http +\d+ events delivered, \d+ entries behind; refused: 127\.0\.0\.1:\d+ answered 401/,
      )
    expect(await status()).toMatch(/outlet syslog +\d+ events delivered, \d+ entries behind$/m)
    const doctor = await gateway.cli(['doctor'])
    expect(doctor.code).toBe(1)
    expect(doctor.stdout).toContain('Look at the header of this outlet')
    expect(gateway.stderr()).toContain('Outlet http: 127.0.0.1')
    expect(gateway.stderr()).not.toContain(TOKEN)
    isKnown = true
    const before = typesOf(byHttp).filter((each) => each === 'Authentication: Logoff').length
    expect((await gateway.cli(['config', 'apply', gateway.configFile])).code).toBe(0)
    await waitFor(byHttp, 'Authentication: Logoff', before + 1)
  })

  test('killed, it brings the rest when it starts again, and nothing that differs (P-07)', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    for (let n = 0; n < 3; n++) await psqlRows(dsn, `SELECT ${n}`)
    gateway = await gateway.crashAndRestart()
    const recorded = await gateway.cli(['sessions', 'ls', '--json'])
    const { sessions }: { sessions: { session: string }[] } = JSON.parse(recorded.stdout)
    expect(sessions.length).toBeGreaterThan(5)
    for (const taken of [byHttp, bySyslog]) {
      await expect
        .poll(() => sessions.filter(({ session }) => !taken.byId.has(`${session}-close`)), {
          timeout: 20_000,
        })
        .toEqual([])
    }
    expect(bySyslog.differing).toEqual([])
  })
})
