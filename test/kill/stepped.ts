/** Runs a program that waits for a line before it does what a test is about, with system calls of that failing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { randomFrom, seed, tally } from '../support/proof.ts'
import type { Fault } from './inject.ts'
import { inject, watch } from './inject.ts'

const OPEN = ['open', 'openat', 'openat2', 'creat']
const WRITE = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2']
const FSYNC = ['fsync', 'fdatasync', 'sync_file_range']
const RENAME = ['rename', 'renameat', 'renameat2', 'link', 'linkat']
const UNLINK = ['unlink', 'unlinkat', 'rmdir']
const MAKE = ['mkdir', 'mkdirat']

export type FileFault = { readonly name: string; readonly calls: readonly string[]; readonly error: string }

/** What may go wrong with a file, each by itself. */
export const FAULTS: readonly FileFault[] = [
  { name: 'open', calls: OPEN, error: 'EMFILE' },
  { name: 'write', calls: WRITE, error: 'EIO' },
  { name: 'fsync', calls: FSYNC, error: 'EIO' },
  { name: 'rename', calls: RENAME, error: 'EIO' },
  { name: 'close', calls: ['close'], error: 'EIO' },
  { name: 'unlink', calls: UNLINK, error: 'EACCES' },
  { name: 'a full disk', calls: [...WRITE, 'ftruncate', 'fallocate', ...MAKE], error: 'ENOSPC' },
  {
    name: 'a kill',
    calls: [...OPEN, ...WRITE, ...FSYNC, ...RENAME, ...UNLINK, ...MAKE, 'close'],
    error: 'KILL',
  },
]

export type Program = {
  readonly args: readonly string[]
  /** The files and folders that it works with; `pid`: it may name some by its number. */
  readonly paths: (pid: number) => readonly string[]
}

export type Ran = {
  /** What it printed, line by line. */
  readonly said: readonly string[]
  readonly code: number | null
  readonly signal: string | null
  /** Calls that failed. */
  readonly failed: number
}

/** Runs the program with that fault; `when` as `inject` has it. */
async function runWith(program: Program, fault: Omit<Fault, 'paths'>): Promise<Ran> {
  return await run(program, async (pid) => await inject(pid, { ...fault, paths: program.paths(pid) }))
}

/** What is tried: a program, from the same beginning each time, and what must hold after it. */
export type Tried = {
  readonly program: () => Program
  readonly steps: (fault: FileFault) => readonly Step[]
  readonly begin: () => void
  readonly holds: (ran: Ran, where: string) => Promise<void>
}

/** How a fault can be met: who is killed is killed once. */
export function waysOf({ error }: FileFault): readonly string[] {
  return error === 'KILL' ? ['once'] : ['once', 'from then on']
}

/** Meets the fault at `many` of its steps, kills at three times as many, and holds what follows against what must hold. */
export async function meet(fault: FileFault, how: string, many: number, tried: Tried): Promise<void> {
  const { error } = fault
  const all = tried.steps(fault)
  expect(all.length).toBeGreaterThan(0)
  let met = 0
  for (const { calls, number } of someOf(all, error === 'KILL' ? 3 * many : many)) {
    tried.begin()
    const when = how === 'once' ? `${number}` : `${number}+`
    const ran = await runWith(tried.program(), { calls, error, when })
    const where = `call ${number} of ${calls.join()}, seed ${seed}: ${ran.said.join()}`
    if (ran.failed > 0 || ran.signal !== null) met++
    await tried.holds(ran, where)
  }
  expect(met).toBeGreaterThan(0)
  tally(error === 'KILL' ? 'kills' : 'faults', met)
}

/** Where a fault is met: the call of this number, of each of these kinds and each thread. */
export type Step = { readonly calls: readonly string[]; readonly number: number }

/**
 * Every place where a program can meet one of the faults, in order. What ends it is met by kind: else it would always be the
 * kind that is called most.
 */
export async function stepsOf(program: Program): Promise<(fault: FileFault) => readonly Step[]> {
  const calls = [...new Set(FAULTS.flatMap((each) => each.calls))]
  const counts = new Map<string, number>()
  await run(program, async (pid) => {
    const watched = await watch(pid, { calls, error: '', paths: program.paths(pid) })
    return {
      failed: () => 0,
      async over() {
        for (const { thread, call } of await watched.over()) {
          const key = `${call} ${thread}`
          counts.set(key, (counts.get(key) ?? 0) + 1)
        }
      },
    }
  })
  const steps = (kinds: readonly string[]): readonly Step[] => {
    const most = [...counts].flatMap(([key, count]) => (kinds.includes(key.split(' ')[0] ?? '') ? count : 0))
    return Array.from({ length: Math.max(0, ...most) }, (_, i) => ({ calls: kinds, number: i + 1 }))
  }
  return (fault) =>
    fault.error === 'KILL' ? fault.calls.flatMap((each) => steps([each])) : steps(fault.calls)
}

/** So many of them, in order; all of them where there are no more. */
function someOf(steps: readonly Step[], many: number): readonly Step[] {
  const all = [...steps]
  const dice = randomFrom(seed + all.length)
  while (all.length > many) all.splice(Math.floor(dice() * all.length), 1)
  return all
}

async function run(
  { args }: Program,
  meet: (pid: number) => Promise<{ failed(): number; over(): Promise<void> }>,
): Promise<Ran> {
  const child = spawn(process.execPath, [...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // One thread for files: then the third call is always the same one.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  })
  let [said, wrong] = ['', '']
  const ready = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    ready.resolve()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (wrong += text))
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close')
  await Promise.race([ready.promise, ended])
  if (!said.startsWith('ready\n')) throw new Error(`the program did not begin: ${wrong}`)
  const met = await meet(child.pid ?? 0)
  child.stdin.write('\n')
  await ended
  await met.over()
  const { exitCode: code, signalCode: signal } = child
  if (code !== 0 && signal !== 'SIGKILL')
    throw new Error(`the program ended with ${code ?? signal}: ${wrong}`)
  return { said: said.split('\n').slice(1, -1), code, signal, failed: met.failed() }
}
