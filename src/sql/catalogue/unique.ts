import type { LabelName } from '../../core/ids.ts'
import type { Asked, Column, Relation } from './catalogue.ts'
import { labelsOfColumn } from './catalogue.ts'
import type { CatalogueParts } from './parts.ts'

/** By relation and attribute number: the label of the whole, and those of paths inside. */
export type ColumnLabels = Map<number, Map<number, Given>>
export type Given = Pick<Column, 'label' | 'paths' | 'generated'>

/** A unique index, a key or an exclusion constraint, as it looks at the columns of one relation. */
type Index = {
  readonly attributes: ReadonlySet<number>
  readonly spares: ReadonlySet<number>
  readonly overlaps: ReadonlySet<number>
  readonly labels: readonly LabelName[]
}

type Told = Pick<Column, 'unique' | 'overlaps' | 'asks'>

/** What writing a column tells, by relation and attribute: by its own indexes, those of partitions, and of what is generated from it. */
export function uniqueOf(
  parts: CatalogueParts,
  labels: ReadonlyMap<number, ReadonlyMap<number, Given>>,
): Map<number, Map<number, Told>> {
  const names = namesOf(parts)
  const labelsAt = (relation: number, attribute: number): LabelName[] =>
    labelsOfColumn(labels.get(relation)?.get(attribute) ?? {})
  const told = new Map<number, Map<number, Told>>()
  for (const [relation, indexes] of indexesOf(parts, names, labelsAt)) {
    const columns = new Map<number, Told>()
    told.set(relation, columns)
    for (const index of indexes) {
      const spared = [...index.spares]
        .sort((a, b) => a - b)
        .flatMap((each) => names.get(relation)?.get(each) ?? [])
      for (const attribute of index.attributes) {
        const own = labelsAt(relation, attribute)
        const others = index.labels.filter((label) => !own.includes(label))
        const before = columns.get(attribute)
        const asks: readonly Asked[] = [
          ...(before?.asks ?? []),
          ...(others.length === 0 ? [] : [{ labels: others, spared }]),
        ]
        const overlaps = before?.overlaps === true || index.overlaps.has(attribute)
        columns.set(attribute, {
          unique: true,
          ...(overlaps ? { overlaps } : {}),
          ...(asks.length === 0 ? {} : { asks }),
        })
      }
    }
  }
  return told
}

/** By relation and attribute number. */
type ColumnNames = ReadonlyMap<number, ReadonlyMap<number, string>>

function namesOf(parts: CatalogueParts): ColumnNames {
  const names = new Map<number, Map<number, string>>()
  for (const { relation, attribute, name } of parts.columns) {
    const columns = names.get(relation) ?? new Map<number, string>()
    names.set(relation, columns.set(attribute, name))
  }
  return names
}

/** By relation: its own, and those of its children, which hold for what is written through it. */
function indexesOf(
  parts: CatalogueParts,
  names: ColumnNames,
  labelsAt: (relation: number, attribute: number) => LabelName[],
): Map<number, readonly Index[]> {
  const parents = new Map<number, number[]>()
  for (const { child, parent } of parts.inherits) parents.set(child, [...(parents.get(child) ?? []), parent])
  /** Those of many partitions come to the same. */
  const found = new Map<number, Map<string, Index>>()
  const add = (relation: number, index: Index): void => {
    const known = found.get(relation) ?? new Map<string, Index>()
    found.set(relation, known)
    const { attributes, spares, overlaps, labels } = index
    const sorted = [attributes, spares, overlaps].map((all) => [...all].sort((a, b) => a - b))
    const key = JSON.stringify([...sorted, labels])
    if (known.has(key)) return
    known.set(key, index)
    for (const parent of parents.get(relation) ?? [])
      add(parent, inParent(index, names.get(relation), names.get(parent)))
  }
  for (const { relation, rows } of groupsOf(parts)) {
    const all = [...(names.get(relation)?.keys() ?? [])]
    const looked = (which: typeof rows): Set<number> =>
      withSources(
        parts,
        relation,
        which.flatMap(({ attribute }) => (attribute === 0 ? all : [attribute])),
      )
    const attributes = looked(rows)
    add(relation, {
      attributes,
      spares: new Set(rows.filter(({ spares }) => spares === true).map(({ attribute }) => attribute)),
      overlaps: looked(rows.filter(({ overlaps }) => overlaps === true)),
      labels: [...new Set([...attributes].flatMap((each) => labelsAt(relation, each)))].sort(),
    })
  }
  return new Map([...found].map(([relation, indexes]) => [relation, [...indexes.values()]]))
}

type UniqueRow = NonNullable<CatalogueParts['unique']>[number]

function groupsOf(parts: CatalogueParts): { relation: number; rows: UniqueRow[] }[] {
  const groups = new Map<string, { relation: number; rows: UniqueRow[] }>()
  for (const row of parts.unique ?? []) {
    const { relation, attribute, index } = row
    const key = index === undefined ? `${relation} ${attribute}` : String(index)
    const group = groups.get(key) ?? { relation, rows: [] }
    groups.set(key, group)
    group.rows.push(row)
  }
  return [...groups.values()]
}

/** And what those that are generated are computed from. */
function withSources(parts: CatalogueParts, relation: number, attributes: readonly number[]): Set<number> {
  const all = new Set(attributes)
  const generated = parts.generated.filter((each) => each.relation === relation)
  for (let before = -1; before !== all.size; ) {
    before = all.size
    for (const { attribute, from } of generated) if (all.has(attribute)) all.add(from)
  }
  return all
}

function inParent(
  index: Index,
  names: ReadonlyMap<number, string> | undefined,
  above: ReadonlyMap<number, string> | undefined,
): Index {
  const byName = new Map([...(above ?? [])].map(([attribute, name]) => [name, attribute]))
  const mapped = (attributes: ReadonlySet<number>): Set<number> =>
    new Set([...attributes].flatMap((each) => byName.get(names?.get(each) ?? '') ?? []))
  const { attributes, spares, overlaps, labels } = index
  return { attributes: mapped(attributes), spares: mapped(spares), overlaps: mapped(overlaps), labels }
}

/** Which labels decide where the rows of partitioned tables and of their partitions are. */
export function placesOf(
  parts: CatalogueParts,
  labels: ReadonlyMap<number, ReadonlyMap<number, Given>>,
): Map<number, Pick<Relation, 'placing' | 'placed'>> {
  const keys = new Map<number, Set<LabelName>>()
  for (const { relation, attribute } of parts.partitioned ?? []) {
    const columns = labels.get(relation)
    const own = attribute === 0 ? [...(columns?.values() ?? [])] : [columns?.get(attribute) ?? {}]
    for (const each of own.flatMap(labelsOfColumn))
      keys.set(relation, (keys.get(relation) ?? new Set<LabelName>()).add(each))
  }
  if (keys.size === 0) return new Map()
  const placing = new Map([...keys].map(([relation, own]) => [relation, new Set(own)]))
  const placed = new Map<number, Set<LabelName>>()
  for (let changed = true; changed; ) {
    changed = false
    for (const { child, parent } of parts.inherits) {
      changed = addAll(placing, parent, placing.get(child)) || changed
      changed = addAll(placed, child, keys.get(parent)) || changed
      changed = addAll(placed, child, placed.get(parent)) || changed
    }
  }
  const places = new Map<number, Pick<Relation, 'placing' | 'placed'>>()
  for (const [relation, all] of placing) places.set(relation, { placing: [...all].sort() })
  for (const [relation, all] of placed)
    places.set(relation, { ...places.get(relation), placed: [...all].sort() })
  return places
}

function addAll(
  sets: Map<number, Set<LabelName>>,
  at: number,
  labels: ReadonlySet<LabelName> | undefined,
): boolean {
  if (labels === undefined) return false
  const known = sets.get(at) ?? new Set()
  const before = known.size
  for (const label of labels) known.add(label)
  sets.set(at, known)
  return known.size !== before
}
