import type { SecretRef } from '../core/index.ts'

/** Where events go, and the secrets that it takes. */
export type OutletBlock = {
  readonly settings: {
    readonly name: string
    readonly to: SyslogBlock | HttpBlock | OtlpBlock
    /** Whether texts of statements are told. */
    readonly statements: boolean
    /** How much of the journal is kept for it while it does not take anything. */
    readonly backlog: { readonly bytesMax: number; readonly msMax: number }
  }
  readonly secrets: {
    readonly header?: SecretRef
    readonly ca?: SecretRef
    readonly certificate?: SecretRef
    readonly key?: SecretRef
  }
}

type SyslogBlock = {
  readonly kind: 'syslog'
  readonly transport: 'tls' | 'tcp' | 'udp'
  readonly host: string
  readonly port: number
  readonly facility: number
  readonly enterprise: number
  readonly confirm: 'close' | 'none'
  readonly datagramBytesMax: number
}

type PostedBlock = {
  readonly url: string
  readonly gzip: boolean
  readonly header: { readonly name: string; readonly scheme: string | undefined } | undefined
}
type HttpBlock = PostedBlock & {
  readonly kind: 'http'
  readonly format: 'array' | 'lines' | 'splunk' | 'elastic'
}
type OtlpBlock = PostedBlock & { readonly kind: 'otlp' }
