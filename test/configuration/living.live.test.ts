/** What a change of the configuration does to a gateway that runs and to sessions that are open across it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ApiClient, OPERATOR_SOCKET } from '../../src/api/client.ts'
import type { TestGateway } from '../support/gateway.ts'
import { CLI, startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { run } from '../support/process.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

type Wanted = {
  readonly labels?: boolean
  readonly run?: string
  readonly rules?: string
  readonly connection?: string
  readonly databases?: string
  readonly identity?: string
}

describe('a configuration', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway

  const text = (wanted: Wanted = {}) => `listen: { postgres: { port: 0 } }
identities: { local: [{ name: ${wanted.identity ?? 'agent'}, kind: agent }, { name: other, kind: agent }] }
labels: { pii: { mask: full } }
connections:
  spare: { protocol: postgres, upstream: { host: 127.0.0.1, user: nobody }, databases: [nothing] }
  ${wanted.connection ?? 'shop'}:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: app, password: "\${env:SLUICE_TEST_PASSWORD}", sslmode: disable }
${wanted.databases ?? '    databases: [postgres]'}
    labels: { ${wanted.labels === true ? 'public.people.email: pii' : ''} }
${
  wanted.rules ??
  `rules:
  - { name: agents, who: everyone, on: all, permit: { run: ${wanted.run ?? '[read, write]'}, unreviewed: [read, write] } }`
}
`
  const apply = async (config: string): Promise<{ version: string }> => {
    await writeFile(gateway.configFile, config)
    const client = new ApiClient({ kind: 'socket', path: join(gateway.dataDirectory, OPERATOR_SOCKET) })
    try {
      return Object(await client.call('POST', '/v1/configuration/apply', { text: config }))
    } finally {
      await client.close()
    }
  }
  const open = async (config: { as?: string } = {}) => {
    const client = new Client({ connectionString: await mintDsn(gateway, 'shop', config.as ?? 'agent') })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  const PREPARED = { name: 'emails', text: 'SELECT email FROM people ORDER BY id' }
  const emails = async (client: Client, how: 'simple' | 'prepared') => {
    const { rows } = await client.query(how === 'simple' ? PREPARED.text : PREPARED)
    return rows.map((row: { email: string }) => row.email)
  }
  const IN_CLEAR = ['ada@example.com', 'bob@example.com']
  const code = (wanted: string) => expect.objectContaining({ code: wanted })

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role('app', 'app')
    await server.sql('CREATE TABLE people (id int PRIMARY KEY, email text, town text)')
    await server.sql(
      `INSERT INTO people VALUES (1, 'ada@example.com', 'Bern'), (2, 'bob@example.com', 'Rome')`,
    )
    await server.sql('CREATE SCHEMA decoy CREATE TABLE people (id int, email text, town text)')
    await server.sql('GRANT ALL ON ALL TABLES IN SCHEMA public, decoy TO app')
    await server.sql('GRANT ALL ON SCHEMA public, decoy TO app')
    gateway = await startGateway({ config: text(), env: { SLUICE_TEST_PASSWORD: 'app' } })
    later(() => gateway.stop())
  })
  beforeEach(async () => {
    await apply(text())
  })

  test('that is stricter is taken by open sessions at their next command, prepared statements too', async () => {
    const client = await open()
    const insert = { name: 'move', text: 'UPDATE people SET town = $1 WHERE id = 1', values: ['Bern'] }
    await client.query(insert)
    await client.query("UPDATE people SET town = 'Bern' WHERE id = 1")
    await apply(text({ run: '[read]' }))
    await expect(client.query(insert)).rejects.toEqual(code('SL001'))
    await expect(client.query("UPDATE people SET town = 'Bern' WHERE id = 1")).rejects.toEqual(code('SL001'))
    expect(await emails(client, 'simple')).toEqual(IN_CLEAR)
    await apply(text())
    await client.query(insert)
    await client.end()
  })

  test('that changes in the middle of a transaction is taken there', async () => {
    const client = await open()
    await client.query('BEGIN')
    await client.query("UPDATE people SET town = 'Oslo' WHERE id = 2")
    await apply(text({ run: '[read]' }))
    await expect(client.query("UPDATE people SET town = 'Oslo' WHERE id = 1")).rejects.toEqual(code('SL001'))
    await client.query('ROLLBACK')
    await client.end()
    expect(await server.sql('SELECT town FROM people ORDER BY id')).toEqual([
      { town: 'Bern' },
      { town: 'Rome' },
    ])
  })

  test('that adds labels masks open sessions from the next command on', async () => {
    const client = await open()
    expect(await emails(client, 'simple')).toEqual(IN_CLEAR)
    expect(await emails(client, 'prepared')).toEqual(IN_CLEAR)
    await apply(text({ labels: true }))
    for (const how of ['prepared', 'simple', 'prepared'] as const) {
      const shown = await emails(client, how)
      expect(shown).toHaveLength(2)
      for (const email of IN_CLEAR) expect(shown).not.toContain(email)
    }
    await expect(client.query("SELECT id FROM people WHERE email LIKE 'ada%'")).rejects.toEqual(code('SL001'))
    // And a session that begins now sees the same.
    const fresh = await open()
    expect(await emails(fresh, 'simple')).toEqual(await emails(client, 'simple'))
    await fresh.end()
    await apply(text())
    expect(await emails(client, 'prepared')).toEqual(IN_CLEAR)
    await client.end()
  })

  test('that adds labels shows nothing in sessions that had changed what names mean', async () => {
    const moving = [
      'SET search_path = decoy, public',
      "SELECT set_config('search_path', 'decoy', false)",
      'CREATE TEMP TABLE people AS SELECT * FROM public.people',
      'CREATE TEMP VIEW shown AS SELECT * FROM public.people',
    ]
    const before = [
      ...moving,
      'SET standard_conforming_strings = off',
      'PREPARE all_of_it AS SELECT email FROM public.people',
      'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT email FROM public.people; COMMIT',
    ]
    const after = [
      'SELECT email FROM people',
      'SELECT email FROM public.people',
      'SELECT email FROM shown',
      'SELECT * FROM pg_temp.people',
      'EXECUTE all_of_it',
      'FETCH ALL FROM c',
    ]
    for (const statement of before) {
      await apply(text({ run: 'all', rules: ALL }))
      const client = await open()
      await client.query(statement)
      // What was decided for the first session is known for the second, whose names it changes all the same.
      const second = await open()
      await second.query(statement)
      await apply(text({ labels: true, rules: ALL }))
      if (moving.includes(statement)) {
        await expect(second.query('SELECT id FROM public.people')).rejects.toThrow(/^Connect again/)
      }
      await second.end()
      for (const query of after) {
        const answer = await client.query(query).then(
          ({ rows }) => JSON.stringify(rows),
          (error: Error) => error.message,
        )
        for (const email of IN_CLEAR) expect(answer, `${statement}; then ${query}`).not.toContain(email)
      }
      await client.end().catch(() => undefined)
    }
  })

  test('that adds labels masks what a portal opened before has yet to give', async () => {
    const client = await open()
    await client.query('BEGIN')
    await client.query('DECLARE c CURSOR FOR SELECT email FROM people ORDER BY id').catch(() => undefined)
    await apply(text({ labels: true }))
    const answer = await client.query('FETCH ALL FROM c').then(
      ({ rows }) => JSON.stringify(rows),
      (error: Error) => error.message,
    )
    for (const email of IN_CLEAR) expect(answer).not.toContain(email)
    await client.end().catch(() => undefined)
  })

  test('that removes a connection ends its sessions, and they are told', async () => {
    const client = await open()
    const told = new Promise<Error>((resolve) => client.once('error', resolve))
    await apply(text({ connection: 'another' }))
    expect(await told).toMatchObject({ code: '3D000', message: 'This connection is configured no more.' })
    await expect(client.query('SELECT 1')).rejects.toThrow()
  })

  test('that removes an identity revokes its credentials and ends its sessions, and nobody else’s', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    const client = await open()
    const other = await open({ as: 'other' })
    const told = new Promise<Error>((resolve) => client.once('error', resolve))
    await apply(text({ identity: 'somebody' }))
    expect(await told).toMatchObject({ code: '28000' })
    expect((await psql(dsn, 'SELECT 1')).stderr).toMatch(/unknown, wrong, expired or revoked/)
    expect(await emails(other, 'simple')).toEqual(IN_CLEAR)
    await other.end()
    // It does not come back to life with its name.
    await apply(text())
    expect((await psql(dsn, 'SELECT 1')).code).toBe(2)
  })

  test('that no longer opens a database lets nobody in any more', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    await apply(text({ databases: '    databases: []' }))
    expect((await psql(dsn, 'SELECT 1')).stderr).toMatch(/does not open that database/)
    await apply(text({ databases: '' }))
    expect((await psql(dsn, 'SELECT 1')).stderr).toMatch(/does not open that database/)
  })

  test('that no longer opens a database ends the sessions that are in it', async () => {
    const client = await open()
    const told = new Promise<Error>((resolve) => client.once('error', resolve))
    await apply(text({ databases: '    databases: [template1]' }))
    expect(await told).toMatchObject({ code: '3D000' })
  })

  test('without rules refuses everything', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    for (const rules of ['rules: []', '']) {
      await apply(text({ rules }))
      const done = await psql(dsn, 'SELECT 1;\nBEGIN;\nSHOW server_version;', ['-At'])
      expect(done.stdout).toBe('')
      expect(done.stderr.match(/ERROR:/g)).toHaveLength(3)
    }
  })

  test('is checked, compared, applied, listed and rolled back from the command line', async () => {
    const cli = async (...args: string[]) => gateway.cli(['config', ...args])
    const { version: before } = await apply(text())
    const client = await open()
    await writeFile(gateway.configFile, text({ run: '[read]' }))
    expect(await cli('check', gateway.configFile)).toMatchObject({ code: 0, stderr: '' })
    const diff = await cli('diff', gateway.configFile)
    expect(diff.stdout).toMatch(/rules.*agents.*/)
    const applied = await cli('apply', gateway.configFile)
    expect(applied.stdout).toMatch(/^Configuration \S+ is in force\.\n$/)
    expect((await cli('diff', gateway.configFile)).stdout).toBe('Nothing differs.\n')
    expect((await cli('diff', '--since', before)).stdout).toBe(diff.stdout)
    expect((await cli('show')).stdout).toBe(text({ run: '[read]' }))
    await expect(client.query("UPDATE people SET town = 'Bern' WHERE id = 1")).rejects.toEqual(code('SL001'))
    const history = await cli('history')
    expect(history.stdout).toContain(before)
    expect(history.stdout).toContain('operator socket')

    expect((await cli('rollback', before)).stdout).toBe(`Configuration ${before} is in force again.\n`)
    await client.query("UPDATE people SET town = 'Bern' WHERE id = 1")
    expect((await cli('show')).stdout).toBe(text())
    expect(await cli('rollback', 'never-was')).toMatchObject({ code: 1 })
    await client.end()
  })

  test('that is wrong changes nothing, and every problem is told with its place', async () => {
    const client = await open()
    await writeFile(gateway.configFile, text().replace('kind: agent', 'kind: agnet'))
    for (const command of ['check', 'apply', 'diff']) {
      const done = await gateway.cli(['config', command, gateway.configFile])
      expect(done.code).toBe(1)
      expect(done.stderr).toContain(`${gateway.configFile}:2:44`)
      expect(done.stderr).toContain('write "agent"')
      expect(done.stdout).toBe('')
    }
    expect(await emails(client, 'simple')).toEqual(IN_CLEAR)
    await client.end()
  })

  test('changes for a psql that is open across it', async () => {
    const dsn = await mintDsn(gateway, 'shop', 'agent')
    await writeFile(gateway.configFile, text({ labels: true }))
    const applying = `${process.execPath} ${CLI} config apply ${gateway.configFile} --data ${gateway.dataDirectory}`
    const input = `${PREPARED.text};\n\\! ${applying}\n${PREPARED.text};\n`
    const done = await run('psql', ['-X', '-At', dsn], { input })
    // Only the second answer is masked, and says so.
    expect(done.stderr.match(/^NOTICE:/gm)).toHaveLength(1)
    const [one, two, said, ...rest] = done.stdout.trimEnd().split('\n')
    expect([one, two]).toEqual(IN_CLEAR)
    expect(said).toMatch(/is in force/)
    expect(rest).toHaveLength(2)
    expect(rest).not.toEqual(IN_CLEAR)
  })
})

const ALL = `rules:
  - { name: all, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }`
