import type { Basis, IntentHead, OpenHead, OutcomeHead } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { RecordedEntry } from '../recording/index.ts'

/** A recorded command with all that belongs to it. */
export type Recorded = {
  readonly open: OpenHead
  readonly session: string
  readonly time: number
  readonly intent: IntentHead
  /** Undefined: recorded by a version that did not say. */
  readonly basis: Basis | undefined
  readonly outcome: OutcomeHead | undefined
  /** What it says was erased, whole or in part. */
  readonly erased: boolean
}

/**
 * The commands of one session in their order, each with its outcome: the entries of later ones may stand before that. Nothing
 * for sessions that `wanted` is not.
 */
export async function* commandsOf(
  entries: AsyncIterable<RecordedEntry>,
  wanted: (open: OpenHead) => boolean,
): AsyncGenerator<Recorded> {
  let open: OpenHead | undefined
  let basis: Basis | undefined
  const waiting: { recorded: Recorded; ended: boolean }[] = []
  const under = new Map<number, { recorded: Recorded; ended: boolean }>()
  for await (const { session, time, entry, erased: gone = [] } of entries) {
    if (entry.kind === 'open') {
      if (!wanted(entry.head)) return
      open = entry.head
    } else if (entry.kind === 'intent' && open !== undefined && session !== undefined) {
      basis = entry.head.basis ?? basis
      const erased = gone.some((name) => name !== 'reason')
      const recorded = { open, session, time, intent: entry.head, basis, outcome: undefined, erased }
      const flight = { recorded, ended: false }
      waiting.push(flight)
      under.set(entry.head.n, flight)
    } else if (entry.kind === 'outcome') {
      const flight = under.get(entry.head.n)
      if (flight === undefined) continue
      flight.recorded = { ...flight.recorded, outcome: entry.head }
      flight.ended = true
    } else continue
    while (waiting[0]?.ended === true || waiting.length > LIMITS.commandsAwaitedMax) {
      const first = waiting.shift()
      if (first === undefined) break
      under.delete(first.recorded.intent.n)
      yield first.recorded
    }
  }
  for (const { recorded } of waiting) yield recorded
}
