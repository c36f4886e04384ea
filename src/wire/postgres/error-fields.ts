import type { Reader, Writer } from '../bytes/index.ts'

/**
 * The fields of an ErrorResponse or NoticeResponse.
 * https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
export type ErrorFields = {
  /** ERROR, FATAL, PANIC; or WARNING, NOTICE, DEBUG, INFO, LOG: never translated. Absent before server 9.6. */
  readonly severity?: string
  /** The same in the server's language. When encoding, `severity` stands in. */
  readonly severityShown?: string
  /** SQLSTATE, five characters. */
  readonly code?: string
  readonly message?: string
  readonly detail?: string
  readonly hint?: string
  /** Index of a character in the statement, from 1, in decimal. */
  readonly position?: string
  readonly internalPosition?: string
  readonly internalQuery?: string
  readonly where?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly dataType?: string
  readonly constraint?: string
  readonly file?: string
  readonly line?: string
  readonly routine?: string
}

export type ErrorField = keyof ErrorFields

/** The byte of each field, in the order in which PostgreSQL sends them. */
const FIELD_TYPES = [
  ['severityShown', 'S'],
  ['severity', 'V'],
  ['code', 'C'],
  ['message', 'M'],
  ['detail', 'D'],
  ['hint', 'H'],
  ['where', 'W'],
  ['schema', 's'],
  ['table', 't'],
  ['column', 'c'],
  ['dataType', 'd'],
  ['constraint', 'n'],
  ['position', 'P'],
  ['internalPosition', 'p'],
  ['internalQuery', 'q'],
  ['file', 'F'],
  ['line', 'L'],
  ['routine', 'R'],
] as const satisfies readonly (readonly [ErrorField, string])[]

const FIELD_OF = new Map<number, ErrorField>(FIELD_TYPES.map(([field, type]) => [type.charCodeAt(0), field]))

/** Reads to the end of the fields. Types that nobody knows are skipped, as the protocol asks of a client. */
export function readErrorFields(reader: Reader): ErrorFields {
  const fields: Partial<Record<ErrorField, string>> = {}
  for (;;) {
    const type = reader.uint8()
    if (type === 0) return fields
    const text = reader.cstringShown()
    const field = FIELD_OF.get(type)
    if (field !== undefined) fields[field] = text
  }
}

/** Writes the fields that are there. A zero byte in a text would end it early, so it is shown as U+FFFD. */
export function writeErrorFields(writer: Writer, fields: ErrorFields): void {
  for (const [field, type] of FIELD_TYPES) {
    const text = field === 'severityShown' ? (fields.severityShown ?? fields.severity) : fields[field]
    if (text !== undefined) writer.text(type).cstring(text.replaceAll('\0', '\uFFFD'))
  }
  writer.uint8(0)
}
