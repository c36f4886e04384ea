/** The figures of one run as Markdown, for docs/benchmarks.md. */
import { markdown } from '../support/document.ts'
import type { Bulk } from './bulk.ts'
import type { Counting } from './counting.ts'
import type { Fairness } from './fairness.ts'
import type { Idle } from './idle.ts'
import type { Latency } from './latency.ts'
import type { TargetName } from './target.ts'
import type { Throughput } from './throughput.ts'

/** What was measured; a scenario that was left out is missing. */
export type Scenarios = {
  throughput?: Throughput
  latency?: Latency
  bulk?: Bulk
  fairness?: Fairness
  idle?: Idle
  counting?: Counting
}

const ORDER: readonly TargetName[] = ['direct', 'pgbouncer', 'relay', 'relay-events', 'sluice']

export function tablesOf(scenarios: Scenarios): string {
  const { throughput, latency, bulk, fairness } = scenarios
  const parts: string[] = []
  if (throughput !== undefined) {
    const names = present(Object.values(throughput.figures).flatMap((each) => Object.keys(each)))
    parts.push(
      'Transactions per second, `pgbench -S` (in brackets: microseconds of processor time per transaction in the process in between):',
      markdown(
        ['', ...names],
        Object.entries(throughput.figures).map(([key, figures]) => [
          key,
          ...names.map((name) => {
            const each = figures[name]
            if (each === undefined) return undefined
            return each.processorMicros === undefined ? each.tps : `${each.tps} (${each.processorMicros})`
          }),
        ]),
      ),
    )
  }
  if (latency !== undefined) {
    const names = present(Object.keys(latency.figures))
    parts.push(
      'Latency at a fixed rate, from the moment a statement was due, in milliseconds:',
      markdown(
        ['', 'p50', 'p99', 'statements'],
        names.map((name) => {
          const each = latency.figures[name]
          return [name, each?.p50Ms, each?.p99Ms, each?.statements]
        }),
      ),
    )
  }
  if (bulk !== undefined) {
    const names = present(Object.values(bulk.figures).flatMap((each) => Object.keys(each)))
    parts.push(
      'Rows per second of one large result:',
      markdown(
        ['', ...names],
        Object.entries(bulk.figures).map(([key, figures]) => [
          key,
          ...names.map((name) => figures[name]?.rowsPerSecond),
        ]),
      ),
    )
  }
  if (fairness !== undefined) {
    parts.push(
      '`SELECT 1` beside one session that streams masked rows and ten that send 60 KiB of nested SQL, in milliseconds:',
      markdown(
        ['', 'p50', 'p99', 'worst', 'asked', 'large results begun', 'nested statements answered'],
        present(Object.keys(fairness.figures)).map((name) => {
          const each = fairness.figures[name]
          return [name, each?.p50Ms, each?.p99Ms, each?.maxMs, each?.asked, each?.results, each?.nested]
        }),
      ),
    )
  }
  return parts.join('\n\n')
}

function present(names: readonly string[]): readonly TargetName[] {
  return ORDER.filter((name) => names.includes(name))
}
