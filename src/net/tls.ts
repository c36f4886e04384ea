import { GatewayError, LIMITS } from '../core/index.ts'
import type { ClientTls, Pipe, Secret, ServerTls, TlsFacts } from '../core/index.ts'
import { X509Certificate, createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { TLSSocket, connect, createSecureContext } from 'node:tls'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import { endPointHash } from './end-point-hash.ts'
import { SocketPipe } from './socket-pipe.ts'

/** Older versions are broken (RFC 8996). */
const MIN_VERSION = 'TLSv1.2'

/**
 * Makes the server side of TLS on a pipe, in place: after the promise resolves the same pipe carries the decrypted
 * stream and `pipe.tls` is set. `received` are bytes already read that belong to the handshake (a ClientHello that
 * came without being asked for). Whoever has read plain bytes that must not be there any more, behind a request for
 * TLS, has to refuse them and never gets here: they would be taken for what the encrypted peer said (CVE-2021-23222).
 * Throws GatewayError `protocol_violation` when the handshake fails, and the pipe is then destroyed; `invalid` when
 * certificate and key cannot be used.
 */
export async function secureServer(pipe: Pipe, tls: ServerTls, received?: Uint8Array): Promise<Pipe> {
  const plain = socketPipeOf(pipe)
  const secureContext = serverContext(tls)
  const socket = plain.release()
  if (received !== undefined && received.length > 0) {
    // Read by the TLS layer before anything that comes later. A copy: the bytes may lie in the shared read buffer.
    socket.pause()
    socket.unshift(Buffer.from(received))
  }
  const secure = new TLSSocket(socket, {
    isServer: true,
    secureContext,
    ...(tls.alpn === undefined ? {} : { ALPNProtocols: [...tls.alpn] }),
  })
  try {
    await handshake(secure, 'secure')
  } catch (error) {
    plain.destroy()
    throw new GatewayError('protocol_violation', 'The TLS handshake with the client failed.', {
      cause: error,
      facts: { reason: codeOf(error) },
    })
  }
  plain.adopt(secure, factsOf(secure, endPointHash(new X509Certificate(tls.certificate).raw)))
  return pipe
}

/**
 * Makes the client side of TLS on a pipe, in place. `verify` means what libpq's sslmode means: `none` (require)
 * encrypts without looking at the certificate, `ca` (verify-ca) wants one signed by `ca` or a public authority, `full`
 * (verify-full) one that names `servername` too.
 * Throws GatewayError `upstream_unreachable` when the handshake fails; the pipe is then destroyed.
 */
export async function secureClient(pipe: Pipe, tls: ClientTls): Promise<Pipe> {
  const plain = socketPipeOf(pipe)
  let secure: TLSSocket
  try {
    secure = connect({ ...clientOptions(tls), socket: plain.release() })
    await handshake(secure, 'secureConnect')
  } catch (error) {
    plain.destroy()
    const code = codeOf(error)
    throw new GatewayError('upstream_unreachable', `TLS with the upstream failed: ${explain(code)}.`, {
      remedy: 'Check the certificate of the upstream and the TLS settings of the connection.',
      retry: 'later',
      cause: error,
      facts: { reason: code },
    })
  }
  const certificate = secure.getPeerX509Certificate()
  plain.adopt(secure, factsOf(secure, certificate === undefined ? undefined : endPointHash(certificate.raw)))
  return pipe
}

function serverContext(tls: ServerTls): SecureContext {
  try {
    return contextOf({ cert: tls.certificate, key: tls.key })
  } catch (cause) {
    throw new GatewayError('invalid', 'The certificate and key of the listener cannot be used together.', {
      remedy: 'Give a certificate in PEM and the private key that belongs to it.',
      cause,
      facts: { reason: codeOf(cause) },
    })
  }
}

function clientOptions(tls: ClientTls): ConnectionOptions {
  return {
    // The name the certificate is held against. As SNI only names are sent, never addresses (RFC 6066 section 3).
    host: tls.servername,
    ...(isIP(tls.servername) === 0 ? { servername: tls.servername } : {}),
    secureContext: contextOf({ ca: tls.ca, cert: tls.certificate, key: tls.key }),
    rejectUnauthorized: tls.verify !== 'none',
    ...(tls.verify === 'full' ? {} : { checkServerIdentity: () => undefined }),
    ...(tls.alpn === undefined ? {} : { ALPNProtocols: [...tls.alpn] }),
  }
}

/**
 * Contexts by what they were made of. Reading certificates and keys costs more than a handshake, and a context of its
 * own would cost each session 30 KiB; callers make their settings anew for each socket, so identity cannot be the key.
 */
const contexts = new Map<string, SecureContext>()

function contextOf(of: {
  readonly ca?: string | undefined
  readonly cert: string | undefined
  readonly key: Secret | undefined
}): SecureContext {
  const { ca, cert } = of
  const key = of.key?.reveal()
  const digest = createHash('sha256')
    .update(JSON.stringify([ca, cert, key]))
    .digest('base64')
  const known = contexts.get(digest)
  if (known !== undefined) return known
  const made = createSecureContext({
    minVersion: MIN_VERSION,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
  const [oldest] = contexts.keys()
  if (contexts.size >= LIMITS.tlsContextsMax && oldest !== undefined) contexts.delete(oldest)
  contexts.set(digest, made)
  return made
}

/** Waits until the handshake is over. A pipe destroyed meanwhile, by a deadline say, takes the handshake with it. */
function handshake(socket: TLSSocket, done: 'secure' | 'secureConnect'): Promise<void> {
  return new Promise((fulfil, reject) => {
    let failure: Error | undefined
    socket.on('error', (error) => {
      failure ??= error
    })
    // A fault in a record after the handshake is told only through this event to whoever made the socket by hand;
    // unheard, it would leave a socket open that can do nothing any more.
    socket.on('_tlsError', (error: Error) => {
      failure ??= error
      socket.destroy(error)
    })
    const gone = (): void => reject(failure ?? new Error('closed during the TLS handshake'))
    socket.once('close', gone)
    socket.once(done, () => {
      socket.removeListener('close', gone)
      fulfil()
    })
  })
}

function factsOf(socket: TLSSocket, hash: Uint8Array | undefined): TlsFacts {
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    servername: typeof socket.servername === 'string' ? socket.servername : undefined,
    endPointHash: hash,
  }
}

function socketPipeOf(pipe: Pipe): SocketPipe {
  if (pipe instanceof SocketPipe && pipe.tls === undefined) return pipe
  throw new Error('TLS can be made only once, and only on a pipe made by this folder')
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'unknown'
}

function explain(code: string): string {
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another name'
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired'
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'its certificate is not signed by a trusted authority'
    default:
      return `the handshake did not complete (${code})`
  }
}
