import type {
  A_Expr,
  A_Indirection,
  ColumnRef,
  FuncCall,
  Node,
  SubLink,
  TypeCast,
  TypeName,
} from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import { isTextType } from '../catalogue/catalogue.ts'
import type { Lineage } from './lineage.ts'
import { CLEAR, computedFrom, LITERAL, NULL, unionOf } from './lineage.ts'
import { fieldRoles, isComputed } from './nodes.ts'
import type { Reference, Scope } from './scope.ts'
import { fieldOf, findItem, isAlone, labelsOfItem, resolveName, resolveQualified } from './scope.ts'
import { comparedWithValues, pairsOf, valuesIn } from './touch.ts'
import type { Fields } from '../parse/tree.ts'
import { isFields, isNull, kindOf, stringsOf } from '../parse/tree.ts'
import type { Ctes, Expressions, Rows, Walk } from './walk.ts'

/**
 * Expressions: what a value depends on. A column handed on as it is keeps its lineage; what is made from labelled
 * values is computed from them, and making it is a use that the touch rule does not cover.
 */
export class ExpressionWalk implements Expressions {
  readonly #query: Walk

  constructor(query: Walk) {
    this.#query = query
  }

  value(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Lineage {
    if (node === undefined) return CLEAR
    if ('ColumnRef' in node) return this.#column(node.ColumnRef, scope)
    if (isNull(node)) return 'TypeCast' in node ? { ...CLEAR, isNull: true } : NULL
    if ('A_Const' in node) return node.A_Const.sval !== undefined ? LITERAL : CLEAR
    if ('ParamRef' in node) return LITERAL
    if ('FuncCall' in node) return this.#call(node.FuncCall, scope, ctes)
    if ('NullTest' in node && this.#isColumnTouched(node.NullTest.arg, 'null test', scope)) return CLEAR
    if ('SubLink' in node) return this.#subquery(node.SubLink, scope, ctes)
    if ('A_Indirection' in node) {
      const field = this.#field(node.A_Indirection, scope)
      if (field !== undefined) return field
    }
    if ('TypeCast' in node) {
      const same = this.#sameType(node.TypeCast, scope)
      if (same !== undefined) return same
    }
    const kind = kindOf(node)
    if (CONSTANT.has(kind)) return CLEAR
    const fields: unknown = Object.values(node)[0]
    return isFields(fields) ? this.#computed(kind, fields, scope, ctes) : CLEAR
  }

  used(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[] {
    const { labels } = this.value(node, scope, ctes)
    this.#query.findings.filter(labels)
    return labels
  }

  usedAll(nodes: readonly Node[] | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[] {
    return nodes === undefined ? [] : unionOf(nodes.map((node) => ({ labels: this.used(node, scope, ctes) })))
  }

  predicate(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[] {
    const { findings } = this.#query
    const { mark } = findings
    const labels = this.#predicate(node, scope, ctes)
    // What a condition is compared with stands in it; the parts of AND and OR, and pairs, have been placed by themselves.
    const isWhole = !isJunction(node) && !(node !== undefined && 'A_Expr' in node && pairsOf(node.A_Expr))
    if (isWhole) findings.place(node, findings.since(mark))
    return labels
  }

  #predicate(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[] {
    if (node === undefined) return []
    if (isJunction(node)) {
      const args = node.BoolExpr.args ?? []
      return unionOf(args.map((each) => ({ labels: this.predicate(each, scope, ctes) })))
    }
    if ('A_Expr' in node) {
      const pairs = pairsOf(node.A_Expr)
      if (pairs !== undefined)
        return unionOf(pairs.map((each) => ({ labels: this.predicate({ A_Expr: each }, scope, ctes) })))
      const looked = this.#lookedUp(node.A_Expr, scope)
      if (looked !== undefined) return looked
    }
    return this.used(node, scope, ctes)
  }

  /** A column compared with what the client gives. */
  #lookedUp(node: A_Expr, scope: Scope | undefined): readonly LabelName[] | undefined {
    const column = comparedWithValues(node, this.#query.names)
    if (column === undefined) return undefined
    const found = this.reference({ ColumnRef: column }, scope)
    if (found.kind === 'unknown') return []
    const labels = found.kind === 'row' ? found.labels : found.column.labels
    if (labels.length === 0 || !this.#query.holds('equality with values')) return []
    if (found.kind === 'column' && this.#isItself(found.column, column, node)) {
      this.#query.findings.touch(labels, valuesIn(node, this.#query.names))
      return []
    }
    this.#query.findings.filter(labels)
    return labels
  }

  /**
   * The column as it is: after a set operation it may have another collation, and a cast of a number to text, or
   * lower() of a range, is a part of it. Not where its own collation takes many values for equal.
   */
  #isItself(
    { computed, source, type, loose }: Lineage,
    column: ColumnRef,
    { lexpr, rexpr }: A_Expr,
  ): boolean {
    if (computed || source === undefined || loose === true) return false
    const isBare = [lexpr, rexpr].some(
      (each) => each !== undefined && 'ColumnRef' in each && each.ColumnRef === column,
    )
    return isBare || isTextType(type, this.#query.names.catalogue)
  }

  /** What a column reference means; a name that means nothing is an escape. */
  reference(node: Node | undefined, scope: Scope | undefined): Reference {
    if (node === undefined || !('ColumnRef' in node)) return { kind: 'unknown' }
    const found = resolve(node.ColumnRef, scope)
    if (found.kind === 'unknown') {
      const name = stringsOf(node.ColumnRef.fields)?.at(-1) ?? '*'
      this.#query.findings.escapeAll(`Name a column that exists: ${name} is not known here.`)
    }
    return found
  }

  #column(column: ColumnRef, scope: Scope | undefined): Lineage {
    return this.#referred(this.reference({ ColumnRef: column }, scope))
  }

  #referred(found: Reference): Lineage {
    const { findings } = this.#query
    switch (found.kind) {
      case 'unknown':
        return CLEAR
      case 'column':
        if (!this.#query.holds('column')) return CLEAR
        if (found.row !== undefined) findings.filter(found.row)
        return found.column
      case 'row':
        if (!this.#query.holds('whole row')) return CLEAR
        findings.filter(found.labels)
        return computedFrom(found.labels)
    }
  }

  /** Whether this is a column or row that may be looked at in this way; then it is noted. */
  #isColumnTouched(node: Node | undefined, rule: 'null test' | 'count', scope: Scope | undefined): boolean {
    if (node === undefined || !('ColumnRef' in node)) return false
    const found = this.reference(node, scope)
    if (found.kind === 'unknown') return true
    if (found.kind === 'column' && found.column.computed) return false
    const labels = found.kind === 'row' ? found.labels : found.column.labels
    if (this.#query.holds(rule)) this.#query.findings.touch(labels)
    return true
  }

  /** A cast of text to text, which is no cast to the server. */
  #sameType({ arg, typeName }: TypeCast, scope: Scope | undefined): Lineage | undefined {
    if (arg === undefined || !('ColumnRef' in arg) || !isPlainText(typeName)) return undefined
    const found = resolve(arg.ColumnRef, scope)
    return found.kind === 'column' && found.row === undefined && found.column.type === TEXT
      ? this.#referred(found)
      : undefined
  }

  /** `(row).name`, which the server takes for the column itself. */
  #field({ arg, indirection }: A_Indirection, scope: Scope | undefined): Lineage | undefined {
    if (arg === undefined || !('ColumnRef' in arg)) return undefined
    const [first, ...others] = indirection ?? []
    if (first === undefined || !('String' in first) || others.length > 0) return undefined
    const found = resolve(arg.ColumnRef, scope)
    if (found.kind !== 'row' || found.item === undefined) return undefined
    if (!this.#query.holds('field of a row')) return CLEAR
    const field = fieldOf(found.item, first.String.sval ?? '')
    if (field.kind === 'unknown') {
      this.#query.findings.escapeAll('Name a column that exists: this field of a row is not known here.')
    }
    return this.#referred(field)
  }

  #call(call: FuncCall, scope: Scope | undefined, ctes: Ctes): Lineage {
    const labels: { readonly labels: readonly LabelName[] }[] = []
    const { args, ...others } = call
    const names = stringsOf(call.funcname)
    const counts =
      names?.at(-1) === 'count' && (names.length === 1 || names[0] === 'pg_catalog') && args?.length === 1
    const once = call.agg_distinct !== true || (scope?.single === true && isAlone(scope))
    const fields: unknown = counts && once && this.#isColumnTouched(args?.[0], 'count', scope) ? others : call
    if (isFields(fields)) labels.push(this.#computed('FuncCall', fields, scope, ctes))
    // The window it names stands elsewhere in the query.
    if (call.over !== undefined && (call.over.name !== undefined || call.over.refname !== undefined)) {
      const windows = scope?.windows ?? []
      if (this.#query.holds('named window')) labels.push({ labels: windows })
    }
    return computedFrom(unionOf(labels))
  }

  #subquery(link: SubLink, scope: Scope | undefined, ctes: Ctes): Lineage {
    const query = this.#query
    const rows = query.rows(link.subselect, scope, ctes)
    switch (link.subLinkType) {
      case 'EXISTS_SUBLINK':
        // It looks at no column.
        return CLEAR
      case 'EXPR_SUBLINK': {
        const [column] = rows.columns
        if (!query.holds('subquery as value')) return CLEAR
        if (column === undefined || rows.columns.length > 1 || !rows.counted) return this.#all(rows)
        const { labels, computed, type, mixed } = column
        const also = mixed === true ? { mixed } : {}
        return { labels, computed, ...also, ...(type === undefined ? {} : { type }) }
      }
      case 'ARRAY_SUBLINK':
        return query.holds('array of a subquery') ? this.#all(rows) : CLEAR
      default: {
        const tested = this.used(link.testexpr, scope, ctes)
        if (!query.holds('subquery compared')) return CLEAR
        return computedFrom(unionOf([{ labels: tested }, this.#all(rows)]))
      }
    }
  }

  /** A value made of all that rows hold. */
  #all(rows: Rows): Lineage {
    const labels = unionOf([...rows.columns, { labels: rows.rest }])
    this.#query.findings.filter(labels)
    return computedFrom(labels)
  }

  /** A value computed from what is in the fields of its node. */
  #computed(kind: string, fields: Fields, scope: Scope | undefined, ctes: Ctes): Lineage {
    const roles = fieldRoles(kind)
    if (roles === undefined || !isComputed(kind)) {
      this.#query.findings.escapeAll(
        `Write this without ${kind} beside protected columns; it is not followed.`,
      )
      return CLEAR
    }
    const holds = this.#query.holds(kind)
    let labels: readonly LabelName[] = []
    for (const key in fields) {
      const role = roles.get(key)
      if (role === 'plain') continue
      const more = this.#part(role, fields[key], holds, scope, ctes)
      if (more === undefined) {
        this.#query.findings.escapeAll(
          `Write this without the ${key} of ${kind} beside protected columns; it is not followed.`,
        )
      } else if (more.length > 0) labels = unionOf([{ labels }, { labels: more }])
    }
    return holds ? computedFrom(labels) : CLEAR
  }

  /** The labels in one field; `undefined` for a field that nobody thought of. */
  #part(
    role: string | undefined,
    field: unknown,
    holds: boolean,
    scope: Scope | undefined,
    ctes: Ctes,
  ): readonly LabelName[] | undefined {
    if (role === undefined || role === 'absent') return undefined
    if (role.startsWith('part:')) {
      return isFields(field)
        ? this.#computed(role.slice('part:'.length), field, scope, ctes).labels
        : undefined
    }
    if (Array.isArray(field)) {
      const all = field.map((each: unknown) => this.#part(role, each, holds, scope, ctes))
      return all.includes(undefined) ? undefined : unionOf(all.map((labels) => ({ labels: labels ?? [] })))
    }
    if (!isNode(field)) return undefined
    if (!holds) {
      if (role === 'query') this.#query.rows(field, scope, ctes)
      else this.value(field, scope, ctes)
      return []
    }
    if (role === 'condition') return this.predicate(field, scope, ctes)
    return role === 'query'
      ? this.#all(this.#query.rows(field, scope, ctes)).labels
      : this.used(field, scope, ctes)
  }
}

/** AND or OR. */
function isJunction(node: Node | undefined): node is Extract<Node, { BoolExpr: unknown }> {
  return node !== undefined && 'BoolExpr' in node && node.BoolExpr.boolop !== 'NOT_EXPR'
}

const TEXT = 25

function isPlainText(type: TypeName | undefined): boolean {
  const names = stringsOf(type?.names) ?? []
  const plain = names.length === 1 || names[0] === 'pg_catalog'
  return plain && names.at(-1) === 'text' && type?.arrayBounds === undefined && type?.setof !== true
}

function isNode(value: unknown): value is Node {
  return isFields(value)
}

/** Kinds of values that come from nowhere but the text, the clock and the session. */
const CONSTANT: ReadonlySet<string> = new Set([
  'SetToDefault',
  'SQLValueFunction',
  'CurrentOfExpr',
  'MergeSupportFunc',
  'String',
  'A_Star',
  'Integer',
  'Float',
  'Boolean',
  'BitString',
])

function resolve(column: ColumnRef, scope: Scope | undefined): Reference {
  const fields = column.fields ?? []
  const last = fields.at(-1)
  if (last !== undefined && 'A_Star' in last) return resolveStar(fields.slice(0, -1), scope)
  const names = stringsOf(fields)
  const [a, b, c] = names ?? []
  if (names?.length === 1 && a !== undefined) return resolveName(a, scope)
  if (names?.length === 2 && a !== undefined && b !== undefined)
    return resolveQualified(a, undefined, b, scope)
  if (names?.length === 3 && a !== undefined && b !== undefined && c !== undefined) {
    return resolveQualified(b, a, c, scope)
  }
  return { kind: 'unknown' }
}

/** `c.*` as a value: the whole row, or the row spread over a list. */
function resolveStar(qualifier: Node[], scope: Scope | undefined): Reference {
  const names = stringsOf(qualifier)
  const alias = names?.at(-1)
  const item =
    alias === undefined ? undefined : findItem(alias, names?.length === 2 ? names[0] : undefined, scope)
  return item === undefined || (names?.length ?? 0) > 2
    ? { kind: 'unknown' }
    : { kind: 'row', labels: labelsOfItem(item), item }
}
