import type { ChildProcess } from 'node:child_process'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, open, readFile, realpath, rm, rmdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { GatewayError } from '../core/index.ts'
import { codeOf } from './binaries.ts'
import { claim, readIfThere, releaseClaim } from './claim.ts'
import { nameOfPath, publicPlace } from './public-place.ts'
import { scramVerifier } from './scram-verifier.ts'
import type { RunAs } from './unprivileged.ts'
import { canWrite, unprivilegedUser } from './unprivileged.ts'

export type PostgresOptions = {
  /** Where `initdb` and `postgres` are: `npmBinaries()`, or `/usr/lib/postgresql/15/bin`. */
  readonly binDirectory: string
  /** Wanted place of the data; made when absent, used again when there. The server tells where it really is. */
  readonly dataDirectory: string
  /** 0 or absent: a free one. */
  readonly port?: number
  /** Settings of postgresql.conf, such as `{ log_statement: 'all' }`. Not for secrets: they are in the process list. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** The superuser's password from now on. Printable ASCII. Kept nowhere: each start sets it anew. */
  readonly password: string
}

export type PostgresServer = {
  readonly host: '127.0.0.1'
  readonly port: number
  /** The superuser. */
  readonly user: 'postgres'
  /** The directory of the Unix socket; absent when its path would be too long for one. */
  readonly socketDirectory: string | undefined
  /** Where the data really is: elsewhere than wanted when the server's Unix user could not reach that place. */
  readonly dataDirectory: string
  /** What the server wrote to stderr. */
  readonly logFile: string
  readonly pid: number
  /** Whether the data directory was made by this call. */
  readonly fresh: boolean
  /** Resolves when the server has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** `fast` ends sessions and shuts down cleanly; `immediate` is a crash. Idempotent. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

const SUPERUSER = 'postgres'
/** A cold machine needs about three seconds; recovery after a crash may take longer. */
const START_MS_MAX = 60_000
/** Clean shutdown writes a checkpoint; after this the server is stopped the hard way, which loses nothing committed. */
const STOP_MS_MAX = 15_000
/** `sun_path` holds 108 bytes on Linux, the closing zero included (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107

/**
 * Starts a PostgreSQL server of its own: own data directory, loopback only, password only (SCRAM), as an unprivileged
 * user when we are root. A data directory that an earlier, perhaps killed, run left behind is used again.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const runAs = unprivilegedUser()
  const dataDirectory = await reachableDirectory(resolve(options.dataDirectory), runAs)
  await claim(dataDirectory)
  try {
    const fresh = await initialise(options.binDirectory, dataDirectory, runAs)
    await setPassword(options.binDirectory, dataDirectory, runAs, options.password)
    return await launch(options, dataDirectory, runAs, fresh)
  } catch (error) {
    await releaseClaim(dataDirectory)
    throw error
  }
}

/** `wanted`, made and owned by the server's user, or a place of ours when that user cannot get there. */
async function reachableDirectory(wanted: string, runAs: RunAs): Promise<string> {
  await own(wanted, runAs)
  if (canWrite(runAs, wanted)) return realpath(wanted)
  await rmdir(wanted)
  const instead = join(await publicPlace(), `data-${nameOfPath(wanted)}`)
  await own(instead, runAs)
  if (canWrite(runAs, instead)) return realpath(instead)
  throw new GatewayError('internal', `The database server's user can write neither ${wanted} nor ${instead}.`)
}

async function own(directory: string, runAs: RunAs): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (runAs !== undefined) await chown(directory, runAs.uid, runAs.gid)
  await chmod(directory, 0o700)
}

/** The cluster is in a folder of its own, so that an interrupted `initdb` can be thrown away whole. */
function clusterOf(dataDirectory: string): string {
  return join(dataDirectory, 'cluster')
}

/** Makes the cluster unless it is complete. Returns whether it was made now. */
async function initialise(binDirectory: string, dataDirectory: string, runAs: RunAs): Promise<boolean> {
  const cluster = clusterOf(dataDirectory)
  const complete = join(dataDirectory, 'complete')
  if (await readable(complete)) return false
  await rm(cluster, { recursive: true, force: true })
  const locale =
    (await majorVersion(binDirectory)) >= 17
      ? ['--locale-provider=builtin', '--locale=C.UTF-8']
      : ['--no-locale']
  await run(
    binDirectory,
    'initdb',
    ['-D', cluster, '-U', SUPERUSER, '-E', 'UTF8', '--auth=reject', ...locale],
    runAs,
  )
  // Passwords only, over the socket as well: whoever shares this machine must not get around the gateway for free.
  const rules = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256', '']
  await writeFile(join(cluster, 'pg_hba.conf'), rules.join('\n'))
  await writeFile(complete, '')
  return true
}

/** The first number of `postgres (PostgreSQL) 15.18`. */
export async function majorVersion(binDirectory: string): Promise<number> {
  const { stdout } = await promisify(execFile)(join(binDirectory, 'postgres'), ['--version'])
  return Number(/\) (\d+)/.exec(stdout)?.[1] ?? Number.NaN)
}

/**
 * Gives the superuser this run's password, in single-user mode before anyone can connect. So nothing that opens the
 * database is ever kept on disk, and the server sees only the verifier.
 */
async function setPassword(
  binDirectory: string,
  dataDirectory: string,
  runAs: RunAs,
  password: string,
): Promise<void> {
  const statement = `ALTER ROLE ${SUPERUSER} PASSWORD '${scramVerifier(password)}'\n`
  await run(
    binDirectory,
    'postgres',
    ['--single', '-D', clusterOf(dataDirectory), 'postgres'],
    runAs,
    statement,
  )
}

async function run(
  binDirectory: string,
  program: string,
  args: readonly string[],
  runAs: RunAs,
  input = '',
): Promise<void> {
  const child = spawn(join(binDirectory, program), args, {
    ...runAs,
    cwd: '/',
    env: environment(),
    stdio: 'pipe',
  })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => said.push(text))
  }
  child.stdin.on('error', () => said.push('(stopped reading)')).end(input)
  const [code] = await once(child, 'close')
  // Single-user mode reports a failed statement and still ends with 0.
  const text = said.join('')
  if (code !== 0 || /\b(ERROR|FATAL|PANIC):/.test(text)) {
    throw new GatewayError('internal', `${program} failed: ${text.trim().slice(-2000)}`)
  }
}

/** No PG* variable of the caller's shell may reach the server, and messages are in English. */
function environment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' }
}

async function launch(
  options: PostgresOptions,
  dataDirectory: string,
  runAs: RunAs,
  fresh: boolean,
): Promise<PostgresServer> {
  const cluster = clusterOf(dataDirectory)
  const logFile = join(dataDirectory, 'server.log')
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort())
    const socketDirectory = socketFits(dataDirectory, port) ? dataDirectory : undefined
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: socketDirectory ?? '',
      unix_socket_permissions: '0700',
      password_encryption: 'scram-sha-256',
      ...options.settings,
      port,
    }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const log = await open(logFile, 'a', 0o600)
    const child = spawn(join(options.binDirectory, 'postgres'), ['-D', cluster, ...args], {
      ...runAs,
      cwd: '/',
      env: environment(),
      // A process group of its own: Ctrl-C in the terminal must not stop the database before the gateway has drained.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    // Before anything is awaited: a server that cannot start is gone in milliseconds.
    const exited = once(child, 'exit')
    await log.close()
    const release = await stopWithUs(child.pid, runAs)
    if (await becomesReady(child, cluster)) {
      const ended = exited.then(async () => {
        release()
        await releaseClaim(dataDirectory)
      })
      return {
        host: '127.0.0.1',
        port,
        user: SUPERUSER,
        socketDirectory,
        dataDirectory,
        logFile,
        pid: child.pid ?? 0,
        fresh,
        ended,
        stop: (mode = 'fast') => stop(child, ended, mode),
      }
    }
    child.kill('SIGQUIT')
    await exited
    release()
    // Somebody may have taken the free port between our look and the server's.
    if (attempt === 3 || options.port) {
      const tail = (await readFile(logFile, 'utf8')).trim().slice(-1500)
      throw new GatewayError('internal', `The database server did not start. Its last words:\n${tail}`)
    }
  }
}

/**
 * Lets the server end with this process, however it ends: a shell waits for a word on a pipe that we hold, and stops the
 * server when the pipe breaks instead. Returns what says the word. (Where the shell dies first, `claim` finds the orphan.)
 */
async function stopWithUs(pid: number | undefined, runAs: RunAs): Promise<() => void> {
  if (pid === undefined) return () => undefined
  const watch = spawn('/bin/sh', ['-c', 'read -r word || kill -INT "$1"', 'sh', String(pid)], {
    ...runAs,
    cwd: '/',
    env: environment(),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  await once(watch, 'spawn')
  watch.unref()
  // It may have been killed by somebody; then there is nobody to tell.
  watch.stdin.on('error', () => watch.stdin.destroy())
  return () => watch.stdin.end('done\n')
}

function socketFits(directory: string, port: number): boolean {
  return Buffer.byteLength(join(directory, `.s.PGSQL.${port}.lock`)) <= SOCKET_PATH_BYTES_MAX
}

/** The server writes `ready` to the eighth line of its pid file; that is what pg_ctl waits for, too. */
async function becomesReady(child: ChildProcess, cluster: string): Promise<boolean> {
  const deadline = Date.now() + START_MS_MAX
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return false
    const lines = (await readIfThere(join(cluster, 'postmaster.pid'))).split('\n')
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return true
    await sleep(10)
  }
  return false
}

async function stop(child: ChildProcess, ended: Promise<void>, mode: 'fast' | 'immediate'): Promise<void> {
  const running = () => child.exitCode === null && child.signalCode === null
  if (!running()) return ended
  child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  const hardWay = setTimeout(() => running() && child.kill('SIGQUIT'), STOP_MS_MAX)
  await ended
  clearTimeout(hardWay)
}

/** A loopback port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP address is expected')
  return address.port
}

async function readable(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  await file?.close()
  return file !== undefined
}
