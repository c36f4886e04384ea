import type { Node } from 'libpg-query'
import { GUARDED_COLUMNS } from './system.ts'
import type { Fields } from '../parse/tree.ts'
import { isFields } from '../parse/tree.ts'

/**
 * The guarded column of a system relation that a statement naming this relation may read: by its name, by a star, as a
 * whole row, under another name, or by a natural join. Anything that might counts. `undefined`: it reads none.
 */
export function guardedColumnRead(node: Node, relation: string): string | undefined {
  const guarded = GUARDED_COLUMNS.get(relation)
  return guarded !== undefined && mayRead(node, relation, guarded) ? guarded : undefined
}

function mayRead(node: Node, relation: string, guarded: string): boolean {
  const others = new Set<string>()
  const own = new Set<string>()
  const references: string[][] = []
  const stack: unknown[] = [node]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (Array.isArray(each)) for (const value of each) stack.push(value)
    if (!isFields(each)) continue
    const { relname, sval, isNatural, fromClause, targetList } = each
    if (sval === guarded || isNatural === true) return true
    if (hasStar(targetList) && brings(fromClause, relation)) return true
    if (typeof relname === 'string') {
      const alias = isFields(each['alias']) ? each['alias'] : {}
      const name = typeof alias['aliasname'] === 'string' ? alias['aliasname'] : relname
      if (relname === relation && alias['colnames'] !== undefined) return true
      if (relname === relation) own.add(name)
      else others.add(name)
    }
    if (isFields(each['RangeSubselect'])) addAlias(others, each['RangeSubselect'])
    if (isFields(each['RangeFunction'])) addAlias(others, each['RangeFunction'])
    if (isFields(each['ColumnRef'])) references.push(partsOf(each['ColumnRef']))
    for (const key in each) stack.push(each[key])
  }
  return references.some((parts) => {
    const [first] = parts
    if (parts.at(-1) !== STAR) return parts.length === 1 && own.has(first ?? '')
    // A bare star was looked at where it stands. `a.*` may be the relation's, or that of a join it is part of.
    const qualifier = parts.at(-2)
    return qualifier !== undefined && (own.has(qualifier) || !others.has(qualifier))
  })
}

function addAlias(names: Set<string>, item: Fields): void {
  const alias = isFields(item['alias']) ? item['alias']['aliasname'] : undefined
  if (typeof alias === 'string') names.add(alias)
}

/** Is there a bare star among the outputs? */
function hasStar(targets: unknown): boolean {
  if (!Array.isArray(targets)) return false
  return targets.some((target: unknown) => {
    const value = isFields(target) && isFields(target['ResTarget']) ? target['ResTarget']['val'] : undefined
    const column = isFields(value) ? value['ColumnRef'] : undefined
    return isFields(column) && partsOf(column).join('.') === STAR
  })
}

/** Is the relation itself, not a subquery over it, among what FROM brings? */
function brings(from: unknown, relation: string): boolean {
  const stack: unknown[] = [from]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (Array.isArray(each)) for (const value of each) stack.push(value)
    if (!isFields(each)) continue
    if (each['relname'] === relation) return true
    for (const key in each) if (key !== 'RangeSubselect' && key !== 'quals') stack.push(each[key])
  }
  return false
}

/** What no part of a parsed name is but a star. */
const STAR = '\0*'

function partsOf(column: Fields): string[] {
  const fields = Array.isArray(column['fields']) ? column['fields'] : []
  return fields.map((field: unknown) => {
    const name = isFields(field) ? field['String'] : undefined
    return isFields(name) && typeof name['sval'] === 'string' ? name['sval'] : STAR
  })
}
