import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError } from '../core/index.ts'
import { codeOf } from './binaries.ts'

const claimed = new Set<string>()

/**
 * One process at a time uses a data directory. A process that was killed leaves its claim, and perhaps its server,
 * behind: the claim of a dead process is void, and its orphaned server is stopped. A process is named by pid and start
 * time, because pids are used again.
 */
export async function claim(dataDirectory: string): Promise<void> {
  const file = join(dataDirectory, 'used-by')
  const holder = await readIfThere(file)
  const pid = Number(holder.split(' ')[0])
  const held = pid === process.pid ? claimed.has(dataDirectory) : (await processName(pid)) === holder
  if (holder !== '' && held) {
    throw new GatewayError(
      'conflict',
      `The sample database in ${dataDirectory} is in use by process ${pid}.`,
      {
        remedy: 'Stop that one first, or start this one with another data directory.',
        retry: 'later',
      },
    )
  }
  claimed.add(dataDirectory)
  await writeFile(file, (await processName(process.pid)) ?? '')
  await stopOrphans(join(dataDirectory, 'cluster'))
}

export async function releaseClaim(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, 'used-by'), { force: true })
  claimed.delete(dataDirectory)
}

/** `<pid> <start time in clock ticks since boot>` (proc(5), field 22), or nothing when there is no such process. */
async function processName(pid: number): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`)
  // The second field, the program's name, is in parentheses and may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' ? undefined : `${pid} ${fields[19]}`
}

const ORPHAN_MS_MAX = 20_000

/**
 * Stops a server whose starter is gone. Only when no process works in the cluster is its pid file removed: the pid in
 * it may by now be somebody else's, and PostgreSQL would then refuse to start.
 */
async function stopOrphans(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid')
  const postmaster = Number((await readIfThere(pidFile)).split('\n')[0])
  const deadline = Date.now() + ORPHAN_MS_MAX
  for (let first = true; ; first = false) {
    const left = await processesIn(cluster)
    if (left.length === 0) break
    if (first && left.includes(postmaster)) signal(postmaster, 'SIGINT')
    if (!left.includes(postmaster)) for (const each of left) signal(each, 'SIGQUIT')
    if (Date.now() > deadline) {
      throw new GatewayError(
        'conflict',
        `A database server of an earlier run (process ${postmaster}) does not stop.`,
      )
    }
    await sleep(20)
  }
  await rm(pidFile, { force: true })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
  }
}

/** Every process of a server has its cluster as working directory. */
async function processesIn(cluster: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const directory = await readlink(`/proc/${name}/cwd`).catch((error: unknown) => {
      if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH'].includes(codeOf(error))) return undefined
      throw error
    })
    if (directory === cluster) found.push(Number(name))
  }
  return found
}

export async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error))) return ''
    throw error
  })
}
