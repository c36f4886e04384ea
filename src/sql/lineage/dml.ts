import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  Node,
  RangeVar,
  ReturningClause,
  UpdateStmt,
} from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import { columnsIn } from '../sealing/given.ts'
import type { Lineage, OutputColumn } from './lineage.ts'
import { CLEAR, computedFrom, hasLabels, samePaths, unionOf } from './lineage.ts'
import type { Item, Scope } from './scope.ts'
import { labelsOfItem } from './scope.ts'
import { countOf, isClientValue, isOneValue, rowsIn } from './touch.ts'
import { isNull, stringsOf } from '../parse/tree.ts'
import type { Ctes, Rows, Star, Walk } from './walk.ts'
import { cleared } from './walk.ts'

/** The rows of VALUES, or the one of a SELECT without FROM, if the query is nothing else; none for DEFAULT VALUES. */
function valuesOf(query: Node | undefined): readonly (readonly (Node | undefined)[])[] | undefined {
  if (query === undefined) return []
  if (!('SelectStmt' in query)) return undefined
  const { valuesLists: lists, withClause, fromClause, op, targetList = [] } = query.SelectStmt
  if (withClause !== undefined || fromClause !== undefined) return undefined
  if (lists !== undefined) return lists.map((each) => ('List' in each ? (each.List.items ?? []) : []))
  if (op !== undefined && op !== 'SETOP_NONE') return undefined
  return [targetList.map((each) => ('ResTarget' in each ? each.ResTarget.val : undefined))]
}

const NOTHING: Rows = { columns: [], counted: true, rest: [] }

/**
 * INSERT, UPDATE, DELETE and MERGE: what flows into which column, and what comes back. A labelled value may only go
 * where its label is.
 */
export class ChangeWalk {
  readonly #query: Walk

  constructor(query: Walk) {
    this.#query = query
  }

  /** The rows of RETURNING; `undefined` when this changes nothing. */
  rows(node: Node, scope: Scope | undefined, ctes: Ctes): Rows | undefined {
    if ('InsertStmt' in node) return this.#insert(node.InsertStmt, scope, ctes)
    if ('UpdateStmt' in node) return this.#update(node.UpdateStmt, scope, ctes)
    if ('DeleteStmt' in node) return this.#delete(node.DeleteStmt, scope, ctes)
    if ('MergeStmt' in node) return this.#merge(node.MergeStmt, scope, ctes)
    return undefined
  }

  #insert(insert: InsertStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const { expressions } = this.#query
    const ctes = this.#query.with(insert.withClause, outer, outerCtes)
    const target = this.#target(insert.relation, insert.onConflictClause === undefined ? 'insert' : 'change')
    const rows = this.#query.rows(insert.selectStmt, outer, ctes)
    for (const column of insert.cols ?? []) {
      if ('ResTarget' in column) expressions.usedAll(column.ResTarget.indirection, undefined, ctes)
    }
    const names = namesOf(insert.cols) ?? target.columns.map((column) => column.name)
    const proposed = this.#proposed(names, rows, target)
    if (this.#query.holds('insert')) {
      for (const [name, value] of proposed) this.#flow(value, target, name)
      // Which column the others go to is not known.
      const rest = { labels: rows.counted ? [] : rows.rest }
      for (const value of [rest, ...rows.columns.slice(names.length)])
        if (value.labels.length > 0) this.#lost(computedFrom(value.labels))
    }
    this.#placed(insert, names, target)
    this.#selected(insert, names, target)
    this.#lookedFor(insert, names, target)
    this.#conflict(insert, target, proposed, ctes)
    return this.#returning(insert.returningClause, target, NONE, [], ctes)
  }

  /** A column without labels that goes into one with labels has its values: what is compared with the one meets the other. */
  #linked(value: Node | undefined, target: Item, name: string): void {
    const into = unionOf(target.columns.filter((column) => column.name === name))
    if (into.length > 0 && columnsIn(value) > 0) this.#query.findings.link(into)
  }

  /** Values that are given go into their own columns only. */
  #placed(insert: InsertStmt, names: readonly string[], target: Item): void {
    for (const row of valuesOf(insert.selectStmt) ?? [])
      for (const [i, value] of row.entries()) {
        const columns = target.columns.filter(({ name }) => name === names[i])
        if (columns.length > 0 && isClientValue(value, this.#query.names))
          this.#query.findings.place(value, unionOf(columns))
      }
  }

  /** What comes out of a query may be columns of others. */
  #selected({ selectStmt }: InsertStmt, names: readonly string[], target: Item): void {
    if (selectStmt === undefined || !('SelectStmt' in selectStmt)) return
    if (valuesOf(selectStmt) !== undefined) return
    const { targetList, op } = selectStmt.SelectStmt
    const simple = op === undefined || op === 'SETOP_NONE'
    const values = simple
      ? (targetList ?? []).map((each) => ('ResTarget' in each ? each.ResTarget.val : each))
      : []
    // Which column a star goes to is not counted here.
    const isCounted = values.length > 0 && !values.some(isStar)
    for (const [i, name] of names.entries()) this.#linked(isCounted ? values[i] : selectStmt, target, name)
  }

  /** By the name of the column it goes to. */
  #proposed(names: readonly string[], rows: Rows, target: Item): ReadonlyMap<string, Lineage> {
    if (!rows.counted) {
      const all = computedFrom(unionOf([...rows.columns, { labels: rows.rest }]))
      return new Map(
        (names.length > 0 ? names : target.columns.map(({ name }) => name)).map((name) => [name, all]),
      )
    }
    const pairs = rows.columns.flatMap(({ labels, computed, paths }, i): [string, Lineage][] => {
      const name = names[i]
      const lineage = { labels, computed, ...(paths === undefined ? {} : { paths }) }
      return name === undefined ? [] : [[name, lineage]]
    })
    return new Map(pairs)
  }

  #conflict(insert: InsertStmt, target: Item, proposed: ReadonlyMap<string, Lineage>, ctes: Ctes): void {
    const conflict = insert.onConflictClause
    if (conflict === undefined || !this.#query.holds('on conflict')) return
    const { expressions } = this.#query
    const own: Scope = { items: [target], outer: undefined }
    for (const node of conflict.infer?.indexElems ?? [])
      if ('IndexElem' in node) expressions.used(node.IndexElem.expr, own, ctes)
    expressions.predicate(conflict.infer?.whereClause, own, ctes)
    // The row that was to be inserted.
    const columns = target.columns.map(({ name }) => ({
      ...(this.#query.holds('excluded') ? (proposed.get(name) ?? CLEAR) : CLEAR),
      name,
    }))
    const excluded: Item = { ...target, alias: 'excluded', columns }
    const both: Scope = { items: [target, excluded], outer: undefined }
    this.#assignments(conflict.targetList, target, both, ctes, excluded)
    expressions.predicate(conflict.whereClause, both, ctes)
  }

  /**
   * Whether a value is there already: no more than a comparison with it tells, where the client gives it, and once for
   * each row. A unique index says so of what is written, ON CONFLICT of the columns it names, or else of any.
   */
  #lookedFor(insert: InsertStmt, names: readonly string[], target: Item): void {
    const conflict = this.#query.holds('on conflict') ? insert.onConflictClause : undefined
    const named = conflict?.infer?.indexElems?.flatMap((node) =>
      'IndexElem' in node ? (node.IndexElem.name ?? []) : [],
    )
    const meant = conflict === undefined ? [] : (named ?? names)
    const rows = valuesOf(insert.selectStmt)
    const counted = new Map<LabelName, number>()
    for (const column of target.columns) {
      const at = names.indexOf(column.name)
      const isMeant = meant.includes(column.name)
      if (!isMeant && (at < 0 || column.unique !== true)) continue
      // Not set at all: it has its default, which the client has not chosen.
      if (at < 0) this.#query.findings.touch(column.labels)
      else {
        const asked = this.#guessed(
          column,
          rows?.map((row) => row[at]),
        )
        for (const label of column.labels) counted.set(label, (counted.get(label) ?? 0) + asked)
      }
    }
    this.#askedBeside(insert, names, target, counted)
  }

  /**
   * Columns of any kind that a unique index looks at together with labelled ones: each row asks once, unless it is
   * `counted` for what it has of the labelled ones.
   */
  #askedBeside(
    { selectStmt, onConflictClause: conflict }: InsertStmt,
    names: readonly string[],
    target: Item,
    counted: ReadonlyMap<LabelName, number>,
  ): void {
    const { findings } = this.#query
    if (!this.#query.holds('unique')) return
    const rows = valuesOf(selectStmt)
    const updated = (conflict?.targetList ?? []).map((node) =>
      'ResTarget' in node ? node.ResTarget.name : undefined,
    )
    const most = new Map<LabelName, number>()
    for (const { name, asks = [] } of target.columns) {
      if (!names.includes(name)) continue
      for (const { labels, spared } of asks) {
        // What is there already has values of its own.
        const without = updated.includes(name) ? [] : spared
        if (without.some((each) => !names.includes(each))) continue
        if (rows === undefined) findings.filter(labels)
        const asking =
          rows?.filter((row) => !without.some((each) => isLeftOut(row[names.indexOf(each)]))) ?? []
        const asked = asking.reduce((sum, row) => sum + rowsIn(row), 0)
        for (const label of labels) most.set(label, Math.max(most.get(label) ?? 0, asked))
      }
    }
    for (const [label, asked] of most) {
      const more = asked - (counted.get(label) ?? 0)
      if (more > 0) findings.touch([label], more)
    }
  }

  /**
   * Values are written to a column that shall have each of them once. Undefined: nobody knows how many. Hands back how
   * many have been counted.
   */
  #guessed(column: OutputColumn, values: readonly (Node | undefined)[] | undefined): number {
    const { findings, names } = this.#query
    const { labels, overlaps, loose } = column
    if (labels.length === 0 || !this.#query.holds('unique')) return 0
    const given = values?.flatMap((each) => each ?? [])
    const isExact = overlaps !== true && loose !== true
    if (!isExact || given?.every((each) => 'SetToDefault' in each || isClientValue(each, names)) !== true) {
      findings.filter(labels)
      return 0
    }
    const asked = given.reduce((sum, each) => sum + countOf(each), 0)
    if (asked > 0) findings.touch(labels, asked)
    return asked
  }

  #update(update: UpdateStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#query.with(update.withClause, outer, outerCtes)
    const target = this.#target(update.relation, 'change')
    const from = this.#query.from.all(update.fromClause, { items: [target], outer, hidden: true }, ctes)
    const scope: Scope = { items: [target, ...from.items], outer }
    this.#assignments(update.targetList, target, scope, ctes)
    this.#condition(update.whereClause, scope, ctes)
    return this.#returning(update.returningClause, target, from, from.items, ctes)
  }

  #delete(statement: DeleteStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const ctes = this.#query.with(statement.withClause, outer, outerCtes)
    const target = this.#target(statement.relation, 'change')
    const from = this.#query.from.all(statement.usingClause, { items: [target], outer, hidden: true }, ctes)
    const scope: Scope = { items: [target, ...from.items], outer }
    if (this.#query.holds('delete')) this.#condition(statement.whereClause, scope, ctes)
    return this.#returning(statement.returningClause, target, from, from.items, ctes)
  }

  #merge(merge: MergeStmt, outer: Scope | undefined, outerCtes: Ctes): Rows {
    const query = this.#query
    const ctes = query.with(merge.withClause, outer, outerCtes)
    const target = this.#target(merge.relation, 'change')
    const { sourceRelation: source } = merge
    const from = query.from.all(source === undefined ? [] : [source], { items: [], outer }, ctes)
    const scope: Scope = { items: [target, ...from.items], outer }
    this.#condition(merge.joinCondition, scope, ctes)
    for (const node of merge.mergeWhenClauses ?? []) {
      if (!('MergeWhenClause' in node) || !query.holds('merge')) continue
      const { commandType, condition, targetList, values } = node.MergeWhenClause
      this.#condition(condition, scope, ctes)
      if (commandType !== 'CMD_INSERT') {
        this.#assignments(targetList, target, scope, ctes)
        continue
      }
      const names = namesOf(targetList) ?? target.columns.map((column) => column.name)
      for (const [i, value] of (values ?? []).entries()) {
        const { mark } = query.findings
        this.#flow(query.expressions.value(value, scope, ctes), target, names[i] ?? '')
        this.#put(value, target, names[i] ?? '', names)
        this.#linked(value, target, names[i] ?? '')
        if (target.columns.some(({ name }) => name === names[i]))
          query.findings.place(value, query.findings.since(mark))
      }
    }
    // Those of the source come first in a star.
    return this.#returning(merge.returningClause, target, from, from.items, ctes, 'source first')
  }

  #target(relation: RangeVar | undefined, change: 'insert' | 'change'): Item {
    const item = this.#query.from.target(relation, change)
    const alias = relation?.alias?.aliasname
    return alias === undefined ? item : { ...item, alias }
  }

  #condition(condition: Node | undefined, scope: Scope, ctes: Ctes): void {
    if (this.#query.holds('condition')) this.#query.expressions.predicate(condition, scope, ctes)
  }

  /** One value goes into the column of this name. `names`: those of a new row. */
  #put(value: Node | undefined, target: Item, name: string, names?: readonly string[]): void {
    const { findings } = this.#query
    for (const column of target.columns) {
      if (column.name !== name || column.unique !== true) continue
      this.#guessed(column, [value])
      for (const { labels, spared } of this.#query.holds('unique') ? (column.asks ?? []) : []) {
        const isSpared = names !== undefined && spared.some((each) => !names.includes(each))
        if (isSpared || (isNull(value) && spared.includes(name))) continue
        // However many rows there are, one error tells of all of them.
        if (isOneValue(value, this.#query.names)) findings.touch(labels)
        else findings.filter(labels)
      }
    }
  }

  /** `excluded`: the row of an INSERT, whose values have been counted. */
  #assignments(
    targets: readonly Node[] | undefined,
    target: Item,
    scope: Scope,
    ctes: Ctes,
    excluded?: Item,
  ): void {
    const { expressions } = this.#query
    for (const node of targets ?? []) {
      const assigned = 'ResTarget' in node ? node.ResTarget : {}
      expressions.usedAll(assigned.indirection, scope, ctes)
      const { findings } = this.#query
      const { mark } = findings
      const value = this.#assigned(assigned.val, scope, ctes)
      if (this.#query.holds('update')) this.#flow(value, target, assigned.name ?? '')
      const isProposed = excluded !== undefined && isOf(excluded, assigned.val, assigned.name)
      if (!hasLabels(value) && !isProposed) this.#linked(partOf(assigned.val), target, assigned.name ?? '')
      if (target.columns.some(({ name }) => name === assigned.name))
        findings.place(partOf(assigned.val), findings.since(mark))
      if (!isProposed) this.#put(partOf(assigned.val), target, assigned.name ?? '')
    }
  }

  /** `SET (a, b) = (x, y)` and `SET (a, b) = (SELECT x, y ...)` give one column each. */
  #assigned(value: Node | undefined, scope: Scope, ctes: Ctes): Lineage {
    const { expressions } = this.#query
    if (value === undefined || !('MultiAssignRef' in value)) return expressions.value(value, scope, ctes)
    if (!this.#query.holds('several columns at once')) return CLEAR
    const { source, colno = 1 } = value.MultiAssignRef
    if (source !== undefined && 'RowExpr' in source)
      return expressions.value(source.RowExpr.args?.[colno - 1], scope, ctes)
    if (source !== undefined && 'SubLink' in source) {
      const rows = this.#query.rows(source.SubLink.subselect, scope, ctes)
      const column = rows.counted ? rows.columns[colno - 1] : undefined
      return column ?? computedFrom(unionOf([...rows.columns, { labels: rows.rest }]))
    }
    return computedFrom(expressions.used(source, scope, ctes))
  }

  /** A value goes into the column of this name. */
  #flow(value: Lineage, target: Item, name: string): void {
    const columns = target.columns.filter((column) => column.name === name)
    const { findings } = this.#query
    const into = unionOf(columns)
    // Where only a part is protected, a value has to be laid out like what is there already.
    const fits = (each: Lineage) =>
      each.paths === undefined || (!value.computed && samePaths(value.paths, each.paths))
    if (!hasLabels(value) || columns.every(fits)) {
      findings.flow(value, into, lostReason(value, name))
      return
    }
    findings.store(into)
    findings.flow(value, [], lostReason(value, name))
  }

  #lost(value: Lineage): void {
    this.#query.findings.flow(value, [], lostReason(value, 'another column'))
  }

  #returning(
    clause: ReturningClause | undefined,
    target: Item,
    from: Star,
    others: readonly Item[],
    ctes: Ctes,
    order?: 'source first',
  ): Rows {
    if (clause === undefined) return NOTHING
    const items = [target, ...others, ...this.#images(clause, target)]
    const own = target.columns
    const star: Star = {
      star: order === undefined ? [...own, ...from.star] : [...from.star, ...own],
      starCounted: !target.open && from.starCounted,
      starRest: unionOf([{ labels: target.rest }, { labels: from.starRest }]),
    }
    const rows = this.#query.targets(clause.exprs, { items, outer: undefined }, star, ctes)
    return this.#query.holds('returning') ? rows : cleared(rows)
  }

  /** The row before and after: OLD and NEW, or what the clause calls them. */
  #images(clause: ReturningClause, target: Item): Item[] {
    const names = { old: 'old', new: 'new' }
    for (const node of clause.options ?? []) {
      const { option, value = '' } = 'ReturningOption' in node ? node.ReturningOption : {}
      if (option === 'RETURNING_OPTION_OLD') names.old = value
      else if (option === 'RETURNING_OPTION_NEW') names.new = value
      else this.#query.findings.escapeAll('Use only OLD and NEW as options of RETURNING.')
    }
    const columns = this.#query.holds('old and new')
      ? target.columns
      : target.columns.map(({ name }) => ({ ...CLEAR, name }))
    return Object.values(names).map(
      (alias): Item => ({
        ...target,
        columns,
        rest: labelsOfItem(target),
        alias,
        qualifiedOnly: true,
      }),
    )
  }
}

/** What one column gets of `SET (a, b) = (x, y)`. */
function isStar(value: Node | undefined): boolean {
  const fields = value !== undefined && 'ColumnRef' in value ? value.ColumnRef.fields : undefined
  const last = fields?.at(-1)
  return last !== undefined && 'A_Star' in last
}

function partOf(value: Node | undefined): Node | undefined {
  if (value === undefined || !('MultiAssignRef' in value)) return value
  const { source, colno = 1 } = value.MultiAssignRef
  return source !== undefined && 'RowExpr' in source ? source.RowExpr.args?.[colno - 1] : value
}

/** NULL, as the row has it that does not name the column. */
function isLeftOut(value: Node | undefined): boolean {
  // In the condensed tree of a long statement a NULL stands for other rows, too.
  return value === undefined || 'SetToDefault' in value || (isNull(value) && countOf(value) === 1)
}

/** `excluded.name`. */
function isOf({ alias }: Item, value: Node | undefined, name: string | undefined): boolean {
  const parts = value !== undefined && 'ColumnRef' in value ? stringsOf(value.ColumnRef.fields) : undefined
  return parts?.length === 2 && parts[0] === alias && parts[1] === name
}

const NONE: Star = { star: [], starCounted: true, starRest: [] }

function lostReason(value: Lineage, name: string): string {
  const labels = value.labels.join(', ')
  return `Do not write into ${name} what comes from protected columns (${labels}): it is not protected there.`
}

function namesOf(columns: readonly Node[] | undefined): string[] | undefined {
  return columns?.map((node) => ('ResTarget' in node ? (node.ResTarget.name ?? '') : ''))
}
