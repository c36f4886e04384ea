/** Writes figures into docs/benchmarks.md, so that none is ever copied by hand. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { againstBars } from './report.ts'
import type { Bar, Results } from './report.ts'

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md')

/** Replaces what stands between the two marks of a benchmark. `tables`: Markdown of its own, below the bars. */
export async function document(
  results: Results,
  bars: Readonly<Record<string, Bar>>,
  tables: string,
): Promise<string> {
  const page = await readFile(PAGE, 'utf8')
  const begin = `<!-- ${results.benchmark}: written by the benchmark -->`
  const end = `<!-- ${results.benchmark}: end -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no place for ${results.benchmark}`)
  const figures = { ...results.ratios, ...results.measures }
  const section = [
    begin,
    '',
    `Commit ${results.commit}, ${results.at.slice(0, 10)}, ${results.machine.cores} cores of ${results.machine.cpu}, ` +
      `${Math.round(results.machine.memoryBytes / 1024 ** 3)} GiB, load average before the run ${results.machine.loadBefore}; ` +
      Object.entries(results.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ') +
      (results.quick ? '. A quick run: fewer rounds, noisier figures.' : '.'),
    '',
    markdown(['figure', 'measured', 'bar', ''], againstBars(figures, bars)),
    '',
    tables,
    '',
  ]
  await writeFile(PAGE, page.slice(0, from) + section.join('\n') + page.slice(to))
  return PAGE
}

export function markdown(
  header: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string {
  const line = (cells: readonly (string | number | undefined)[]): string =>
    `| ${cells.map((cell) => String(cell ?? '')).join(' | ')} |`
  return [line(header), line(header.map((_, n) => (n === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}
