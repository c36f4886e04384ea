/**
 * A real gateway for tests: `sluice start` as a child process with a configuration and a data directory of its own,
 * used through its command line and through what that is made of. Leaves servers behind it to postgres.ts.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { dsnOf, mint } from '../../src/cli/credentials.ts'
import type { RecordingKeys } from '../../src/core/index.ts'
import { keysOf } from '../../src/testing/recording-keys.ts'
import { distIsCurrent, ENTRY, ROOT } from '../../tools/dist.ts'
import type { Finished, RunOptions } from './process.ts'
import { cleanEnvironment, run } from './process.ts'

/**
 * The command line as `npm run sluice` has it: the built one while it is current. Looked up once and not at each of some
 * thousand starts. For terminals that run it themselves, too.
 */
export const CLI = distIsCurrent() ? ENTRY : join(ROOT, 'src', 'cli', 'main.ts')

/** A cold start compiles two WebAssembly modules on a machine that others use too. */
const READY_MS_MAX = 30_000

export type GatewayOptions = {
  /** The text of sluice.yaml. */
  readonly config: string
  /** Environment of the gateway: where `${env:NAME}` finds upstream passwords. */
  readonly env?: Readonly<Record<string, string>>
  /** Further files, by their path from the configuration's folder. */
  readonly files?: Readonly<Record<string, string>>
}

export type TestGateway = {
  readonly configFile: string
  readonly dataDirectory: string
  /** What its recording is read with. */
  readonly recordingKeys: RecordingKeys
  /** By protocol name. */
  readonly ports: Readonly<Record<string, number>>
  readonly pid: number
  /** What it has written to stderr so far: must never hold a secret. */
  readonly stderr: () => string
  /** A fresh credential as a DSN: what `sluice dsn` prints, made by the command's own code in this process. */
  dsn(connection: string, identity: string, ttl?: string): Promise<string>
  /** A fresh token for an HTTP connection: what `sluice token` prints, made in the same way. */
  token(connection: string, identity: string, ttl?: string): Promise<string>
  /** Any command of the command line against this gateway. */
  cli(args: readonly string[], options?: RunOptions): Promise<Finished>
  /** SIGTERM; throws unless it ends with 0. Removes its files. */
  stop(): Promise<void>
  /** SIGTERM, and starts again on the same data. */
  restart(): Promise<TestGateway>
  /** SIGKILL, and starts again on the same data and ports are new. */
  crashAndRestart(): Promise<TestGateway>
}

/** Starts one and waits until it listens. */
export async function startGateway(options: GatewayOptions): Promise<TestGateway> {
  const place = await mkdtemp(join(tmpdir(), 'sluice-gateway-'))
  const configFile = join(place, 'sluice.yaml')
  await writeFile(configFile, options.config)
  for (const [name, content] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(place, name)), { recursive: true })
    await writeFile(join(place, name), content, { mode: 0o600 })
  }
  return launch(place, configFile, { SLUICE_KEY: randomBytes(32).toString('base64'), ...options.env })
}

async function launch(
  place: string,
  configFile: string,
  env: Readonly<Record<string, string>>,
): Promise<TestGateway> {
  const dataDirectory = join(place, 'data')
  const child = spawn(
    process.execPath,
    [CLI, 'start', '--config', configFile, '--data', dataDirectory, '--json'],
    { env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A test run that is ended early takes its gateways along.
  const last = () => child.kill('SIGKILL')
  process.once('exit', last)
  child.once('exit', () => process.off('exit', last))

  const ports = portsOf(await readyLine(child, () => stderr))
  const cli = async (args: readonly string[], options: RunOptions = {}) =>
    run(process.execPath, [CLI, ...args], { ...options, env: { SLUICE_DATA: dataDirectory, ...options.env } })
  return {
    configFile,
    dataDirectory,
    recordingKeys: keysOf(env.SLUICE_KEY ?? ''),
    ports,
    pid: child.pid ?? 0,
    stderr: () => stderr,
    cli,
    dsn: async (connection, identity, ttl = '15m') =>
      dsnOf(await mint(connection, 'database', { data: dataDirectory, as: identity, ttl })),
    token: async (connection, identity, ttl = '1h') =>
      (await mint(connection, 'http', { data: dataDirectory, as: identity, ttl })).secret,
    async stop() {
      await end(child, 'SIGTERM')
      await rm(place, { recursive: true, force: true })
      if (child.exitCode !== 0)
        throw new Error(`the gateway ended with ${child.exitCode ?? child.signalCode}: ${stderr}`)
    },
    async restart() {
      await end(child, 'SIGTERM')
      return launch(place, configFile, env)
    },
    async crashAndRestart() {
      await end(child, 'SIGKILL')
      return launch(place, configFile, env)
    },
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** The first line of stdout is JSON and means: listening. */
async function readyLine(child: ChildProcess, stderr: () => string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const at = text.indexOf('\n')
    if (at >= 0) resolve(text.slice(0, at))
  })
  child.once('error', reject)
  child.once('exit', (code, signal) =>
    reject(new Error(`the gateway ended with ${code ?? signal} before it was ready: ${stderr()}`)),
  )
  const timer = setTimeout(() => {
    child.kill('SIGKILL')
    reject(new Error(`the gateway was not ready after ${READY_MS_MAX} ms: ${stderr()}`))
  }, READY_MS_MAX)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

function portsOf(line: string): Record<string, number> {
  const parsed: unknown = JSON.parse(line)
  const endpoints: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'endpoints') : undefined
  if (typeof endpoints !== 'object' || endpoints === null)
    throw new Error(`the ready line names no endpoints: ${line}`)
  return Object.fromEntries(
    Object.entries(endpoints).map(([name, endpoint]) => [
      name,
      Number(Reflect.get(Object(endpoint), 'port')),
    ]),
  )
}
