import { GatewayError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { Assembly, Reader, violation, Writer } from '../bytes/index.ts'

/**
 * The packets a client may begin with; they have no type byte.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage, CancelRequest, SSLRequest,
 * GSSENCRequest)
 */
export type StartupPacket =
  /** Not a packet: the client began with a TLS handshake (`sslnegotiation=direct`, ALPN `postgresql`). */
  | { readonly kind: 'directTls' }
  | { readonly kind: 'sslRequest' }
  | { readonly kind: 'gssEncryptionRequest' }
  /** Sent on a connection of its own; nothing is answered. The key is compared as bytes, in constant time. */
  | { readonly kind: 'cancelRequest'; readonly processId: number; readonly key: Buffer }
  | Startup

export type Startup = {
  readonly kind: 'startup'
  /** Minor version of protocol 3 that the client asks for; see `negotiate`. */
  readonly minor: number
  /** Never empty. */
  readonly user: string
  /** Empty when the client named none; a server would then take the user's name. */
  readonly database: string
  /** Anything but a value that PostgreSQL reads as false; what it cannot read counts as true. */
  readonly replication: boolean
  /** Names of `_pq_.` protocol options, none of which exist today. */
  readonly protocolOptions: readonly string[]
  /** Everything else, in the client's order: settings such as `application_name`, and `options`. */
  readonly parameters: ReadonlyMap<string, string>
}

/** The minor version of protocol 3 spoken at most: 3.2 has cancel keys of up to 256 bytes. */
export const MINOR_MAX = 2
export const CANCEL_KEY_BYTES_MIN = 4
export const CANCEL_KEY_BYTES_MAX = 256

const MAJOR = 3
/** In place of a version: a major version that cannot exist, and a minor one that says what is asked for. */
const CANCEL_REQUEST = 80877102
const SSL_REQUEST = 80877103
const GSSENC_REQUEST = 80877104
/** The content type of a TLS handshake record, RFC 8446 section 5.1. As a length it would be 369 MB at least. */
const TLS_HANDSHAKE = 0x16
const LENGTH_BYTES = 4
const PROTOCOL_OPTION = '_pq_.'
/** What PostgreSQL's parse_bool() takes for false: any unambiguous beginning, in any case. */
const FALSE = /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i

/** Reads one start-up packet from the chunks it comes in. One per packet: after an SSLRequest comes a new one. */
export class StartupReader {
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #filled = 0
  #assembly: Assembly | undefined

  /**
   * @returns the packet once it is complete, and the bytes behind it in this chunk. After `sslRequest` there must be
   *   none: they came before TLS and must not be believed (CVE-2021-23214). For `directTls` they are the handshake,
   *   and include every byte pushed when it began with this chunk.
   * @throws GatewayError `protocol_violation`, `unsupported` for another major version, `unauthenticated` without user.
   */
  push(chunk: Buffer): { readonly packet: StartupPacket; readonly rest: Buffer } | undefined {
    let at = 0
    if (this.#assembly === undefined) {
      if (this.#filled === 0 && chunk[0] === TLS_HANDSHAKE)
        return { packet: { kind: 'directTls' }, rest: chunk }
      at = chunk.copy(this.#length, this.#filled, 0, LENGTH_BYTES - this.#filled)
      this.#filled += at
      if (this.#filled < LENGTH_BYTES) return undefined
      this.#assembly = new Assembly(checkedBodyBytes(this.#length.readInt32BE(0)))
      this.#filled = 0
    }
    const assembly = this.#assembly
    const end = Math.min(chunk.length, at + assembly.missing)
    assembly.append(chunk, at, end)
    if (!assembly.complete) return undefined
    this.#assembly = undefined
    return { packet: decodeStartup(assembly.take()), rest: chunk.subarray(end) }
  }
}

function checkedBodyBytes(length: number): number {
  // PostgreSQL counts the limit without the length itself, and asks for a version at least.
  const bodyBytes = length - LENGTH_BYTES
  if (bodyBytes < 4 || bodyBytes > LIMITS.startupBytesMax) {
    throw violation('The start-up packet has an impossible length.', { length })
  }
  return bodyBytes
}

/** A start-up packet without its length. */
export function decodeStartup(body: Buffer): StartupPacket {
  const reader = new Reader(body)
  const version = reader.uint32()
  switch (version) {
    case SSL_REQUEST:
      reader.done()
      return { kind: 'sslRequest' }
    case GSSENC_REQUEST:
      reader.done()
      return { kind: 'gssEncryptionRequest' }
    case CANCEL_REQUEST: {
      const processId = reader.int32()
      const key = reader.rest()
      if (key.length < CANCEL_KEY_BYTES_MIN || key.length > CANCEL_KEY_BYTES_MAX) {
        throw violation('The cancel request has a key of an impossible length.', { length: key.length })
      }
      return { kind: 'cancelRequest', processId, key }
    }
  }
  const major = version >>> 16
  if (major !== MAJOR) {
    throw new GatewayError('unsupported', 'Only version 3 of the PostgreSQL protocol is spoken here.', {
      facts: { major, minor: version & 0xffff },
    })
  }
  return decodeParameters(reader, version & 0xffff)
}

function decodeParameters(reader: Reader, minor: number): Startup {
  const named = new Map<string, string>()
  for (;;) {
    const name = reader.cstring()
    if (name === '') break
    // PostgreSQL would take the last one; whoever judged the first would have judged another session.
    if (named.has(name)) throw violation('The start-up packet gives a parameter twice.')
    named.set(name, reader.cstring())
  }
  reader.done()
  const user = named.get('user') ?? ''
  if (user === '') throw new GatewayError('unauthenticated', 'The start-up packet names no user.')
  const replication = named.get('replication')
  const protocolOptions: string[] = []
  const parameters = new Map<string, string>()
  for (const [name, value] of named) {
    if (name.startsWith(PROTOCOL_OPTION)) protocolOptions.push(name)
    else if (name !== 'user' && name !== 'database' && name !== 'replication') parameters.set(name, value)
  }
  return {
    kind: 'startup',
    minor,
    user,
    database: named.get('database') ?? '',
    replication: replication !== undefined && !FALSE.test(replication),
    protocolOptions,
    parameters,
  }
}

/**
 * The minor version to speak, and whether a NegotiateProtocolVersion must say so before anything else: the client
 * asked for more than there is, or for options nobody knows.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export function negotiate(
  startup: Startup,
  minorMax = MINOR_MAX,
): { readonly minor: number; readonly mustTell: boolean } {
  const minor = Math.min(startup.minor, minorMax)
  return { minor, mustTell: minor < startup.minor || startup.protocolOptions.length > 0 }
}

/** A StartupMessage. `parameters` include `user` and, where wanted, `database`; names must not repeat. */
export function encodeStartup(
  parameters: Iterable<readonly [name: string, value: string]>,
  minor = 0,
): Buffer {
  const writer = new Writer().int32(0).uint16(MAJOR).uint16(minor)
  for (const [name, value] of parameters) writer.cstring(name).cstring(value)
  writer.uint8(0)
  return writer.patchInt32(0, writer.length).take()
}

export function encodeCancelRequest(processId: number, key: Uint8Array): Buffer {
  return new Writer()
    .int32(12 + key.length)
    .int32(CANCEL_REQUEST)
    .int32(processId)
    .bytes(key)
    .take()
}

export function encodeSslRequest(): Buffer {
  return new Writer().int32(8).int32(SSL_REQUEST).take()
}

export function encodeGssEncryptionRequest(): Buffer {
  return new Writer().int32(8).int32(GSSENC_REQUEST).take()
}
