/**
 * `npm run check`: everything that needs no server, in under a minute. What a change must pass before it is shown to
 * anybody. Exits with 1 if anything failed.
 */
import { fileURLToPath } from 'node:url'
import { type Step, runSteps, seconds } from './steps.ts'

/** The checks that read the source and run none of it. */
export const STATIC_STEPS: readonly Step[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  {
    name: 'lint',
    command: ['oxlint'],
  },
  { name: 'format', command: ['biome', 'format', '--no-errors-on-unmatched', '.'] },
  { name: 'unused code', command: ['knip', '--no-progress'] },
  { name: 'package', command: ['publint', '--strict', '--pack', 'npm'] },
]

const TESTS: Step = {
  name: 'tests',
  command: ['vitest', 'run', '--project', 'unit', '--project', 'conformance', '--reporter', 'dot'],
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = performance.now()
  // Two at a time: the tools are parallel inside, and two cores is what the smallest machine has.
  const outcomes = [...(await runSteps(STATIC_STEPS, 2)), ...(await runSteps([TESTS], 1))]
  const failed = outcomes.filter((outcome) => !outcome.ok).map((outcome) => outcome.step.name)
  const took = seconds(performance.now() - started).trim()
  process.stdout.write(
    failed.length === 0
      ? `check: ${outcomes.length} of ${outcomes.length} steps passed in ${took}\n`
      : `check: ${failed.length} of ${outcomes.length} steps FAILED in ${took}: ${failed.join(', ')}\n`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}
