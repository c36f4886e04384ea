import type {
  CommonTableExpr,
  DeleteStmt,
  InsertStmt,
  Node,
  ReturningClause,
  SelectStmt,
  UpdateStmt,
  WithClause,
} from 'libpg-query'
import type { LabelName } from '../core/ids.ts'
import { ExpressionWalk } from './expression.ts'
import type { Findings } from './findings.ts'
import { FromWalk } from './from.ts'
import type { Names } from './names.ts'
import type { Item, OutputColumn, Scope } from './scope.ts'
import { findItem, resolveName } from './scope.ts'
import { stringsOf } from './tree.ts'
import type { Ctes, Rows, Walk } from './walk.ts'

const NOTHING: Rows = { columns: [], counted: true }

/**
 * Follows labelled columns through a query that reads labelled tables. Every kind of node it does not know is an escape:
 * what passes is what is understood. Labelled columns may be handed out bare, and only by the outermost query.
 */
export class QueryWalk implements Walk {
  readonly names: Names
  readonly findings: Findings
  readonly expressions: ExpressionWalk
  readonly #from: FromWalk

  constructor(names: Names, findings: Findings) {
    this.names = names
    this.findings = findings
    this.expressions = new ExpressionWalk(this)
    this.#from = new FromWalk(this)
  }

  /** Any statement that can stand where rows are wanted: SELECT, VALUES, or a change with RETURNING. */
  rows(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows {
    if (node === undefined) return NOTHING
    if ('SelectStmt' in node) return this.select(node.SelectStmt, scope, ctes)
    if ('InsertStmt' in node) return this.#insert(node.InsertStmt, scope, ctes)
    if ('UpdateStmt' in node) return this.#update(node.UpdateStmt, scope, ctes)
    if ('DeleteStmt' in node) return this.#delete(node.DeleteStmt, scope, ctes)
    this.findings.escapeAll('Use SELECT, INSERT, UPDATE or DELETE on tables that hold protected columns.')
    return NOTHING
  }

  select(select: SelectStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#with(select.withClause, outer, outerCtes)
    if (select.intoClause !== undefined) {
      this.findings.escapeAll('Do not copy from tables that hold protected columns into a new table.')
    }
    if (select.op !== undefined && select.op !== 'SETOP_NONE') return this.#setOperation(select, outer, ctes)
    if (select.valuesLists !== undefined) return this.#values(select, outer, ctes)

    const from = this.#from.all(select.fromClause, outer, ctes)
    const scope: Scope = { items: from.items, outer }
    this.expressions.predicate(select.whereClause, scope, ctes)
    const rows = this.#targets(select.targetList, scope, from, ctes)
    this.#distinct(select.distinctClause, rows, scope, ctes)
    for (const each of select.groupClause ?? []) this.#key(each, rows, scope, ctes)
    this.expressions.predicate(select.havingClause, scope, ctes)
    this.expressions.values(select.windowClause, scope, ctes)
    for (const each of select.sortClause ?? []) this.#key(each, rows, scope, ctes)
    this.expressions.value(select.limitCount, scope, ctes)
    this.expressions.value(select.limitOffset, scope, ctes)
    return rows
  }

  /** Rows that go on inside the statement: a subquery, an arm of WITH, the source of an INSERT. No label may be among them. */
  inner(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows {
    return this.#unlabelled(this.rows(node, scope, ctes))
  }

  #unlabelled(rows: Rows): Rows {
    for (const { name, label } of rows.columns) {
      if (label === undefined) continue
      this.findings.escape(
        [label],
        `Select ${name} only in the outermost query; it is protected (${label}) and may not pass through a subquery.`,
      )
    }
    return rows
  }

  #with(clause: WithClause | undefined, scope: Scope | undefined, outer: Ctes): Ctes {
    let ctes = outer
    for (const node of clause?.ctes ?? []) {
      if (!('CommonTableExpr' in node)) continue
      const cte = node.CommonTableExpr
      const name = cte.ctename ?? ''
      // A recursive query sees itself, by whatever columns its names say; they are all unlabelled or an escape.
      const own: Item = { alias: name, columns: [], open: true }
      const seen = clause?.recursive === true ? { name, item: own, outer: ctes } : ctes
      ctes = { name, item: this.#cte(cte, name, scope, seen), outer: ctes }
    }
    if (clause?.recursive === true && looksForward(clause)) {
      this.findings.escapeAll('Put the queries of WITH RECURSIVE in the order in which they use one another.')
    }
    return ctes
  }

  #cte(cte: CommonTableExpr, name: string, scope: Scope | undefined, ctes: Ctes): Item {
    if (cte.search_clause !== undefined || cte.cycle_clause !== undefined) {
      this.findings.escapeAll('Do not use SEARCH or CYCLE in a statement that reads protected columns.')
    }
    const rows = this.inner(cte.ctequery, scope, ctes)
    const names = stringsOf(cte.aliascolnames) ?? []
    const columns = rows.columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }))
    return { alias: name, columns, open: !rows.counted || columns.some((column) => column.name === '') }
  }

  #setOperation(select: SelectStmt, outer: Scope | undefined, ctes: Ctes): Rows {
    const arms = [select.larg, select.rarg].map((arm) =>
      arm === undefined ? NOTHING : this.select(arm, outer, ctes),
    )
    for (const arm of arms) {
      for (const { label, name } of arm.columns) {
        if (label === undefined) continue
        this.findings.escape(
          [label],
          `Do not combine ${name} by UNION, INTERSECT or EXCEPT; it is protected (${label}).`,
        )
      }
    }
    const left = arms[0] ?? NOTHING
    const columns = left.columns.map(({ name }) => ({ name }))
    // ORDER BY of a set operation sees the names of its result only.
    const scope: Scope = { items: [{ alias: '', columns, open: !left.counted }], outer: undefined }
    for (const each of select.sortClause ?? [])
      this.#key(each, { columns, counted: left.counted }, scope, ctes)
    this.expressions.value(select.limitCount, outer, ctes)
    this.expressions.value(select.limitOffset, outer, ctes)
    return { columns, counted: arms.every((arm) => arm.counted) }
  }

  #values(select: SelectStmt, outer: Scope | undefined, ctes: Ctes): Rows {
    let width = 0
    for (const row of select.valuesLists ?? []) {
      const items = 'List' in row ? (row.List.items ?? []) : []
      width = Math.max(width, items.length)
      this.expressions.values(items, outer, ctes)
    }
    for (const each of select.sortClause ?? []) {
      this.expressions.value('SortBy' in each ? each.SortBy.node : each, outer, ctes)
    }
    this.expressions.value(select.limitCount, outer, ctes)
    this.expressions.value(select.limitOffset, outer, ctes)
    return { columns: Array.from({ length: width }, (_, i) => ({ name: `column${i + 1}` })), counted: true }
  }

  /** The outputs of SELECT or RETURNING. A bare column keeps its label; anything else must not touch one. */
  #targets(
    targets: readonly Node[] | undefined,
    scope: Scope,
    from: { readonly star: readonly OutputColumn[]; readonly starCounted: boolean },
    ctes: Ctes,
  ): Rows {
    const columns: OutputColumn[] = []
    let counted = true
    let starred = false
    for (const node of targets ?? []) {
      const target = 'ResTarget' in node ? node.ResTarget : {}
      const value = target.val
      const fields = value !== undefined && 'ColumnRef' in value ? (value.ColumnRef.fields ?? []) : undefined
      const last = fields?.at(-1)
      if (last !== undefined && 'A_Star' in last) {
        const star = this.#star(fields?.slice(0, -1), scope, from)
        columns.push(...star.columns)
        counted &&= star.counted
        starred = true
        continue
      }
      const found = fields === undefined ? undefined : this.expressions.reference(value, scope)
      if (found?.kind === 'column') {
        columns.push({ ...found.column, name: target.name ?? nameOf(value) })
      } else {
        this.expressions.value(value, scope, ctes)
        columns.push({ name: target.name ?? nameOf(value) })
      }
    }
    return { columns, counted, starred }
  }

  #star(
    qualifier: readonly Node[] | undefined,
    scope: Scope,
    from: { readonly star: readonly OutputColumn[]; readonly starCounted: boolean },
  ): Rows {
    const parts = stringsOf(qualifier === undefined ? undefined : [...qualifier])
    if (parts === undefined || parts.length > 2) {
      this.findings.escapeAll('Name the columns in place of a star here.')
      return { columns: [], counted: false }
    }
    if (parts.length === 0) return { columns: from.star, counted: from.starCounted }
    const item = findItem(parts.at(-1) ?? '', parts.length === 2 ? parts[0] : undefined, scope)
    if (item === undefined) {
      this.findings.escapeAll('Name the columns in place of a star: what stands before it is not known.')
      return { columns: [], counted: false }
    }
    return { columns: item.columns, counted: !item.open }
  }

  #distinct(clause: readonly Node[] | undefined, rows: Rows, scope: Scope, ctes: Ctes): void {
    if (clause === undefined) return
    const expressions = clause.filter((node) => Object.keys(node).length > 0)
    for (const each of expressions) this.#key(each, rows, scope, ctes)
    if (expressions.length === 0) for (const { label } of rows.columns) this.#filter(label)
  }

  /**
   * An element of ORDER BY, GROUP BY or DISTINCT ON: a position or a name of the output, a column, or an expression. All
   * that it might mean counts.
   */
  #key(node: Node, rows: Rows, scope: Scope, ctes: Ctes): void {
    if ('SortBy' in node) {
      if (node.SortBy.node !== undefined) this.#key(node.SortBy.node, rows, scope, ctes)
      return
    }
    if ('GroupingSet' in node) {
      for (const each of node.GroupingSet.content ?? []) this.#key(each, rows, scope, ctes)
      return
    }
    if ('A_Const' in node) {
      // Which column a position means depends on how stars expand at the server: any labelled one may be meant then.
      const position = rows.starred === true ? undefined : node.A_Const.ival?.ival
      const meant = position === undefined ? rows.columns : rows.columns.slice(position - 1, position)
      for (const { label } of meant) this.#filter(label)
      return
    }
    if ('ColumnRef' in node) {
      const names = stringsOf(node.ColumnRef.fields)
      if (names?.length === 1) {
        const outputs = rows.columns.filter((column) => column.name === names[0])
        for (const { label } of outputs) this.#filter(label)
        if (outputs.length > 0 && resolveName(names[0] ?? '', scope).kind === 'unknown') return
      }
      const found = this.expressions.reference(node, scope)
      if (found.kind === 'column') return this.#filter(found.column.label)
    }
    this.expressions.value(node, scope, ctes)
  }

  #filter(label: LabelName | undefined): void {
    if (label !== undefined) this.findings.filter(label)
  }

  #insert(insert: InsertStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#with(insert.withClause, outer, outerCtes)
    const target = this.#from.target(insert.relation)
    this.inner(insert.selectStmt, outer, ctes)
    for (const column of insert.cols ?? []) {
      if ('ResTarget' in column) this.expressions.values(column.ResTarget.indirection, undefined, ctes)
    }
    const conflict = insert.onConflictClause
    if (conflict !== undefined) {
      const own: Scope = { items: [target], outer: undefined }
      for (const node of conflict.infer?.indexElems ?? []) {
        const element = 'IndexElem' in node ? node.IndexElem : {}
        const column = target.columns.find((each) => each.name === element.name)
        this.#filter(column?.label)
        this.expressions.value(element.expr, own, ctes)
      }
      this.expressions.predicate(conflict.infer?.whereClause, own, ctes)
      // The row that was to be inserted: values of the client, not of the table.
      const proposed = target.columns.map(({ name }) => ({ name }))
      const excluded: Item = { alias: 'excluded', columns: proposed, open: target.open }
      const both: Scope = { items: [target, excluded], outer: undefined }
      this.#assignments(conflict.targetList, both, ctes)
      this.expressions.predicate(conflict.whereClause, both, ctes)
    }
    return this.#returning(insert.returningClause, target, [], ctes)
  }

  #update(update: UpdateStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#with(update.withClause, outer, outerCtes)
    const target = this.#from.target(update.relation)
    const from = this.#from.all(update.fromClause, { items: [target], outer }, ctes)
    const scope: Scope = { items: [target, ...from.items], outer }
    this.#assignments(update.targetList, scope, ctes)
    this.expressions.predicate(update.whereClause, scope, ctes)
    return this.#returning(update.returningClause, target, from.items, ctes)
  }

  #delete(statement: DeleteStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#with(statement.withClause, outer, outerCtes)
    const target = this.#from.target(statement.relation)
    const from = this.#from.all(statement.usingClause, { items: [target], outer }, ctes)
    const scope: Scope = { items: [target, ...from.items], outer }
    this.expressions.predicate(statement.whereClause, scope, ctes)
    return this.#returning(statement.returningClause, target, from.items, ctes)
  }

  /** What is stored may not be computed from a labelled column; it may be stored into one. */
  #assignments(targets: readonly Node[] | undefined, scope: Scope, ctes: Ctes): void {
    for (const node of targets ?? []) {
      const target = 'ResTarget' in node ? node.ResTarget : {}
      this.expressions.values(target.indirection, scope, ctes)
      const value = target.val
      if (value !== undefined && 'MultiAssignRef' in value) {
        this.expressions.value(value.MultiAssignRef.source, scope, ctes)
      } else this.expressions.value(value, scope, ctes)
    }
  }

  #returning(clause: ReturningClause | undefined, target: Item, others: readonly Item[], ctes: Ctes): Rows {
    if (clause === undefined) return NOTHING
    if (clause.options !== undefined) {
      this.findings.escapeAll('Do not rename OLD or NEW in RETURNING where protected columns are in reach.')
    }
    const items = [target, ...others]
    const star = items.flatMap((item) => item.columns)
    const starCounted = items.every((item) => !item.open)
    return this.#targets(clause.exprs, { items, outer: undefined }, { star, starCounted }, ctes)
  }
}

/** Does a query of WITH RECURSIVE name one that stands after it? The server would sort them; here that is too much. */
function looksForward(clause: WithClause): boolean {
  const names = (clause.ctes ?? []).map((node) =>
    'CommonTableExpr' in node ? (node.CommonTableExpr.ctename ?? '') : '',
  )
  return (clause.ctes ?? []).some((node, i) => mentions(node, new Set(names.slice(i + 1))))
}

function mentions(node: Node, names: ReadonlySet<string>): boolean {
  const stack: unknown[] = [node]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (typeof each !== 'object' || each === null) continue
    if ('relname' in each && typeof each.relname === 'string' && names.has(each.relname)) return true
    for (const value of Object.values(each)) stack.push(value)
  }
  return false
}

/**
 * The name of an output without AS, as the server gives it to a column or a function; empty where it would take more to
 * tell (the item it becomes part of is open then).
 */
function nameOf(value: Node | undefined): string {
  if (value === undefined) return ''
  if ('ColumnRef' in value) return stringsOf(value.ColumnRef.fields)?.at(-1) ?? ''
  if ('FuncCall' in value) return stringsOf(value.FuncCall.funcname)?.at(-1) ?? ''
  return ''
}
