import type { ChannelBlock } from './channel-block.ts'
import type { ConnectionName, RuleWho } from '../core/index.ts'

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
  /** Channels that are told of its requests, and those through which people may answer them. */
  readonly channels: readonly string[]
  readonly answers: readonly string[]
}

/** UTC. Days from 1, Monday, to 7; minutes since midnight, `to` after the last: up to 1440. */
export type HoursBlock = { readonly days: readonly number[]; readonly from: number; readonly to: number }

/** What can be granted for a time. */
export type AccessBlock = {
  readonly name: string
  readonly who: RuleWho
  readonly on: readonly ConnectionName[]
  readonly route: string | undefined
  readonly longestMs: number
  readonly emergency: boolean
  /** The same as long as this says the same: what a grant is bound to. */
  readonly digest: string
}

export type Approving = {
  readonly channels: ReadonlyMap<string, ChannelBlock>
  readonly access: ReadonlyMap<string, AccessBlock>
  readonly routes: ReadonlyMap<string, RouteBlock>
  /** Undefined: one person with the role. */
  readonly default: string | undefined
}
