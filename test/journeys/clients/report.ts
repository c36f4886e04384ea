/** What the Node clients share: run every step, print one JSON object, never hide a step that failed. */
import { setTimeout } from 'node:timers/promises'

export type Step = () => Promise<unknown>

/** `bigint` and `undefined` have no JSON; both are shown, so that a difference in type is a difference in output. */
function shown(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  return value === undefined ? '(undefined)' : value
}

/** Runs the steps named in the arguments, or all, in order, and prints `{step: what it saw}`. */
export async function report(steps: Readonly<Record<string, Step>>): Promise<void> {
  const wanted = process.argv.slice(2)
  const seen: Record<string, unknown> = {}
  for (const [name, step] of Object.entries(steps)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    try {
      seen[name] = await step()
    } catch (error) {
      seen[name] = { thrown: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
    }
  }
  process.stdout.write(`${JSON.stringify(seen, shown)}\n`)
}

/**
 * Waits until no cancellation is on its way any more. PostgreSQL signals a backend twice for one request (the process, then
 * its group: signal_child in postmaster.c), and on a busy machine the second signal meets the statement after it.
 */
export async function settled(): Promise<void> {
  await setTimeout(500)
}
