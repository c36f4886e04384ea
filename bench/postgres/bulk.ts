/** Large results: how fast they flow, and how much memory the process in between takes meanwhile. */
import { join } from 'node:path'
import { processorMs, residentBytes, start } from '../support/processes.ts'
import type { Measures, Ratios } from '../support/report.ts'
import { median, rounded } from '../support/statistics.ts'
import type { Read } from './reader.ts'
import { environmentOf } from './target.ts'
import type { Target, TargetName } from './target.ts'

/** The same row but for one column, which is masked in the second. */
export const PLAIN = 'SELECT id, name, city, plan, balance, created_at FROM customers'
export const MASKED = 'SELECT id, email, city, plan, balance, created_at FROM customers'

export type BulkPlan = { readonly rows: number; readonly rounds: number }

export type BulkFigures = {
  readonly megabytesPerSecond: number
  readonly rowsPerSecond: number
  readonly rounds: readonly number[]
  /** How far the resident memory of the process in between rose above what it was before. */
  readonly memoryGrowthBytes: number | undefined
  /** Processor time of the process in between for one result. */
  readonly processorMs: number | undefined
}

export type Bulk = {
  readonly ratios: Ratios
  readonly measures: Measures
  readonly figures: Readonly<Record<string, Partial<Record<TargetName, BulkFigures>>>>
}

/** A reader of results, logged in at a target. */
export async function startReader(target: Target) {
  const child = start(process.execPath, [join(import.meta.dirname, 'reader.ts')], {
    env: environmentOf(target.at),
  })
  await child.line()
  return {
    async read(statement: string): Promise<Read> {
      child.send(`${statement}\n`)
      const read: Read = JSON.parse(await child.line())
      return read
    },
    stop: () => child.stop(),
  }
}

export async function bulk(
  targets: readonly Target[],
  plan: BulkPlan,
  say: (line: string) => void,
): Promise<Bulk> {
  const figures: Record<string, Partial<Record<TargetName, BulkFigures>>> = {}
  const ratios: Ratios = {}
  const measures: Measures = {}
  const readers = await Promise.all(targets.map(startReader))
  try {
    for (const [key, statement] of [
      ['bulk.plain', PLAIN],
      ['bulk.masked', MASKED],
    ] as const) {
      const rates = new Map<TargetName, number[]>()
      const bytesOf = new Map<TargetName, number>()
      const growth = new Map<TargetName, number>()
      const used = new Map<TargetName, number[]>()
      for (let round = 0; round < plan.rounds; round++) {
        for (let i = 0; i < targets.length; i++) {
          const n = (i + round) % targets.length
          const target = targets[n]
          const reader = readers[n]
          if (target === undefined || reader === undefined) continue
          const watch = watchMemory(target.pid)
          const before = target.pid === undefined ? 0 : processorMs(target.pid)
          const read = await reader.read(statement)
          growth.set(target.name, Math.max(growth.get(target.name) ?? 0, watch()))
          const after = target.pid === undefined ? 0 : processorMs(target.pid)
          used.set(target.name, [...(used.get(target.name) ?? []), after - before])
          check(target, key, read, plan.rows)
          bytesOf.set(target.name, read.bytes)
          rates.set(target.name, [...(rates.get(target.name) ?? []), plan.rows / (read.ms / 1000)])
        }
      }
      figures[key] = {}
      for (const target of targets) {
        const rounds = rates.get(target.name) ?? []
        const rowsPerSecond = median(rounds)
        const bytes = bytesOf.get(target.name) ?? Number.NaN
        figures[key][target.name] = {
          rowsPerSecond: Math.round(rowsPerSecond),
          megabytesPerSecond: rounded((rowsPerSecond * bytes) / plan.rows / 1e6),
          rounds: rounds.map(Math.round),
          memoryGrowthBytes: target.pid === undefined ? undefined : growth.get(target.name),
          processorMs: target.pid === undefined ? undefined : median(used.get(target.name) ?? []),
        }
      }
      Object.assign(ratios, ratiosOf(key, rates))
      const grown = growth.get('sluice')
      if (grown !== undefined) measures[`${key}.memory_growth_mib`] = rounded(grown / 1024 ** 2)
      say(
        `${key}: ${targets
          .map((each) => `${each.name} ${figures[key]?.[each.name]?.megabytesPerSecond ?? '-'} MB/s`)
          .join(', ')}`,
      )
    }
  } finally {
    for (const reader of readers) await reader.stop()
  }
  return { ratios, measures, figures }
}

/** Rows count, not bytes: a masked column is shorter, and that must not look like speed. */
function ratiosOf(key: string, rates: ReadonlyMap<TargetName, readonly number[]>): Ratios {
  const direct = rates.get('direct')
  if (direct === undefined) return {}
  const ratios: Ratios = {}
  for (const [name, each] of rates) {
    if (name === 'direct') continue
    const label = name === 'sluice' ? 'vs_direct' : `${name}_vs_direct`
    ratios[`${key}.${label}`] = rounded(median(each.map((rate, i) => rate / (direct[i] ?? Number.NaN))))
  }
  return ratios
}

/** What is measured must be what was meant: all rows, and the column masked by Sluice and by nobody else. */
function check(target: Target, key: string, read: Read, rows: number): void {
  if (read.tag !== `SELECT ${rows}`) throw new Error(`${target.name} answered ${read.tag} to ${key}`)
  if (key !== 'bulk.masked') return
  const clear = read.head.includes('customer1@example.com')
  if (clear === (target.name === 'sluice')) {
    throw new Error(`${target.name} ${clear ? 'shows' : 'hides'} the column that is to be masked`)
  }
}

function watchMemory(pid: number | undefined): () => number {
  if (pid === undefined) return () => 0
  const before = residentBytes(pid)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(pid))
  }, 20)
  return () => {
    clearInterval(timer)
    return Math.max(most, residentBytes(pid)) - before
  }
}
