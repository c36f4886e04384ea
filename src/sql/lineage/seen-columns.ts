import type { LabelledColumn, StatementFacts } from '../../core/command.ts'
import type { LabelName } from '../../core/ids.ts'
import type { Catalogue, Relation } from '../catalogue/catalogue.ts'
import { isPlainTable, labelsOfColumn } from '../catalogue/catalogue.ts'
import { showName } from '../parse/tree.ts'

/** Stands for every column with its label: which of them it was is not known. */
const ANY_COLUMN = '*'

/**
 * The labelled columns whose values a batch hands out, for who asks later who saw one: never fewer than it does. An
 * untouched copy names its column. What is computed, or comes through a view, may come from any column with its label
 * of the relations that the batch reads or changes; where none of these has one, from any at all.
 */
export function seenColumns(
  catalogue: Catalogue,
  statements: readonly StatementFacts[],
  touched: ReadonlySet<string>,
  escaping: readonly LabelName[],
): readonly LabelledColumn[] {
  const found = new Map<string, LabelledColumn>()
  const add = (column: string, label: LabelName): void => {
    found.set(`${label} ${column}`, { column, label })
  }
  const unsure = new Set<LabelName>(escaping)
  for (const { labels = [], source } of statements.flatMap((each) => each.outputs ?? [])) {
    if (labels.length === 0) continue
    const relation = source === undefined ? undefined : catalogue.relations.get(source.relation)
    const column = relation?.columns.find((each) => each.attribute === source?.attribute)
    const isSure = relation !== undefined && isPlainTable(relation) && column !== undefined
    const own = isSure ? labelsOfColumn(column) : []
    for (const label of labels) {
      if (isSure && own.includes(label)) add(`${showName(relation)}.${column.name}`, label)
      else unsure.add(label)
    }
  }
  if (unsure.size > 0) {
    const attributed = new Set<LabelName>()
    for (const { name, label } of labelledColumns(catalogue, touched)) {
      if (!unsure.has(label)) continue
      add(name, label)
      attributed.add(label)
    }
    for (const label of unsure) if (!attributed.has(label)) add(ANY_COLUMN, label)
  }
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
}

function* labelledColumns(
  catalogue: Catalogue,
  touched: ReadonlySet<string>,
): Generator<{ readonly name: string; readonly label: LabelName }> {
  for (const oid of catalogue.reach) {
    const relation: Relation | undefined = catalogue.relations.get(oid)
    if (relation === undefined || !touched.has(showName(relation))) continue
    for (const column of relation.columns)
      for (const label of labelsOfColumn(column))
        yield { name: `${showName(relation)}.${column.name}`, label }
  }
}
