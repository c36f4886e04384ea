import { Reader, violation } from '../bytes/index.ts'
import type { ErrorFields } from './error-fields.ts'
import { readErrorFields } from './error-fields.ts'

/**
 * What a server sends.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * Texts are for people and for matching against known ones: what is not UTF-8 in them is shown as U+FFFD, because a
 * server speaks its own encoding before a session has settled on one. Cells are bytes.
 */
export type ServerMessage =
  | { readonly kind: 'authenticationOk' }
  | { readonly kind: 'authenticationCleartextPassword' }
  | { readonly kind: 'authenticationMd5Password'; readonly salt: Uint8Array }
  | { readonly kind: 'authenticationSasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'authenticationSaslContinue'; readonly data: Uint8Array }
  | { readonly kind: 'authenticationSaslFinal'; readonly data: Uint8Array }
  /** Kerberos, GSSAPI, SSPI and whatever may come: recognised as a request we do not answer. */
  | { readonly kind: 'authenticationUnsupported'; readonly method: number }
  | { readonly kind: 'negotiateProtocolVersion'; readonly minor: number; readonly options: readonly string[] }
  | { readonly kind: 'backendKeyData'; readonly processId: number; readonly key: Uint8Array }
  | { readonly kind: 'parameterStatus'; readonly name: string; readonly value: string }
  | { readonly kind: 'readyForQuery'; readonly status: TransactionStatus }
  | { readonly kind: 'rowDescription'; readonly fields: readonly FieldDescription[] }
  | { readonly kind: 'dataRow'; readonly cells: readonly (Uint8Array | null)[] }
  /** `SELECT 5`, `INSERT 0 1`; see `rowsOfTag`. */
  | { readonly kind: 'commandComplete'; readonly tag: string }
  | { readonly kind: 'errorResponse'; readonly fields: ErrorFields }
  | { readonly kind: 'noticeResponse'; readonly fields: ErrorFields }
  | { readonly kind: 'emptyQueryResponse' }
  | { readonly kind: 'parseComplete' }
  | { readonly kind: 'bindComplete' }
  | { readonly kind: 'closeComplete' }
  | { readonly kind: 'noData' }
  | { readonly kind: 'portalSuspended' }
  | { readonly kind: 'parameterDescription'; readonly types: readonly number[] }
  | ({ readonly kind: 'copyInResponse' } & CopyFormats)
  | ({ readonly kind: 'copyOutResponse' } & CopyFormats)
  | ({ readonly kind: 'copyBothResponse' } & CopyFormats)
  | { readonly kind: 'copyData'; readonly data: Uint8Array }
  | { readonly kind: 'copyDone' }
  | {
      readonly kind: 'notificationResponse'
      readonly processId: number
      readonly channel: string
      readonly payload: string
    }
  | { readonly kind: 'functionCallResponse'; readonly value: Uint8Array | null }

export type ServerMessageKind = ServerMessage['kind']

/** Idle, in a transaction, in a transaction that has failed. */
export type TransactionStatus = 'idle' | 'transaction' | 'failed'

export type FieldDescription = {
  readonly name: string
  /** The relation the column comes from untouched; 0 when it is computed. */
  readonly tableOid: number
  /** Its attribute number there; 0 when it is computed. */
  readonly attnum: number
  readonly typeOid: number
  /** Bytes of a value; negative when it varies. */
  readonly typlen: number
  readonly typmod: number
  /** 0 is text, 1 is binary. In the description of a statement it is not known yet and 0. */
  readonly format: number
}

export type CopyFormats = {
  /** 0: rows of text, whatever the columns say; 1: binary. */
  readonly format: number
  readonly columnFormats: readonly number[]
}

/** The type byte of each message. */
export const SERVER_TYPES = {
  authenticationOk: 0x52, // R, for all of authentication
  authenticationCleartextPassword: 0x52,
  authenticationMd5Password: 0x52,
  authenticationSasl: 0x52,
  authenticationSaslContinue: 0x52,
  authenticationSaslFinal: 0x52,
  authenticationUnsupported: 0x52,
  negotiateProtocolVersion: 0x76, // v
  backendKeyData: 0x4b, // K
  parameterStatus: 0x53, // S
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
  dataRow: 0x44, // D
  commandComplete: 0x43, // C
  errorResponse: 0x45, // E
  noticeResponse: 0x4e, // N
  emptyQueryResponse: 0x49, // I
  parseComplete: 0x31, // 1
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  noData: 0x6e, // n
  portalSuspended: 0x73, // s
  parameterDescription: 0x74, // t
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  notificationResponse: 0x41, // A
  functionCallResponse: 0x56, // V
} as const satisfies Record<ServerMessageKind, number>

/** The request code of each kind of authentication message. */
export const AUTHENTICATION = {
  ok: 0,
  cleartextPassword: 3,
  md5Password: 5,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const

export const STATUS_BYTES = {
  idle: 0x49, // I
  transaction: 0x54, // T
  failed: 0x45, // E
} as const satisfies Record<TransactionStatus, number>

/**
 * One message body, `buffer[start, end)`. Byte fields share the buffer's memory.
 *
 * @throws GatewayError `protocol_violation` for an unknown type and for a body that is cut or too long.
 */
export function decodeServer(type: number, buffer: Buffer, start = 0, end = buffer.length): ServerMessage {
  const reader = new Reader(buffer, start, end)
  const message = decodeBody(type, reader)
  reader.done()
  return message
}

function decodeBody(type: number, reader: Reader): ServerMessage {
  switch (type) {
    case SERVER_TYPES.dataRow:
      return { kind: 'dataRow', cells: list(reader, 4, () => value(reader)) }
    case SERVER_TYPES.rowDescription:
      return { kind: 'rowDescription', fields: list(reader, 19, () => fieldDescription(reader)) }
    case SERVER_TYPES.commandComplete:
      return { kind: 'commandComplete', tag: reader.cstringShown() }
    case SERVER_TYPES.readyForQuery:
      return { kind: 'readyForQuery', status: transactionStatus(reader) }
    case SERVER_TYPES.errorResponse:
      return { kind: 'errorResponse', fields: readErrorFields(reader) }
    case SERVER_TYPES.noticeResponse:
      return { kind: 'noticeResponse', fields: readErrorFields(reader) }
    case SERVER_TYPES.emptyQueryResponse:
      return { kind: 'emptyQueryResponse' }
    case SERVER_TYPES.parseComplete:
      return { kind: 'parseComplete' }
    case SERVER_TYPES.bindComplete:
      return { kind: 'bindComplete' }
    case SERVER_TYPES.closeComplete:
      return { kind: 'closeComplete' }
    case SERVER_TYPES.noData:
      return { kind: 'noData' }
    case SERVER_TYPES.portalSuspended:
      return { kind: 'portalSuspended' }
    case SERVER_TYPES.parameterDescription:
      return { kind: 'parameterDescription', types: list(reader, 4, () => reader.uint32()) }
    case SERVER_TYPES.parameterStatus:
      return { kind: 'parameterStatus', name: reader.cstringShown(), value: reader.cstringShown() }
    case SERVER_TYPES.backendKeyData:
      return { kind: 'backendKeyData', processId: reader.int32(), key: cancelKey(reader) }
    case SERVER_TYPES.copyInResponse:
      return { kind: 'copyInResponse', ...copyFormats(reader) }
    case SERVER_TYPES.copyOutResponse:
      return { kind: 'copyOutResponse', ...copyFormats(reader) }
    case SERVER_TYPES.copyBothResponse:
      return { kind: 'copyBothResponse', ...copyFormats(reader) }
    case SERVER_TYPES.copyData:
      return { kind: 'copyData', data: reader.rest() }
    case SERVER_TYPES.copyDone:
      return { kind: 'copyDone' }
    case SERVER_TYPES.notificationResponse:
      return {
        kind: 'notificationResponse',
        processId: reader.int32(),
        channel: reader.cstringShown(),
        payload: reader.cstringShown(),
      }
    case SERVER_TYPES.functionCallResponse:
      return { kind: 'functionCallResponse', value: value(reader) }
    case SERVER_TYPES.negotiateProtocolVersion:
      return negotiateProtocolVersion(reader)
    case SERVER_TYPES.authenticationOk:
      return authentication(reader)
    default:
      throw violation('The server sent a message of an unknown type.', { type })
  }
}

/** A list after its 16-bit count. */
function list<T>(reader: Reader, itemBytesMin: number, item: () => T): T[] {
  const count = reader.count16(itemBytesMin)
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(item())
  return items
}

function value(reader: Reader): Buffer | null {
  const length = reader.int32()
  return length === -1 ? null : reader.bytes(length)
}

function fieldDescription(reader: Reader): FieldDescription {
  return {
    name: reader.cstringShown(),
    tableOid: reader.uint32(),
    attnum: reader.int16(),
    typeOid: reader.uint32(),
    typlen: reader.int16(),
    typmod: reader.int32(),
    format: reader.int16(),
  }
}

function transactionStatus(reader: Reader): TransactionStatus {
  switch (reader.uint8()) {
    case STATUS_BYTES.idle:
      return 'idle'
    case STATUS_BYTES.transaction:
      return 'transaction'
    case STATUS_BYTES.failed:
      return 'failed'
    default:
      throw violation('The server reports an unknown transaction status.')
  }
}

function cancelKey(reader: Reader): Buffer {
  // Four bytes up to protocol 3.1, up to 256 since 3.2.
  const key = reader.rest()
  if (key.length < 4 || key.length > 256)
    throw violation('The server sent a cancel key of an impossible length.')
  return key
}

function copyFormats(reader: Reader): CopyFormats {
  return { format: reader.uint8(), columnFormats: list(reader, 2, () => reader.int16()) }
}

function negotiateProtocolVersion(reader: Reader): ServerMessage {
  // The documentation speaks of the minor version; servers send the whole number, and libpq reads it so.
  const minor = reader.uint32() & 0xffff
  const count = reader.uint32()
  if (count > reader.remaining) throw violation('A message counts more items than it holds.')
  const options: string[] = []
  for (let i = 0; i < count; i++) options.push(reader.cstringShown())
  return { kind: 'negotiateProtocolVersion', minor, options }
}

function authentication(reader: Reader): ServerMessage {
  const method = reader.int32()
  switch (method) {
    case AUTHENTICATION.ok:
      return { kind: 'authenticationOk' }
    case AUTHENTICATION.cleartextPassword:
      return { kind: 'authenticationCleartextPassword' }
    case AUTHENTICATION.md5Password:
      return { kind: 'authenticationMd5Password', salt: reader.bytes(4) }
    case AUTHENTICATION.sasl: {
      const mechanisms: string[] = []
      for (let name = reader.cstringShown(); name !== ''; name = reader.cstringShown()) mechanisms.push(name)
      return { kind: 'authenticationSasl', mechanisms }
    }
    case AUTHENTICATION.saslContinue:
      return { kind: 'authenticationSaslContinue', data: reader.rest() }
    case AUTHENTICATION.saslFinal:
      return { kind: 'authenticationSaslFinal', data: reader.rest() }
    default:
      reader.rest()
      return { kind: 'authenticationUnsupported', method }
  }
}

/**
 * Walks the cells of a DataRow body, `buffer[start, end)`, without making anything: `visit` gets the index and the
 * bytes `buffer[from, to)` of each cell, and -1 for both when it is NULL. Returns the number of cells.
 *
 * @throws GatewayError `protocol_violation` when lengths and body disagree; cells before that have been visited.
 */
export function eachCell(
  buffer: Buffer,
  start: number,
  end: number,
  visit: (index: number, from: number, to: number) => void,
): number {
  if (end - start < 2) throw cellsDisagree()
  const count = buffer.readUInt16BE(start)
  let at = start + 2
  for (let index = 0; index < count; index++) {
    if (end - at < 4) throw cellsDisagree()
    const length = buffer.readInt32BE(at)
    at += 4
    if (length === -1) {
      visit(index, -1, -1)
      continue
    }
    if (length < 0 || length > end - at) throw cellsDisagree()
    visit(index, at, at + length)
    at += length
  }
  if (at !== end) throw cellsDisagree()
  return count
}

function cellsDisagree(): Error {
  return violation('The cells of a row do not add up to its length.')
}

/**
 * Rows that a command returned or changed, from its tag: the last word of `SELECT 5`, `INSERT 0 1`, `COPY 3`.
 * Undefined for tags without a count (`BEGIN`, `CREATE TABLE`).
 */
export function rowsOfTag(tag: string): number | undefined {
  const count = tag.slice(tag.lastIndexOf(' ') + 1)
  return count.length < tag.length && /^\d{1,15}$/.test(count) ? Number(count) : undefined
}
