import type {
  Budget,
  ConfigVersion,
  Connection,
  ConnectionName,
  HostNames,
  Identity,
  IdentityKind,
  LabelName,
  MaskingRule,
  PolicySource,
  Problem,
  SecretRef,
  VaultSettings,
} from '../core/index.ts'
import type { Approving, Holders } from './approving.ts'
import type { BucketBlock } from './bucket-block.ts'
import type { OutletBlock } from './outlet-block.ts'
import type { Role } from './schema.ts'
import type { Plain } from './tree.ts'

/** A whole configuration: checked, immutable, and with nothing in it that has to be looked up again. */
export type Config = {
  /** The same for the same content, whatever its comments, order and spacing. */
  readonly version: ConfigVersion
  readonly file: string
  /** By protocol name. A protocol without a listener is not served. */
  readonly listeners: ReadonlyMap<string, ProtocolListener>
  /** The control API's port; absent: only the operator socket. */
  readonly api: ApiListener | undefined
  readonly issuers: readonly Issuer[]
  readonly local: readonly LocalIdentity[]
  readonly roles: Readonly<Record<Role, Holders>>
  readonly labels: ReadonlyMap<LabelName, MaskingRule>
  readonly connections: ReadonlyMap<ConnectionName, Connection>
  /** What each identity gets in one UTC day. */
  readonly budgets: readonly Budget[]
  /** Who looks at what is held. */
  readonly approvals: Approving
  readonly recording: RecordingBlock
  /** Where what gateways share is kept; undefined: in the data directory. Takes effect when a gateway starts. */
  readonly store: StoreBlock | undefined
  /** Where references to Vault are read from; undefined: nowhere, and there are none. */
  readonly vault: VaultSettings | undefined
  /** What policy compiles. */
  readonly policy: PolicySource
  /** What was written, without defaults: for comparing two versions. */
  readonly content: Plain
  /** The texts of the files that it names and is decided by, by path as it is written. */
  readonly files: ReadonlyMap<string, string>
  /** What may be meant, and may be a slip of the pen. */
  readonly doubts: readonly Problem[]
}

/** A store in PostgreSQL. */
export type StoreBlock = { readonly dsn: SecretRef; readonly ca: SecretRef | undefined }

/** The log of the recording, and who is told of it. */
export type RecordingBlock = {
  /** What the log is called; undefined: a name of its own. */
  readonly name: string | undefined
  /** Who cosigns checkpoints: submission prefix, and the text of the public key. */
  readonly witnesses: readonly { readonly url: string; readonly key: string }[]
  readonly publish: {
    readonly file: string | undefined
    readonly url: string | undefined
    readonly stdout: boolean
    readonly everyMs: number
  }
  /** Without `afterMs` and `bytesMax` recordings are kept for good. */
  readonly retention: {
    readonly afterMs: number | undefined
    readonly bytesMax: number | undefined
    /** Payloads that go earlier; without labels all of them. */
    readonly payloads: readonly {
      readonly afterMs: number
      readonly labels: readonly LabelName[] | undefined
    }[]
    readonly hold: {
      readonly sessions: readonly string[]
      readonly identities: readonly string[]
      readonly connections: readonly string[]
    }
  }
  readonly stream: readonly OutletBlock[]
  readonly store: BucketBlock | undefined
}

export type Listener = {
  readonly address: string
  /** 0: the system chooses. */
  readonly port: number
  /** Absent: a certificate that the gateway makes for itself. */
  readonly certificate: { readonly certificate: SecretRef; readonly key: SecretRef } | undefined
  /** Refuse clients that do not use TLS. */
  readonly tlsRequired: boolean
}

export type ProtocolListener = Listener & {
  /** Hosts by which clients name connections; undefined: none does. */
  readonly hosts: HostNames | undefined
}

export type ApiListener = Listener & {
  /** Where people reach it, without a slash at its end. */
  readonly publicUrl: string | undefined
}

/** An OIDC issuer whose access tokens are accepted. */
export type Issuer = {
  readonly url: string
  readonly audience: string
  readonly algorithms: readonly string[]
  readonly clockSkewMs: number
  /** Names of the claims that hold each. */
  readonly claims: { readonly name: string; readonly groups: string; readonly kind: string }
  /** The kind of identity when the claim is absent. */
  readonly kind: IdentityKind
  /** How `sluice login` asks it for tokens; absent: it does not. */
  readonly login: IssuerLogin | undefined
}

/** Device authorization (RFC 8628) with a client that has no secret. */
export type IssuerLogin = {
  readonly client: string
  readonly scopes: readonly string[]
  /** The parameter that says for whom the token is to be. */
  readonly audienceAs: 'resource' | 'audience' | 'none'
}

/** An identity of the built-in issuer. */
export type LocalIdentity = {
  readonly identity: Identity
  /** Names of local identities that it may act for. */
  readonly actsFor: readonly string[]
}
