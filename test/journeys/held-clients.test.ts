/**
 * A held statement in the drivers that people use: it goes on where it waits, or ends alone; and while it waits nothing of it
 * and nothing behind it reaches the server. That is counted on the wire in front of the server and in the server's own log.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiClient } from '../../src/api/client.ts'
import type { Tap } from '../abuse/tap.ts'
import { startTap } from '../abuse/tap.ts'
import { operatorOf } from '../abuse/world.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { logIn } from '../support/login.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { isEstimate, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Outcome, ToldClient, ToldName } from './told-clients.ts'
import { startTold } from './told-clients.ts'
import { messagesAfter } from './upstream-messages.ts'

const DATABASE = 'held'
const later = teardown()
let server: TestServer
let tap: Tap
let gateway: TestGateway
let operator: ApiClient
let approver: ApiClient
let n = 0

beforeAll(async () => {
  server = await startTestServer(15)
  later(() => server.stop('immediate'))
  tap = await startTap(server.port)
  later(() => tap.stop())
  await server.sql(`CREATE DATABASE ${DATABASE}`)
  await server.sql('CREATE TABLE things (id integer PRIMARY KEY, name text)', [], DATABASE)
  await server.sql("INSERT INTO things SELECT g, 'thing' FROM generate_series(1, 1000) g", [], DATABASE)
  gateway = await startGateway({
    config: configuration(),
    env: { [UPSTREAM_PASSWORD]: server.password },
  })
  later(() => gateway.stop())
  operator = operatorOf(gateway)
  later(() => operator.close())
  approver = await logIn(gateway.dataDirectory, 'ada')
  later(() => approver.close())
})

function configuration(): string {
  return `listen:
  postgres: { port: 0 }
  api: { port: 0 }
identities:
  local:
    - { name: worker, kind: agent }
    - { name: ada, kind: person, roles: [approver] }
connections:
  things:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: ${tap.port}, user: ${server.user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [${DATABASE}]
    patience: 60s
    patienceFor: { "hasty*": 300ms }
rules:
  - name: reads at once, writes after a look
    who: everyone
    on: all
    permit: { run: all, unreviewed: [read, define, administer], unlimited: true }
`
}

type Asked = { readonly ticket: string; readonly state: string; readonly text: string }

/** The newest request whose command has this in it. */
async function asked(mark: string, state?: string): Promise<Asked | undefined> {
  const answer = await operator.call('GET', '/v1/approvals')
  const { approvals } = answer as { approvals: readonly Asked[] }
  return approvals.find((each) => each.text.includes(mark) && (state === undefined || each.state === state))
}

async function ticketOf(mark: string): Promise<string> {
  return (await eventually(`a request with ${mark}`, () => asked(mark, 'pending'))).ticket
}

async function answer(ticket: string, verdict: 'approve' | 'refuse'): Promise<void> {
  await approver.call('POST', `/v1/approvals/${ticket}/answer`, { verdict })
}

async function ran(mark: string): Promise<number> {
  const logged = await server.statementsLogged()
  return logged.filter((each) => each.text.includes(mark) && !isEstimate(each)).length
}

/** A moment, so that what would overtake has the time to do it. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 150))

function marked(): { readonly mark: string; readonly id: string } {
  n++
  return { mark: `/* mark ${n} */`, id: String(n) }
}

/** psql ends a script at Ctrl-C; in a terminal it goes on (held.test.ts). node-postgres has no way to cancel. */
const CANCELING: ReadonlySet<ToldName> = new Set(['postgres.js', 'psycopg2', 'psycopg 3', 'pgjdbc'])

describe.each<ToldName>(['psql', 'node-postgres', 'postgres.js', 'psycopg2', 'psycopg 3', 'pgjdbc'])(
  'P-05 held in %s',
  (name) => {
    let client: ToldClient

    beforeAll(async () => {
      client = startTold(name, await mintDsn(gateway, 'things', 'worker'))
    })
    afterAll(() => client.end('SIGKILL'))

    const write = 'UPDATE things SET name = $1 WHERE id = $2 RETURNING id, name'

    async function backend(): Promise<Outcome> {
      return await client.run('SELECT pg_backend_pid()')
    }

    /** Begins a statement; resolves when it is held, having seen that nothing of it is at the server. */
    async function hold(
      mark: string,
      begin: () => Promise<Outcome>,
    ): Promise<{ ticket: string; done: Promise<Outcome> }> {
      const hello = mark.replace('mark', 'hello')
      await client.run(`SELECT 1 ${hello}`)
      const done = begin()
      const ticket = await ticketOf(mark)
      await aMoment()
      expect(sentSince(hello)).toEqual([])
      return { ticket, done }
    }

    /** What has reached the server since that would run something, or prepare what is behind. */
    function sentSince(hello: string): string[] {
      return messagesAfter(tap, hello)
        .filter(({ type, text }) => 'QBE'.includes(type) || text.includes('behind'))
        .map(({ type, text }) => `${type} ${text}`)
    }

    test('approved, it goes on where it waits, with the right rows, once', async () => {
      const { mark, id } = marked()
      const before = await backend()
      const { ticket, done } = await hold(mark, () => client.run(`${write} ${mark}`, `new ${id}`, id))
      expect(await ran(mark)).toBe(0)
      await answer(ticket, 'approve')
      expect(await done).toEqual({ rows: [[id, `new ${id}`]] })
      expect(sentSince(mark.replace('mark', 'hello')).length).toBeGreaterThan(0)
      expect(await backend()).toEqual(before)
      expect(await ran(mark)).toBe(1)
      expect((await asked(mark))?.state).toBe('used')
    })

    test('refused, it alone ends', async () => {
      const { mark, id } = marked()
      const before = await backend()
      const { ticket, done } = await hold(mark, () => client.run(`${write} ${mark}`, `new ${id}`, id))
      await answer(ticket, 'refuse')
      const outcome = await done
      expect(outcome).toMatchObject({ code: 'SL003', message: expect.stringContaining(ticket) })
      expect(await backend()).toEqual(before)
      expect(await client.run(`SELECT id, name FROM things WHERE id = ${id}`)).toEqual({
        rows: [[id, 'thing']],
      })
      expect(await ran(mark)).toBe(0)
    })

    test('pending for a program of little patience; approved, the same command runs, once', async () => {
      const { mark, id } = marked()
      const before = await backend()
      await client.run("SET application_name = 'hasty job'")
      const run = () => client.run(`${write} ${mark}`, `new ${id}`, id)
      const first = await run()
      expect(first).toMatchObject({
        code: 'SL002',
        message: expect.stringContaining('run the same command again'),
      })
      const ticket = await ticketOf(mark)
      expect(first).toMatchObject({ message: expect.stringContaining(ticket) })
      expect(await run()).toMatchObject({ code: 'SL002', message: expect.stringContaining(ticket) })
      expect(await ran(mark)).toBe(0)
      await answer(ticket, 'approve')
      expect(await run()).toEqual({ rows: [[id, `new ${id}`]] })
      // Once: the same once more is asked about anew.
      expect(await run()).toMatchObject({ code: 'SL002' })
      expect(await ran(mark)).toBe(1)
      await client.run("SET application_name = 'patient'")
      expect(await backend()).toEqual(before)
    })

    test('what is sent behind it waits behind it', async () => {
      const [one, two] = [marked(), marked()]
      const hello = one.mark.replace('mark', 'hello')
      const update = (id: string, mark: string) => `UPDATE things SET name = 'piped' WHERE id = ${id} ${mark}`
      const done = client.together(
        `SELECT 1 ${hello}`,
        update(one.id, one.mark),
        `SELECT id, name FROM things WHERE id = ${one.id} /* behind */ ${two.mark}`,
      )
      const ticket = await ticketOf(one.mark)
      await aMoment()
      expect(sentSince(hello)).toEqual([])
      expect(await ran(two.mark)).toBe(0)
      await answer(ticket, 'approve')
      const outcome = await done
      const last = 'rows' in outcome ? outcome.rows.at(-1) : outcome
      // A batch of pgjdbc gives no rows.
      expect(last).toEqual(name === 'pgjdbc' ? undefined : [one.id, 'piped'])
      expect(sentSince(hello).length).toBeGreaterThan(0)
      expect(await ran(one.mark)).toBe(1)
      expect(await ran(two.mark)).toBe(1)
    })

    if (CANCELING.has(name)) {
      test('canceled, it does not run, also when it is approved', async () => {
        const { mark, id } = marked()
        const before = await backend()
        const { ticket, done } = await hold(mark, () => client.run(`${write} ${mark}`, `new ${id}`, id))
        client.cancel()
        expect(await done).toMatchObject({ code: '57014' })
        expect(await backend()).toEqual(before)
        await answer(ticket, 'approve')
        await aMoment()
        expect(await ran(mark)).toBe(0)
        expect((await asked(mark))?.state).toBe('approved')
      })
    }

    test('killed while it waits, it never runs', async () => {
      const { mark, id } = marked()
      const { ticket, done } = await hold(mark, () => client.run(`${write} ${mark}`, `new ${id}`, id))
      await client.end('SIGKILL')
      await done.catch(() => undefined)
      await answer(ticket, 'approve')
      await aMoment()
      expect(await ran(mark)).toBe(0)
    })
  },
)

test('P-05 a pool under load: others go on, each held statement runs once where it waits', async () => {
  const pool = new pg.Pool({ connectionString: await mintDsn(gateway, 'things', 'worker'), max: 6 })
  try {
    const writes = Array.from({ length: 3 }, marked)
    const begun = writes.map(({ mark, id }) =>
      pool.query({
        text: `UPDATE things SET name = $1 WHERE id = $2 RETURNING id, name ${mark}`,
        values: [`new ${id}`, id],
      }),
    )
    const tickets = await Promise.all(writes.map(({ mark }) => ticketOf(mark)))
    let reads = 0
    const over = new AbortController()
    const reading = Array.from({ length: 8 }, async (_, worker) => {
      for (let i = 0; !over.signal.aborted; i++, reads++) {
        const id = 500 + ((worker * 50 + i) % 400)
        const { rows } = await pool.query('SELECT id, name FROM things WHERE id = $1', [id])
        expect(rows).toEqual([{ id, name: 'thing' }])
      }
    })
    await eventually('reads beside what is held', () => reads > 300, 20_000)
    for (const { mark } of writes) expect(await ran(mark)).toBe(0)
    const meanwhile = reads
    for (const ticket of tickets) await answer(ticket, 'approve')
    const done = await Promise.all(begun)
    expect(done.map(({ rows }) => rows)).toEqual(
      writes.map(({ id }) => [{ id: Number(id), name: `new ${id}` }]),
    )
    await eventually('reads behind them', () => reads > meanwhile + 100)
    over.abort()
    await Promise.all(reading)
    for (const { mark } of writes) expect(await ran(mark)).toBe(1)
  } finally {
    await pool.end()
  }
})

test('P-05 query_timeout of node-postgres, which closes the socket: it never runs, and the pool goes on', async () => {
  const pool = new pg.Pool({
    connectionString: await mintDsn(gateway, 'things', 'worker'),
    max: 1,
    query_timeout: 700,
  })
  try {
    const { mark, id } = marked()
    const update = `UPDATE things SET name = 'late' WHERE id = ${id} ${mark}`
    await expect(pool.query(update)).rejects.toThrow('Query read timeout')
    const ticket = await ticketOf(mark)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await answer(ticket, 'approve')
    await aMoment()
    expect(await ran(mark)).toBe(0)
    // The ticket stays for a retry.
    expect((await pool.query(update)).rowCount).toBe(1)
    expect(await ran(mark)).toBe(1)
  } finally {
    await pool.end()
  }
})
