import type { GatewayError } from '../../../core/index.ts'
import { GatewayError as Refusal, LIMITS } from '../../../core/index.ts'
import type { Judgement } from '../../../session/index.ts'
import { ownJudgement } from '../../../session/index.ts'
import type { ParseResult, VirtualQuery } from '../../../sql/index.ts'
import { virtualQuery } from '../../../sql/index.ts'
import { encodeClient, encodeServer } from '../../../wire/postgres/index.ts'
import type { Denial, VirtualSource, VirtualTable } from './virtual.ts'
import { VIRTUAL_TABLES } from './virtual.ts'

/**
 * Questions to the virtual schema are answered here and never sent to the server. In their place goes a statement
 * without a word in it: the server's "that was empty" comes back in the right place among its other answers, with the
 * state of the transaction behind it, and is replaced by ours.
 */
const EMPTY = Buffer.alloc(0)
export const EMPTY_QUERY: Buffer = encodeClient({ kind: 'query', sql: EMPTY })

const TEXT_OID = 25
const DENIALS_MAX = 20
const STATEMENT_CHARACTERS_MAX = 200

/** What is sent to the client in place of "that was empty". */
export type LocalAnswer = { readonly bytes: Buffer; readonly rows: number; readonly tag: string }

export type LocalParts = {
  /** The name of the virtual schema; empty: there is none. */
  readonly schema: string
  readonly parse: (text: string) => ParseResult | Promise<ParseResult>
  readonly source: Omit<VirtualSource, 'denials'>
  readonly now: () => number
}

export class LocalAnswers {
  readonly #parts: LocalParts
  readonly #source: VirtualSource
  readonly #marks: readonly string[]
  readonly #denials: Denial[] = []

  constructor(parts: LocalParts) {
    this.#parts = parts
    this.#source = { ...parts.source, denials: this.#denials }
    this.#marks = parts.schema === '' ? [] : [parts.schema, parts.schema.toUpperCase()]
  }

  /** Newest first, as `recent_denials` shows them. */
  noteRefusal(error: GatewayError, text: Uint8Array): void {
    this.#denials.unshift({
      at: this.#parts.now(),
      request: error.requestId ?? '',
      message: error.message,
      remedy: error.remedy ?? '',
      statement: Buffer.from(text.subarray(0, STATEMENT_CHARACTERS_MAX)).toString('utf8'),
    })
    if (this.#denials.length > DENIALS_MAX) this.#denials.pop()
  }

  /** The question in `buffer[start, end)`; undefined: it is the server's. Throws GatewayError for what is neither. */
  questionIn(buffer: Buffer, start: number, end: number): LocalQuestion | undefined {
    if (end - start > LIMITS.statementInlineBytesMax) return undefined
    if (!this.#marks.some((mark) => isIn(buffer, mark, start, end))) return undefined
    const text = buffer.toString('utf8', start, end)
    const parsed = this.#parts.parse(text)
    if (parsed instanceof Promise) return undefined
    const { schema } = this.#parts
    const virtual = virtualQuery(parsed, schema)
    if (virtual.kind === 'none') return undefined
    if (virtual.kind === 'refused') throw refused(virtual.message)
    const table = VIRTUAL_TABLES.get(virtual.query.table)
    if (table === undefined) {
      throw refused(`Ask one of ${[...VIRTUAL_TABLES.keys()].map((each) => `${schema}.${each}`).join(', ')}.`)
    }
    return new LocalQuestion(text, virtual.query, table, schema, this.#source)
  }
}

/** A statement that asks a virtual table. */
export class LocalQuestion {
  readonly text: string
  readonly judgement: Judgement
  /** See VirtualTable: recorded under the labels that may stand in what is told. */
  readonly retells: boolean
  readonly #query: VirtualQuery
  readonly #table: VirtualTable
  readonly #source: VirtualSource
  readonly #columns: readonly { readonly name: string; readonly as: string }[]

  constructor(text: string, query: VirtualQuery, table: VirtualTable, schema: string, source: VirtualSource) {
    this.text = text
    this.judgement = ownJudgement(`${schema}.${query.table}`)
    this.retells = table.retells === true
    this.#query = query
    this.#table = table
    this.#source = source
    this.#columns = query.columns ?? table.columns.map((name) => ({ name, as: name }))
    const named = [
      ...this.#columns.map(({ name }) => name),
      ...(query.where === undefined ? [] : [query.where.column]),
    ]
    if (named.some((name) => !table.columns.includes(name)))
      throw refused(`Ask for columns that ${schema}.${query.table} has: ${table.columns.join(', ')}.`)
  }

  /** What stands for it at the server: a statement of the same name that does nothing. */
  placeholder(statement: string): Buffer {
    const value = this.#query.where?.value
    const parameters = value?.kind === 'parameter' ? value.number : 0
    return encodeClient({
      kind: 'parse',
      statement,
      sql: EMPTY,
      parameterTypes: Array.from({ length: parameters }, () => TEXT_OID),
    })
  }

  /** A RowDescription. `formats` as a Bind gives them. */
  description(formats: readonly number[] = []): Buffer {
    const formatOf = (at: number): number => (formats.length === 1 ? formats[0] : formats[at]) ?? 0
    return encodeServer({
      kind: 'rowDescription',
      fields: this.#columns.map(({ as }, at) => ({
        name: as,
        tableOid: 0,
        attnum: 0,
        typeOid: TEXT_OID,
        typlen: -1,
        typmod: -1,
        format: formatOf(at) === 1 ? 1 : 0,
      })),
    })
  }

  /** Everything a simple query is answered with, up to ReadyForQuery. */
  answer(): LocalAnswer {
    const { bytes, rows, tag } = new LocalCursor(() => this.#rows([])).fetch(0)
    return { bytes: Buffer.concat([this.description(), bytes]), rows, tag }
  }

  open(parameters: readonly (Uint8Array | null)[]): LocalCursor {
    return new LocalCursor(() => this.#rows(parameters))
  }

  #rows(parameters: readonly (Uint8Array | null)[]): string[][] {
    const { where, limit } = this.#query
    const at = (name: string): number => this.#table.columns.indexOf(name)
    let rows = this.#table.rows(this.#source)
    if (where !== undefined) {
      const { value, column } = where
      const sought = value.kind === 'constant' ? value.text : textOf(parameters[value.number - 1])
      rows = rows.filter((row) => row[at(column)] === sought)
    }
    if (limit !== undefined) rows = rows.slice(0, limit)
    return rows.map((row) => this.#columns.map(({ name }) => row[at(name)] ?? ''))
  }
}

/** The rows of one portal; what they are is found out when the first are fetched. */
export class LocalCursor {
  readonly #make: () => readonly (readonly string[])[]
  #rows: readonly (readonly string[])[] | undefined
  #at = 0

  constructor(make: () => readonly (readonly string[])[]) {
    this.#make = make
  }

  /** At most `rowsMax`; 0: the rest. */
  fetch(rowsMax: number): LocalAnswer {
    this.#rows ??= this.#make()
    const end = rowsMax > 0 ? this.#at + rowsMax : this.#rows.length
    const part = this.#rows.slice(this.#at, end)
    this.#at += part.length
    const rows = part.map((row) =>
      encodeServer({ kind: 'dataRow', cells: row.map((cell) => Buffer.from(cell)) }),
    )
    const suspended = rowsMax > 0 && part.length === rowsMax
    const tag = suspended ? 'suspended' : `SELECT ${part.length}`
    const last = suspended
      ? encodeServer({ kind: 'portalSuspended' })
      : encodeServer({ kind: 'commandComplete', tag })
    return { bytes: Buffer.concat([...rows, last]), rows: part.length, tag }
  }
}

function isIn(buffer: Buffer, mark: string, start: number, end: number): boolean {
  const at = buffer.indexOf(mark, start, 'latin1')
  return at >= 0 && at + mark.length <= end
}

function textOf(value: Uint8Array | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : Buffer.from(value).toString('utf8')
}

function refused(message: string): Refusal {
  return new Refusal('denied', message, {
    remedy: "These tables are the gateway's own and tell of this session.",
    retry: 'only-if-changed',
  })
}
