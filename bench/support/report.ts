/** How results are shown to people and kept for machines. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

/** `prepared.c8.vs_pgbouncer` -> 0.71. */
export type Ratios = Record<string, number>

export type Results = {
  readonly benchmark: string
  readonly at: string
  readonly commit: string
  readonly quick: boolean
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryBytes: number }
  readonly versions: Readonly<Record<string, string>>
  readonly ratios: Ratios
  /** Everything measured, scenario by scenario. */
  readonly scenarios: Readonly<Record<string, unknown>>
}

export function machine(): Results['machine'] {
  const all = cpus()
  return { cpu: all[0]?.model.trim() ?? 'unknown', cores: all.length, memoryBytes: totalmem() }
}

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
