import type { Clock, EffectBound, Entry, Ticket } from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import { whyUncounted } from './asking.ts'
import type { CommandInFlight } from './flights.ts'
import type { ApprovalDesk, ApprovalInput, WaitOutcome } from './ports.ts'

/** How a hold is told to the client while it waits. */
export type HoldObserver = {
  /** Called once, before waiting, unless it is answered already: the ticket is known. */
  told(ticket: Ticket, expiresAt: number): void
  /** Called once when nobody is waited for any more, before it is known what that comes to. */
  ended?(): void
  /** Aborts when the client has gone or has cancelled. */
  readonly signal: AbortSignal
  /** Milliseconds to wait inline; 0: do not wait, end as pending at once unless approved already. */
  readonly patienceMs: number
}

/** What came of asking people, and by which ticket. */
export type PeopleSaid = {
  readonly outcome: Exclude<WaitOutcome, 'elsewhere'>
  readonly ticket: Ticket
  /** It was approved for so many changed rows. */
  readonly effect: EffectBound | undefined
  /** It was, and they cannot be counted here. */
  readonly uncounted: string | undefined
}

/** Asks people about a command and waits for what they say; what they approved is used up by it. All of it is recorded. */
export async function askPeople(
  question: {
    readonly approvals: ApprovalDesk
    readonly clock: Clock
    readonly flight: CommandInFlight
    readonly asked: ApprovalInput
  },
  observer: HoldObserver,
  session: {
    /** Puts an entry into the recording. */
    readonly note: (entry: Extract<Entry, { readonly kind: 'hold' | 'answer' }>) => void
    /** It has ended. */
    readonly isOver: () => boolean
    /** Other rules are in force than those that people were asked under. */
    readonly isOld: () => boolean
  },
): Promise<PeopleSaid> {
  const { approvals, clock, flight, asked } = question
  const { n } = flight
  const until = clock.now() + observer.patienceMs
  let { ticket, expiresAt, state } = await approvals.open(asked)
  session.note({ kind: 'hold', head: { n, ticket, expiresAt } })
  // One that has its answer already waits for nobody.
  if (state === 'pending') observer.told(ticket, expiresAt)
  const wait = (): Promise<WaitOutcome> =>
    approvals.wait(ticket, Math.max(0, until - clock.now()), observer.signal, asked)
  let said = await wait()
  while (said === 'elsewhere') {
    const before = ticket
    ;({ ticket, expiresAt, state } = await approvals.open(asked))
    if (ticket !== before) session.note({ kind: 'hold', head: { n, ticket, expiresAt } })
    said = await wait()
  }
  observer.ended?.()
  let outcome: PeopleSaid['outcome'] = said
  const isGone = (): boolean => observer.signal.aborted || session.isOver()
  if (isGone()) outcome = 'abandoned'
  if (outcome === 'approved' && session.isOld()) outcome = 'superseded'
  const effect = approvals.get(ticket)?.effect
  const uncounted = outcome === 'approved' && effect !== undefined ? whyUncounted(asked) : undefined
  // It stays approved, for when it can be counted what it changes.
  if (uncounted !== undefined) outcome = 'pending'
  if (outcome === 'approved' && !(await approvals.consume(ticket, asked))) outcome = 'expired'
  // What changed while the approval was being taken counts as well: the approval is spent, and nothing runs.
  if (outcome === 'approved' && isGone()) outcome = 'abandoned'
  if (outcome === 'approved' && session.isOld()) outcome = 'superseded'
  session.note({
    kind: 'answer',
    head: { n, ticket, answer: outcome, ...answeredBy(approvals.get(ticket), outcome) },
  })
  return { outcome, ticket, effect, uncounted }
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
