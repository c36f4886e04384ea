/** Sluice as a target: started from this checkout with bench/sluice.yaml, recording on, spoken to by `sluice dsn`. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordingKeys } from '../../src/core/index.ts'
import { createCertificates, writeCertificates } from '../../src/net/index.ts'
import { keysOf } from '../../src/testing/recording-keys.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { run, start } from '../support/processes.ts'
import { DATABASE, ROLE_PASSWORD } from './data.ts'
import type { Coordinates, Target } from './target.ts'

const BENCH = join(import.meta.dirname, '..')
const SLUICE = join(BENCH, '..', 'tools', 'sluice.ts')

export type RunningSluice = {
  readonly pid: number
  /** Where it keeps its recordings and everything else, and what they are read with. */
  readonly recording: { readonly directory: string; readonly keys: RecordingKeys }
  /** What it wrote to standard error, Node's own words included. */
  complaints(): string
  /** Where it listens, by protocol. */
  readonly ports: Readonly<Record<string, number>>
  /** Mints a credential for an HTTP connection. */
  token(connection: string): Promise<string>
  /** Mints a credential, as anyone would. */
  coordinates(connection: string, database: string): Promise<Coordinates>
  stop(): Promise<void>
}

export type SluiceOptions = {
  /** The text of sluice.yaml; that of bench/sluice.yaml unless said otherwise. */
  readonly config?: string
  /** The ports that stand in bench/sluice.yaml, and where those upstreams really listen. */
  readonly ports: Readonly<Record<number, number>>
  /** For the process that runs it. */
  readonly nodeArguments?: readonly string[]
}

/** What a configuration says where the benchmark has to put a port. */
export const PORTS = { database: 54_321, fake: 54_322 } as const

export async function runSluice(options: SluiceOptions): Promise<RunningSluice> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const config = join(directory, 'sluice.yaml')
  const data = join(directory, 'data')
  let text = options.config ?? (await readFile(join(BENCH, 'sluice.yaml'), 'utf8'))
  for (const [written, real] of Object.entries(options.ports)) {
    text = text.replaceAll(`port: ${written}`, `port: ${real}`)
  }
  await writeFile(config, text)
  const names = ['localhost', '127.0.0.1'] as const
  await writeCertificates(join(directory, 'tls'), await createCertificates({ names, now: Date.now() }))
  const masterKey = randomBytes(32).toString('base64')
  const child = start(
    process.execPath,
    [...(options.nodeArguments ?? []), SLUICE, 'start', '--config', config, '--data', data, '--json'],
    {
      env: {
        BENCH_UPSTREAM_PASSWORD: ROLE_PASSWORD,
        SLUICE_KEY: masterKey,
        // As bin/node.cjs starts it.
        MALLOC_ARENA_MAX: process.env['MALLOC_ARENA_MAX'] ?? '2',
      },
    },
  )
  const { endpoints }: { endpoints: Record<string, { port: number }> } = JSON.parse(await child.line())
  return {
    pid: child.pid,
    ports: Object.fromEntries(Object.entries(endpoints).map(([name, { port }]) => [name, port])),
    recording: { directory: data, keys: keysOf(masterKey) },
    complaints: () => child.complaints(),
    async token(connection) {
      const asked = ['--as', 'bench-agent', '--ttl', '4h', '--data', data]
      return (await run(process.execPath, [SLUICE, 'token', connection, ...asked])).trim()
    },
    async coordinates(connection, database) {
      const asked = ['--as', 'bench-agent', '--ttl', '4h', '--database', database, '--data', data]
      const dsn = await run(process.execPath, [SLUICE, 'dsn', connection, ...asked])
      const url = new URL(dsn.trim())
      return {
        host: url.hostname,
        port: Number(url.port),
        user: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
        database: decodeURIComponent(url.pathname.slice(1)),
      }
    },
    async stop() {
      await child.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export async function startSluice(server: TestServer): Promise<Target> {
  const sluice = await runSluice({ ports: { [PORTS.database]: server.port } })
  return {
    name: 'sluice',
    at: await sluice.coordinates('bench', DATABASE),
    pid: sluice.pid,
    version: `node ${process.version}`,
    recording: sluice.recording,
    stop: () => sluice.stop(),
  }
}
