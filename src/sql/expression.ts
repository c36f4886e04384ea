import type { A_Expr, ColumnRef, FuncCall, Node, SubLink } from 'libpg-query'
import type { LabelName } from '../core/ids.ts'
import type { Reference, Scope } from './scope.ts'
import { findItem, labelsOfItem, resolveName, resolveQualified } from './scope.ts'
import { kindOf, qualifiedName, stringsOf } from './tree.ts'
import type { Ctes, Walk } from './walk.ts'

/**
 * Expressions in a statement that reads labelled tables. As a value, nothing may touch a labelled column. As a
 * predicate, a labelled column may be compared: that is a filter, which policy permits or not.
 */
export class ExpressionWalk {
  readonly #query: Walk

  constructor(query: Walk) {
    this.#query = query
  }

  values(nodes: readonly Node[] | undefined, scope: Scope | undefined, ctes: Ctes): void {
    for (const node of nodes ?? []) this.value(node, scope, ctes)
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

  /** An expression whose value goes somewhere. */
  value(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): void {
    if (node === undefined) return
    if ('A_Const' in node || 'ParamRef' in node || 'SetToDefault' in node || 'SQLValueFunction' in node)
      return
    if ('ColumnRef' in node) return this.#touch(this.reference(node, scope), node.ColumnRef)
    if ('A_Expr' in node) return this.values(operandsOf(node.A_Expr), scope, ctes)
    if ('BoolExpr' in node) return this.values(node.BoolExpr.args, scope, ctes)
    if ('NullTest' in node) return this.value(node.NullTest.arg, scope, ctes)
    if ('BooleanTest' in node) return this.value(node.BooleanTest.arg, scope, ctes)
    if ('TypeCast' in node) return this.value(node.TypeCast.arg, scope, ctes)
    if ('CollateClause' in node) return this.value(node.CollateClause.arg, scope, ctes)
    if ('CoalesceExpr' in node) return this.values(node.CoalesceExpr.args, scope, ctes)
    if ('MinMaxExpr' in node) return this.values(node.MinMaxExpr.args, scope, ctes)
    if ('A_ArrayExpr' in node) return this.values(node.A_ArrayExpr.elements, scope, ctes)
    if ('RowExpr' in node) return this.values(node.RowExpr.args, scope, ctes)
    if ('GroupingFunc' in node) return this.values(node.GroupingFunc.args, scope, ctes)
    if ('List' in node) return this.values(node.List.items, scope, ctes)
    if ('NamedArgExpr' in node) return this.value(node.NamedArgExpr.arg, scope, ctes)
    if ('SortBy' in node) return this.value(node.SortBy.node, scope, ctes)
    if ('String' in node || 'A_Star' in node) return
    if ('A_Indices' in node)
      return this.values(present(node.A_Indices.lidx, node.A_Indices.uidx), scope, ctes)
    if ('A_Indirection' in node) {
      this.value(node.A_Indirection.arg, scope, ctes)
      return this.values(node.A_Indirection.indirection, scope, ctes)
    }
    if ('CaseExpr' in node) {
      const { arg, args, defresult } = node.CaseExpr
      return this.values([...present(arg), ...(args ?? []), ...present(defresult)], scope, ctes)
    }
    if ('CaseWhen' in node) {
      return this.values(present(node.CaseWhen.expr, node.CaseWhen.result), scope, ctes)
    }
    if ('FuncCall' in node) return this.#call(node.FuncCall, scope, ctes)
    if ('WindowDef' in node) {
      const { partitionClause, orderClause, startOffset, endOffset } = node.WindowDef
      const parts = [...(partitionClause ?? []), ...(orderClause ?? []), ...present(startOffset, endOffset)]
      return this.values(parts, scope, ctes)
    }
    if ('SubLink' in node) return this.#subquery(node.SubLink, scope, ctes)
    this.#query.findings.escapeAll(
      `Write this without ${kindOf(node)} beside protected columns; it is not followed.`,
    )
  }

  /** A condition: WHERE, ON, HAVING. */
  predicate(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): void {
    if (node === undefined) return
    if ('BoolExpr' in node) {
      for (const each of node.BoolExpr.args ?? []) this.predicate(each, scope, ctes)
      return
    }
    if ('NullTest' in node) return this.#compared(node.NullTest.arg, scope, ctes)
    if ('BooleanTest' in node) return this.#compared(node.BooleanTest.arg, scope, ctes)
    if ('A_Expr' in node && COMPARING.has(node.A_Expr.kind ?? '')) {
      const operator = stringsOf(node.A_Expr.name)?.at(-1) ?? ''
      if (!node.A_Expr.kind?.startsWith('AEXPR_OP') || COMPARISONS.has(operator)) {
        for (const each of operandsOf(node.A_Expr)) this.#compared(each, scope, ctes)
        return
      }
    }
    this.#compared(node, scope, ctes)
  }

  /** One side of a comparison: a labelled column itself, in lower or upper case, or a list of such. */
  #compared(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): void {
    if (node === undefined) return
    if ('ColumnRef' in node) {
      const found = this.reference(node, scope)
      if (found.kind === 'column') {
        if (found.column.label !== undefined) this.#query.findings.filter(found.column.label)
      } else this.#touch(found, node.ColumnRef)
      return
    }
    if ('List' in node) {
      for (const each of node.List.items ?? []) this.#compared(each, scope, ctes)
      return
    }
    if ('FuncCall' in node && isCaseFolding(node.FuncCall)) {
      // lower() of a range has another meaning, and is as harmless.
      if (this.#isHarmless(node.FuncCall)) return this.#compared(node.FuncCall.args?.[0], scope, ctes)
    }
    this.value(node, scope, ctes)
  }

  #touch(found: Reference, column: ColumnRef): void {
    if (found.kind === 'row') return this.#touchRow(found.labels, column)
    if (found.kind !== 'column' || found.column.label === undefined) return
    const name = stringsOf(column.fields)?.at(-1) ?? ''
    const { label } = found.column
    this.#query.findings.escape(
      [label],
      `Select ${name} bare, without an expression around it; it is protected (${label}).`,
    )
  }

  #touchRow(labels: readonly LabelName[], column: ColumnRef): void {
    if (labels.length === 0) return
    const name = stringsOf(column.fields)?.at(-1) ?? 'the row'
    this.#query.findings.escape(
      labels,
      `Name the columns one by one: ${name} as a whole row holds protected values (${labels.join(', ')}).`,
    )
  }

  #isHarmless(call: FuncCall): boolean {
    const name = qualifiedName(call.funcname)
    return name !== undefined && this.#query.names.isHarmlessCall(name, true)
  }

  #call(call: FuncCall, scope: Scope | undefined, ctes: Ctes): void {
    if (!this.#isHarmless(call)) {
      const name = stringsOf(call.funcname)?.at(-1) ?? ''
      this.#query.findings.escapeAll(
        `Leave out the function ${name}: it is not known to be harmless to protected columns.`,
      )
    }
    this.values(call.args, scope, ctes)
    this.values(call.agg_order, scope, ctes)
    this.value(call.agg_filter, scope, ctes)
    if (call.over !== undefined) this.value({ WindowDef: call.over }, scope, ctes)
  }

  #subquery(link: SubLink, scope: Scope | undefined, ctes: Ctes): void {
    this.value(link.testexpr, scope, ctes)
    // EXISTS looks at no column.
    if (link.subLinkType === 'EXISTS_SUBLINK') this.#query.rows(link.subselect, scope, ctes)
    else this.#query.inner(link.subselect, scope, ctes)
  }
}

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
    : { kind: 'row', labels: labelsOfItem(item) }
}

/** Kinds of A_Expr that compare. NULLIF hands a value out. */
const COMPARING: ReadonlySet<string> = new Set([
  'AEXPR_OP',
  'AEXPR_OP_ANY',
  'AEXPR_OP_ALL',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_IN',
  'AEXPR_LIKE',
  'AEXPR_ILIKE',
  'AEXPR_SIMILAR',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
])

/** Operators that compare: neither their result nor their error message holds a value. */
const COMPARISONS: ReadonlySet<string> = new Set([
  '=',
  '<>',
  '<',
  '>',
  '<=',
  '>=',
  '~',
  '~*',
  '!~',
  '!~*',
  '~~',
  '~~*',
  '!~~',
  '!~~*',
])

function isCaseFolding(call: FuncCall): boolean {
  const name = stringsOf(call.funcname)
  return name?.length === 1 && (name[0] === 'lower' || name[0] === 'upper') && call.args?.length === 1
}

function operandsOf({ lexpr, rexpr }: A_Expr): Node[] {
  return present(lexpr, rexpr)
}

function present(...nodes: (Node | undefined)[]): Node[] {
  return nodes.filter((node) => node !== undefined)
}
