import type { LabelName } from '../../core/ids.ts'
import type { Lineage, OutputColumn } from './lineage.ts'
import { CLEAR, computedFrom, isMixed, unionOf } from './lineage.ts'

/** One thing in FROM that columns may be taken from. */
export type Item = {
  readonly alias: string
  /** Of a relation without an alias: it may be written in front of its name. */
  readonly schema?: string
  readonly columns: readonly OutputColumn[]
  /** It may have more columns than these: a function, a relation of the system. */
  readonly open: boolean
  /** What those other columns may depend on. */
  readonly rest: readonly LabelName[]
  /** The statement itself names all the columns, so that nothing done to a table can give their names to others. */
  readonly certain: boolean
  /** Its rows are those of one table, and none of them comes twice. */
  readonly single?: true
  /** Of a partitioned table: labels that decide where a row is, which `tableoid` tells. */
  readonly placing?: readonly LabelName[]
  /** OLD and NEW: their columns go by their alias only. */
  readonly qualifiedOnly?: true
}

/** What names can mean at one place of a query: the items of its FROM, then those of the queries around it. */
export type Scope = {
  readonly items: readonly Item[]
  readonly outer: Scope | undefined
  /** What the windows that the query names depend on. */
  readonly windows?: readonly LabelName[]
  /** Each row that is looked at here is one of a single table, and none of them comes twice. */
  readonly single?: true
  /** What stands around a subquery in FROM without LATERAL: nothing in it can name these items. */
  readonly hidden?: true
}

/** What a column reference means. */
export type Reference =
  | {
      readonly kind: 'column'
      readonly column: Lineage
      /** Labels it has only because it might mean a whole row. */
      readonly row?: readonly LabelName[]
    }
  /** All columns of an item taken as one value. */
  | { readonly kind: 'row'; readonly labels: readonly LabelName[]; readonly item: Item | undefined }
  | { readonly kind: 'unknown' }

/** Whether what stands in this query is computed once: nothing around it can be named in it. */
export function isAlone(scope: Scope): boolean {
  for (let level = scope.outer; level !== undefined; level = level.outer)
    if (level.hidden !== true && level.items.length > 0) return false
  return true
}

/** Every table has them; they tell where a row is, not what is in it. */
const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])
const PLACE = 'tableoid'

/** Without a column of this name it is how the session logged in (16 and later), unless the name has just been given to a column. */
const LOGIN = 'system_user'

export function labelsOfItem(item: Item): readonly LabelName[] {
  return unionOf([...item.columns, { labels: item.rest }])
}

/** Rows under an alias. Where not all columns are known, or have no sure name, any other name may mean one of these. */
export function derivedItem(
  rows: {
    readonly columns: readonly OutputColumn[]
    readonly counted: boolean
    readonly rest: readonly LabelName[]
    readonly starred?: boolean
    readonly single?: true
  },
  alias: string,
  names: readonly string[],
): Item {
  const { columns, counted, rest } = rows
  const single = rows.single === true ? { single: rows.single } : {}
  if (counted && names.length >= columns.length) {
    const all = columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }))
    return { alias, columns: all, open: false, rest: [], certain: rows.starred !== true, ...single }
  }
  const unnamed = columns.filter((column, i) => (names[i] ?? column.name) === '')
  const open = !counted || unnamed.length > 0
  const certain = !open && rows.starred !== true
  if (counted) {
    const all = columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }))
    return { alias, columns: all, open, rest: unionOf(unnamed), certain, ...single }
  }
  return renamed({ alias, columns, open, rest, certain }, alias, names)
}

/** An item whose columns are not known by name; any may depend on these labels. */
export function openItem(alias: string, rest: readonly LabelName[] = []): Item {
  return { alias, columns: [], open: true, rest, certain: false }
}

/**
 * `name`. As long as the nearest column is that of a table, others of its name in the queries around count as well, and
 * so does a labelled item of that name as a whole row: then it does not matter whether the nearer column has just been
 * dropped or renamed in a transaction that only the server sees.
 */
export function resolveName(name: string, scope: Scope | undefined): Reference {
  const found: Lineage[] = []
  const rows: Item[] = []
  const rests: { readonly labels: readonly LabelName[] }[] = []
  let open = false
  let settled = false
  for (let level = scope; level !== undefined && !settled; level = level.outer) {
    const isNearest = found.length === 0
    let certain = false
    for (const item of level.items) {
      if (item.alias === name) rows.push(item)
      if (item.qualifiedOnly === true) continue
      for (const column of item.columns) {
        if (column.name !== name) continue
        found.push(column)
        certain ||= item.certain
      }
    }
    settled = isNearest && certain
    for (const item of level.items) {
      if (name === PLACE && found.length === 0) rests.push({ labels: item.placing ?? [] })
      if (!item.open) continue
      open = true
      // At the level of the column itself a second one of its name would be an error.
      if (found.length === 0) rests.push({ labels: item.rest })
    }
  }
  const asRows = settled ? [] : rows.map((each) => ({ labels: labelsOfItem(each) }))
  const [nearest] = found
  if (nearest !== undefined) {
    const row = unionOf([...asRows, ...rests])
    if (found.length === 1 && row.length === 0) return { kind: 'column', column: nearest }
    const labels = unionOf([...found, { labels: row }])
    const computed = row.length > 0 || found.some((each) => each.computed)
    const { paths: _one, ...first } = nearest
    const mixed = found.length > 1 && isMixed(found) ? { mixed: true as const } : {}
    const column = { ...first, ...mixed, labels, computed }
    return row.length > 0 ? { kind: 'column', column, row } : { kind: 'column', column }
  }
  const labels = unionOf([...asRows, ...rests])
  if (rows.length > 0) return { kind: 'row', labels, item: rows.length === 1 ? rows[0] : undefined }
  if (open) return { kind: 'column', column: computedFrom(labels) }
  if (name === LOGIN) return { kind: 'column', column: computedFrom(labelsInSight(scope)) }
  return SYSTEM_COLUMNS.has(name) && scope !== undefined
    ? { kind: 'column', column: computedFrom(labels) }
    : { kind: 'unknown' }
}

function labelsInSight(scope: Scope | undefined): readonly LabelName[] {
  const labels: { readonly labels: readonly LabelName[] }[] = []
  for (let level = scope; level !== undefined; level = level.outer)
    for (const item of level.items) if (!item.certain) labels.push({ labels: labelsOfItem(item) })
  return unionOf(labels)
}

/** The item that `alias.` means, nearest first; `schema.table.` for one without an alias. */
export function findItem(
  alias: string,
  schema: string | undefined,
  scope: Scope | undefined,
): Item | undefined {
  for (let level = scope; level !== undefined; level = level.outer) {
    const found = level.items.find(
      (item) => item.alias === alias && (schema === undefined || item.schema === schema),
    )
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * `alias.name`. A name that is no column is a function applied to the whole row, so it is as unknown as that function,
 * unless the item is open.
 */
export function resolveQualified(
  alias: string,
  schema: string | undefined,
  name: string,
  scope: Scope | undefined,
): Reference {
  const item = findItem(alias, schema, scope)
  return item === undefined ? { kind: 'unknown' } : fieldOf(item, name)
}

/** `item.name`, `(item).name` and `name(item)` are the same to the server. */
export function fieldOf(item: Item, name: string): Reference {
  const columns = item.columns.filter((each) => each.name === name)
  const [column] = columns
  if (column !== undefined && columns.length === 1) return { kind: 'column', column }
  if (columns.length > 1) return { kind: 'column', column: computedFrom(unionOf(columns)) }
  if (item.open) return { kind: 'column', column: computedFrom(item.rest), row: item.rest }
  if (name === PLACE) return { kind: 'column', column: computedFrom(item.placing ?? []) }
  if (SYSTEM_COLUMNS.has(name)) return { kind: 'column', column: CLEAR }
  const labels = labelsOfItem(item)
  return labels.length > 0 ? { kind: 'row', labels, item } : { kind: 'unknown' }
}

/** The same item under other names: `AS alias (first, second)`. */
export function renamed(item: Item, alias: string | undefined, names: readonly string[]): Item {
  const { open, certain } = item
  const { placing } = item
  const kept = {
    ...(item.single === true ? { single: item.single } : {}),
    ...(placing === undefined ? {} : { placing }),
  }
  if (names.length === 0) {
    return alias === undefined
      ? item
      : { alias, columns: item.columns, open, rest: item.rest, certain, ...kept }
  }
  const named = alias ?? item.alias
  if (open) {
    // Which column a name stands for depends on how many there are: it may be any.
    const all = labelsOfItem(item)
    const columns = names.map((name) => ({ ...computedFrom(all), name }))
    return { alias: named, columns, open, rest: all, certain: false }
  }
  const columns = item.columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }))
  const extra = names.slice(columns.length).map((name) => ({ ...CLEAR, name }))
  return { alias: named, columns: [...columns, ...extra], open, rest: item.rest, certain, ...kept }
}
