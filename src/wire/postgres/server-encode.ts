import { assertNever } from '../../core/brand.ts'
import { Writer } from '../bytes/index.ts'
import type { ErrorFields } from './error-fields.ts'
import { writeErrorFields } from './error-fields.ts'
import type { CopyFormats, ServerMessage } from './server-messages.ts'
import { AUTHENTICATION, SERVER_TYPES, STATUS_BYTES } from './server-messages.ts'

/** The messages one after the other, ready to be sent. */
export function encodeServer(...messages: readonly ServerMessage[]): Buffer {
  const writer = new Writer()
  for (const message of messages) writeServer(writer, message)
  return writer.take()
}

/** What must be known to tell a client of an error; the other fields only a server has. */
export type ErrorText = ErrorFields & {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC'
  readonly code: string
  readonly message: string
}

export type NoticeText = ErrorFields & {
  readonly severity: 'WARNING' | 'NOTICE' | 'INFO' | 'LOG' | 'DEBUG'
  readonly code: string
  readonly message: string
}

/** An ErrorResponse. FATAL means that nothing follows it. */
export function encodeError(fields: ErrorText): Buffer {
  return encodeServer({ kind: 'errorResponse', fields })
}

export function encodeNotice(fields: NoticeText): Buffer {
  return encodeServer({ kind: 'noticeResponse', fields })
}

/** Appends one message with its header. Throws GatewayError `invalid` for a text with a zero byte in it. */
export function writeServer(writer: Writer, message: ServerMessage): void {
  writer.uint8(SERVER_TYPES[message.kind])
  const lengthAt = writer.length
  writer.int32(0)
  writeBody(writer, message)
  writer.patchInt32(lengthAt, writer.length - lengthAt)
}

function writeBody(writer: Writer, message: ServerMessage): void {
  switch (message.kind) {
    case 'authenticationOk':
      writer.int32(AUTHENTICATION.ok)
      return
    case 'authenticationCleartextPassword':
      writer.int32(AUTHENTICATION.cleartextPassword)
      return
    case 'authenticationMd5Password':
      writer.int32(AUTHENTICATION.md5Password).bytes(message.salt)
      return
    case 'authenticationSasl':
      writer.int32(AUTHENTICATION.sasl)
      for (const mechanism of message.mechanisms) writer.cstring(mechanism)
      writer.uint8(0)
      return
    case 'authenticationSaslContinue':
      writer.int32(AUTHENTICATION.saslContinue).bytes(message.data)
      return
    case 'authenticationSaslFinal':
      writer.int32(AUTHENTICATION.saslFinal).bytes(message.data)
      return
    case 'authenticationUnsupported':
      writer.int32(message.method)
      return
    case 'negotiateProtocolVersion':
      writer.uint16(3).uint16(message.minor).int32(message.options.length)
      for (const option of message.options) writer.cstring(option)
      return
    case 'backendKeyData':
      writer.int32(message.processId).bytes(message.key)
      return
    case 'parameterStatus':
      writer.cstring(message.name).cstring(message.value)
      return
    case 'readyForQuery':
      writer.uint8(STATUS_BYTES[message.status])
      return
    case 'rowDescription':
      writer.uint16(message.fields.length)
      for (const field of message.fields) {
        writer.cstring(field.name).uint32(field.tableOid).int16(field.attnum).uint32(field.typeOid)
        writer.int16(field.typlen).int32(field.typmod).int16(field.format)
      }
      return
    case 'dataRow':
      writer.uint16(message.cells.length)
      for (const cell of message.cells) writeValue(writer, cell)
      return
    case 'commandComplete':
      writer.cstring(message.tag)
      return
    case 'errorResponse':
    case 'noticeResponse':
      writeErrorFields(writer, message.fields)
      return
    case 'parameterDescription':
      writer.uint16(message.types.length)
      for (const oid of message.types) writer.uint32(oid)
      return
    case 'copyInResponse':
    case 'copyOutResponse':
    case 'copyBothResponse':
      writeCopyFormats(writer, message)
      return
    case 'copyData':
      writer.bytes(message.data)
      return
    case 'notificationResponse':
      writer.int32(message.processId).cstring(message.channel).cstring(message.payload)
      return
    case 'functionCallResponse':
      writeValue(writer, message.value)
      return
    case 'emptyQueryResponse':
    case 'parseComplete':
    case 'bindComplete':
    case 'closeComplete':
    case 'noData':
    case 'portalSuspended':
    case 'copyDone':
      return
    default:
      assertNever(message)
  }
}

function writeValue(writer: Writer, value: Uint8Array | null): void {
  if (value === null) writer.int32(-1)
  else writer.int32(value.length).bytes(value)
}

function writeCopyFormats(writer: Writer, formats: CopyFormats): void {
  writer.uint8(formats.format).uint16(formats.columnFormats.length)
  for (const format of formats.columnFormats) writer.int16(format)
}
