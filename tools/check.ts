/**
 * `npm run check`: everything that needs no server; the aim is under a minute. What a change must pass before it is shown to
 * anybody. Exits with 1 if anything failed.
 */
import { fileURLToPath } from 'node:url'
import { type Step, runSteps, seconds } from './steps.ts'

const TYPES_CACHE = 'node_modules/.cache/types.tsbuildinfo'

/** For the tools written in Go: they are done before collecting garbage pays, unless memory gets short. */
const GO_ENV = { GOGC: 'off', GOMEMLIMIT: '2GiB' }

/** The checks that read the source and run none of it. */
export const STATIC_STEPS: readonly Step[] = [
  // What is unchanged is not checked again. One checker: several check much twice, and lint runs beside it.
  {
    name: 'types',
    command: ['tsc', '-p', '.', '--checkers', '1', '--incremental', '--tsBuildInfoFile', TYPES_CACHE],
    env: GO_ENV,
  },
  { name: 'lint', command: ['oxlint'], env: GO_ENV },
  { name: 'format', command: ['biome', 'format', '--no-errors-on-unmatched', '.'] },
  { name: 'unused code', command: ['knip', '--no-progress'] },
  { name: 'package', command: ['publint', '--strict', '--pack', 'npm'] },
]

const TESTS: Step = {
  name: 'tests',
  command: ['vitest', 'run', '--project', 'unit', '--project', 'conformance', '--reporter', 'dot'],
  // Where tests repeat, they do so less often than in `npm test`.
  env: { SLUICE_EVERYDAY: '1' },
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = performance.now()
  // Two at a time, the longest first: what reads the source fills the pauses of the tests.
  const outcomes = await runSteps([TESTS, ...STATIC_STEPS], 2)
  const failed = outcomes.filter((outcome) => !outcome.ok).map((outcome) => outcome.step.name)
  const took = seconds(performance.now() - started).trim()
  process.stdout.write(
    failed.length === 0
      ? `check: ${outcomes.length} of ${outcomes.length} steps passed in ${took}\n`
      : `check: ${failed.length} of ${outcomes.length} steps FAILED in ${took}: ${failed.join(', ')}\n`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}
