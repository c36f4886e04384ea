import { assertNever } from '../../core/brand.ts'
import { Writer } from '../bytes/index.ts'
import type { ClientMessage, NamedKind } from './client-messages.ts'
import { CLIENT_TYPES } from './client-messages.ts'

/** The messages one after the other, ready to be sent. */
export function encodeClient(...messages: readonly ClientMessage[]): Buffer {
  const writer = new Writer()
  for (const message of messages) writeClient(writer, message)
  return writer.take()
}

/** Appends one message with its header. Throws GatewayError `invalid` for a text with a zero byte in it. */
export function writeClient(writer: Writer, message: ClientMessage): void {
  writer.uint8(CLIENT_TYPES[message.kind])
  const lengthAt = writer.length
  writer.int32(0)
  writeBody(writer, message)
  writer.patchInt32(lengthAt, writer.length - lengthAt)
}

function writeBody(writer: Writer, message: ClientMessage): void {
  switch (message.kind) {
    case 'query':
      writer.cstring(message.sql)
      return
    case 'parse':
      writer.cstring(message.statement).cstring(message.sql).uint16(message.parameterTypes.length)
      for (const oid of message.parameterTypes) writer.uint32(oid)
      return
    case 'bind':
      writer.cstring(message.portal).cstring(message.statement)
      writeFormats(writer, message.parameterFormats)
      writer.uint16(message.values.length)
      for (const value of message.values) {
        if (value === null) writer.int32(-1)
        else writer.int32(value.length).bytes(value)
      }
      writeFormats(writer, message.resultFormats)
      return
    case 'describe':
    case 'close':
      writer.uint8(NAMED[message.what]).cstring(message.name)
      return
    case 'execute':
      writer.cstring(message.portal).int32(message.rowsMax)
      return
    case 'copyData':
      writer.bytes(message.data)
      return
    case 'copyFail':
      writer.cstring(message.reason)
      return
    case 'password':
    case 'functionCall':
      writer.bytes(message.body)
      return
    case 'sync':
    case 'flush':
    case 'terminate':
    case 'copyDone':
      return
    default:
      assertNever(message)
  }
}

const NAMED = { statement: 0x53, portal: 0x50 } as const satisfies Record<NamedKind, number>

function writeFormats(writer: Writer, formats: readonly number[]): void {
  writer.uint16(formats.length)
  for (const format of formats) writer.int16(format)
}

/** The body of a PasswordMessage. */
export function passwordBody(password: string | Uint8Array): Buffer {
  return new Writer().cstring(password).take()
}

/** The body of a SASLInitialResponse. */
export function saslInitialBody(mechanism: string, data: Uint8Array): Buffer {
  return new Writer().cstring(mechanism).int32(data.length).bytes(data).take()
}
