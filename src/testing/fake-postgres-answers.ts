import type { ErrorFields, FieldDescription, ServerMessage } from '../wire/postgres/index.ts'

/** What the fake server does for one statement text, step by step. */
export type Answer =
  /** A result set. `rows` may be endless: it is read as fast as the reader of the pipe allows. */
  | { readonly kind: 'rows'; readonly fields: readonly FieldDescription[]; readonly rows: Iterable<Row> }
  /** A command without rows. */
  | { readonly kind: 'done'; readonly tag: string }
  | { readonly kind: 'error'; readonly fields: ErrorFields; readonly at?: 'parse' | 'execute' }
  /** Takes CopyData until CopyDone (`COPY n`, n being its messages) or CopyFail; fails at once at a message that is `bad`. */
  | { readonly kind: 'copyIn'; readonly columns: number; readonly bad?: string }
  | { readonly kind: 'copyOut'; readonly columns: number; readonly chunks: Iterable<string | Uint8Array> }
  /** Anything else, as it is: notices, notifications, parameter changes. */
  | { readonly kind: 'send'; readonly messages: readonly ServerMessage[] }
  /** Slow: goes on when the promise is fulfilled, ends with 57014 when the command is canceled before. */
  | { readonly kind: 'wait'; readonly until: Promise<unknown> }
  /** Dies without a word. */
  | { readonly kind: 'crash' }

export type Row = readonly (string | Uint8Array | null)[]

/** What a statement with these parameters is answered with. Undefined: this script does not know it. */
export type Script = (sql: string, values: readonly (Buffer | null)[]) => readonly Answer[] | undefined

/** Type oids of pg_type.dat that tests use. */
export const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  varchar: 1043,
} as const

/** The description of a column; text and computed unless said otherwise. */
export function column(name: string, more: Partial<FieldDescription> = {}): FieldDescription {
  return { name, tableOid: 0, attnum: 0, typeOid: OID.text, typlen: -1, typmod: -1, format: 0, ...more }
}

/** A result set; a column given by name is text. */
export function rows(columns: readonly (string | FieldDescription)[], values: Iterable<Row>): Answer {
  return {
    kind: 'rows',
    fields: columns.map((each) => (typeof each === 'string' ? column(each) : each)),
    rows: values,
  }
}

export function done(tag: string): Answer {
  return { kind: 'done', tag }
}

export function fails(code: string, message: string, more: ErrorFields = {}): Answer {
  return { kind: 'error', fields: { severity: 'ERROR', code, message, ...more } }
}

/** A cell as the server would send it: text given by the script, in binary where the client asked for that. */
export function encodeCell(
  cell: string | Uint8Array | null,
  typeOid: number,
  format: number,
): Uint8Array | null {
  if (cell === null || typeof cell !== 'string') return cell
  if (format === 0) return Buffer.from(cell)
  switch (typeOid) {
    case OID.int2: {
      const bytes = Buffer.alloc(2)
      bytes.writeInt16BE(Number(cell))
      return bytes
    }
    case OID.int4: {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(Number(cell))
      return bytes
    }
    case OID.int8: {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(cell))
      return bytes
    }
    case OID.bool:
      return Buffer.from([cell === 't' ? 1 : 0])
    default:
      // The binary form of text types is the text itself.
      return Buffer.from(cell)
  }
}

/** The transaction statements that every server knows, and `SELECT <number>`, so that tests script only the rest. */
export function builtIn(sql: string): readonly Answer[] | undefined {
  const word = /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase()
  switch (word) {
    case 'BEGIN':
    case 'COMMIT':
    case 'ROLLBACK':
    case 'SAVEPOINT':
    case 'RELEASE':
    case 'SET':
    case 'RESET':
    case 'DISCARD':
    case 'LISTEN':
    case 'UNLISTEN':
    case 'DEALLOCATE':
      return [done(word === 'DISCARD' ? 'DISCARD ALL' : word)]
    case 'SELECT': {
      const number = /^\s*select\s+(\d+)\s*;?\s*$/i.exec(sql)?.[1]
      const field = column('?column?', { typeOid: OID.int4, typlen: 4 })
      return number === undefined ? undefined : [rows([field], [[number]])]
    }
    default:
      return undefined
  }
}
