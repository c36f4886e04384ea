/** Runs the test runner and counts. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COUNTS_FILE, type Counts } from './counts-reporter.ts'
import { ROOT } from './dist.ts'
import { runStep } from './steps.ts'

const REPORTER = join(ROOT, 'tools', 'counts-reporter.ts')

function parsed(text: string): Counts {
  const value: unknown = JSON.parse(text)
  const number = (name: keyof Counts): number => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
    if (typeof found !== 'number') throw new Error(`the test runner's counts have no ${name}`)
    return found
  }
  return { passed: number('passed'), failed: number('failed'), skipped: number('skipped') }
}

/**
 * Runs tests, showing the runner's own output as it comes (`live`). What counts as failed: a failed test, a test that did not
 * run, and a run that failed for another reason (no tests, an error outside of any test, the runner itself).
 */
export async function runTests(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  live = true,
): Promise<{ readonly passed: number; readonly failed: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const file = join(folder, 'counts.json')
  try {
    const outcome = await runStep({
      name: 'tests',
      command: ['vitest', 'run', '--reporter=default', `--reporter=${REPORTER}`, ...args],
      env: { ...env, [COUNTS_FILE]: file },
      live,
    })
    const counts = existsSync(file)
      ? parsed(readFileSync(file, 'utf8'))
      : { passed: 0, failed: 0, skipped: 0 }
    const failed = counts.failed + counts.skipped
    return { passed: counts.passed, failed: !outcome.ok && failed === 0 ? 1 : failed }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
