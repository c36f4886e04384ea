import type { Identity, SecretRef } from '../core/index.ts'

/** A way in which people hear of approval requests, and perhaps answer them. */
export type ChannelBlock = WebhookChannel | SlackChannel | TeamsChannel | EmailChannel

type Common = {
  readonly name: string
  /** Messages in a minute. */
  readonly perMinute: number
}

/** Which users of a system are which people here. */
type People = ReadonlyMap<string, Identity>

/** Signed as Standard Webhooks has it, in both directions; an earlier secret while it is being replaced. */
export type WebhookChannel = Common & {
  readonly kind: 'webhook'
  readonly url: string
  readonly secrets: readonly SecretRef[]
  readonly ca: SecretRef | undefined
  readonly answers: { readonly people: People; readonly secrets: readonly SecretRef[] } | undefined
}

export type SlackChannel = Common & {
  readonly kind: 'slack'
  /** Of the Web API, without a slash at its end. */
  readonly apiUrl: string
  readonly token: SecretRef
  /** The conversation: `C0123456789`. */
  readonly to: string
  readonly answers: { readonly people: People; readonly signingSecret: SecretRef } | undefined
}

export type TeamsChannel = Common & {
  readonly kind: 'teams'
  /** Whoever has it can post. */
  readonly url: SecretRef
}

export type EmailChannel = Common & {
  readonly kind: 'email'
  readonly host: string
  readonly port: number
  /** `starttls`: asked for and insisted on. `none`: this machine only. */
  readonly tls: 'starttls' | 'implicit' | 'none'
  readonly ca: SecretRef | undefined
  readonly login: { readonly user: string; readonly password: SecretRef } | undefined
  readonly from: string
  readonly to: readonly string[]
}
