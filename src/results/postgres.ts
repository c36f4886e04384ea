import type { FieldDescription, ServerMessage } from '../wire/postgres/index.ts'
import { decodeServer, HEADER_BYTES } from '../wire/postgres/index.ts'
import type { ResultCell, ResultColumn, ResultPart } from './parts.ts'
import { bytesPart, hexOf, likelyTextOf, textOf } from './parts.ts'

/**
 * The messages that a client of PostgreSQL got as the result of a command. Rows without a description in front of them
 * were described before, outside of the result (the extended protocol): their columns have no names here, and values
 * that are not plainly text are shown as bytes.
 */
export function* postgresParts(bytes: Buffer): Generator<ResultPart> {
  let columns: readonly ResultColumn[] | undefined
  let binary = false
  for (let at = 0; at < bytes.length; ) {
    const message = messageAt(bytes, at)
    if (message === undefined) {
      yield { kind: 'broken', length: bytes.length - at }
      return
    }
    at = message.next
    const { of } = message
    switch (of.kind) {
      case 'rowDescription':
        columns = of.fields.map(columnOf)
        yield { kind: 'columns', columns }
        break
      case 'dataRow':
        if (columns?.length !== of.cells.length) {
          columns = of.cells.map(() => ({ name: '', format: 'unknown' }))
          yield { kind: 'columns', columns }
        }
        yield { kind: 'row', cells: cellsOf(of.cells, columns) }
        break
      case 'commandComplete':
        columns = undefined
        yield { kind: 'tag', tag: of.tag }
        break
      case 'errorResponse':
      case 'noticeResponse': {
        const kind = of.kind === 'errorResponse' ? 'error' : 'notice'
        yield { kind, code: of.fields.code ?? '', message: of.fields.message ?? '' }
        break
      }
      case 'copyOutResponse':
        binary = of.format === 1
        break
      case 'copyData': {
        const text = binary ? undefined : textOf(of.data)
        yield text === undefined
          ? bytesPart(Buffer.from(of.data))
          : { kind: 'text', text: text.replace(/\n$/, '') }
        break
      }
      default:
        break
    }
  }
}

function messageAt(
  bytes: Buffer,
  at: number,
): { readonly of: ServerMessage; readonly next: number } | undefined {
  if (bytes.length - at < HEADER_BYTES) return undefined
  const next = at + 1 + bytes.readUInt32BE(at + 1)
  if (next < at + HEADER_BYTES || next > bytes.length) return undefined
  try {
    return { of: decodeServer(bytes.readUInt8(at), bytes, at + HEADER_BYTES, next), next }
  } catch {
    // Whatever stands there is no message: said as what it is.
    return undefined
  }
}

function columnOf({ name, format }: FieldDescription): ResultColumn {
  return { name, format: format === 1 ? 'binary' : 'text' }
}

function cellsOf(
  cells: readonly (Uint8Array | null)[],
  columns: readonly ResultColumn[],
): readonly ResultCell[] {
  return cells.map((cell, i) => {
    if (cell === null) return null
    switch (columns[i]?.format) {
      case 'text':
        return textOf(cell) ?? hexOf(cell)
      case 'binary':
        return hexOf(cell)
      default:
        return likelyTextOf(cell) ?? hexOf(cell)
    }
  })
}
