/** What is measured against each other: the server itself, pgbouncer, a bare relay, Sluice. */
import { existsSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unprivilegedUser } from '../../src/sample/index.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { freePort, run, start } from '../support/processes.ts'
import { startSluice } from './sluice.ts'
import { upstreamOf } from './target.ts'
import type { Target, TargetName } from './target.ts'

export const STARTERS: Readonly<Record<TargetName, (server: TestServer) => Promise<Target>>> = {
  direct: async (server) => ({
    name: 'direct',
    at: upstreamOf(server),
    pid: undefined,
    version: String((await server.sql<{ v: string }>(`SELECT current_setting('server_version') v`))[0]?.v),
    stop: async () => undefined,
  }),
  pgbouncer: startPgbouncer,
  relay: (server) => startRelay(server, 'relay'),
  // Not in the usual list: shows what reading into one buffer is worth.
  'relay-events': (server) => startRelay(server, 'relay-events'),
  sluice: startSluice,
}

const PGBOUNCER = '/usr/sbin/pgbouncer'

/** Debian's pgbouncer in session mode, as near to no work as it can be set: no checks of its own, no logging. */
async function startPgbouncer(server: TestServer): Promise<Target> {
  if (!existsSync(PGBOUNCER))
    throw new Error(`the benchmarks need pgbouncer (Debian package) in ${PGBOUNCER}`)
  const runAs = unprivilegedUser()
  const directory = await mkdtemp(join(tmpdir(), 'sluice-pgbouncer-'))
  const port = await freePort()
  const { host, port: serverPort, user, password, database } = upstreamOf(server)
  await writeFile(
    join(directory, 'pgbouncer.ini'),
    `[databases]
${database} = host=${host} port=${serverPort} user=${user} password=${password} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 1000
default_pool_size = 200
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
`,
  )
  if (runAs !== undefined) {
    await chown(directory, runAs.uid, runAs.gid)
    await chown(join(directory, 'pgbouncer.ini'), runAs.uid, runAs.gid)
  }
  const child = start(PGBOUNCER, ['-q', join(directory, 'pgbouncer.ini')], runAs)
  const version = /PgBouncer ([\d.]+)/.exec(await run(PGBOUNCER, ['--version']))?.[1] ?? 'unknown'
  return {
    name: 'pgbouncer',
    at: { host: '127.0.0.1', port, user, password, database },
    pid: child.pid,
    version,
    async stop() {
      await child.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function startRelay(server: TestServer, name: 'relay' | 'relay-events'): Promise<Target> {
  const upstream = upstreamOf(server)
  const relay = join(import.meta.dirname, '..', 'relay.ts')
  const child = start(process.execPath, [
    relay,
    upstream.host,
    String(upstream.port),
    ...(name === 'relay-events' ? ['--events'] : []),
  ])
  const port = Number(await child.line())
  return {
    name,
    at: { ...upstream, host: '127.0.0.1', port },
    pid: child.pid,
    version: `node ${process.version}`,
    stop: () => child.stop(),
  }
}
