/**
 * The benchmarks: `npm run bench -- NAME [--quick] [--json] [--name FILE] [--only SCENARIO,...] [--targets T,...]`.
 * Measures in ratios within one run, because figures of different runs on a shared machine do not compare; prints a
 * table, writes bench/results/<name>.json. Promise: every figure printed was measured in this run.
 */
import { parseArgs } from 'node:util'
import { decisions } from './decisions.ts'
import { held } from './held/index.ts'
import { http } from './http/index.ts'
import { postgres } from './postgres/index.ts'
import { recording } from './recording.ts'
import { sessions } from './sessions.ts'
import type { BenchOptions } from './support/options.ts'
import { endAll } from './support/processes.ts'
import { ensureSystemPackages } from '../tools/system.ts'

const BENCHMARKS: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  decisions,
  held,
  http,
  postgres,
  recording,
  sessions,
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      name: { type: 'string' },
      only: { type: 'string' },
      targets: { type: 'string' },
      document: { type: 'boolean', default: false },
    },
  })
  const benchmark = BENCHMARKS[positionals[0] ?? '']
  if (benchmark === undefined || positionals.length !== 1) {
    console.error(
      `usage: npm run bench -- ${Object.keys(BENCHMARKS).join('|')} [--quick] [--json] [--name FILE]`,
    )
    return 64
  }
  if (!ensureSystemPackages()) return 1
  await benchmark({
    quick: values.quick,
    json: values.json,
    name: values.name,
    only: values.only?.split(','),
    targets: values.targets?.split(','),
    document: values.document,
  })
  return 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    endAll()
    process.exit(130)
  })
}

// Whoever reads along may stop reading, as `| head` does; then there is nobody to measure for.
process.stdout.on('error', () => {
  endAll()
  process.exit(1)
})

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exitCode = 1
} finally {
  endAll()
}
