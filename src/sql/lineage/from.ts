import type {
  Alias,
  JoinExpr,
  JsonTable,
  Node,
  RangeFunction,
  RangeTableFunc,
  RangeTableSample,
  RangeVar,
} from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import type { Column, Relation } from '../catalogue/catalogue.ts'
import { labelsOf, labelsOfColumn } from '../catalogue/catalogue.ts'
import type { OutputColumn } from './lineage.ts'
import { CLEAR, computedFrom, eitherOf, unionOf } from './lineage.ts'
import type { QualifiedName } from '../parse/tree.ts'
import type { Item, Scope } from './scope.ts'
import { derivedItem, labelsOfItem, openItem, renamed } from './scope.ts'
import { stringsOf } from '../parse/tree.ts'
import type { Ctes, FromItems, Sources, Walk } from './walk.ts'
import { cleared } from './walk.ts'

const NONE: FromItems = { items: [], star: [], starCounted: true, starRest: [] }

/** The FROM of queries: relations, queries of WITH, subqueries, functions, tables made of XML and JSON, and joins. */
export class FromWalk implements Sources {
  readonly #query: Walk

  constructor(query: Walk) {
    this.#query = query
  }

  all(nodes: readonly Node[] | undefined, outer: Scope | undefined, ctes: Ctes): FromItems {
    let found = NONE
    for (const node of nodes ?? []) {
      // A LATERAL subquery or a function sees what stands before it. That others do not makes no difference here: to
      // what such a name could mean, more is added and nothing taken away.
      const before: Scope = { items: found.items, outer }
      found = together(found, this.#item(node, before, ctes))
    }
    return found
  }

  target(relation: RangeVar | undefined, change: 'insert' | 'change'): Item {
    if (relation === undefined) return openItem('')
    const meaning = this.#query.names.relation(nameOf(relation))
    if (meaning.kind === 'relation') this.#writable(meaning.relation)
    return this.#relation(relation, change === 'insert' ? 'write' : 'read')
  }

  #writable(relation: Relation): void {
    const { findings, names } = this.#query
    if (!names.catalogue.reach.has(relation.oid)) return
    if (!this.#query.holds('triggers')) return
    if (relation.kind === 'v' || relation.kind === 'm') {
      findings.escapeAll(
        `Write to the tables behind ${relation.name}: what a write to it does is not followed.`,
      )
    } else if (relation.hasRules || relation.hasTriggers) {
      const labels = labelsOf(relation)
      const reason = `Do not change ${relation.name}: its triggers or rules see protected values and may pass them on.`
      if (labels.length === 0) findings.escapeAll(reason)
      else findings.escape(labels, reason)
    }
  }

  #item(node: Node, before: Scope, ctes: Ctes): FromItems {
    if ('RangeVar' in node) return single(this.#relationOrCte(node.RangeVar, ctes))
    if ('JoinExpr' in node) return this.#join(node.JoinExpr, before, ctes)
    if ('RangeSubselect' in node) {
      const { subquery, alias, lateral } = node.RangeSubselect
      const around: Scope = lateral === true ? before : { ...before, hidden: true }
      const found = this.#query.rows(subquery, around, ctes)
      const rows = this.#query.holds('subquery in from') ? found : cleared(found)
      const item = derivedItem(rows, alias?.aliasname ?? '', stringsOf(alias?.colnames) ?? [])
      return { items: [item], star: item.columns, starCounted: rows.counted, starRest: labelsOfItem(item) }
    }
    if ('RangeFunction' in node) return this.#function(node.RangeFunction, before, ctes)
    if ('RangeTableFunc' in node) return this.#xmlTable(node.RangeTableFunc, before, ctes)
    if ('JsonTable' in node) return this.#jsonTable(node.JsonTable, before, ctes)
    if ('RangeTableSample' in node) return this.#sample(node.RangeTableSample, before, ctes)
    this.#query.findings.escapeAll(
      'Use only tables, subqueries, joins and functions in FROM beside protected columns.',
    )
    return single(openItem(''))
  }

  #relationOrCte(relation: RangeVar, ctes: Ctes): Item {
    if (relation.schemaname === undefined) {
      for (let cte = ctes; cte !== undefined; cte = cte.outer) {
        if (cte.name === relation.relname) return aliased(cte.item, relation.alias)
      }
    }
    return this.#relation(relation, 'read')
  }

  /** `read`: which rows there are already makes a difference. */
  #relation(relation: RangeVar, role: 'read' | 'write'): Item {
    const { names, findings } = this.#query
    const alias = relation.relname ?? ''
    const meaning = names.relation(nameOf(relation))
    switch (meaning.kind) {
      case 'relation': {
        const { schema, placed, placing } = meaning.relation
        const { columns, single } = this.#columnsOf(meaning.relation)
        const holds = this.#query.holds('partition')
        // That its rows are in it is a condition.
        if (role === 'read' && holds) findings.filter(placed ?? [])
        const item: Item = {
          alias,
          schema,
          columns,
          open: false,
          rest: [],
          certain: false,
          ...(placing === undefined || !holds ? {} : { placing }),
        }
        return aliased(single ? { ...item, single: true } : item, relation.alias)
      }
      case 'system':
        if (!meaning.plain && this.#query.holds('known relations'))
          findings.escapeAll(`Do not read ${meaning.schema}.${meaning.name}: it holds values or secrets.`)
        return aliased({ ...openItem(alias), schema: meaning.schema }, relation.alias)
      case 'own':
        return aliased(openItem(alias), relation.alias)
      case 'unknown':
        if (this.#query.holds('known relations'))
          findings.escapeAll(`Name a relation that exists: ${alias} is not known here.`)
        return aliased(openItem(alias), relation.alias)
    }
  }

  #columnsOf(relation: Relation): { readonly columns: OutputColumn[]; readonly single: boolean } {
    const { findings, names } = this.#query
    const { oid, columns } = relation
    const derives = (relation.kind === 'v' || relation.kind === 'm') && this.#query.holds('view')
    const view = derives && names.catalogue.reach.has(oid) ? this.#query.viewOf(relation) : undefined
    if (view !== undefined) findings.add(view.findings)
    else if (derives && names.catalogue.reach.has(oid)) {
      findings.escapeAll(`Select from the tables behind ${relation.name}: what it derives is not followed.`)
    }
    const isView = relation.kind === 'v' || relation.kind === 'm'
    const all = columns.map((column, i): OutputColumn => {
      const { name, attribute, type } = column
      const own = this.#query.holds('relation') ? labelsOfColumn(column) : []
      const paths = column.label === undefined && column.paths !== undefined ? { paths: column.paths } : {}
      const source = { relation: oid, attribute, type }
      const inner = view?.columns[i]
      if (inner === undefined) {
        const computed = column.generated === true && own.length > 0
        return { name, source, type, labels: own, computed, ...paths, ...toldOf(column) }
      }
      const labels = this.#query.holds('label of a view') ? unionOf([{ labels: own }, inner]) : inner.labels
      const both = own.length === 0 ? inner : inner.labels.length === 0 ? paths : {}
      const parts = both.paths === undefined ? {} : { paths: both.paths }
      const mixed = inner.mixed === true ? { mixed: inner.mixed } : {}
      const loose = column.loose === true ? { loose: column.loose } : {}
      return { name, source, type, labels, computed: inner.computed, ...parts, ...mixed, ...loose }
    })
    return { columns: all, single: !isView || view?.single === true }
  }

  /** Its columns are those of its type: known by name only where the statement says them. */
  #function(from: RangeFunction, before: Scope, ctes: Ctes): FromItems {
    const { expressions } = this.#query
    const labels: (readonly LabelName[])[] = []
    const defined: string[] = columnNames(from.coldeflist)
    let name = ''
    let scalar = false
    const functions = from.functions ?? []
    for (const each of functions) {
      const [call, definitions] = 'List' in each ? (each.List.items ?? []) : []
      labels.push(expressions.used(call, before, ctes))
      if (definitions !== undefined && 'List' in definitions)
        defined.push(...columnNames(definitions.List.items))
      if (call !== undefined && 'FuncCall' in call) {
        name = stringsOf(call.FuncCall.funcname)?.at(-1) ?? ''
        scalar = SCALAR.has(name)
      }
    }
    const rest = this.#query.holds('function in from')
      ? unionOf(labels.map((each) => ({ labels: each })))
      : []
    const alias = from.alias?.aliasname ?? name
    const given = stringsOf(from.alias?.colnames) ?? []
    if (functions.length === 1 && from.ordinality !== true && (defined.length > 0 || scalar)) {
      const names = defined.length > 0 ? defined.map((each, i) => given[i] ?? each) : [given[0] ?? alias]
      return single(madeItem(alias, names, rest))
    }
    return single(renamed(openItem(alias, rest), alias, given))
  }

  #xmlTable(table: RangeTableFunc, before: Scope, ctes: Ctes): FromItems {
    const { expressions } = this.#query
    const used = [
      expressions.used(table.docexpr, before, ctes),
      expressions.used(table.rowexpr, before, ctes),
    ]
    for (const each of table.namespaces ?? []) {
      used.push(expressions.used('ResTarget' in each ? each.ResTarget.val : each, before, ctes))
    }
    const names: string[] = []
    for (const each of table.columns ?? []) {
      if (!('RangeTableFuncCol' in each)) continue
      const { colname, colexpr, coldefexpr } = each.RangeTableFuncCol
      names.push(colname ?? '')
      used.push(expressions.used(colexpr, before, ctes), expressions.used(coldefexpr, before, ctes))
    }
    const rest = this.#query.holds('xmltable') ? unionOf(used.map((labels) => ({ labels }))) : []
    return single(aliased(madeItem('xmltable', names, rest), table.alias))
  }

  #jsonTable(table: JsonTable, before: Scope, ctes: Ctes): FromItems {
    const { expressions } = this.#query
    const parts: (Node | undefined)[] = [
      table.context_item && { JsonValueExpr: table.context_item },
      table.pathspec?.string,
      table.on_error && { JsonBehavior: table.on_error },
      ...(table.passing ?? []),
    ]
    const names: string[] = []
    const collect = (columns: readonly Node[] | undefined): void => {
      for (const each of columns ?? []) {
        if (!('JsonTableColumn' in each)) continue
        const {
          coltype,
          name,
          pathspec,
          on_empty: empty,
          on_error: error,
          columns: nested,
        } = each.JsonTableColumn
        if (coltype !== 'JTC_NESTED') names.push(name ?? '')
        parts.push(pathspec?.string, empty && { JsonBehavior: empty }, error && { JsonBehavior: error })
        collect(nested)
      }
    }
    collect(table.columns)
    const used = parts.map((part) => ({ labels: expressions.used(part, before, ctes) }))
    const rest = this.#query.holds('json_table') ? unionOf(used) : []
    return single(aliased(madeItem('json_table', names, rest), table.alias))
  }

  #sample(sample: RangeTableSample, before: Scope, ctes: Ctes): FromItems {
    const { expressions } = this.#query
    if (this.#query.holds('sample')) {
      expressions.usedAll(sample.args, before, ctes)
      expressions.used(sample.repeatable, before, ctes)
    }
    return sample.relation === undefined ? NONE : this.#item(sample.relation, before, ctes)
  }

  #join(join: JoinExpr, before: Scope, ctes: Ctes): FromItems {
    const left = join.larg === undefined ? NONE : this.#item(join.larg, before, ctes)
    const seen: Scope = { items: [...before.items, ...left.items], outer: before.outer }
    const right = join.rarg === undefined ? NONE : this.#item(join.rarg, seen, ctes)
    const both = together(left, right)
    const scope: Scope = { items: both.items, outer: seen }
    if (this.#query.holds('condition')) this.#query.expressions.predicate(join.quals, scope, ctes)
    const merged = this.#merged(join, left, right)
    if (join.alias === undefined) {
      const using = join.join_using_alias?.aliasname
      if (using === undefined) return merged
      const columns = merged.star.slice(0, join.usingClause?.length ?? 0)
      return { ...merged, items: [...merged.items, { ...openItem(using), columns, open: false }] }
    }
    // The alias of a join hides what is inside it.
    const rows = { columns: merged.star, counted: merged.starCounted, rest: merged.starRest, starred: true }
    const item = derivedItem(rows, join.alias.aliasname ?? '', stringsOf(join.alias.colnames) ?? [])
    return { items: [item], star: item.columns, starCounted: merged.starCounted, starRest: merged.starRest }
  }

  /** USING and NATURAL put the columns they join on first and once; that of the left side, but for RIGHT and FULL joins. */
  #merged(join: JoinExpr, left: FromItems, right: FromItems): FromItems {
    const both = together(left, right)
    if (join.isNatural === true && !(left.starCounted && right.starCounted)) {
      const all = unionOf([...both.star, { labels: both.starRest }])
      if (this.#query.holds('natural join')) this.#query.findings.filter(all)
      this.#query.findings.link(all)
      return { ...both, starCounted: false, starRest: all }
    }
    const names = join.isNatural === true ? namesInBoth(left, right) : (stringsOf(join.usingClause) ?? [])
    if (names.length === 0) return both
    const rule = join.isNatural === true ? 'natural join' : 'using'
    const merged = names.map((name): OutputColumn => {
      const first = named(left, name)
      const second = named(right, name)
      if (this.#query.holds(rule)) this.#query.findings.filter(unionOf([first, second]))
      this.#query.findings.link(unionOf([first, second]))
      if (join.jointype === 'JOIN_FULL') {
        const { labels } = eitherOf([first, second])
        return { ...computedFrom(labels), name }
      }
      return join.jointype === 'JOIN_RIGHT' ? second : first
    })
    const rest = both.star.filter((column) => !names.includes(column.name))
    // Without an alias in front, a merged column is meant, and not that of one side.
    const own: Item = { ...openItem(''), columns: merged, open: false }
    const items = [own, ...both.items]
    return { items, star: [...merged, ...rest], starCounted: both.starCounted, starRest: both.starRest }
  }
}

type Told = Pick<OutputColumn, 'unique' | 'overlaps' | 'asks' | 'loose'>

/** What the catalogue says of a column beyond its labels. */
function toldOf({ unique, overlaps, asks, loose }: Column): Told {
  return {
    ...(unique === undefined ? {} : { unique }),
    ...(overlaps === undefined ? {} : { overlaps }),
    ...(asks === undefined ? {} : { asks }),
    ...(loose === undefined ? {} : { loose }),
  }
}

function named(side: FromItems, name: string): OutputColumn {
  const found = side.star.find((column) => column.name === name)
  return found ?? { ...computedFrom(side.starCounted ? [] : side.starRest), name }
}

function namesInBoth(left: FromItems, right: FromItems): string[] {
  const names = new Set(right.star.map((column) => column.name))
  return [...new Set(left.star.map((column) => column.name).filter((name) => names.has(name)))]
}

/** Columns that the statement names, each made from all of it. */
function madeItem(alias: string, names: readonly string[], labels: readonly LabelName[]): Item {
  const columns = names.map((name) => ({ ...(labels.length === 0 ? CLEAR : computedFrom(labels)), name }))
  return { alias, columns, open: false, rest: [], certain: true }
}

function columnNames(definitions: readonly Node[] | undefined): string[] {
  return (definitions ?? []).map((node) => ('ColumnDef' in node ? (node.ColumnDef.colname ?? '') : ''))
}

function single(item: Item): FromItems {
  return { items: [item], star: item.columns, starCounted: !item.open, starRest: item.rest }
}

function together(left: FromItems, right: FromItems): FromItems {
  if (left === NONE) return right
  return {
    items: [...left.items, ...right.items],
    star: [...left.star, ...right.star],
    starCounted: left.starCounted && right.starCounted,
    starRest: unionOf([{ labels: left.starRest }, { labels: right.starRest }]),
  }
}

function aliased(item: Item, alias: Alias | undefined): Item {
  return alias === undefined ? item : renamed(item, alias.aliasname, stringsOf(alias.colnames) ?? [])
}

function nameOf({ catalogname, schemaname, relname }: RangeVar): QualifiedName {
  return {
    name: relname ?? '',
    ...(schemaname === undefined ? {} : { schema: schemaname }),
    ...(catalogname === undefined ? {} : { database: catalogname }),
  }
}

/** Functions of the server that return one column, whatever they are given. */
const SCALAR: ReadonlySet<string> = new Set([
  'generate_series',
  'generate_subscripts',
  'json_array_elements',
  'json_array_elements_text',
  'json_object_keys',
  'jsonb_array_elements',
  'jsonb_array_elements_text',
  'jsonb_object_keys',
  'jsonb_path_query',
  'regexp_split_to_table',
  'string_to_table',
])
