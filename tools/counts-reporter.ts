/** A reporter of the test runner that writes how many tests passed, failed and did not run, and prints nothing. */
import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number }

/** Environment variable that names the file to write. */
export const COUNTS_FILE = 'SLUICE_COUNTS_FILE'

export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const file = process.env[COUNTS_FILE]
    if (file === undefined) throw new Error(`${COUNTS_FILE} does not say where to write`)
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 }
    for (const module of modules) {
      const tests = [...module.children.allTests()]
      for (const test of tests) {
        const { state } = test.result()
        counts[state === 'passed' || state === 'failed' ? state : 'skipped']++
      }
      // A file or a hook that failed although no test of it did.
      if (module.state() === 'failed' && !tests.some((test) => test.result().state === 'failed'))
        counts.failed++
    }
    writeFileSync(file, JSON.stringify(counts))
  }
}
