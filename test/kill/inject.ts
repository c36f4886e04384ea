/** Makes system calls of a running process fail, by strace (strace(1), "Tampering"). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from '../support/wait.ts'

export type Fault = {
  /** The system calls that are met. */
  readonly calls: readonly string[]
  /** With which error they fail, as errno(3) names it; `KILL`: the process ends instead. */
  readonly error: string
  /** Only those that are about one of these files or folders; all when left out. */
  readonly paths?: readonly string[]
  /** Which of them, of each kind and each thread: `3`, or `3+` for all from the third on; all when left out. */
  readonly when?: string
}

export type Injected = {
  /** How many calls have failed so far. */
  failed(): number
  over(): Promise<void>
}

export type Watched = {
  /** The call of each thread, in its order: `openat`. */
  over(): Promise<readonly { readonly thread: string; readonly call: string }[]>
}

/** Resolves when every thread of the process meets the fault. */
export async function inject(pid: number, { calls, error, paths, when }: Fault): Promise<Injected> {
  const list = calls.join(',')
  const what = error === 'KILL' ? 'signal=KILL' : `error=${error}`
  const which = when === undefined ? '' : `:when=${when}`
  const strace = await attached(pid, calls, paths, ['-e', `inject=${list}:${what}${which}`])
  return {
    failed: () => strace.said().match(/\(INJECTED\)/g)?.length ?? 0,
    over: () => strace.over(),
  }
}

/** The same calls, and none of them fails. */
export async function watch(pid: number, { calls, paths }: Fault): Promise<Watched> {
  const strace = await attached(pid, calls, paths, [])
  return {
    async over() {
      await strace.over()
      return [...strace.said().matchAll(/^\[pid\s+(\d+)\] (\w+)\(/gm)].map(([, thread = '', call = '']) => ({
        thread,
        call,
      }))
    },
  }
}

async function attached(
  pid: number,
  calls: readonly string[],
  paths: readonly string[] = [],
  rest: readonly string[],
): Promise<{ said(): string; over(): Promise<void> }> {
  const only = paths.flatMap((path) => ['-P', path])
  const args = ['-f', '-qq', '-p', `${pid}`, ...only, '-e', `trace=${calls.join(',')}`, ...rest]
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  await eventually('strace is attached', () => {
    if (child.exitCode !== null) throw new Error(`strace ended with ${child.exitCode}: ${said}`)
    return readdirSync(`/proc/${pid}/task`).every((thread) => isTraced(`/proc/${pid}/task/${thread}/status`))
  })
  return {
    said: () => said,
    async over() {
      child.kill('SIGINT')
      await ended
    },
  }
}

function isTraced(status: string): boolean {
  try {
    return !/^TracerPid:\s+0$/m.test(readFileSync(status, 'utf8'))
  } catch {
    // A thread that has ended meanwhile.
    return true
  }
}
