import { Reader, violation } from '../bytes/index.ts'

/**
 * What a client sends after start-up.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * Statement text is kept as bytes: it is judged and forwarded exactly as it was sent. Names are text, because SQL
 * (PREPARE, DECLARE) names the same things; a name that is not UTF-8 is refused, and one that is too long is what the server makes of it.
 */
export type ClientMessage =
  | { readonly kind: 'query'; readonly sql: Uint8Array }
  | {
      readonly kind: 'parse'
      readonly statement: string
      readonly sql: Uint8Array
      /** Type oids the client fixes, in order of the parameters; 0 leaves one to the server. */
      readonly parameterTypes: readonly number[]
    }
  | {
      readonly kind: 'bind'
      readonly portal: string
      readonly statement: string
      /** 0 is text, 1 is binary. None: all text. One: for all. */
      readonly parameterFormats: readonly number[]
      /** `null` is SQL NULL. */
      readonly values: readonly (Uint8Array | null)[]
      readonly resultFormats: readonly number[]
    }
  | { readonly kind: 'describe'; readonly what: NamedKind; readonly name: string }
  | {
      readonly kind: 'execute'
      readonly portal: string
      /** After this many rows the portal is suspended; 0 (and less) means all. */
      readonly rowsMax: number
    }
  | { readonly kind: 'close'; readonly what: NamedKind; readonly name: string }
  | { readonly kind: 'sync' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'copyData'; readonly data: Uint8Array }
  | { readonly kind: 'copyDone' }
  | { readonly kind: 'copyFail'; readonly reason: string }
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share a type: what was asked tells which. */
  | { readonly kind: 'password'; readonly body: Uint8Array }
  /** Recognised, never decoded: an obsolete way past statements. */
  | { readonly kind: 'functionCall'; readonly body: Uint8Array }

export type ClientMessageKind = ClientMessage['kind']
export type NamedKind = 'statement' | 'portal'

/** The type byte of each message. */
export const CLIENT_TYPES = {
  query: 0x51, // Q
  parse: 0x50, // P
  bind: 0x42, // B
  describe: 0x44, // D
  execute: 0x45, // E
  close: 0x43, // C
  sync: 0x53, // S
  flush: 0x48, // H
  terminate: 0x58, // X
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyFail: 0x66, // f
  password: 0x70, // p
  functionCall: 0x46, // F
} as const satisfies Record<ClientMessageKind, number>

/** NAMEDATALEN, less the zero byte at the end. */
const NAME_BYTES_MAX = 63
const ASCII = /^[\x01-\x7f]*$/

/**
 * One message body, `buffer[start, end)`. Byte fields share the buffer's memory.
 *
 * @throws GatewayError `protocol_violation` for an unknown type, a body that is cut or too long, or a name that is not
 *   UTF-8, or longer than 63 bytes and not all ASCII.
 */
export function decodeClient(type: number, buffer: Buffer, start = 0, end = buffer.length): ClientMessage {
  const reader = new Reader(buffer, start, end)
  const message = decodeBody(type, reader)
  reader.done()
  return message
}

function decodeBody(type: number, reader: Reader): ClientMessage {
  switch (type) {
    case CLIENT_TYPES.query:
      return { kind: 'query', sql: reader.cstringBytes() }
    case CLIENT_TYPES.parse:
      return {
        kind: 'parse',
        statement: serverName(reader),
        sql: reader.cstringBytes(),
        parameterTypes: list(reader, 4, () => reader.uint32()),
      }
    case CLIENT_TYPES.bind:
      return {
        kind: 'bind',
        portal: serverName(reader),
        statement: serverName(reader),
        parameterFormats: list(reader, 2, () => reader.int16()),
        values: list(reader, 4, () => value(reader)),
        resultFormats: list(reader, 2, () => reader.int16()),
      }
    case CLIENT_TYPES.describe:
      return { kind: 'describe', what: namedKind(reader), name: serverName(reader) }
    case CLIENT_TYPES.execute:
      return { kind: 'execute', portal: serverName(reader), rowsMax: reader.int32() }
    case CLIENT_TYPES.close:
      return { kind: 'close', what: namedKind(reader), name: serverName(reader) }
    case CLIENT_TYPES.sync:
      return { kind: 'sync' }
    case CLIENT_TYPES.flush:
      return { kind: 'flush' }
    case CLIENT_TYPES.terminate:
      return { kind: 'terminate' }
    case CLIENT_TYPES.copyData:
      return { kind: 'copyData', data: reader.rest() }
    case CLIENT_TYPES.copyDone:
      return { kind: 'copyDone' }
    case CLIENT_TYPES.copyFail:
      return { kind: 'copyFail', reason: reader.cstringShown() }
    case CLIENT_TYPES.password:
      return { kind: 'password', body: reader.rest() }
    case CLIENT_TYPES.functionCall:
      return { kind: 'functionCall', body: reader.rest() }
    default:
      throw violation('The client sent a message of an unknown type.', { type })
  }
}

/** A list after its 16-bit count, which PostgreSQL reads without a sign. */
function list<T>(reader: Reader, itemBytesMin: number, item: () => T): T[] {
  const count = reader.count16(itemBytesMin)
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(item())
  return items
}

/**
 * The name of a statement or portal as the server knows it: by its first 63 bytes, whatever follows them (NAMEDATALEN;
 * prepared statements and portals are kept in hash tables with keys of that size). A longer one with other characters
 * than ASCII is refused: where it is cut depends on the encoding of the database.
 */
function serverName(reader: Reader): string {
  const name = reader.cstring()
  // At most three bytes stand behind each unit of a string.
  if (name.length <= NAME_BYTES_MAX / 3 || Buffer.byteLength(name) <= NAME_BYTES_MAX) return name
  if (!ASCII.test(name)) {
    throw violation('The name of a statement or portal is longer than 63 bytes, and not all ASCII.')
  }
  return name.slice(0, NAME_BYTES_MAX)
}

function value(reader: Reader): Buffer | null {
  const length = reader.int32()
  return length === -1 ? null : reader.bytes(length)
}

function namedKind(reader: Reader): NamedKind {
  switch (reader.uint8()) {
    case 0x53:
      return 'statement'
    case 0x50:
      return 'portal'
    default:
      throw violation('Describe and Close name a statement or a portal.')
  }
}

/** The text of a PasswordMessage: bytes up to its zero byte. */
export function decodePassword(body: Buffer): Buffer {
  const reader = new Reader(body)
  const password = reader.cstringBytes()
  reader.done()
  return password
}

/** A SASLInitialResponse; `data` is absent when the client sent none. */
export function decodeSaslInitial(body: Buffer): {
  readonly mechanism: string
  readonly data: Buffer | undefined
} {
  const reader = new Reader(body)
  const mechanism = reader.cstring()
  const data = value(reader) ?? undefined
  reader.done()
  return { mechanism, data }
}
