/** What was measured, as tables for docs/benchmarks.md. */
import { markdown } from '../support/document.ts'
import type { Latency } from './latency.ts'
import type { Small } from './small.ts'
import type { Streamed } from './streamed.ts'

export type Scenarios = { small?: Small; latency?: Latency; streamed?: Streamed }

export function tablesOf({ small, latency, streamed }: Scenarios): string {
  const parts: string[] = []
  if (small !== undefined) {
    const rows = Object.entries(small.figures).map(([name, each]) => [
      name,
      each.perSecond,
      each.processorMicros,
    ])
    parts.push(markdown(['1.5 KB of JSON', 'answers per second', 'processor, us each'], rows))
  }
  if (latency !== undefined) {
    const rows = Object.entries(latency.figures).map(([name, each]) => [name, each.p50Ms, each.p99Ms])
    parts.push(markdown(['at 500 requests per second', 'p50, ms', 'p99, ms'], rows))
  }
  if (streamed !== undefined) {
    const rows = Object.entries(streamed.figures).map(([name, each]) => [
      name,
      each.megabytesPerSecond,
      Math.round(each.memoryGrowthBytes / 1024 ** 2),
    ])
    parts.push(markdown(['one long answer', 'MB per second', 'MiB more memory'], rows))
  }
  return parts.join('\n\n')
}
