import type { Countable } from '../../../core/index.ts'
import type { Judgement } from '../../../session/index.ts'
import type { ParseResult } from '../../../sql/index.ts'
import { countableOf } from '../../../sql/index.ts'
import type { ConversationState } from '../state.ts'

/** Of those that people are asked about: every text of one judgement is the same kind of statement. */
const COUNTABLE = new WeakMap<Judgement, Countable>()
const BY_NAME: Countable = { can: false, why: 'it runs a statement by its name' }
const IN_TRANSACTION: Countable = { can: false, why: 'it was sent inside an open transaction' }

export function noteCountable(judgement: Judgement, parsed: ParseResult): void {
  // Of one that is let run by what the planner says, too, people may be asked.
  const { kind, estimate } = judgement.decision
  if (kind === 'hold' || estimate !== undefined)
    COUNTABLE.set(judgement, countableOf(parsed, judgement.facts))
}

/** Another judgement of the same command. */
export function copyCountable(from: Judgement, to: Judgement): void {
  const known = COUNTABLE.get(from)
  if (known !== undefined) COUNTABLE.set(to, known)
}

/**
 * Whether an approval of it may be for a number of rows. In a transaction of the client's it may not: what is deferred to its end
 * would have to be run now, and what it has changed before is not seen by anybody else.
 */
export function countableNow(
  judgement: Judgement,
  { inTransaction, executed }: Pick<ConversationState, 'inTransaction' | 'executed'>,
): Countable {
  const known = COUNTABLE.get(judgement) ?? BY_NAME
  return known.can && (inTransaction || executed) ? IN_TRANSACTION : known
}
