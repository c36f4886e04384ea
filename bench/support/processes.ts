/** Child processes of a benchmark: started, read from, and ended with it whatever happens. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

const running = new Set<ChildProcess>()

/** Ends every child still running. For the way out, the violent one included. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

export type StartOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly gid?: number
}

export type Started = {
  readonly pid: number
  /** The next line of the child's standard output. Throws when the child ends instead, with what it complained of. */
  line(): Promise<string>
  /** What it has written to standard error so far. */
  complaints(): string
  send(text: string): void
  /** Asks it to end and waits; after five seconds it is killed. */
  stop(): Promise<void>
  ended(): Promise<number | null>
}

/** Starts a program that keeps running, such as a server. */
export function start(command: string, args: readonly string[], options: StartOptions = {}): Started {
  const child = spawn(command, args, {
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  })
  running.add(child)
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-20_000)
  })
  child.stdin.on('error', (error) => {
    complaints += `(stdin: ${error.message})`
  })
  const ended = once(child, 'close').then(([code]: unknown[]) => {
    running.delete(child)
    return typeof code === 'number' ? code : null
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { pid } = child
  if (pid === undefined) throw new Error(`cannot start ${command}`)
  return {
    pid,
    async line() {
      const next = await lines.next()
      if (next.done !== true) return next.value
      throw new Error(`${command} ended with ${String(await ended)}: ${complaints.trim()}`)
    },
    complaints: () => complaints,
    send: (text) => void child.stdin.write(text),
    async stop() {
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      child.kill('SIGTERM')
      await ended
      clearTimeout(timer)
    },
    ended: () => ended,
  }
}

/** Runs a program to its end; anything but exit code 0 is an error with its last words. */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(command, args, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  const [code]: unknown[] = await once(child, 'close')
  running.delete(child)
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}: ${out.stderr.trim()}`)
  return out.stdout
}

/** Nothing of the developer's own database settings. */
function cleanEnvironment(): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(PG|SLUICE|NODE_OPTIONS)/.test(name)) env[name] = value
  }
  return { ...env, LC_ALL: 'C.UTF-8', TZ: 'UTC', PGPASSFILE: '/dev/null' }
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}

/** Memory that a process holds in RAM, in bytes (Linux). */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? Number.NaN) * 1024
}

const CLOCK_TICKS = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100

/** Processor time a process has used so far, in milliseconds (Linux, in steps of 10 ms). */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS
}
