import type { LabelName } from '../core/ids.ts'

/** A column as a query hands it out. Without a source it is computed, or of a relation that is not described here. */
export type OutputColumn = {
  readonly name: string
  readonly label?: LabelName
  readonly source?: { readonly relation: number; readonly attribute: number; readonly type: number }
}

/** One thing in FROM that columns may be taken from. */
export type Item = {
  readonly alias: string
  /** Of a relation without an alias: it may be written in front of its name. */
  readonly schema?: string
  readonly columns: readonly OutputColumn[]
  /** It may have more columns than these: a function, a relation of the system. They carry no label. */
  readonly open: boolean
}

/** What names can mean at one place of a query: the items of its FROM, then those of the queries around it. */
export type Scope = { readonly items: readonly Item[]; readonly outer: Scope | undefined }

/** What a column reference means. */
export type Reference =
  | { readonly kind: 'column'; readonly column: OutputColumn }
  /** All columns of an item taken as one value. */
  | { readonly kind: 'row'; readonly labels: readonly LabelName[] }
  | { readonly kind: 'unknown' }

const UNLABELLED: Reference = { kind: 'column', column: { name: '' } }

/** Every table has them; they tell where a row is, not what is in it. */
const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])

export function labelsOfItem(item: Item): LabelName[] {
  const labels = new Set<LabelName>()
  for (const { label } of item.columns) if (label !== undefined) labels.add(label)
  return [...labels]
}

/**
 * `name`. A labelled column of that name anywhere in sight is taken to be meant, and so is a labelled item of that name
 * as a whole row: then it does not matter whether a nearer column that hides it has just been dropped or renamed in a
 * transaction that only the server sees.
 */
export function resolveName(name: string, scope: Scope | undefined): Reference {
  let nearest: OutputColumn | undefined
  let open = false
  let row = false
  for (let level = scope; level !== undefined; level = level.outer) {
    for (const item of level.items) {
      if (item.alias === name) {
        const labels = labelsOfItem(item)
        if (labels.length > 0) return { kind: 'row', labels }
        row = true
      }
      const column = item.columns.find((each) => each.name === name)
      if (column?.label !== undefined) return { kind: 'column', column }
      nearest ??= column
      open ||= item.open
    }
  }
  if (nearest !== undefined) return { kind: 'column', column: nearest }
  return open || row || (SYSTEM_COLUMNS.has(name) && scope !== undefined) ? UNLABELLED : { kind: 'unknown' }
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
  if (item === undefined) return { kind: 'unknown' }
  const column = item.columns.find((each) => each.name === name)
  if (column !== undefined) return { kind: 'column', column }
  if (item.open || SYSTEM_COLUMNS.has(name)) return UNLABELLED
  const labels = labelsOfItem(item)
  return labels.length > 0 ? { kind: 'row', labels } : { kind: 'unknown' }
}

/** The same item under other names: `AS alias (first, second)`. */
export function renamed(item: Item, alias: string | undefined, names: readonly string[]): Item {
  const columns = item.columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }))
  const extra = names.slice(columns.length).map((name) => ({ name }))
  if (alias === undefined) return { ...item, columns: [...columns, ...extra] }
  return { alias, columns: [...columns, ...extra], open: item.open }
}
