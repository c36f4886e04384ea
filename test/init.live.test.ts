/** `sluice init` on somebody's own database: the first masked query in at most four commands. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CLI } from './support/gateway.ts'
import type { TestServer } from './support/postgres.ts'
import { startTestServer } from './support/postgres.ts'
import { cleanEnvironment, run } from './support/process.ts'

const PASSWORD = 'init-upstream-password'
const TABLES = 30

let server: TestServer
let place: string

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'sluice-init-'))
  server = await startTestServer(18)
  await server.role('shop_app', PASSWORD)
  await server.sql('CREATE DATABASE shop OWNER shop_app')
  const client = await server.client('shop')
  try {
    await client.query('SET ROLE shop_app; CREATE SCHEMA sales')
    for (let n = 2; n <= TABLES; n++) {
      await client.query(
        `CREATE TABLE sales.events_${n} (id int, "contactEmail" text, note text, amount numeric)`,
      )
    }
    await client.query(
      'CREATE TABLE sales.customers (id int PRIMARY KEY, name text, email text, email_verified boolean)',
    )
    await client.query("INSERT INTO sales.customers VALUES (1, 'Anna Ray', 'anna@example.org', true)")
  } finally {
    await client.end()
  }
})

afterAll(async () => {
  await server.stop()
  await rm(place, { recursive: true, force: true })
})

it('shows masked values after init, start and query, and keeps the password sealed', async () => {
  const dsn = `postgresql://shop_app:${PASSWORD}@${server.host}:${server.port}/shop`
  const sluice = (args: readonly string[]) => run(process.execPath, [CLI, ...args], { cwd: place })

  const init = await sluice(['init', '--postgres', dsn, '--agent', 'helper', '--person', 'ada', '--json'])
  expect(init.stderr).toBe('')
  const answer: {
    labels: { table: string; column: string; label: string }[]
    powers: string[]
    commands: string[]
  } = JSON.parse(init.stdout)
  expect(answer.powers).toEqual([])
  expect(answer.labels).toHaveLength(TABLES + 1)
  expect(
    answer.labels.filter(({ table }) => table === 'customers').map(({ column, label }) => [column, label]),
  ).toEqual([
    ['name', 'pii.name'],
    ['email', 'pii.email'],
  ])
  expect(await readFile(join(place, 'sluice', 'sluice.yaml'), 'utf8')).not.toContain(PASSWORD)
  // How the program is called in front of it depends on who runs the tests.
  const start = /start --config \S+ --data \S+$/.exec(answer.commands[0] ?? '')?.[0] ?? ''
  expect(start).toBe('start --config sluice/sluice.yaml --data sluice/data')

  const gateway = spawn(process.execPath, [CLI, ...start.split(' '), '--json'], {
    cwd: place,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(gateway.stdout, 'data')
    const sql = 'SELECT name, email FROM sales.customers'
    const asked = await sluice(['query', 'shop', sql, '--as', 'helper', '--data', 'sluice/data'])
    expect(asked.stdout).toBe('name  email\nA***  a***@example.org\n(1 row)\n')
    const doctor = await sluice(['doctor', '--data', 'sluice/data'])
    expect(doctor.stdout).toContain('shop: the role may read 31 of 31 labelled columns')
    expect(doctor.stdout).toContain('The role shop_app has no powers beyond its grants.')
    expect(doctor.stdout).toContain('The same Unix user is no boundary')
    expect(doctor.code).toBe(0)
    const again = await sluice(['init', '--postgres', dsn])
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('sluice.yaml exists already')
  } finally {
    gateway.kill('SIGTERM')
    await once(gateway, 'exit')
  }
  expect(gateway.exitCode).toBe(0)
})
