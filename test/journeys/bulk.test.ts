/**
 * Who takes much at once, or little many times: held by the planner's estimate before anything runs; where the estimate
 * was wrong, held or cut off at the limit; and whatever way is chosen, the same daily budget is met, which no restart
 * and no crash gives back.
 */
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { Person } from '../support/person.ts'
import { enrolPerson } from '../support/person.ts'
import type { TestServer } from '../support/postgres.ts'
import { isEstimate, startTestServer } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'

const DATABASE = 'bulk'
const ROLE = 'bulk_app'
const PASSWORD = 'bulk-upstream-password'
const PER_DAY = 50_500
const TICKET = /T-[0-9A-Z]{8}/

// The planner takes a and b for independent: it expects a hundred rows where there are ten thousand.
const SQL = `
CREATE TABLE big (id integer PRIMARY KEY, note text NOT NULL, a integer NOT NULL, b integer NOT NULL);
INSERT INTO big SELECT n, 'note ' || n, n % 100, n % 100 FROM generate_series(1, 1000000) AS n;
`

function configuration(server: TestServer): string {
  return `listen: { postgres: { port: 0 }, api: { port: 0 } }
identities:
  local:
    - { name: ada, kind: person, roles: [approver] }
    - { name: careful, kind: agent, groups: [careful] }
    - { name: brief, kind: agent, groups: [brief] }
    - { name: paging, kind: agent, groups: [daily] }
    - { name: copying, kind: agent, groups: [daily] }
    - { name: fetching, kind: agent, groups: [daily] }
    - { name: restarted, kind: agent, groups: [daily] }
    - { name: killed, kind: agent, groups: [daily] }
connections:
  bulk:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${ROLE}, password: "\${env:BULK_PASSWORD}", sslmode: disable }
    databases: [${DATABASE}]
    patience: 60s
rules:
  - name: agents read
    who: { kinds: [agent] }
    on: [bulk]
    permit: { run: all, unreviewed: all, unlimited: true }
  - name: large results are looked at first
    who: { groups: [careful] }
    on: [bulk]
    forbid: { unreviewed: all }
    when: context.estimatedRows > 10000
  - { name: and whatever the planner thought, who: { groups: [careful] }, on: [bulk], limit: { rows: 2000, action: hold } }
  - { name: no more than a thousand, who: { groups: [brief] }, on: [bulk], limit: { rows: 1000 } }
budgets:
  - { name: agents in a day, who: { groups: [daily] }, on: [bulk], rows: ${PER_DAY} }
`
}

/** What a driver makes of one query: rows as they come, and how it ended. */
type Run = { rows: number; notices: string[]; code?: string; message?: string }

describe('bulk', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let ada: Person

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role(ROLE, PASSWORD)
    await server.sql(`CREATE DATABASE ${DATABASE} OWNER ${ROLE}`)
    const owner = await server.client(DATABASE)
    await owner.query(`SET ROLE ${ROLE}`)
    await owner.query(SQL)
    await owner.query('ANALYZE big')
    await owner.end()
    gateway = await startGateway({ config: configuration(server), env: { BULK_PASSWORD: PASSWORD } })
    later(() => gateway.stop())
    ada = await enrolPerson(gateway, 'ada')
  }, 120_000)

  async function connected<T>(identity: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: await gateway.dsn('bulk', identity) })
    await client.connect()
    try {
      return await use(client)
    } finally {
      await client.end()
    }
  }

  /** Runs one query; `seen` is filled while it runs. */
  async function run(
    client: pg.Client,
    sql: string,
    values: unknown[] = [],
    seen: Run = { rows: 0, notices: [] },
  ): Promise<Run> {
    const heard = (notice: { message?: string | undefined }) => seen.notices.push(notice.message ?? '')
    client.on('notice', heard)
    const query = client.query(new pg.Query(sql, values))
    await new Promise<void>((resolve) => {
      query.on('row', () => seen.rows++)
      query.on('end', () => resolve())
      query.on('error', (error) => {
        Object.assign(seen, { code: Reflect.get(error, 'code'), message: error.message })
        resolve()
      })
    })
    client.off('notice', heard)
    return seen
  }

  async function held(seen: Run): Promise<string> {
    await eventually('the client is told a ticket', async () =>
      seen.notices.some((each) => TICKET.test(each)),
    )
    return TICKET.exec(seen.notices.join())?.[0] ?? ''
  }

  async function ran(mark: string): Promise<number> {
    const logged = await server.statementsLogged()
    return logged.filter((each) => each.text.includes(mark) && !isEstimate(each)).length
  }

  test('P-05: a SELECT that would return a million rows is held before it runs, and refused it never does', async () => {
    await connected('careful', async (client) => {
      const seen: Run = { rows: 0, notices: [] }
      const done = run(client, 'SELECT * FROM big /* a million */', [], seen)
      const ticket = await held(seen)
      expect(await ran('a million')).toBe(0)
      await ada.deny(ticket, 'too much')
      expect(await done).toMatchObject({ rows: 0, code: 'SL003' })
      expect(await ran('a million')).toBe(0)
      expect((await run(client, 'SELECT 1')).rows).toBe(1)
    })
  })

  test('P-05: approved it runs; what the planner expects to be few is not asked about', async () => {
    await connected('careful', async (client) => {
      const few = await run(client, 'SELECT * FROM big WHERE id <= $1 /* few */', [50])
      expect(few).toEqual({ rows: 50, notices: [] })
      const seen: Run = { rows: 0, notices: [] }
      const done = run(
        client,
        'SELECT * FROM big WHERE id <= $1 AND note = note || $2 /* many */',
        [900_000, 'x'],
        seen,
      )
      // By its parameters, which the planner was told; how many rows there really are is another matter.
      const small = await Promise.race([done, held(seen)])
      if (typeof small === 'string') await ada.approve(small)
      expect(await done).toMatchObject({ rows: 0 })
    })
    await connected('careful', async (client) => {
      const seen: Run = { rows: 0, notices: [] }
      const done = run(client, 'SELECT * FROM big WHERE id <= $1 /* half */', [20_000], seen)
      await ada.approve(await held(seen))
      // Approved to run; and its rest is asked about at the limit all the same.
      await eventually('the rest is held', async () => seen.notices.length === 2)
      expect([seen.rows, await ran('half')]).toEqual([2000, 1])
      const rest = TICKET.exec(seen.notices[1] ?? '')?.[0] ?? ''
      await ada.approve(rest)
      expect(await done).toMatchObject({ rows: 20_000 })
      expect(await ran('half')).toBe(1)
    })
  })

  test('a wrong estimate is met at the limit: held in mid-stream, it goes on when approved', async () => {
    await connected('careful', async (client) => {
      const seen: Run = { rows: 0, notices: [] }
      const done = run(client, 'SELECT id FROM big WHERE a = 7 AND b = 7 /* approved */', [], seen)
      const ticket = await held(seen)
      expect(seen.rows).toBe(2000)
      await ada.approve(ticket)
      expect(await done).toEqual({
        rows: 10_000,
        notices: [`The rest of this result is held for approval: ticket ${ticket}.`],
      })
    })
  })

  test('P-05, P-09: held in mid-stream and refused, not one row more comes out, and psql goes on', async () => {
    const dsn = await gateway.dsn('bulk', 'careful')
    const input = '\\copy (SELECT id FROM big WHERE a = 7 AND b = 7 ORDER BY id) TO STDOUT\nSELECT 41 + 1;\n'
    const done = psql(dsn, input, ['-At'])
    let ticket = ''
    await eventually('the ticket is there', async () => {
      const { stdout } = await gateway.cli(['approvals', 'ls', '--json'])
      ticket = TICKET.exec(stdout)?.[0] ?? ''
      return ticket !== ''
    })
    // COPY is unknown to the planner, and so held before it runs; then at the limit as well.
    await ada.approve(ticket)
    let rest = ''
    await eventually('the rest is held', async () => {
      const { stdout } = await gateway.cli(['approvals', 'ls', '--json'])
      rest = TICKET.exec(stdout)?.[0] ?? ''
      return rest !== ''
    })
    await ada.deny(rest, 'enough')
    const { stdout, stderr } = await done
    const lines = stdout.trim().split('\n')
    expect(lines.slice(0, -1)).toEqual(Array.from({ length: 2000 }, (_, i) => `${i * 100 + 7}`))
    expect(lines.at(-1)).toBe('42')
    expect(stderr).toMatch(/NOTICE: +The rest of this result is held for approval/)
    expect(stderr).toMatch(/ERROR: +Ask for less: an approver refused the rest/)
  })

  test('P-09: cut off at the limit where a rule says so', async () => {
    await connected('brief', async (client) => {
      const seen = await run(client, 'SELECT generate_series(1, 5000)')
      expect(seen).toMatchObject({ rows: 1000, code: 'SL005', notices: [] })
      expect(seen.message).toMatch(/^Ask for less: the result was cut off at 1000 rows/)
      expect((await run(client, 'SELECT generate_series(1, 1000)')).rows).toBe(1000)
    })
  })

  const PAGE = 'SELECT id FROM big WHERE id > $1 ORDER BY id LIMIT 1000'

  /** Page after page until something says no, or a number of pages. */
  async function pages(client: pg.Client, from: number, count: number): Promise<Run & { asked: number }> {
    let rows = 0
    for (let i = 0; i < count; i++) {
      const page = await run(client, PAGE, [from + rows])
      rows += page.rows
      if (page.code !== undefined) return { ...page, rows, asked: i + 1 }
    }
    return { rows, notices: [], asked: count }
  }

  test('P-09: a hundred pages of a thousand rows meet the budget of the day, to the row', async () => {
    const all = await connected('paging', async (client) => pages(client, 0, 100))
    expect(all).toMatchObject({ rows: PER_DAY, asked: 51, code: 'SL005' })
    expect(all.message).toMatch(
      /^Stop until \d{4}-\d\d-\d\d 00:00 UTC: the daily budget "agents in a day" of 50500 rows/,
    )
    // Another session is the same agent, and refused before anything runs.
    await connected('paging', async (client) => {
      const again = await run(client, 'SELECT id FROM big LIMIT 1 /* spent */')
      expect(again).toMatchObject({ rows: 0, code: 'SL005' })
      expect(await ran('spent')).toBe(0)
    })
  })

  test('COPY meets the same budget', async () => {
    const { stdout, stderr } = await psql(await gateway.dsn('bulk', 'copying'), 'COPY big TO STDOUT;\n')
    expect(stdout.trim().split('\n')).toHaveLength(PER_DAY)
    expect(stderr).toMatch(/ERROR: +Stop until .* is spent/)
  })

  test('cursors meet the same budget', async () => {
    const input = '\\set FETCH_COUNT 1000\nSELECT id FROM big;\n'
    const { stdout, stderr } = await psql(await gateway.dsn('bulk', 'fetching'), input, ['-At'])
    expect(stdout.trim().split('\n')).toHaveLength(50_000)
    expect(stderr).toMatch(/ERROR: +Stop until .* is spent/)
  })

  test('P-07: a restart keeps exactly what was spent', async () => {
    const first = await connected('restarted', async (client) => pages(client, 0, 30))
    expect(first.rows).toBe(30_000)
    gateway = await gateway.restart()
    const second = await connected('restarted', async (client) => pages(client, 30_000, 100))
    expect(second).toMatchObject({ rows: PER_DAY - 30_000, code: 'SL005' })
  })

  test('P-07: kill -9 gives nothing back', async () => {
    const spent = await connected('killed', async (client) => {
      const { rows } = await pages(client, 0, 30)
      client.on('error', () => undefined)
      gateway = await gateway.crashAndRestart()
      return rows
    }).catch(() => 30_000)
    const left = await connected('killed', async (client) => pages(client, spent, 100))
    expect(left.code).toBe('SL005')
    expect(spent + left.rows).toBeLessThanOrEqual(PER_DAY)
    // At most the blocks that were open are lost.
    expect(spent + left.rows).toBeGreaterThan(PER_DAY * 0.85)
  })

  test('a result that was cut off costs the next command nothing, however fast it comes', async () => {
    await connected('agent:brief', async (client) => {
      for (let n = 0; n < 20; n++) {
        // Ends at about the time at which the limit is met, or long after it.
        const last = n % 2 === 0 ? 1_001 + n : 400_000
        const cut = client.query(`SELECT id FROM big WHERE id <= ${last}`)
        await expect(cut).rejects.toThrow(/cut off at 1000 rows/)
        const { rows } = await client.query('SELECT pg_sleep(0.02), 1 AS one')
        expect(rows[0].one).toBe(1)
      }
    })
  })

  test('a write whose rows are cut off has run, as its error says (P-09)', async () => {
    await connected('agent:brief', async (client) => {
      const write = client.query(`UPDATE big SET note = 'changed' WHERE id <= 100000 RETURNING id, note`)
      await expect(write).rejects.toThrow(/it has run and its changes stand/)
      const { rows } = await client.query(`SELECT count(*) AS changed FROM big WHERE note = 'changed'`)
      expect(rows).toEqual([{ changed: '100000' }])
    })
  })
})
