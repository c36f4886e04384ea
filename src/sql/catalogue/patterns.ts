import type { LabelAssignment } from '../../core/connection.ts'
import { GatewayError } from '../../core/errors.ts'
import type { LabelName } from '../../core/ids.ts'

/**
 * Which columns a label is given to: `schema.table.column`, each part a name or `*`, optionally with the database in
 * front. A name that holds a dot, a quote or a star is written in double quotes, as in SQL. Names are compared as the
 * server stores them: no folding of case. Behind a colon and a blank stands a path into the JSON of the column, as in
 * fields of HTTP answers: `public.customers.profile: contact.email`.
 */
export type ColumnPattern = {
  readonly database: string | undefined
  readonly schema: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined
  /** Of the column's JSON only what lies there. Not read here: a path that means nothing matches nothing. */
  readonly path?: string
  readonly label: LabelName
  readonly assignment: LabelAssignment
}

const WITH_PATH = /^((?:"(?:[^"]|"")+"|[^"\s])+):\s+(\S.*)$/
const PART = /"((?:[^"]|"")+)"|(\*)|([^."*\s:]+)/y

/** Throws GatewayError `invalid` for a pattern that is not of this form. */
export function readPattern(assignment: LabelAssignment): ColumnPattern {
  const parts: (string | undefined)[] = []
  const [, pattern = assignment.pattern, path] = WITH_PATH.exec(assignment.pattern) ?? []
  PART.lastIndex = 0
  for (;;) {
    const match = PART.exec(pattern)
    if (match === null) throw malformed(pattern)
    parts.push(match[2] === '*' ? undefined : (match[1]?.replaceAll('""', '"') ?? match[3]))
    const at = PART.lastIndex
    if (at === pattern.length) break
    if (pattern.charAt(at) !== '.') throw malformed(pattern)
    PART.lastIndex = at + 1
  }
  if (parts.length !== 3 && parts.length !== 4) throw malformed(pattern)
  const [column, table, schema, database] = parts.reverse()
  return {
    database,
    schema,
    table,
    column,
    ...(path === undefined ? {} : { path }),
    label: assignment.label,
    assignment,
  }
}

function malformed(pattern: string): GatewayError {
  return new GatewayError('invalid', `The label pattern ${pattern} is not schema.table.column.`, {
    remedy: 'Write three parts, each a name or *, such as public.customers.email.',
  })
}

export function matches(
  pattern: ColumnPattern,
  database: string,
  schema: string,
  table: string,
  column: string,
): boolean {
  return (
    (pattern.database ?? database) === database &&
    (pattern.schema ?? schema) === schema &&
    (pattern.table ?? table) === table &&
    (pattern.column ?? column) === column
  )
}

/** The pattern with the fewest stars first; equally many: as configured. The first one that matches gives the label. */
export function bySpecificity(patterns: readonly ColumnPattern[]): ColumnPattern[] {
  const stars = (each: ColumnPattern): number =>
    [each.schema, each.table, each.column].filter((part) => part === undefined).length
  return [...patterns].sort((a, b) => stars(a) - stars(b))
}
