/** How a gateway begins and ends: with the file that it should, alone on its data, and not at all with a wrong one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { CLI } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { cleanEnvironment, run } from '../support/process.ts'
import { psqlRows } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'

describe('a gateway', () => {
  const later = teardown()
  let server: TestServer
  let place: string
  let config: string
  let data: string
  const env = { SLUICE_KEY: Buffer.alloc(32, 7).toString('base64'), SLUICE_TEST_PASSWORD: 'app' }

  const text = (rule: string) => `listen: { postgres: { port: 0 }, api: { port: 0 } }
identities: { local: [{ name: tester, kind: service }] }
connections:
  shop:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: app, password: "\${env:SLUICE_TEST_PASSWORD}", sslmode: disable }
    databases: [postgres]
rules:
  - { name: ${rule}, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
`
  const sluice = (...args: string[]) => run(process.execPath, [CLI, ...args, '--data', data], { env })
  const start = async () => {
    const child = spawn(process.execPath, [CLI, 'start', '--config', config, '--data', data, '--json'], {
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    later(() => void child.kill('SIGKILL'))
    const [line] = await once(child.stdout, 'data')
    expect(String(line)).toMatch(/^\{"ready":true/)
    return {
      child,
      stop: async () => {
        const ended = once(child, 'exit')
        child.kill('SIGTERM')
        expect(await ended).toEqual([0, null])
      },
    }
  }

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role('app', 'app')
    place = await mkdtemp(join(tmpdir(), 'sluice-start-'))
    later(() => rm(place, { recursive: true, force: true }))
    config = join(place, 'sluice.yaml')
    data = join(place, 'data')
  })

  test('starts with a file that descends from the active version, and with no other', async () => {
    await writeFile(config, text('first'))
    await (await start()).stop()
    // Changed while nothing ran: what was active came from this file.
    await writeFile(config, text('second'))
    const running = await start()
    const applied = join(place, 'applied.yaml')
    await writeFile(applied, text('third'))
    expect(await sluice('config', 'apply', applied)).toMatchObject({ code: 0 })
    await running.stop()

    const refused = await sluice('start', '--config', config)
    expect(refused.code).toBe(1)
    expect(refused.stdout).toBe('')
    expect(refused.stderr).toContain('The active configuration was applied by operator socket')
    expect(refused.stderr).toMatch(/rules.*third/)
    expect(refused.stderr).toMatch(/rules.*second/)
    expect(refused.stderr).toContain('sluice config show')

    // The file is what was applied: it goes on.
    await writeFile(config, text('third'))
    await (await start()).stop()
  })

  test('refuses a wrong file with its place and the fix, and leaves nothing running', async () => {
    const wrong = join(place, 'wrong.yaml')
    await writeFile(wrong, text('first').replace('unreviewed', 'unreveiwed'))
    const elsewhere = join(place, 'elsewhere')
    const done = await run(process.execPath, [CLI, 'start', '--config', wrong, '--data', elsewhere], { env })
    expect(done.code).toBe(1)
    expect(done.stdout).toBe('')
    expect(done.stderr).toContain(`${wrong}:9:`)
    expect(done.stderr).toContain('write "unreviewed"')
    expect(existsSync(join(elsewhere, 'operator.sock'))).toBe(false)
    // And one that is not there.
    const missing = await run(
      process.execPath,
      [CLI, 'start', '--config', join(place, 'none.yaml'), '--data', elsewhere],
      { env },
    )
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('none.yaml')
    expect(missing.stderr).not.toMatch(/fault of this program/)
  })

  test('has its data directory to itself, for its owner only', async () => {
    const running = await start()
    const second = await sluice('start', '--config', config)
    expect(second).toMatchObject({ code: 1, stdout: '' })
    expect(second.stderr).toContain(`in use by another gateway (process ${running.child.pid})`)
    expect((await sluice('status')).stdout).toContain(`process ${running.child.pid}`)

    await psqlRows(await mintDsn({ dataDirectory: data }, 'shop', 'tester'), 'SELECT 1')
    const open: string[] = []
    for (const name of ['.', ...(await readdir(data, { recursive: true }))]) {
      const { mode } = await stat(join(data, name))
      if ((mode & 0o077) !== 0 && !(await isWithin(data, name)))
        open.push(`${name} ${(mode & 0o777).toString(8)}`)
    }
    expect(open).toEqual([])
    expect((await stat(data)).mode & 0o777).toBe(0o700)
    expect((await stat(join(data, 'operator.sock'))).mode & 0o777).toBe(0o600)
    await running.stop()
  })

  test('that is told to end lets the query in flight finish, lets nobody in, and ends with 0', async () => {
    const running = await start()
    const dsn = await mintDsn({ dataDirectory: data }, 'shop', 'tester')
    const client = new Client({ connectionString: dsn })
    let told: unknown
    client.on('error', (error) => (told ??= error))
    await client.connect()
    const idle = new Client({ connectionString: dsn })
    idle.on('error', () => undefined)
    await idle.connect()
    const slow = client.query("SELECT pg_sleep(2), 'finished' AS word")
    await eventually('the query to run', async () => {
      const rows = await server.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
      )
      return rows.length === 1
    })
    const ended = once(running.child, 'exit')
    const began = Date.now()
    running.child.kill('SIGTERM')
    await sleep(300)
    await expect(new Client({ connectionString: dsn }).connect()).rejects.toThrow()
    expect((await slow).rows[0]).toMatchObject({ word: 'finished' })
    expect(await ended).toEqual([0, null])
    // An idle session does not hold it up for as long as one may last.
    expect(Date.now() - began).toBeLessThan(15_000)
    expect(told).toMatchObject({ message: 'The gateway is stopping.' })
    expect(existsSync(join(data, 'operator.sock'))).toBe(false)
    expect(await readFile(config, 'utf8')).toBe(text('third'))
  })
})

/** What lies in a directory that nobody else can enter is nobody else's, whatever its own mode. */
async function isWithin(data: string, name: string): Promise<boolean> {
  if (name === '.') return false
  return ((await stat(data)).mode & 0o077) === 0 && (await stat(join(data, name))).isFile()
}
