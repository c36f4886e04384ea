import type { RequestId, ReuseOffer, Review, SessionId } from '../core/index.ts'
import { cutAt, GatewayError, LIMITS } from '../core/index.ts'

/** What an approver has chosen beyond one use. */
export type Reuse =
  /** The very same command, so many times. */
  | { readonly kind: 'times'; readonly times: number }
  /** Commands of the same shape, for so many milliseconds from the approval on. */
  | { readonly kind: 'shape'; readonly ms: number }
  /** Commands of the same shape in the session that asked, until it ends. */
  | { readonly kind: 'session' }

/** A command that is about to be run by an approval. */
export type Use = {
  readonly requestId: RequestId
  readonly session: SessionId
  readonly fingerprint: string
  readonly shape: string
}

/** What approvers may choose: what all rules that speak of it let them. */
function offerOf(reviews: readonly Review[]): ReuseOffer {
  const [first, ...others] = reviews.map(({ reuse }) => reuse)
  return others.reduce<ReuseOffer>(both, first ?? {})
}

/** What approvers of a request may choose, with what they are warned of. */
export function offered(
  reviews: readonly Review[],
  { warnings = [], varies }: { readonly warnings?: readonly string[]; readonly varies?: readonly string[] },
): { readonly offer: ReuseOffer; readonly warnings?: readonly string[] } {
  const offer = offerOf(reviews)
  const all = [...warnings, ...reuseWarnings(offer, varies)]
  return all.length === 0 ? { offer } : { offer, warnings: all }
}

/**
 * What approvers are warned of where they may let commands of one shape run: another value selects as many rows as have it, and whether
 * that is one at most nobody has looked.
 */
function reuseWarnings({ shapeMs, session }: ReuseOffer, varies: readonly string[] = []): readonly string[] {
  const selecting = varies.filter((each) => each.startsWith('WHERE '))
  if ((shapeMs === undefined && session !== true) || selecting.length === 0) return []
  const shown = selecting.slice(0, 3).map((each) => cutAt(each, 100))
  const more = selecting.length > shown.length ? `, and ${selecting.length - shown.length} more` : ''
  return [
    `for its shape or the session it may run for any number of rows: other values select others, as many as have them (${shown.join(', ')}${more})`,
  ]
}

function both(one: ReuseOffer, other: ReuseOffer): ReuseOffer {
  return {
    ...(one.times === undefined || other.times === undefined
      ? {}
      : { times: Math.min(one.times, other.times) }),
    ...(one.shapeMs === undefined || other.shapeMs === undefined
      ? {}
      : { shapeMs: Math.min(one.shapeMs, other.shapeMs) }),
    ...(one.session === undefined || other.session === undefined ? {} : { session: true }),
  }
}

/** Throws `denied` for what the rules do not let an approver choose, `invalid` for what is no number of uses or time. */
export function checkReuse(reuse: Reuse, offer: ReuseOffer): void {
  const most = reuse.kind === 'times' ? offer.times : reuse.kind === 'shape' ? offer.shapeMs : undefined
  if (reuse.kind === 'session' ? offer.session === undefined : most === undefined) {
    throw new GatewayError(
      'denied',
      `No rule lets this be approved for more than one use by ${reuse.kind}.`,
      {
        remedy: 'Approve it once. A rule offers more with: review: { reuse: ... }',
      },
    )
  }
  if (reuse.kind === 'session' || most === undefined) return
  const wanted = reuse.kind === 'times' ? reuse.times : reuse.ms
  if (!Number.isSafeInteger(wanted) || wanted < 1) {
    throw new GatewayError('invalid', 'Give a whole number of uses, or a time, from 1 on.')
  }
  if (wanted > most) {
    const unit = reuse.kind === 'times' ? 'uses' : 'ms'
    throw new GatewayError('denied', `The rules let this be approved for ${most} ${unit} at most.`, {
      remedy: 'Choose less.',
    })
  }
}

/** What several have chosen together: the shortest of one kind, and nothing when they did not all choose the same. */
export function chosen(choices: readonly (Reuse | undefined)[]): Reuse | undefined {
  const [first, ...others] = choices
  let least = first
  for (const each of others) {
    if (each === undefined || least === undefined || each.kind !== least.kind) return undefined
    if (sizeOf(each) < sizeOf(least)) least = each
  }
  return least
}

function sizeOf(reuse: Reuse): number {
  return reuse.kind === 'times' ? reuse.times : reuse.kind === 'shape' ? reuse.ms : 0
}

/** For how long an approval can be used, once it is one. */
export function usableFor(reuse: Reuse | undefined, onceMs: number): number {
  switch (reuse?.kind) {
    case undefined:
      return onceMs
    case 'times':
      return LIMITS.approvalTimesMs
    case 'shape':
      return reuse.ms
    case 'session':
      return LIMITS.approvalSessionMs
  }
}

/** How often it can be used. */
export function usesMax(reuse: Reuse | undefined): number {
  if (reuse === undefined) return 1
  return reuse.kind === 'times' ? reuse.times : LIMITS.approvalUsesMax
}

/** Whether a command is one that was approved. */
export function covers(
  {
    reuse,
    fingerprint,
    shape,
    session,
  }: { readonly reuse?: Reuse } & Pick<Partial<Use>, 'session'> & Pick<Use, 'fingerprint' | 'shape'>,
  use: Use,
): boolean {
  if (fingerprint === use.fingerprint) return reuse?.kind !== 'session' || session === use.session
  if (reuse === undefined || reuse.kind === 'times' || shape !== use.shape) return false
  return reuse.kind === 'shape' || session === use.session
}
