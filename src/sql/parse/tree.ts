import type { A_Const, Node } from 'libpg-query'

/**
 * Reading the grammar's tree. A node is wrapped as `{ SelectStmt: {...} }`; fields that can only be of one kind hold the
 * inner object unwrapped; what has its default value (0, false, empty) is left out.
 */
type KeysOf<T> = T extends T ? keyof T : never

/** Every kind of node the grammar's description knows. */
export type NodeKind = KeysOf<Node>
/** The kinds that are statements, at the top or nested. */
export type StatementKind = Extract<NodeKind, `${string}Stmt`>

/** An object of the tree whose kind is not known yet. */
export type Fields = { readonly [key: string]: unknown }

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `SelectStmt` for `{ SelectStmt: {...} }`; empty for an empty object. */
export function kindOf(node: object): string {
  for (const key in node) return key
  return ''
}

/** The prepared statement that a statement around EXECUTE runs: CREATE TABLE AS, EXPLAIN. */
export function executedBy(node: Node): string | undefined {
  const query =
    'CreateTableAsStmt' in node
      ? node.CreateTableAsStmt.query
      : 'ExplainStmt' in node
        ? node.ExplainStmt.query
        : undefined
  return query !== undefined && 'ExecuteStmt' in query ? (query.ExecuteStmt.name ?? '') : undefined
}

/** The strings of a list of String nodes: names, qualified names. Anything else in it makes it `undefined`. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] | undefined {
  const strings: string[] = []
  for (const node of nodes ?? []) {
    if (!('String' in node)) return undefined
    strings.push(node.String.sval ?? '')
  }
  return strings
}

/** A name with an optional schema. `database.schema.name` keeps its database. */
export type QualifiedName = {
  readonly database?: string
  readonly schema?: string
  readonly name: string
}

/** A call of a function. */
export type Call = QualifiedName & {
  /** How many arguments it is given; absent where that is not certain. */
  readonly arguments?: number
}

/** The last part is the name, the one before the schema. Empty and overlong lists give `undefined`. */
export function qualifiedName(nodes: readonly Node[] | undefined): QualifiedName | undefined {
  const parts = stringsOf(nodes)
  if (parts === undefined) return undefined
  const [a, b, c] = parts
  if (parts.length === 1 && a !== undefined) return { name: a }
  if (parts.length === 2 && a !== undefined && b !== undefined) return { schema: a, name: b }
  if (parts.length === 3 && a !== undefined && b !== undefined && c !== undefined) {
    return { database: a, schema: b, name: c }
  }
  return undefined
}

/** How facts show a name: as written, `pg_catalog` left out. */
export function showName(name: QualifiedName): string {
  const schema = name.schema === undefined || name.schema === 'pg_catalog' ? '' : `${name.schema}.`
  return schema + name.name
}

/** The text of a constant: `5`, `x`, `true`; `undefined` for NULL, and for anything but a constant. */
export function constantText(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined
  if ('TypeCast' in node) return constantText(node.TypeCast.arg)
  if ('String' in node) return node.String.sval ?? ''
  if ('Integer' in node) return String(node.Integer.ival ?? 0)
  if (!('A_Const' in node)) return undefined
  const { sval, ival, fval, boolval } = node.A_Const
  if (sval !== undefined) return sval.sval ?? ''
  if (ival !== undefined) return String(ival.ival ?? 0)
  if (fval !== undefined) return fval.fval ?? ''
  if (boolval !== undefined) return boolval.boolval === true ? 'true' : 'false'
  return undefined
}

/** For how many a constant stands: in the condensed tree of a long statement those of one list are kept once, and so are rows. */
export function constantsIn({ location = 0 }: A_Const): number {
  return location < -1 ? -location : 1
}

/** NULL, whatever type it is given. */
export function isNull(node: Node | undefined): boolean {
  if (node === undefined) return false
  return 'TypeCast' in node ? isNull(node.TypeCast.arg) : 'A_Const' in node && node.A_Const.isnull === true
}
