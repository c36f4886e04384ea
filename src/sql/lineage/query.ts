import type { A_Indirection, ColumnRef, CommonTableExpr, Node, SelectStmt, WithClause } from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Relation } from '../catalogue/catalogue.ts'
import { outputName } from './column-names.ts'
import { ChangeWalk } from './dml.ts'
import { ExpressionWalk } from './expression.ts'
import type { Findings } from './findings.ts'
import { FromWalk } from './from.ts'
import type { OutputColumn } from './lineage.ts'
import { CLEAR, computedFrom, eitherOf, sameLineage, unionOf } from './lineage.ts'
import type { LineageRule, RulesOff } from './lineage-rules.ts'
import type { Names } from '../session/names.ts'
import type { Item, Scope } from './scope.ts'
import { derivedItem, findItem, labelsOfItem, openItem, resolveName } from './scope.ts'
import { stringsOf } from '../parse/tree.ts'
import type { Ctes, Rows, Star, ViewLineage, ViewReader, Walk } from './walk.ts'
import { ruleHolds } from './lineage-rules.ts'
import { isSingle } from './single.ts'
import { cleared } from './walk.ts'

const NOTHING: Rows = { columns: [], counted: true, rest: [] }

/** A recursive query settles after as many rounds as labels can travel from column to column. */
const ROUNDS_MAX = 12

/**
 * Follows values through a query that reads labelled tables, from the columns of its relations to the columns it hands
 * out. Every kind of node it does not know is an escape: what passes is what is understood.
 */
export class QueryWalk implements Walk {
  readonly names: Names
  readonly findings: Findings
  readonly expressions: ExpressionWalk
  readonly from: FromWalk
  readonly #changes: ChangeWalk
  readonly #views: ViewReader | undefined
  readonly #off: RulesOff | undefined
  #walked = 0

  constructor(names: Names, findings: Findings, views: ViewReader | undefined, off?: RulesOff) {
    this.names = names
    this.findings = findings
    this.#views = views
    this.#off = off
    this.expressions = new ExpressionWalk(this)
    this.from = new FromWalk(this)
    this.#changes = new ChangeWalk(this)
  }

  holds(rule: LineageRule): boolean {
    return ruleHolds(rule, this.#off)
  }

  viewOf(relation: Relation): ViewLineage | undefined {
    return this.#views?.of(relation, this.names.catalogue, this.#off)
  }

  /** Any statement that can stand where rows are wanted: SELECT, VALUES, or a change with RETURNING. */
  rows(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows {
    if (node === undefined) return NOTHING
    if ('SelectStmt' in node) return this.#select(node.SelectStmt, scope, ctes)
    const changed = this.#changes.rows(node, scope, ctes)
    if (changed !== undefined) return changed
    this.findings.escapeAll(
      'Use SELECT, INSERT, UPDATE, DELETE or MERGE on tables that hold protected columns.',
    )
    return NOTHING
  }

  #select(select: SelectStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    // Recursive queries inside recursive queries are walked again and again: too many make the statement opaque.
    if (++this.#walked > LIMITS.queriesWalkedMax) throw new RangeError('too many rounds')
    const ctes = this.with(select.withClause, outer, outerCtes)
    if (select.op !== undefined && select.op !== 'SETOP_NONE') return this.#setOperation(select, outer, ctes)
    if (select.valuesLists !== undefined) return this.#values(select, outer, ctes)

    const from = this.from.all(select.fromClause, outer, ctes)
    const single = isSingle(from.items, select, this.names)
    const inside: Scope = { items: from.items, outer, ...(single ? { single } : {}) }
    const windows = this.expressions.usedAll(select.windowClause, inside, ctes)
    const scope: Scope = windows.length === 0 ? inside : { ...inside, windows }
    if (this.holds('condition')) {
      this.expressions.predicate(select.whereClause, scope, ctes)
      this.expressions.predicate(select.havingClause, scope, ctes)
    }
    const rows = this.targets(select.targetList, scope, from, ctes)
    this.#distinct(select.distinctClause, rows, scope, ctes)
    if (this.holds('group')) for (const each of select.groupClause ?? []) this.#key(each, rows, scope, ctes)
    this.#order(select, rows, scope, ctes)
    this.#limit(select, scope, ctes)
    return single ? { ...rows, single } : rows
  }

  #order(select: SelectStmt, rows: Rows, scope: Scope | undefined, ctes: Ctes): void {
    if (this.holds('order')) for (const each of select.sortClause ?? []) this.#key(each, rows, scope, ctes)
  }

  #limit(select: SelectStmt, scope: Scope | undefined, ctes: Ctes): void {
    if (!this.holds('limit')) return
    for (const each of [select.limitCount, select.limitOffset]) {
      const { mark } = this.findings
      this.expressions.used(each, scope, ctes)
      this.findings.place(each, this.findings.since(mark))
    }
  }

  with(clause: WithClause | undefined, scope: Scope | undefined, outer: Ctes): Ctes {
    let ctes = outer
    for (const node of clause?.ctes ?? []) {
      if (!('CommonTableExpr' in node)) continue
      const cte = node.CommonTableExpr
      const found =
        clause?.recursive === true ? this.#recursive(cte, scope, ctes) : this.rows(cte.ctequery, scope, ctes)
      const rows = this.holds('query of with') ? found : cleared(found)
      ctes = { name: cte.ctename ?? '', item: itemOf(cte, this.#extended(cte, rows)), outer: ctes }
    }
    if (clause?.recursive === true && looksForward(clause)) {
      this.findings.escapeAll('Put the queries of WITH RECURSIVE in the order in which they use one another.')
    }
    return ctes
  }

  /** A recursive query sees itself: first as its first arm is, then as it comes out, until nothing more is added. */
  #recursive(cte: CommonTableExpr, scope: Scope | undefined, ctes: Ctes): Rows {
    const name = cte.ctename ?? ''
    const query = cte.ctequery !== undefined && 'SelectStmt' in cte.ctequery ? cte.ctequery.SelectStmt : {}
    const blind: Ctes = { name, item: openItem(name, this.names.catalogue.labels), outer: ctes }
    if (query.larg === undefined || !mentions(cte.ctequery, new Set([name])))
      return this.rows(cte.ctequery, scope, blind)
    const inner = this.with(query.withClause, scope, blind)
    let before: Rows = this.#select(query.larg, scope, inner)
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const after = this.rows(cte.ctequery, scope, { name, item: itemOf(cte, before), outer: ctes })
      if (!this.holds('recursion') || isSame(before, after)) return after
      before = after
    }
    this.findings.escapeAll('Use a simpler recursive query: what comes out of this one is not followed.')
    return before
  }

  /** SEARCH and CYCLE add columns made of those they name. */
  #extended(cte: CommonTableExpr, rows: Rows): Rows {
    const { search_clause: search, cycle_clause: cycle } = cte
    if (search === undefined && cycle === undefined) return rows
    const item = itemOf(cte, rows)
    const madeOf = (list: readonly Node[] | undefined): readonly LabelName[] => {
      const names = stringsOf(list) ?? []
      const labels = unionOf([
        ...item.columns.filter((column) => names.includes(column.name)),
        { labels: item.rest },
      ])
      if (!this.holds('search and cycle')) return []
      this.findings.filter(labels)
      return labels
    }
    const columns: OutputColumn[] = item.columns.map((column) => column)
    const add = (name: string | undefined, labels: readonly LabelName[]): void => {
      if (name !== undefined) columns.push({ ...computedFrom(labels), name })
    }
    if (search !== undefined) add(search.search_seq_column, madeOf(search.search_col_list))
    if (cycle !== undefined) {
      const labels = madeOf(cycle.cycle_col_list)
      add(cycle.cycle_mark_column, labels)
      add(cycle.cycle_path_column, labels)
    }
    return { ...rows, columns }
  }

  #setOperation(select: SelectStmt, outer: Scope | undefined, ctes: Ctes): Rows {
    const left = select.larg === undefined ? NOTHING : this.#select(select.larg, outer, ctes)
    const right = select.rarg === undefined ? NOTHING : this.#select(select.rarg, outer, ctes)
    const rows = this.#merged(left, right)
    if (!(select.op === 'SETOP_UNION' && select.all === true) && this.holds('set operation'))
      this.findings.filter(unionOf([...rows.columns, { labels: rows.rest }]))
    // ORDER BY of a set operation sees the names of its result only.
    const item = derivedItem(rows, '', [])
    this.#order(select, rows, { items: [item], outer: undefined }, ctes)
    this.#limit(select, outer, ctes)
    return rows
  }

  #merged(left: Rows, right: Rows): Rows {
    const others = right.columns
    if (left.counted && right.counted && left.columns.length === others.length) {
      const columns = left.columns.map((column, i) => {
        const lineage = this.holds('union all') ? eitherOf([column, others[i] ?? CLEAR]) : eitherOf([column])
        return { ...lineage, name: column.name }
      })
      return { columns, counted: true, rest: [], starred: left.starred === true }
    }
    const all = unionOf([...left.columns, ...others, { labels: left.rest }, { labels: right.rest }])
    return { columns: [], counted: false, rest: all }
  }

  #values(select: SelectStmt, outer: Scope | undefined, ctes: Ctes): Rows {
    const rows = (select.valuesLists ?? []).map((row) =>
      ('List' in row ? (row.List.items ?? []) : []).map((each) => this.expressions.value(each, outer, ctes)),
    )
    const width = Math.max(0, ...rows.map((row) => row.length))
    const columns = Array.from({ length: width }, (_, i): OutputColumn => {
      const lineage = this.holds('values') ? eitherOf(rows.map((row) => row[i] ?? CLEAR)) : CLEAR
      return { ...lineage, name: `column${i + 1}` }
    })
    const found: Rows = { columns, counted: true, rest: [] }
    this.#order(select, found, outer, ctes)
    this.#limit(select, outer, ctes)
    return found
  }

  targets(targets: readonly Node[] | undefined, scope: Scope, from: Star, ctes: Ctes): Rows {
    const columns: OutputColumn[] = []
    const rest: { readonly labels: readonly LabelName[] }[] = []
    let counted = true
    let starred = false
    for (const node of targets ?? []) {
      const target = 'ResTarget' in node ? node.ResTarget : {}
      const star = this.#star(target.val, scope, from, ctes)
      if (star === undefined) {
        const value = this.expressions.value(target.val, scope, ctes)
        columns.push({ ...value, name: target.name ?? outputName(target.val) })
        continue
      }
      columns.push(...star.columns)
      rest.push({ labels: star.rest })
      counted &&= star.counted
      starred = true
    }
    return { columns, counted, rest: unionOf(rest), starred }
  }

  /** What `*`, `c.*` or `(c).*` stand for; `undefined` for anything else. */
  #star(value: Node | undefined, scope: Scope, from: Star, ctes: Ctes): Rows | undefined {
    if (value === undefined) return undefined
    if ('A_Indirection' in value) return this.#starOfValue(value.A_Indirection, scope, ctes)
    if (!('ColumnRef' in value) || !endsInStar(value.ColumnRef.fields)) return undefined
    const parts = stringsOf(value.ColumnRef.fields?.slice(0, -1))
    if (parts === undefined || parts.length > 2) {
      this.findings.escapeAll('Name the columns in place of a star here.')
      return { columns: [], counted: false, rest: [] }
    }
    if (parts.length === 0) return { columns: from.star, counted: from.starCounted, rest: from.starRest }
    const item = findItem(parts.at(-1) ?? '', parts.length === 2 ? parts[0] : undefined, scope)
    if (item !== undefined) return starOf(item)
    this.findings.escapeAll('Name the columns in place of a star: what stands before it is not known.')
    return { columns: [], counted: false, rest: [] }
  }

  #starOfValue({ arg, indirection }: A_Indirection, scope: Scope, ctes: Ctes): Rows | undefined {
    const last = indirection?.at(-1)
    if (last === undefined || !('A_Star' in last)) return undefined
    const name = arg !== undefined && 'ColumnRef' in arg ? nameOfRow(arg.ColumnRef) : undefined
    const row = name === undefined ? undefined : resolveName(name, scope)
    if (row?.kind === 'row' && row.item !== undefined && indirection?.length === 1) return starOf(row.item)
    const labels = this.expressions.used(arg, scope, ctes)
    return { columns: [], counted: false, rest: labels }
  }

  #distinct(clause: readonly Node[] | undefined, rows: Rows, scope: Scope, ctes: Ctes): void {
    if (clause === undefined || !this.holds('distinct')) return
    const expressions = clause.filter((node) => Object.keys(node).length > 0)
    for (const each of expressions) this.#key(each, rows, scope, ctes)
    if (expressions.length === 0) this.findings.filter(unionOf([...rows.columns, { labels: rows.rest }]))
  }

  /**
   * An element of ORDER BY, GROUP BY or DISTINCT ON: a position or a name of the output, a column, or an expression. All
   * that it might mean counts.
   */
  #key(node: Node, rows: Rows, scope: Scope | undefined, ctes: Ctes): void {
    if ('SortBy' in node) {
      if (node.SortBy.node !== undefined) this.#key(node.SortBy.node, rows, scope, ctes)
      return
    }
    if ('GroupingSet' in node) {
      for (const each of node.GroupingSet.content ?? []) this.#key(each, rows, scope, ctes)
      return
    }
    if ('A_Const' in node) {
      this.findings.place(node, [])
      // Which column a position means depends on how stars expand at the server: any labelled one may be meant then.
      const position = rows.starred === true || !rows.counted ? undefined : node.A_Const.ival?.ival
      const meant = position === undefined ? rows.columns : rows.columns.slice(position - 1, position)
      this.findings.filter(unionOf([...meant, { labels: rows.rest }]))
      return
    }
    if ('ColumnRef' in node) {
      const names = stringsOf(node.ColumnRef.fields)
      if (names?.length === 1) {
        const outputs = rows.columns.filter((column) => column.name === names[0])
        this.findings.filter(unionOf([...outputs, { labels: rows.rest }]))
        if (outputs.length > 0 && resolveName(names[0] ?? '', scope).kind === 'unknown') return
      }
    }
    this.expressions.used(node, scope, ctes)
  }
}

function endsInStar(fields: readonly Node[] | undefined): boolean {
  const last = fields?.at(-1)
  return last !== undefined && 'A_Star' in last
}

/** `c` in `(c).*`, and `c` in `(c.*).*`. */
function nameOfRow({ fields }: ColumnRef): string | undefined {
  const names = stringsOf(endsInStar(fields) ? fields?.slice(0, -1) : fields)
  return names?.length === 1 ? names[0] : undefined
}

function starOf(item: Item): Rows {
  return { columns: item.columns, counted: !item.open, rest: item.open ? labelsOfItem(item) : [] }
}

function itemOf(cte: CommonTableExpr, rows: Rows): Item {
  return derivedItem(rows, cte.ctename ?? '', stringsOf(cte.aliascolnames) ?? [])
}

function isSame(before: Rows, after: Rows): boolean {
  return (
    before.counted === after.counted &&
    before.columns.length === after.columns.length &&
    before.rest.length === after.rest.length &&
    before.columns.every((column, i) => sameLineage(column, after.columns[i] ?? CLEAR))
  )
}

/** Does a query of WITH RECURSIVE name one that stands after it? The server would sort them; here that is too much. */
function looksForward(clause: WithClause): boolean {
  const names = (clause.ctes ?? []).map((node) =>
    'CommonTableExpr' in node ? (node.CommonTableExpr.ctename ?? '') : '',
  )
  return (clause.ctes ?? []).some((node, i) => mentions(node, new Set(names.slice(i + 1))))
}

function mentions(node: Node | undefined, names: ReadonlySet<string>): boolean {
  const stack: unknown[] = [node]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (typeof each !== 'object' || each === null) continue
    // With its schema in front it is no query of WITH.
    if (
      'relname' in each &&
      typeof each.relname === 'string' &&
      names.has(each.relname) &&
      !('schemaname' in each)
    )
      return true
    for (const value of Object.values(each)) stack.push(value)
  }
  return false
}
