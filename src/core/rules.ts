import type { CommandClass } from './command.ts'
import type { MaskingRule, Review, RuleLimit, RuleRef } from './decision.ts'
import type { IdentityKind } from './identity.ts'
import type { ConnectionName, LabelName } from './ids.ts'
import type { Position } from './problem.ts'

/** Whom a rule is about. Every list that is given must match; within a list one match is enough; `{}` is nobody. */
export type RuleWho =
  | 'everyone'
  | {
      readonly groups?: readonly string[]
      /** `identityKey`s: `agent:support-agent`, `person:ada@example.com (https://login.example.com)`. */
      readonly identities?: readonly string[]
      readonly kinds?: readonly IdentityKind[]
      /** Access that has been granted for a time, by its name. */
      readonly access?: readonly string[]
    }

/** What a rule permits or forbids: one list for each of the six questions. Empty is nothing. */
export type RuleWhat = {
  readonly run: readonly CommandClass[]
  readonly unreviewed: readonly CommandClass[]
  readonly see: readonly LabelName[]
  readonly filter: readonly LabelName[]
  readonly store: readonly LabelName[]
  readonly unlimited: boolean
}

/** Text that a person wrote inside a file, with the place where each of its lines begins. */
export type SourceText = {
  readonly file: string
  readonly text: string
  /** One for each line of `text`; fewer when the file folds or escapes it, and then the first is as near as it gets. */
  readonly starts: readonly [Position, ...Position[]]
}

export type Rule = {
  readonly ref: RuleRef
  readonly effect: 'permit' | 'forbid'
  readonly who: RuleWho
  readonly on: readonly ConnectionName[]
  readonly what: RuleWhat
  /** Holds for whom the rule matches, whatever is permitted elsewhere: the smallest of all wins. */
  readonly limit?: RuleLimit
  /** How people look at what is held of whom the rule matches: together with all others that say so. */
  readonly review?: Review
  /** A Cedar expression; absent: always. */
  readonly when?: SourceText
  /** A permit that also helps an agent acting for an identity that it matches. */
  readonly agents: boolean
  /** `observe` never changes a decision; what it would have changed is reported. */
  readonly mode: 'enforce' | 'observe'
}

/** The type of a fact that a protocol adds to those every command has; `strings` is a set. With `?` it may be unknown. */
export type AttributeType = 'string' | 'long' | 'boolean' | 'strings' | 'string?' | 'long?' | 'boolean?'

/** What policy has to know of a connection. */
export type PolicyConnection = {
  readonly name: ConnectionName
  readonly protocol: string
  readonly limit: RuleLimit
  /** Whose data it is: hashes and pseudonyms of two tenants have nothing in common. Absent: all are one. */
  readonly tenant?: string
  /** `Facts.attributes` of this protocol, by name. */
  readonly attributes: Readonly<Record<string, AttributeType>>
}

/** Everything a policy is compiled from. */
export type PolicySource = {
  readonly version: string
  readonly rules: readonly Rule[]
  /** Cedar policies written by experts. */
  readonly cedar?: SourceText
  readonly connections: readonly PolicyConnection[]
  readonly labels: ReadonlyMap<LabelName, MaskingRule>
}
