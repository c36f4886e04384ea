import type { LabelName } from './ids.ts'
import type { MaskingKey } from './masking-key.ts'

/**
 * How a protected value is hidden. The masked value always parses as the type it replaces; where it cannot, NULL.
 * NULL stays NULL.
 */
export type MaskingRule =
  | { readonly kind: 'null' }
  /** The same value for every value, where it is one of the type; else NULL. */
  | { readonly kind: 'constant'; readonly text: string }
  /** `[masked]` for text of any length and what holds text; NULL for other types. */
  | { readonly kind: 'full' }
  /** Keeps a little of a text. `first`/`last`: that many characters. */
  | { readonly kind: 'partial'; readonly of: 'email' | 'phone' | 'card' | 'name' }
  | { readonly kind: 'partial'; readonly of: 'first' | 'last'; readonly keep: number }
  /** The same token for the same value, made with a key: joins and counts of distinct values still work. */
  | { readonly kind: 'hash'; readonly prefix: string; readonly key?: MaskingKey }
  /** Another value of the same form, the same for the same value: an e-mail address stays one. */
  | {
      readonly kind: 'pseudonym'
      readonly of: 'email' | 'phone' | 'name' | 'digits' | 'uuid'
      readonly key?: MaskingKey
    }
  /** The first day of the year of a date or time. */
  | { readonly kind: 'year' }
  /** Numbers: the multiple of `size` below. Dates and times: the begin of the `unit`. Addresses: /24 or /48. */
  | { readonly kind: 'bucket'; readonly size: number; readonly unit: BucketUnit }

export const BUCKET_UNITS = ['day', 'month', 'quarter', 'year', 'decade'] as const
export type BucketUnit = (typeof BUCKET_UNITS)[number]

/** Where a decision comes from: a rule by name, and where it is written. */
export type RuleRef = { readonly name: string; readonly file: string; readonly line: number }

/** What a refusal tells the client, in any protocol. Never holds a statement, a value or a secret. */
export type Reason = {
  /** Imperative and short, ASCII, under 200 characters: `Remove email from WHERE; it is protected (pii.email).` */
  readonly message: string
  /** What is allowed instead, or who can lift it. */
  readonly remedy: string
  readonly retry: 'never' | 'unchanged-after-approval' | 'only-if-changed' | 'later'
}

export type ResultLimit = { readonly rowsMax: number; readonly bytesMax: number }

/** What happens to the rest of a result at a limit: it ends there, or waits until a person has looked. */
export type LimitAction = 'cut' | 'hold'

/** A limit as a rule or a connection sets it. */
export type RuleLimit = ResultLimit & {
  /** Absent: `cut`. */
  readonly action?: LimitAction
}

export const UNLIMITED: ResultLimit = {
  rowsMax: Number.POSITIVE_INFINITY,
  bytesMax: Number.POSITIVE_INFINITY,
}

/** Beyond the one use that an approval is for: what a rule lets an approver choose. */
export type ReuseOffer = {
  /** The very same command, so many times at most. */
  readonly times?: number
  /** Commands of the same shape, for so many milliseconds at most. */
  readonly shapeMs?: number
  /** Commands of the same shape, in the session that asked. */
  readonly session?: true
}

/** How people look at what is held, as a rule says it. It holds nothing by itself. */
export type Review = {
  /** The name of a route; absent: the usual one. */
  readonly route?: string
  readonly reuse: ReuseOffer
  /** Whoever approves has to say how many rows may change. */
  readonly effectRequired?: true
}

type Common = {
  /** The rules that answered, most decisive first; empty when nothing permitted it (default deny). */
  readonly rules: readonly RuleRef[]
  /** Rules in mode `observe` that would have decided otherwise. */
  readonly observed: readonly RuleRef[]
  /** Depends on something outside the cache key (time, a budget): decide again every time. */
  readonly volatile: boolean
  /** A rule asks for the estimate of rows, which the facts do not have: decided as if it were beyond every number. */
  readonly estimate?: true
}

type Runnable = Common & {
  /** For each label in the result that this identity may not see in clear, how it is masked. */
  readonly masks: ReadonlyMap<LabelName, MaskingRule>
  /** The result ends here, whatever is approved. */
  readonly limit: ResultLimit
  /** The rest of the result waits here for approval; absent: nowhere. */
  readonly pause?: ResultLimit
  /** How people look at it, if they have to: every one of them counts. Absent: as usual. */
  readonly review?: readonly Review[]
}

export type Allow = Runnable & { readonly kind: 'allow' }
export type Hold = Runnable & { readonly kind: 'hold'; readonly reason: Reason }
export type Deny = Common & { readonly kind: 'deny'; readonly reason: Reason }

export type Decision = Allow | Hold | Deny
