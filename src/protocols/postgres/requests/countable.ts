import type { Countable, Facts } from '../../../core/index.ts'
import type { Judgement } from '../../../session/index.ts'
import type { ParseResult } from '../../../sql/index.ts'
import { countableOf } from '../../../sql/index.ts'
import type { ConversationState } from '../state.ts'
import type { Quiet } from './meant-settings.ts'

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

/**
 * The same of a command that people are about to be asked about, and again when they have approved it for a number of rows: code of users
 * that runs without being named may truncate, or have triggers wait until after the count. `isOwn`: a temporary table of the session's
 * own, whose triggers nobody else sees. `counted`: of which relations it is known that nothing of the kind stands behind them.
 */
export async function countableBehind(
  known: Countable,
  { reads, writes }: Pick<Facts, 'reads' | 'writes'>,
  isOwn: (name: string) => boolean,
  counted: () => Promise<Quiet | undefined>,
): Promise<Countable> {
  if (!known.can) return known
  const own = [...writes, ...reads].find(isOwn)
  if (own !== undefined) return not(`${own} may be a temporary table, and nobody knows what stands behind it`)
  const isCounted = await counted()
  if (isCounted === undefined) return not('it could not be looked which code stands behind it')
  if (!isCounted([], []))
    return not('operators, casts or functions of users in this database may change more than is counted')
  const name = writes.find((each) => !isCounted([], [each])) ?? reads.find((each) => !isCounted([each], []))
  return name === undefined
    ? known
    : not(`code behind ${name} (a trigger, a default, a policy, a view) may change more than is counted`)
}

function not(why: string): Countable {
  return { can: false, why }
}
