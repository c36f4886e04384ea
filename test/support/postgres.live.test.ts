import { beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from './postgres.ts'
import { MAJORS, startTestServer } from './postgres.ts'
import { teardown } from './teardown.ts'
import { psql, psqlRows } from './psql.ts'
import { Client } from 'pg'

describe.each(MAJORS)('a test server of PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
  })

  test('is of the major version that was asked for', async () => {
    const [row] = await server.sql('SHOW server_version_num')
    expect(Math.floor(Number(row?.['server_version_num']) / 10_000)).toBe(major)
  })

  test('tells every statement that clients sent, and none of our own', async () => {
    await server.role('someone', 'secret')
    const dsn = server.dsn({ user: 'someone', password: 'secret' })
    expect(await psqlRows(dsn, "SELECT 'line one\n: line two' AS a;\nSELECT 2;")).toEqual([
      'line one',
      ': line two',
      '2',
    ])
    const client = new Client({ connectionString: dsn, application_name: 'the test' })
    await client.connect()
    await client.query({ name: 'named', text: 'SELECT $1::text AS "statement: x"', values: ["it's"] })
    await expect(client.query('SELECT 1/0')).rejects.toThrow(/division by zero/)
    await client.end()

    const logged = await server.statementsLogged()
    expect(logged.map(({ form, name, text, parameters }) => ({ form, name, text, parameters }))).toEqual([
      { form: 'statement', name: '', text: "SELECT 'line one\n: line two' AS a;", parameters: '' },
      { form: 'statement', name: '', text: 'SELECT 2;', parameters: '' },
      {
        form: 'execute',
        name: 'named',
        text: 'SELECT $1::text AS "statement: x"',
        parameters: "$1 = 'it''s'",
      },
      { form: 'statement', name: '', text: 'SELECT 1/0', parameters: '' },
    ])
    expect(logged.at(-1)).toMatchObject({ user: 'someone', database: 'postgres', application: 'the test' })
  })

  test('refuses who has no password', async () => {
    const done = await psql(server.dsn({ password: 'wrong' }), 'SELECT 1')
    expect(done.code).toBe(2)
    expect(done.stderr).toMatch(/password authentication failed/)
  })
})
