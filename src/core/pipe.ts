import type { Secret } from './secret.ts'

/** What is known of a TLS session on a pipe. */
export type TlsFacts = {
  readonly protocol: string
  readonly alpn: string | undefined
  readonly servername: string | undefined
  /** RFC 5929 `tls-server-end-point`: hash of the server's certificate, for SCRAM channel binding. */
  readonly endPointHash: Uint8Array | undefined
}

/**
 * A bounded byte stream over TCP or TLS: what a socket looks like to an adapter. The owner sets the four handlers
 * before the first byte can arrive (in the turn in which it got the pipe).
 */
export interface Pipe {
  readonly remote: { readonly address: string; readonly port: number }
  readonly tls: TlsFacts | undefined
  /** Synchronous; the bytes are valid only during the call, because one buffer serves every pipe. */
  onData: (bytes: Buffer) => void
  /** The peer will send nothing more (FIN). */
  onEnd: () => void
  /** Called once, last. */
  onClose: (error: Error | undefined) => void
  /** What was queued has gone; producing may go on. */
  onDrain: () => void
  /**
   * Takes ownership of the bytes, or borrows them until it calls `done` (once, whatever becomes of the stream).
   * False: stop producing until `onDrain`.
   */
  write(bytes: Uint8Array, done?: () => void): boolean
  readonly queuedBytes: number
  pause(): void
  resume(): void
  end(last?: Uint8Array): void
  destroy(error?: Error): void
}

/** The certificate a listener shows, PEM. */
export type ServerTls = {
  readonly certificate: string
  readonly key: Secret
  readonly alpn?: readonly string[]
}

/** How far the upstream's certificate is checked: libpq's `require`, `verify-ca`, `verify-full`. */
export type ClientTls = {
  readonly verify: 'none' | 'ca' | 'full'
  readonly servername: string
  readonly ca?: string
  readonly certificate?: string
  readonly key?: Secret
  readonly alpn?: readonly string[]
}

/** Dialling and TLS as a port: adapters open no socket themselves. */
export interface Network {
  /** Throws GatewayError `upstream_unreachable`. A host beginning with `/` is the directory of a Unix socket. */
  dial(target: { readonly host: string; readonly port: number; readonly timeoutMs: number }): Promise<Pipe>
  /** Makes the server side of TLS on a pipe. `received`: bytes already read that belong to the handshake. */
  secureServer(pipe: Pipe, tls: ServerTls, received?: Uint8Array): Promise<Pipe>
  secureClient(pipe: Pipe, tls: ClientTls): Promise<Pipe>
}
