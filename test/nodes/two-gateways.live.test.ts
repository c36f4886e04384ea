/**
 * Two gateway processes on one PostgreSQL store, as people run them: what is done at one holds at the other, and what
 * happens to one is survived by the other.
 */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { ApiClient, OPERATOR_SOCKET } from '../../src/api/client.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { Person } from '../support/person.ts'
import { enrolPerson } from '../support/person.ts'
import type { TestServer } from '../support/postgres.ts'
import { isEstimate, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'

/** Design section 7. */
const REACHED_MS_MAX = 2_000
const TICKET = /T-[0-9A-Z]{8}/

describe('two gateways on one store', () => {
  const later = teardown()
  let server: TestServer
  let a: TestGateway
  let b: TestGateway
  let ada: Person
  let n = 0

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.sql('create database state')
    await server.sql('create database crm')
    await server.sql('create table notes (id int primary key, text text)', [], 'crm')
    await server.sql("insert into notes select i, '' from generate_series(1, 100) i", [], 'crm')
    const options = {
      config: configOf(server),
      env: {
        SLUICE_KEY: randomBytes(32).toString('base64'),
        SLUICE_STORE: `${server.dsn({ database: 'state' })}?sslmode=disable`,
        [UPSTREAM_PASSWORD]: server.password,
      },
    }
    a = await startGateway(options)
    later(() => a.stop())
    b = await startGateway(options)
    later(() => b.stop())
    ada = await enrolPerson(b, 'ada')
  }, 180_000)

  async function operator<T>(gateway: TestGateway, use: (client: ApiClient) => Promise<T>): Promise<T> {
    const client = new ApiClient({ kind: 'socket', path: join(gateway.dataDirectory, OPERATOR_SOCKET) })
    try {
      return await use(client)
    } finally {
      await client.close()
    }
  }

  /** A DSN of one gateway, at the port of another. */
  function at(gateway: TestGateway, dsn: string): string {
    const url = new URL(dsn)
    url.port = String(gateway.ports.postgres)
    return url.toString()
  }

  async function connect(gateway: TestGateway, dsn: string) {
    const notices: string[] = []
    // What another node minted a moment ago is not known here yet.
    const client = await eventually('the credential to be known', async () => {
      const trying = new Client({ connectionString: at(gateway, dsn) })
      trying.on('notice', ({ message }) => notices.push(message ?? ''))
      trying.on('error', () => undefined)
      await trying.connect()
      return trying
    })
    const ended = new Promise<number>((resolve) => {
      client.once('end', () => resolve(Date.now()))
    })
    return { client, notices, ended }
  }

  const nodeOf = async ({ dataDirectory }: TestGateway) =>
    (await readFile(join(dataDirectory, 'node'), 'utf8')).trim()

  /** A write that no other test makes, with a mark that the server's log can be searched for. */
  function write(): { sql: string; mark: string } {
    n++
    return { sql: `update notes set text = 'x' where id = ${n} /* mark ${n} */`, mark: `mark ${n} ` }
  }

  async function ran(mark: string): Promise<number> {
    return (await server.statementsLogged()).filter(
      (each) => each.database === 'crm' && each.text.includes(mark) && !isEstimate(each),
    ).length
  }

  async function held(notices: readonly string[]): Promise<string> {
    return await eventually('the ticket', () => TICKET.exec(notices.join('\n'))?.[0])
  }

  test('a credential minted at one works at the other, and the list of sessions says where', async () => {
    const dsn = await mintDsn(a, 'crm', 'tester')
    const begun = Date.now()
    const { client } = await connect(b, dsn)
    expect(Date.now() - begun).toBeLessThan(REACHED_MS_MAX)
    expect((await client.query('select count(*)::int as n from notes')).rows).toEqual([{ n: 100 }])
    await client.end()
    const there = await nodeOf(b)
    const session = await eventually('the session in the list', async () => {
      const { stdout } = await a.cli(['sessions', 'ls', '--json'])
      const { sessions }: { sessions: { session: string; node: string }[] } = JSON.parse(stdout)
      return sessions.find(({ node }) => node === there)?.session
    })
    const shown = await a.cli(['sessions', 'show', session])
    expect(shown.code).not.toBe(0)
    expect(shown.stderr).toContain(`Its recording can be read at the node ${there}, whose control API is at`)
    expect((await b.cli(['sessions', 'show', session])).stdout).toContain('from notes')
  })

  test('P-06: each signs a log of its own name', async () => {
    const keys = await Promise.all(
      [a, b].map(async (each) => {
        const status = await operator(each, (client) => client.call('GET', '/v1/status'))
        return String(Reflect.get(Object(Reflect.get(Object(status), 'log')), 'key')).split('+')[0]
      }),
    )
    expect(keys).toEqual([
      expect.stringMatching(new RegExp(`^sluice/[0-9a-f]{8}/${await nodeOf(a)}$`)),
      expect.stringMatching(new RegExp(`^sluice/[0-9a-f]{8}/${await nodeOf(b)}$`)),
    ])
  })

  test('revoked at one, a credential ends its session at the other within 2 seconds', async () => {
    const dsn = await mintDsn(a, 'crm', 'tester')
    const { client, ended } = await connect(a, dsn)
    await client.query('select 1')
    const begun = Date.now()
    await operator(b, (api) => api.call('DELETE', `/v1/credentials/${new URL(dsn).username}`))
    expect((await ended) - begun).toBeLessThan(REACHED_MS_MAX)
    await expect(new Client({ connectionString: at(a, dsn) }).connect()).rejects.toThrow()
  })

  test('who is blocked at one is out at the other within 2 seconds, and gets nothing there', async () => {
    const { ended } = await connect(b, await mintDsn(a, 'crm', 'scraper'))
    const begun = Date.now()
    await operator(a, (api) => api.call('POST', '/v1/identities/block', { identity: 'service:scraper' }))
    expect((await ended) - begun).toBeLessThan(REACHED_MS_MAX)
    await expect(mintDsn(b, 'crm', 'scraper')).rejects.toThrow('blocked')
  })

  test('a configuration applied at one is in force at the other', async () => {
    const edited = `${configOf(server)}  - { name: no deletes, who: everyone, on: all, forbid: { run: [define] } }\n`
    const { client } = await connect(b, await mintDsn(b, 'crm', 'tester'))
    await writeFile(a.configFile, edited)
    expect(await a.cli(['config', 'apply', a.configFile])).toMatchObject({ code: 0 })
    await eventually(
      'the other to follow',
      async () =>
        await client.query('create table more (id int)').then(
          () => client.query('drop table more').then(() => false),
          (error: Error) => error.message.includes('no deletes'),
        ),
      REACHED_MS_MAX,
    )
    await client.end()
    // The store itself cannot be moved under a gateway that runs.
    await writeFile(b.configFile, edited.replace('SLUICE_STORE', 'OTHER_STORE'))
    expect((await b.cli(['config', 'apply', b.configFile])).stderr).toContain(
      'changes only when a gateway starts',
    )
    await writeFile(b.configFile, configOf(server))
  })

  test('P-05: a ticket raised at one is answered at the other, and the command runs once, where it waits', async () => {
    const { client, notices } = await connect(a, await mintDsn(a, 'crm', 'tester'))
    const { sql, mark } = write()
    const running = client.query(sql)
    const ticket = await held(notices)
    expect(await ran(mark)).toBe(0)
    const approved = ada.approve(ticket).then((done) => ({ ...done, at: Date.now() }))
    const { rowCount } = await running
    const finished = Date.now()
    expect(rowCount).toBe(1)
    const { at: answered, ...done } = await approved
    expect(done).toMatchObject({ code: 0 })
    expect(finished - answered).toBeLessThan(REACHED_MS_MAX)
    expect(await ran(mark)).toBe(1)
    await client.end()
  })

  test('P-05: an approval that both could use is used by one', async () => {
    const dsn = await mintDsn(a, 'crm', 'tester')
    const { client, notices } = await connect(a, dsn)
    const { sql, mark } = write()
    client.query(sql).catch(() => undefined)
    const ticket = await held(notices)
    await client.end()
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    const both = await Promise.all([connect(a, dsn), connect(b, dsn)])
    const outcomes: string[] = []
    for (const { client: each } of both) {
      each.query(sql).then(
        () => outcomes.push('ran'),
        (error: unknown) => outcomes.push(String(Reflect.get(Object(error), 'code'))),
      )
    }
    // The one that finds it used is told so, or asks anew and waits.
    const waits = () => both.some(({ notices: told }) => TICKET.test(told.join('\n')))
    await eventually('one to run', () => outcomes.includes('ran') && (outcomes.length === 2 || waits()))
    expect(outcomes.filter((each) => each === 'ran')).toHaveLength(1)
    expect(await ran(mark)).toBe(1)
    for (const { client: each } of both) each.end().catch(() => undefined)
  })

  test('P-07: killed, one leaves the other serving, and comes back under its name', async () => {
    const dsn = await mintDsn(a, 'crm', 'tester')
    const { client, notices } = await connect(a, dsn)
    const { sql, mark } = write()
    client.query(sql).catch(() => undefined)
    const ticket = await held(notices)
    const name = await nodeOf(a)
    const restarted = a.crashAndRestart()
    const other = await connect(b, dsn)
    expect((await other.client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    // What waited at the one that was killed is approved and run at the other.
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    expect((await other.client.query(sql)).rowCount).toBe(1)
    expect(await ran(mark)).toBe(1)
    await other.client.end()
    a = await restarted
    expect(await nodeOf(a)).toBe(name)
    const again = await connect(a, dsn)
    expect((await again.client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await again.client.end()
    const { stdout } = await a.cli(['doctor', '--json'])
    expect(stdout).toContain(`This is the node ${name}, of 2 that run.`)
  })

  test('a file that is older than the configuration in force does not bring it back', async () => {
    b = await b.restart()
    expect(b.stderr()).toContain('older than the configuration')
    const { client } = await connect(b, await mintDsn(b, 'crm', 'tester'))
    await expect(client.query('create table more (id int)')).rejects.toThrow('no deletes')
    await client.end()
  })

  test('a store that is away stops what needs it, and nothing else; when it is back, all goes on', async () => {
    const dsn = await mintDsn(a, 'crm', 'tester')
    const { client, notices } = await connect(a, dsn)
    await client.query('select 1')
    await server.sql('alter database state with allow_connections false')
    await server.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'state'")
    try {
      await expect(mintDsn(a, 'crm', 'tester')).rejects.toThrow('store')
      const { sql, mark } = write()
      await expect(client.query(sql)).rejects.toMatchObject({ code: 'SL009' })
      expect(await ran(mark)).toBe(0)
      const refused = await eventually('new sessions to be refused', async () => {
        const late = new Client({ connectionString: at(b, dsn) })
        const error = await late.connect().then(
          () => undefined,
          (refusal: unknown) => refusal,
        )
        await late.end().catch(() => undefined)
        return error
      })
      expect(refused).toMatchObject({ code: 'SL009' })
      expect((await client.query('select count(*)::int as n from notes')).rows).toEqual([{ n: 100 }])
      expect(notices).toEqual([])
    } finally {
      await server.sql('alter database state with allow_connections true')
    }
    const back = await connect(b, dsn)
    await back.client.end()
    await mintDsn(a, 'crm', 'tester')
    await client.query('select 1')
    await client.end()
    await eventually('both to say so', () =>
      [a, b].every((each) => each.stderr().includes('can be used again')),
    )
  })
})

function configOf(server: TestServer): string {
  return `listen:
  postgres: { port: 0 }
  api: { port: 0 }
store: { dsn: "\${env:SLUICE_STORE}" }
identities:
  local:
    - { name: tester, kind: service }
    - { name: scraper, kind: service }
    - { name: ada, kind: person, roles: [approver] }
connections:
  crm:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [crm]
rules:
  - name: reads at once, writes after a look
    who: everyone
    on: all
    permit: { run: all, unreviewed: [read, define], unlimited: true }
`
}
