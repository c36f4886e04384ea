import type { Node } from 'libpg-query'
import { mayBeCalled } from './builtins/functions.ts'
import type { Catalogue } from './catalogue/catalogue.ts'
import type { Fields, QualifiedName } from './parse/tree.ts'
import { isFields } from './parse/tree.ts'
import type { Names } from './session/names.ts'
import type { Attribute, Survey } from './statement/survey.ts'

/**
 * `x.f` and `(value).f` call the function `f` with one argument where there is no such column:
 * https://www.postgresql.org/docs/current/xfunc-sql.html#XFUNC-SQL-COMPOSITE-FUNCTIONS. What may be meant so is one of
 * the calls of its statement, unless a relation of that name is known to have the column.
 */
export function withAttributeCalls(node: Node, found: Survey, names: Names | undefined): Survey {
  const suspected = found.attributes.filter(({ name }) => isFunction(name, names?.catalogue))
  if (suspected.length === 0) return found
  const sources = sourcesOf(node)
  const calls = suspected.filter((each) => !isColumn(each, sources, names)).map(({ name }) => ({ name }))
  return calls.length === 0 ? found : { ...found, calls: [...found.calls, ...calls] }
}

function isFunction(name: string, catalogue: Catalogue | undefined): boolean {
  if (mayBeCalled(name)) return true
  const own = catalogue?.functions.get(name)
  return (own?.takesOne === true && !own.harmless) || isUnknownType(name, catalogue)
}

/** `x.t` casts to the type `t`. Those of the rows of relations are left out: columns have names of tables. */
function isUnknownType(name: string, catalogue: Catalogue | undefined): boolean {
  for (const [schema, types] of catalogue?.types ?? [])
    if (types.get(name)?.harmless === false && catalogue?.schemas.get(schema)?.has(name) !== true) return true
  return false
}

/** By the names under which FROM knows them; undefined: not a relation, or one with other names of columns. */
type Sources = ReadonlyMap<string, readonly (QualifiedName | undefined)[]>

function isColumn({ qualifier, name }: Attribute, sources: Sources, names: Names | undefined): boolean {
  const known = qualifier === undefined ? undefined : sources.get(qualifier)
  if (known === undefined || names === undefined) return false
  return known.every((source) => {
    const meaning = source === undefined ? undefined : names.relation(source)
    return meaning?.kind === 'relation' && meaning.relation.columns.some((column) => column.name === name)
  })
}

function sourcesOf(node: Node): Sources {
  const sources = new Map<string, (QualifiedName | undefined)[]>()
  const ofWith = new Set<string>()
  const stack: unknown[] = [node]
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (Array.isArray(value)) for (const each of value) stack.push(each)
    if (!isFields(value)) continue
    if (typeof value['ctename'] === 'string') ofWith.add(value['ctename'])
    const { relname, alias } = value
    const other = isFields(alias) ? alias['aliasname'] : undefined
    const known = typeof other === 'string' ? other : relname
    if (typeof known === 'string') {
      const list = sources.get(known) ?? []
      sources.set(known, list)
      list.push(typeof relname === 'string' && !renames(alias) ? nameOf(value, relname) : undefined)
    }
    for (const key in value) stack.push(value[key])
  }
  for (const list of sources.values())
    for (const [at, source] of list.entries())
      if (source?.schema === undefined && ofWith.has(source?.name ?? '')) list[at] = undefined
  return sources
}

function renames(alias: unknown): boolean {
  return isFields(alias) && alias['colnames'] !== undefined
}

function nameOf({ schemaname, catalogname }: Fields, name: string): QualifiedName {
  return {
    name,
    ...(typeof schemaname === 'string' ? { schema: schemaname } : {}),
    ...(typeof catalogname === 'string' ? { database: catalogname } : {}),
  }
}
