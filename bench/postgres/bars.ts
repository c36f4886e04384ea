import type { Bar } from '../support/report.ts'

/** What the design asks for. Measured on other machines these are goals for ratios, not for milliseconds. */
export const BARS: Readonly<Record<string, Bar>> = {
  'simple.c8.vs_pgbouncer': { atLeast: 0.45 },
  'prepared.c8.vs_pgbouncer': { atLeast: 0.5 },
  'latency.added_p50_ms': { atMost: 0.2 },
  'latency.added_p99_ms': { atMost: 2 },
  'bulk.plain.vs_direct': { atLeast: 0.8 },
  'bulk.masked.vs_direct': { atLeast: 0.5 },
  'bulk.plain.memory_growth_mib': { atMost: 64 },
  'bulk.masked.memory_growth_mib': { atMost: 64 },
  'fairness.p99_ms': { atMost: 20 },
  'idle.plain.kib_per_session': { atMost: 16 },
  'idle.tls.client.kib_per_session': { atMost: 80 },
  'idle.tls.both.kib_per_session': { atMost: 140 },
}
