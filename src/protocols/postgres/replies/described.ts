import type { Facts } from '../../../core/index.ts'
import type { PendingQueue, Statement } from '../pending.ts'
import type { InReach, ResultPlan } from '../results/results.ts'
import { hideSurprises } from '../results/results.ts'
import type { Fields } from '../state.ts'
import type { ReplySurroundings } from './reply-surroundings.ts'

/** Longer descriptions are looked at each time. */
const DESCRIPTION_KEPT_BYTES_MAX = 4_096

/** Whether the server has said just this of the statement before, and nothing it was held against has changed. */
export function isKnown(
  of: Statement,
  inReach: InReach,
  buffer: Buffer,
  start: number,
  end: number,
): boolean {
  const { described } = of
  if (described === undefined || described.judgement !== of.judgement || described.inReach !== inReach)
    return false
  return described.body.length === end - start && described.body.compare(buffer, start, end) === 0
}

/** What was made of a description counts until something of this changes. */
export function keepDescription(
  of: Statement,
  inReach: InReach,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  of.described = undefined
  if (end - start > DESCRIPTION_KEPT_BYTES_MAX) return
  const body = Buffer.allocUnsafeSlow(end - start)
  buffer.copy(body, 0, start, end)
  of.described = { body, judgement: of.judgement, inReach }
}

/** Counts for every execution of the statement from now on, also for one that already stands behind the Describe. */
export function narrowed(
  pending: PendingQueue,
  of: Statement,
  narrow: (plan: ResultPlan | undefined) => ResultPlan | undefined,
): void {
  of.tighten = narrow
  of.plan = narrow(of.plan)
  for (const each of pending.behindFirst()) {
    if (each.kind === 'execute' && each.portal?.statement === of) each.plan = narrow(each.plan)
  }
}

/** The plan for a result without one, if the server says that something comes from where it should not. */
export function hidden(
  around: Pick<ReplySurroundings, 'suspicion' | 'redefined'>,
  facts: Facts,
  statement: number,
  fields: Fields,
): ResultPlan | undefined {
  const isSurprise = around.suspicion(facts, statement)
  const plan = isSurprise === undefined ? undefined : hideSurprises(fields, isSurprise)
  // What was known of the names was not true (any more).
  if (plan !== undefined) around.redefined()
  return plan
}
