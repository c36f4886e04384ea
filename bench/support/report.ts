/** How results are shown to people and kept for machines. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { rounded } from './statistics.ts'

/** `prepared.c8.vs_pgbouncer` -> 0.71. */
export type Ratios = Record<string, number>

/** What is no ratio, with its unit in the name: `fairness.p99_ms` -> 12. */
export type Measures = Record<string, number>

/** What a ratio or measure should be. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number }

export type Results = {
  readonly benchmark: string
  readonly at: string
  readonly commit: string
  readonly quick: boolean
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryBytes: number
    /** Processes that wanted a core in the minute before the run: what others did on the machine. */
    readonly loadBefore: number
  }
  readonly versions: Readonly<Record<string, string>>
  readonly ratios: Ratios
  readonly measures?: Measures
  /** Everything measured, scenario by scenario. */
  readonly scenarios: Readonly<Record<string, unknown>>
}

/** Asked for when this is loaded, before anything is started. */
const loadBefore = rounded(loadavg()[0] ?? 0)

export function machine(): Results['machine'] {
  const all = cpus()
  return { cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, memoryBytes: totalmem(), loadBefore }
}

const BIOME = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'biome')

/** The commit measured; with `+` behind it when files differ from it. */
export function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, {
        cwd: import.meta.dirname,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    const changed = git('status', '--porcelain', '--untracked-files=no').trim() !== ''
    return git('rev-parse', '--short=12', 'HEAD').trim() + (changed ? '+' : '')
  } catch {
    return 'unknown'
  }
}

/** Writes `bench/results/<name>.json` and says where. */
export async function keep(name: string, results: Results): Promise<string> {
  const file = join(import.meta.dirname, '..', 'results', `${name}.json`)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify(results, undefined, 2)}\n`)
  // What is kept under version control is checked for its format like everything else there.
  execFileSync(BIOME, ['format', '--write', file], { stdio: 'ignore' })
  return file
}

/** A table with the columns aligned; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const text = [header, ...rows].map((row) => row.map(String))
  const widths = header.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)))
  return text
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The figures that have a bar, and whether they reach it. */
export function againstBars(
  figures: Readonly<Record<string, number>>,
  bars: Readonly<Record<string, Bar>>,
): readonly (readonly [figure: string, measured: number, bar: string, verdict: string])[] {
  return Object.entries(bars).flatMap(([name, bar]) => {
    const measured = figures[name]
    if (measured === undefined) return []
    const isMet = 'atLeast' in bar ? measured >= bar.atLeast : measured <= bar.atMost
    const text = 'atLeast' in bar ? `at least ${bar.atLeast}` : `at most ${bar.atMost}`
    return [[name, measured, text, isMet ? 'met' : 'MISSED'] as const]
  })
}
