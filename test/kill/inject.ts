/** Makes system calls of a running process fail, by strace (strace(1), "Tampering"). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from '../support/wait.ts'

export type Fault = {
  /** The system calls that fail, each one that is made. */
  readonly calls: readonly string[]
  /** With which error, as errno(3) names it. */
  readonly error: string
}

export type Injected = {
  /** How many calls have failed so far. */
  failed(): number
  over(): Promise<void>
}

/** Resolves when every thread of the process meets the fault. */
export async function inject(pid: number, { calls, error }: Fault): Promise<Injected> {
  const list = calls.join(',')
  const args = ['-f', '-qq', '-p', `${pid}`, '-e', `trace=${list}`, '-e', `inject=${list}:error=${error}`]
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  await eventually('strace is attached', () => {
    if (child.exitCode !== null) throw new Error(`strace ended with ${child.exitCode}: ${said}`)
    return readdirSync(`/proc/${pid}/task`).every((thread) => isTraced(`/proc/${pid}/task/${thread}/status`))
  })
  return {
    failed: () => said.match(/\(INJECTED\)/g)?.length ?? 0,
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
