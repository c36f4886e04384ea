import type { SecretRef } from '../../core/index.ts'

/** An outlet of `recording.stream`, with what is to be looked up where it is used. */
export type StreamOutlet = { readonly settings: OutletSettings; readonly secrets: OutletSecretRefs }

/** Where events go. Plain data: it goes to another thread. */
export type OutletSettings = {
  readonly name: string
  readonly to: SyslogSettings | HttpSettings | OtlpSettings
  /** Whether the texts of statements are told. */
  readonly statements: boolean
  /** How much of the journal is kept for it while it does not take anything, and for how long. */
  readonly backlog: { readonly bytesMax: number; readonly msMax: number }
}

/** Syslog (RFC 5424) over TCP (RFC 6587, octet counting), TLS (RFC 5425) or UDP (RFC 5426). */
export type SyslogSettings = {
  readonly kind: 'syslog'
  readonly transport: 'tcp' | 'tls' | 'udp'
  readonly host: string
  readonly port: number
  /** RFC 5424 section 6.2.1: 13 is "log audit". */
  readonly facility: number
  /** The private enterprise number behind the @ of the structured data. */
  readonly enterprise: number
  /** `close`: what was sent counts once the receiver has closed the connection as well; `none`: once it was sent. */
  readonly confirm: 'close' | 'none'
  /** UDP: bytes of one message. */
  readonly datagramBytesMax: number
}

export const HTTP_FORMATS = ['array', 'lines', 'splunk', 'elastic'] as const

type Posted = {
  readonly url: string
  readonly gzip: boolean
  /** The header that the secret `header` goes into, and what stands before it. */
  readonly header: { readonly name: string; readonly scheme: string | undefined } | undefined
}

/** Batches of JSON. */
export type HttpSettings = Posted & { readonly kind: 'http'; readonly format: (typeof HTTP_FORMATS)[number] }

/** OTLP over HTTP, as JSON. */
export type OtlpSettings = Posted & { readonly kind: 'otlp' }

export const OUTLET_SECRETS = ['header', 'ca', 'certificate', 'key'] as const

/** What an outlet needs of secrets: the value of its header; PEM of who is trusted, and of who the gateway is. */
export type OutletSecretName = (typeof OUTLET_SECRETS)[number]

export type OutletSecretRefs = { readonly [Name in OutletSecretName]?: SecretRef }

export type OutletSecrets = { readonly [Name in OutletSecretName]?: string }
