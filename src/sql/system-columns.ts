import type { Node } from 'libpg-query'
import { VALUE_COLUMN } from './system.ts'
import type { Fields } from './tree.ts'
import { isFields } from './tree.ts'

/**
 * Whether a statement that names `pg_attribute` may read its one column that holds values: by its name, by a star, as a
 * whole row, under another name, or by a natural join. Anything that might counts.
 */
export function readsValueColumn(node: Node, relation: string): boolean {
  if (relation !== VALUE_COLUMN.relation) return false
  const plainAliases = new Set<string>()
  const hidingAliases = new Set<string>()
  const references: string[][] = []
  let suspicious = false
  const stack: unknown[] = [node]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (Array.isArray(each)) for (const value of each) stack.push(value)
    if (!isFields(each)) continue
    const { relname, sval, isNatural } = each
    if (sval === VALUE_COLUMN.column || isNatural === true) suspicious = true
    if (typeof relname === 'string') {
      const alias = isFields(each['alias']) ? each['alias'] : {}
      const name = typeof alias['aliasname'] === 'string' ? alias['aliasname'] : relname
      if (relname !== VALUE_COLUMN.relation) plainAliases.add(name)
      else {
        hidingAliases.add(name)
        if (alias['colnames'] !== undefined) suspicious = true
      }
    }
    if (isFields(each['ColumnRef'])) references.push(partsOf(each['ColumnRef']))
    for (const key in each) stack.push(each[key])
  }
  return (
    suspicious ||
    references.some((parts) => {
      const [first] = parts
      if (parts.at(-1) !== '*') return parts.length === 1 && hidingAliases.has(first ?? '')
      const qualifier = parts.at(-2)
      return qualifier === undefined || hidingAliases.has(qualifier) || !plainAliases.has(qualifier)
    })
  )
}

/** `a.b` as its parts, a star as `*` (which no parsed name of a relation's alias is without being quoted). */
function partsOf(column: Fields): string[] {
  const fields = Array.isArray(column['fields']) ? column['fields'] : []
  return fields.map((field: unknown) => {
    const name = isFields(field) ? field['String'] : undefined
    return isFields(name) && typeof name['sval'] === 'string' ? name['sval'] : '*'
  })
}
