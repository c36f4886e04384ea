import { spawn } from 'node:child_process'
import { once } from 'node:events'

export type Finished = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type RunOptions = {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Killed after this; a client that hangs is a failed test, not a hanging one. */
  readonly msMax?: number
}

/** Runs a program to its end with an environment that holds nothing of the developer's own database settings. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  // A program may end without reading what we send.
  child.stdin.on('error', (error) => (out.stderr += `(stdin: ${error.message})`)).end(options.input ?? '')
  const msMax = options.msMax ?? 60_000
  const timer = setTimeout(() => {
    out.stderr += `(killed after ${msMax} ms)`
    child.kill('SIGKILL')
  }, msMax)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, ...out }
}

/** The environment without PG*, service and password files, and with English messages. */
export function cleanEnvironment(): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(PG|SLUICE|NODE_OPTIONS|VITEST)/.test(name)) env[name] = value
  }
  return { ...env, LC_ALL: 'C.UTF-8', TZ: 'UTC', PGPASSFILE: '/dev/null', PGSERVICEFILE: '/dev/null' }
}
