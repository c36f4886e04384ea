/** Sluice as a target: started from this checkout with bench/sluice.yaml, recording on, spoken to by `sluice dsn`. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestServer } from '../../test/support/postgres.ts'
import { run, start } from '../support/processes.ts'
import { upstreamOf } from './target.ts'
import type { Target } from './target.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const SLUICE = join(ROOT, 'tools', 'sluice.ts')

export type SluiceTarget = Target & {
  /** Where it keeps its recordings and everything else. */
  readonly dataDirectory: string
}

export async function startSluice(server: TestServer): Promise<SluiceTarget> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const upstream = upstreamOf(server)
  const config = join(directory, 'sluice.yaml')
  const data = join(directory, 'data')
  const text = await readFile(join(import.meta.dirname, '..', 'sluice.yaml'), 'utf8')
  // The port of a scratch server is known only now; everything else is the committed file.
  await writeFile(config, text.replaceAll('port: 54321', `port: ${upstream.port}`))
  const env = { BENCH_UPSTREAM_PASSWORD: upstream.password }
  const child = start(process.execPath, [SLUICE, 'start', '--config', config, '--data', data, '--json'], {
    env,
  })
  await child.line()
  const dsn = await run(process.execPath, [
    SLUICE,
    'dsn',
    'bench',
    '--as',
    'bench-agent',
    '--ttl',
    '4h',
    '--data',
    data,
  ])
  const url = new URL(dsn.trim())
  return {
    name: 'sluice',
    at: {
      host: url.hostname,
      port: Number(url.port),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
    },
    pid: child.pid,
    version: `node ${process.version}`,
    dataDirectory: data,
    async stop() {
      await child.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
