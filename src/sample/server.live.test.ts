import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { npmBinaries } from './binaries.ts'
import type { PostgresOptions, PostgresServer } from './server.ts'
import { startPostgres } from './server.ts'
import { unprivilegedUser } from './unprivileged.ts'

let place: string
let binDirectory: string

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'sluice-sample-'))
  await chmod(place, 0o755)
  binDirectory = await npmBinaries(unprivilegedUser())
})

const started: PostgresServer[] = []

async function start(options: PostgresOptions): Promise<PostgresServer> {
  const server = await startPostgres(options)
  started.push(server)
  return server
}

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop()
})

afterAll(async () => {
  await rm(place, { recursive: true, force: true })
})

async function ask(server: PostgresServer, password: string, sql: string, host = '127.0.0.1') {
  const client = new Client({ host, port: server.port, user: 'postgres', password, database: 'postgres' })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** `S` sleeping, `R` running, `Z` ended but not yet collected by init: proc(5). */
async function stateOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tgone')
  return /^State:\t(\w+)/m.exec(status)?.[1] ?? ''
}

describe('a PostgreSQL server of our own', () => {
  test('keeps its data, and takes a new password at every start', async () => {
    const dataDirectory = join(place, 'data')
    const first = await start({ binDirectory, dataDirectory, password: 'first-secret' })
    expect(first.fresh).toBe(true)
    await ask(first, 'first-secret', 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first.stop()
    await first.ended

    const second = await start({ binDirectory, dataDirectory, password: 'second-secret' })
    expect(second.fresh).toBe(false)
    expect(await ask(second, 'second-secret', 'SELECT * FROM kept')).toEqual([{ answer: 42 }])
    await expect(ask(second, 'first-secret', 'SELECT 1')).rejects.toThrow(/password authentication failed/)
    await second.stop()
  })

  test('lets nobody in without a password, over the socket neither, and keeps fsync on', async () => {
    const server = await start({
      binDirectory,
      dataDirectory: join(place, 'closed'),
      password: 'right',
    })
    try {
      for (const host of ['127.0.0.1', server.socketDirectory ?? '']) {
        await expect(ask(server, 'wrong', 'SELECT 1', host)).rejects.toThrow(/password authentication failed/)
      }
      expect(await ask(server, 'right', 'SHOW fsync')).toEqual([{ fsync: 'on' }])
      expect(await ask(server, 'right', 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
      expect((await stat(server.dataDirectory)).mode & 0o777).toBe(0o700)
    } finally {
      await server.stop()
    }
  })

  test('writes its password to no file', async () => {
    const password = randomBytes(18).toString('hex')
    const dataDirectory = join(place, 'searched')
    const server = await start({
      binDirectory,
      dataDirectory,
      password,
      settings: { log_statement: 'all' },
    })
    await ask(server, password, 'SELECT 1')
    const commandLine = await readFile(`/proc/${server.pid}/cmdline`, 'utf8')
    await server.stop()
    expect(commandLine).not.toContain(password)
    for (const entry of await readdir(server.dataDirectory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const bytes = await readFile(join(entry.parentPath, entry.name))
      expect(bytes.includes(password), `${entry.parentPath}/${entry.name}`).toBe(false)
    }
  })

  test('is used by one process at a time', async () => {
    const options = { binDirectory, dataDirectory: join(place, 'alone'), password: 'one' }
    const server = await start(options)
    await expect(startPostgres(options)).rejects.toThrow(/is in use by process/)
    expect(await ask(server, 'one', 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await server.stop()
  })

  test('comes back after its starter was killed, and after it was killed itself', async () => {
    const dataDirectory = join(place, 'killed')
    const script = join(place, 'start.ts')
    const here = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
    await writeFile(
      script,
      `import { startPostgres } from ${here('./server.ts')}
       const options = { binDirectory: process.argv[2], dataDirectory: process.argv[3], password: 'first' }
       const server = await startPostgres(options)
       console.log(server.pid)`,
    )
    const starter = spawn(process.execPath, [script, binDirectory, dataDirectory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(starter.stdout, 'data')
    starter.kill('SIGKILL')
    await once(starter, 'exit')
    const orphan = Number(String(line))
    // It stops by itself; the next start does not wait for that.

    const second = await start({ binDirectory, dataDirectory, password: 'second' })
    expect(await stateOf(orphan)).toMatch(/^(gone|Z)$/)
    await ask(second, 'second', 'CREATE TABLE kept AS SELECT 1 AS n')
    process.kill(second.pid, 'SIGKILL')
    await second.ended
    // What a crash leaves, and worse: the pid in the file now belongs to a process that is no server.
    const pidFile = join(second.dataDirectory, 'cluster/postmaster.pid')
    const lines = (await readFile(pidFile, 'utf8')).split('\n')
    await writeFile(pidFile, [String(process.ppid), ...lines.slice(1)].join('\n'))

    const third = await start({ binDirectory, dataDirectory, password: 'third' })
    expect(await ask(third, 'third', 'SELECT * FROM kept')).toEqual([{ n: 1 }])
    await third.stop()
  })

  test('begins again where an initdb was interrupted', async () => {
    const dataDirectory = join(place, 'interrupted')
    await mkdir(join(dataDirectory, 'cluster'), { recursive: true })
    await writeFile(join(dataDirectory, 'cluster/PG_VERSION'), '18\n')
    const server = await start({ binDirectory, dataDirectory, password: 'x' })
    expect(await ask(server, 'x', 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await server.stop()
  })

  test('says what the server said when it does not start', async () => {
    const options = {
      binDirectory,
      dataDirectory: join(place, 'broken'),
      password: 'x',
      settings: { work_mem: 'many' },
    }
    await expect(startPostgres(options)).rejects.toThrow(/invalid value for parameter "work_mem"/)
  })
})
