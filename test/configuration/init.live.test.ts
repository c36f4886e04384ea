/** Somebody's own database behind a gateway: four commands from nothing to the first masked row, and a doctor. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { CLI } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { cleanEnvironment, run } from '../support/process.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'

const PASSWORD = 'owner-secret-9182'

/** 30 tables, one of them with people in it. */
const TABLES = `CREATE TABLE customers (id int PRIMARY KEY, full_name text, email text, phone text, country text);
INSERT INTO customers VALUES (1, 'Ada Lovelace', 'ada@example.com', '+44 20 7946 0000', 'GB');
${Array.from({ length: 29 }, (_, n) => `CREATE TABLE stock_${n} (id int PRIMARY KEY, quantity int, noted text);`).join('\n')}`

describe('a database that somebody has', () => {
  const later = teardown()
  let server: TestServer
  let place: string
  let child: ReturnType<typeof spawn> | undefined
  const sluice = (...args: string[]) => run(process.execPath, [CLI, ...args], { cwd: place })

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    place = await mkdtemp(join(tmpdir(), 'sluice-init-'))
    later(() => rm(place, { recursive: true, force: true }))
    await server.role('owner', PASSWORD)
    await server.sql('CREATE DATABASE warehouse OWNER owner')
    const client = await server.client('warehouse')
    await client.query('ALTER SCHEMA public OWNER TO owner')
    await client.query('SET ROLE owner')
    await client.query(TABLES)
    await client.end()
  })

  test('gives its first masked row after three commands', async () => {
    const dsn = server.dsn({ database: 'warehouse', user: 'owner', password: PASSWORD })
    // One.
    const init = await sluice('init', '--postgres', dsn, '--json')
    expect(init).toMatchObject({ code: 0, stderr: '' })
    expect(init.stdout).not.toContain(PASSWORD)
    const told = Object(JSON.parse(init.stdout))
    expect(told.labels.map((each: { column: string }) => each.column)).toEqual(
      expect.arrayContaining(['full_name', 'email', 'phone']),
    )
    const written = await readFile(join(place, told.config), 'utf8')
    expect(written).not.toContain(PASSWORD)
    expect(written).toContain('questions: 1000')
    // The key lies beside it: no `git add .` takes it along.
    expect(await readFile(join(place, told.config, '..', '.gitignore'), 'utf8')).toBe('*\n')
    // Two.
    const gateway = spawn(
      process.execPath,
      [CLI, 'start', '--config', told.config, '--data', told.data, '--json'],
      {
        cwd: place,
        env: cleanEnvironment(),
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    child = gateway
    later(() => void gateway.kill('SIGKILL'))
    await once(gateway.stdout, 'data')
    // Three.
    const query = await sluice(
      'query',
      told.connection,
      'SELECT * FROM customers',
      '--as',
      'agent',
      '--data',
      told.data,
    )
    expect(query).toMatchObject({ code: 0 })
    expect(query.stdout).toContain('GB')
    for (const value of ['Lovelace', 'ada@example.com', '7946']) expect(query.stdout).not.toContain(value)
  })

  test('is reached with TLS that is held against the authority in the data directory', async () => {
    const data = join(place, 'sluice/data')
    const url = new URL(await mintDsn({ dataDirectory: data }, 'warehouse', 'agent'))
    url.hostname = 'localhost'
    const options = `sslmode=verify-full&sslrootcert=${join(data, 'tls/authority.pem')}`
    const done = await psql(`${url}?${options}`, '\\conninfo')
    expect(done.stderr).toBe('')
    expect(done.stdout).toMatch(/SSL connection/)
  })

  test('is found well by the doctor, who says what is wrong when it is not', async () => {
    const doctor = async () => {
      const done = await sluice('doctor', '--data', 'sluice/data')
      const said = done.stdout + done.stderr
      expect(said).not.toContain(PASSWORD)
      return { code: done.code, said }
    }
    expect(await doctor()).toMatchObject({ code: 0 })

    // A password that was changed and nobody told.
    await server.role('owner', 'another')
    const refused = await doctor()
    expect(refused.code).toBe(1)
    expect(refused.said).toMatch(/password authentication failed/)
    await server.role('owner', PASSWORD)

    // A label for a column that does not exist.
    const config = join(place, 'sluice/sluice.yaml')
    const text = await readFile(config, 'utf8')
    await writeFile(config, text.replace('public.customers.phone', 'public.customers.telephone'))
    expect(await sluice('config', 'apply', config, '--data', 'sluice/data')).toMatchObject({ code: 0 })
    expect((await doctor()).said).toMatch(/public\.customers\.telephone means no column/)

    // Code that copies from a labelled table by itself, and code that does not.
    await server.sql(
      `CREATE TABLE seen (id int, note text); CREATE TABLE stamped (id int, at timestamptz, key text DEFAULT now()::text);
      CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN SELECT email INTO NEW.note FROM customers LIMIT 1; RETURN NEW; END$$;
      CREATE FUNCTION stamp_it() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.at := now(); RETURN NEW; END$$;
      CREATE TRIGGER notes BEFORE INSERT ON seen FOR EACH ROW EXECUTE FUNCTION note_it();
      CREATE TRIGGER stamps BEFORE INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION stamp_it()`,
      [],
      'warehouse',
    )
    const copying = (await doctor()).said
    expect(copying).toMatch(/public\.seen runs note_it by itself, which names customers/)
    expect(copying).not.toMatch(/stamp/)

    // A server that has gone.
    await server.sql('ALTER DATABASE warehouse RENAME TO elsewhere')
    const gone = await doctor()
    expect(gone.code).toBe(1)
    expect(gone.said).toMatch(/"warehouse" does not exist/)

    // A gateway that has gone.
    child?.kill('SIGTERM')
    await eventually('the gateway to end', () => child?.exitCode === 0)
    const silent = await doctor()
    expect(silent.code).not.toBe(0)
    expect(silent.said).toMatch(/does not answer|is not running/)
  })
})
