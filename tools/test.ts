/**
 * `npm test`: what `npm run check` does, and every test against real servers and real clients. It installs what it
 * needs, ends with the test runner's own summary, and after it one line `N passed, N failed`, which also counts every
 * other step that failed. Exit code 0 only if nothing failed.
 *
 * Arguments go to the test runner: `npm test -- src/net` runs everything in that folder.
 */
import { built } from './build.ts'
import { STATIC_STEPS } from './check.ts'
import { runSteps } from './steps.ts'
import { ensureSystemPackages } from './system.ts'
import { runTests } from './test-run.ts'

let broken = 0
if (!ensureSystemPackages()) broken++
if (!(await built())) broken++
const checks = await runSteps(STATIC_STEPS, 2)
broken += checks.filter((outcome) => !outcome.ok).length
if (broken > 0) process.stdout.write(`${broken} steps have failed already; the tests run all the same.\n`)

const tests = await runTests(process.argv.slice(2))
const failed = broken + tests.failed
process.exitCode = failed === 0 ? 0 : 1
process.stdout.write(`${tests.passed} passed, ${failed} failed\n`)
