import type { AbortWatch, Countable, EffectBound, Entry, Ticket } from '../core/index.ts'
import { identityKey, whyRefused } from '../core/index.ts'
import { approvalInput, type Question, whyUncounted } from './asking.ts'
import type { ApprovalDesk, WaitOutcome } from './ports.ts'

/** How a hold is told to the client while it waits. */
export type HoldObserver = {
  /** Called once, before waiting, unless it is answered already: the ticket is known. */
  told(ticket: Ticket, expiresAt: number): void
  /** Called once when nobody is waited for any more, before it is known what that comes to. */
  ended?(): void
  /** Called last, whatever came of it. */
  settled?(): void
  /** Aborts when the client has gone or has cancelled. */
  readonly signal: AbortWatch
  /** Milliseconds to wait inline; 0: do not wait, end as pending at once unless approved already. */
  readonly patienceMs: number
  /** What is known by now of whether its changes can be counted; absent: what the command says of it. */
  readonly countable?: Countable | undefined
  /** What the server expects of it, for people to read; absent: what the facts say, if they do. */
  readonly estimatedRows?: number | undefined
}

/** What a client is told while it waits, and nobody needs afterwards. */
export interface ToldMeanwhile {
  /** All that was told since the last time, as it was told. */
  takeTold(): Uint8Array
}

/** What came of asking people, and by which ticket. */
export type PeopleSaid = {
  readonly outcome: Exclude<WaitOutcome, 'elsewhere'>
  readonly ticket: Ticket
  /** Who refused, and why, where that person said so. */
  readonly refusal: string | undefined
  /** It was approved for so many changed rows. */
  readonly effect: EffectBound | undefined
  /** It was, and they cannot be counted here. */
  readonly uncounted: string | undefined
}

/** `over`: it has ended. `old`: other rules are in force than those that people were asked under. */
export type SessionStands = 'as asked' | 'old' | 'over'

/**
 * Asks people about a command and waits for what they say; what they approved is used up by it. All of it is recorded. Of
 * what this keeps while it waits there is one for each of thousands.
 */
export async function askPeople(
  question: Question,
  observer: HoldObserver,
  /** Puts an entry into the recording, if there is one, and says how the session stands. */
  session: (entry?: Extract<Entry, { readonly kind: 'hold' | 'answer' }>) => SessionStands,
): Promise<PeopleSaid> {
  try {
    const { approvals, clock } = question.gateway
    const { n } = question.flight
    const asked = approvalInput(question, observer.countable, observer.estimatedRows)
    const until = clock.now() + observer.patienceMs
    let { ticket, expiresAt, state } = await approvals.open(asked)
    session({ kind: 'hold', head: { n, ticket, expiresAt } })
    // One that has its answer already waits for nobody.
    if (state === 'pending') observer.told(ticket, expiresAt)
    let said = await approvals.wait(ticket, Math.max(0, until - clock.now()), observer.signal, asked)
    while (said === 'elsewhere') {
      const before = ticket
      ;({ ticket, expiresAt, state } = await approvals.open(asked))
      if (ticket !== before) session({ kind: 'hold', head: { n, ticket, expiresAt } })
      said = await approvals.wait(ticket, Math.max(0, until - clock.now()), observer.signal, asked)
    }
    observer.ended?.()
    let outcome = standing(said, observer, session)
    const effect = approvals.get(ticket)?.effect
    const uncounted = outcome === 'approved' && effect !== undefined ? whyUncounted(asked) : undefined
    // It stays approved, for when it can be counted what it changes.
    if (uncounted !== undefined) outcome = 'pending'
    if (outcome === 'approved') {
      outcome = (await approvals.consume(ticket, asked)) ? 'approved' : 'expired'
      // What changed while the approval was being taken counts as well: the approval is spent, and nothing runs.
      if (outcome === 'approved') outcome = standing(outcome, observer, session)
    }
    session({
      kind: 'answer',
      head: { n, ticket, answer: outcome, ...answeredBy(approvals.get(ticket), outcome) },
    })
    const refusal = outcome === 'refused' ? whyRefused(approvals.get(ticket)?.answers) : undefined
    return { outcome, ticket, refusal, effect, uncounted }
  } finally {
    observer.settled?.()
  }
}

/** What was said, unless nobody wants it any more or it was said under other rules. */
function standing(
  said: PeopleSaid['outcome'],
  { signal }: HoldObserver,
  session: () => SessionStands,
): PeopleSaid['outcome'] {
  const stands = session()
  if (signal.aborted || stands === 'over') return 'abandoned'
  return said === 'approved' && stands === 'old' ? 'superseded' : said
}

/** Who said yes or no, for the entry that says what came of asking. */
function answeredBy(
  request: ReturnType<ApprovalDesk['get']>,
  outcome: PeopleSaid['outcome'],
): { readonly by?: string } {
  if (outcome !== 'approved' && outcome !== 'refused') return {}
  const people = request?.answers.map(({ by }) => identityKey(by)) ?? []
  return people.length === 0 ? {} : { by: people.join(', ') }
}
