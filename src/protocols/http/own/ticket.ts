import type { Session } from '../../../session/index.ts'

/** What a ticket is told as to who asked for it. Holds nothing of the request: its client knows that. */
export type TicketAnswer = {
  readonly body: Readonly<Record<string, unknown>>
  /** Seconds until it is worth asking again; undefined: it does not change any more by itself. */
  readonly againS: number | undefined
}

const AGAIN_S_MIN = 2
const AGAIN_S_MAX = 30

/** How long to wait before asking after a request that was made so long ago: people who have not looked yet will take longer. */
export function againAfterS(ageMs: number): number {
  return Math.min(AGAIN_S_MAX, Math.max(AGAIN_S_MIN, Math.round(ageMs / 10_000)))
}

const SEND = 'Send the same request again'

/** What to do in each state, in words. */
const NEXT: Readonly<
  Record<string, { readonly do: 'wait' | 'send' | 'change' | 'ask anew'; readonly says: string }>
> = {
  pending: { do: 'wait', says: 'Wait: nobody has answered yet. Nothing runs by itself.' },
  approved: { do: 'send', says: `${SEND} before it expires: it runs then. Nothing runs by itself.` },
  refused: {
    do: 'change',
    says: `Change the request: a person refused it. ${SEND}, and it asks people anew.`,
  },
  expired: { do: 'ask anew', says: `It ran out of time. ${SEND} to ask people anew.` },
  withdrawn: { do: 'ask anew', says: `It was taken back by who asked. ${SEND} to ask people anew.` },
  revoked: { do: 'change', says: 'The approval was taken back. Talk to who answered before you ask anew.' },
  superseded: { do: 'ask anew', says: `Rules or definitions have changed. ${SEND} to ask people anew.` },
  used: {
    do: 'ask anew',
    says: `It was used: the request was sent to the API. ${SEND} only if it is to run once more; people are asked anew.`,
  },
}

/** Undefined: this chain has asked for no such ticket on this connection lately. */
export function ticketAnswer(session: Session, ticket: string, now: number): TicketAnswer | undefined {
  const found = session.requests.find((each) => each.ticket === ticket)
  if (found === undefined) return undefined
  const { state, createdAt, expiresAt, uses, answers } = found
  const isOpen = state === 'pending' || state === 'approved'
  const againS = state === 'pending' ? againAfterS(now - createdAt) : undefined
  return {
    againS,
    body: {
      ticket,
      state,
      asked: new Date(createdAt).toISOString(),
      ...(isOpen ? { expires: new Date(expiresAt).toISOString() } : {}),
      uses,
      answers: answers.map(({ verdict, reason }) => ({
        verdict,
        ...(reason === undefined ? {} : { reason }),
      })),
      next: NEXT[state] ?? { do: 'ask anew', says: `${SEND} to ask people anew.` },
      ...(againS === undefined ? {} : { retryAfter: againS }),
    },
  }
}
