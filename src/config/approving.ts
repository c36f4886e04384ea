/** Who has a role or may answer: members of any of the groups, and the identities themselves (`identityKey`). */
export type Holders = { readonly groups: readonly string[]; readonly identities: readonly string[] }

/** `anyone`: everybody with the role approver. */
export type StepBlock = Holders & { readonly anyone: boolean; readonly people: number }

/** A route as it is written: who answers, and when. */
export type RouteBlock = {
  readonly name: string
  readonly steps: readonly StepBlock[]
  readonly escalation: (Holders & { readonly afterMs: number }) | undefined
  readonly hours: HoursBlock | undefined
  readonly reason: boolean
  readonly ownPerson: boolean
}

/** UTC. Days from 1, Monday, to 7; minutes since midnight, `to` after the last: up to 1440. */
export type HoursBlock = { readonly days: readonly number[]; readonly from: number; readonly to: number }

export type Approving = {
  readonly routes: ReadonlyMap<string, RouteBlock>
  /** Undefined: one person with the role. */
  readonly default: string | undefined
}
