import { afterAll } from 'vitest'

/**
 * What a file's tests have started, undone in reverse order after the last of them, also when starting the rest failed.
 * Call it at the top of a `describe`; then `later(() => server.stop())` right behind each start.
 */
export function teardown(): (undo: () => Promise<void> | void) => void {
  const steps: (() => Promise<void> | void)[] = []
  afterAll(async () => {
    const failures: unknown[] = []
    for (const step of steps.reverse()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '))
  })
  return (undo) => {
    steps.push(undo)
  }
}
