import type { LabelAssignment } from '../../core/connection.ts'
import type { LabelName } from '../../core/ids.ts'
import type { Catalogue, Column, Relation, UserFunction, UserType } from './catalogue.ts'
import { isTextType, labelsOfColumn } from './catalogue.ts'
import { functionsCompute, operatorsCompute } from '../builtins/extensions.ts'
import { HARMLESS, QUIET } from '../builtins/functions.ts'
import type { ColumnPattern } from './patterns.ts'
import { bySpecificity, matches, readPattern } from './patterns.ts'
import type { CatalogueParts } from './parts.ts'
import type { ColumnLabels, Given } from './unique.ts'
import { placesOf, uniqueOf } from './unique.ts'
import { userCodeOf } from './user-code.ts'
import { GUARDED_COLUMNS, holdsDefinitionsOnly } from '../builtins/system.ts'

/** The first oid that the server gives to objects of users. */
const FIRST_USER_OID = 16384

/** int2vector, oidvector and arrays of them: many values with blanks between them. */
const VECTORS: ReadonlySet<number> = new Set([22, 30, 1006, 1013])

/** Puts the parts together: labels on columns, what depends on them, what of the users' code is known. */
export function assembleCatalogue(parts: CatalogueParts, assignments: readonly LabelAssignment[]): Catalogue {
  const patterns = assignments.map(readPattern)
  const labels = labelColumns(parts, patterns)
  const relations = relationsOf(parts, labels.byRelation)
  const reach = reachOf(parts, labels.byRelation)
  const recast = recastOf(parts)
  const schemas = new Map<string, Map<string, Relation>>()
  for (const relation of relations.values()) entry(schemas, relation.schema).set(relation.name, relation)
  const system = new Map<string, Set<string>>()
  for (const { schema, name } of parts.system) system.set(schema, (system.get(schema) ?? new Set()).add(name))
  const carried = new Set<LabelName>()
  const constraints = new Map<number, Set<string>>()
  for (const { relation, name } of parts.constraints ?? [])
    constraints.set(relation, (constraints.get(relation) ?? new Set()).add(name))
  for (const columns of labels.byRelation.values()) {
    for (const given of columns.values()) for (const label of labelsOfColumn(given)) carried.add(label)
  }
  return {
    epoch: parts.epoch,
    database: parts.database,
    schemas,
    relations,
    system,
    functions: functionsOf(parts),
    operators: operatorsOf(parts),
    types: typesOf(parts, reach),
    recast,
    texts: textsOf(parts),
    userCode: userCodeOf(parts, reach, recast),
    builtinTypesRecast: isRecastUnseen(parts),
    schemaNames: new Set(parts.schemas),
    unusable: unusableOf(parts),
    searchPath: parts.searchPath,
    constraints,
    labels: [...carried].sort(),
    reach,
    children: listed(parts.inherits.map(({ parent, child }) => [parent, child] as const)),
    ruled: listed(parts.ruleReads.map(({ relation, of }) => [relation, of] as const)),
    shadowed: shadowedOf(parts, reach),
    unmatched: patterns.filter((each) => !labels.matched.has(each)).map((each) => each.assignment),
  }
}

/** Everything, wherever it lies. */
const ANYWHERE = '**'

/**
 * Labels by relation and attribute number: those assigned; then those of the same column in parents, children and
 * partitions (the same rows show through both); then those of the columns that generated ones are computed from.
 */
function labelColumns(
  parts: CatalogueParts,
  patterns: readonly ColumnPattern[],
): { byRelation: ColumnLabels; matched: ReadonlySet<ColumnPattern> } {
  const byRelation: ColumnLabels = new Map()
  const matched = new Set<ColumnPattern>()
  const names = new Map(parts.relations.map((relation) => [relation.oid, relation]))
  const columns = new Map<number, Map<string, number>>()
  const ordered = bySpecificity(patterns)
  for (const column of parts.columns) {
    const relation = names.get(column.relation)
    if (relation === undefined) continue
    entry(columns, relation.oid).set(column.name, column.attribute)
    for (const pattern of ordered) {
      if (!matches(pattern, parts.database, relation.schema, relation.name, column.name)) continue
      matched.add(pattern)
      const labels = entry(byRelation, relation.oid)
      const before = labels.get(column.attribute) ?? {}
      labels.set(column.attribute, together(before, givenBy(pattern)))
    }
  }
  const computed = new Set<Given>()
  for (let changed = true; changed; ) {
    changed = false
    for (const { child, parent } of parts.inherits) {
      changed = spread(byRelation, columns, parent, child) || changed
      changed = spread(byRelation, columns, child, parent) || changed
    }
    for (const { relation, attribute, from } of parts.generated) {
      const given = byRelation.get(relation)?.get(from)
      if (given === undefined) continue
      const before = byRelation.get(relation)?.get(attribute)
      // A label that was assigned to it itself is what its owner says of it.
      if (before !== undefined && !computed.has(before)) continue
      const after = computedFrom(before, given)
      if (after === before) continue
      computed.add(after)
      entry(byRelation, relation).set(attribute, after)
      changed = true
    }
  }
  return { byRelation, matched }
}

/** One more column that a generated one is computed from: all labels count, and where it has put what, nobody knows. */
function computedFrom(before: Given | undefined, from: Given): Given {
  if (before === undefined) {
    const paths = from.paths?.map(({ label }) => ({ path: ANYWHERE, label }))
    return { ...from, ...(paths === undefined ? {} : { paths }), generated: true }
  }
  const known = labelsOfColumn(before)
  const more = labelsOfColumn(from).filter((label) => !known.includes(label))
  if (more.length === 0) return before
  return { ...before, paths: [...(before.paths ?? []), ...more.map((label) => ({ path: ANYWHERE, label }))] }
}

function givenBy({ path, label }: ColumnPattern): Given {
  return path === undefined ? { label } : { paths: [{ path, label }] }
}

/** What was given first stands, for the whole and for each path. */
function together(first: Given, second: Given): Given {
  const label = first.label ?? second.label
  const more = second.paths?.filter(
    ({ path, label: other }) =>
      first.paths?.some((each) => each.path === path && (path !== ANYWHERE || each.label === other)) !== true,
  )
  const paths = [...(first.paths ?? []), ...(more ?? [])]
  const isOwn = first.label !== undefined || (first.paths !== undefined && second.label === undefined)
  const { generated } = isOwn ? first : second
  return {
    ...(label === undefined ? {} : { label }),
    ...(paths.length === 0 ? {} : { paths }),
    ...(generated === undefined ? {} : { generated }),
  }
}

/** Gives `to` the labels that `from` has on columns of the same name. */
function spread(
  labels: ColumnLabels,
  columns: ReadonlyMap<number, ReadonlyMap<string, number>>,
  from: number,
  to: number,
): boolean {
  const given = labels.get(from)
  const target = columns.get(to)
  if (given === undefined || target === undefined) return false
  let changed = false
  for (const [name, attribute] of columns.get(from) ?? []) {
    const own = given.get(attribute)
    const at = target.get(name)
    if (own === undefined || at === undefined) continue
    const before = labels.get(to)?.get(at)
    const after = together(before ?? {}, own)
    if (before !== undefined && after.label === before.label && after.paths?.length === before.paths?.length)
      continue
    entry(labels, to).set(at, after)
    changed = true
  }
  return changed
}

function relationsOf(parts: CatalogueParts, labels: ColumnLabels): Map<number, Relation> {
  const columns = new Map<number, Column[]>()
  const unique = uniqueOf(parts, labels)
  for (const { relation, attribute, name, type, loose } of parts.columns) {
    const given = labels.get(relation)?.get(attribute)
    const list = columns.get(relation) ?? []
    const asked = unique.get(relation)?.get(attribute)
    list.push({ name, attribute, type, ...given, ...asked, ...(loose === true ? { loose } : {}) })
    columns.set(relation, list)
  }
  const places = placesOf(parts, labels)
  const definitions = new Map(parts.views.map((each) => [each.relation, each.definition]))
  return new Map(
    parts.relations.map((each) => {
      const definition = definitions.get(each.oid)
      const relation = { ...each, columns: columns.get(each.oid) ?? [], ...places.get(each.oid) }
      return [each.oid, definition === undefined ? relation : { ...relation, definition }]
    }),
  )
}

/** Labelled relations, and by and by every view, materialized view or rule that reads one, or that runs what is not known. */
function reachOf(parts: CatalogueParts, labels: ColumnLabels): Set<number> {
  const reach = new Set(labels.keys())
  const system = new Map(parts.system.map((each) => [each.oid, each]))
  for (const call of parts.ruleCalls) if (!isKnownCall(call)) reach.add(call.relation)
  for (const { relation, of } of parts.ruleReads) {
    const read = system.get(of)
    if (read === undefined) continue
    if (!holdsDefinitionsOnly(read.schema, read.name) || GUARDED_COLUMNS.has(read.name)) reach.add(relation)
  }
  for (let changed = true; changed; ) {
    changed = false
    for (const { relation, of } of parts.ruleReads) {
      if (!reach.has(of) || reach.has(relation)) continue
      reach.add(relation)
      changed = true
    }
  }
  return reach
}

function unusableOf(parts: CatalogueParts): Map<string, Set<string>> {
  const roles = new Map<string, Set<string>>()
  for (const { name, unusable } of parts.roles ?? []) {
    const schemas = roles.get(name) ?? new Set()
    if (unusable !== null) schemas.add(unusable)
    roles.set(name, schemas)
  }
  return roles
}

function shadowedOf(parts: CatalogueParts, reach: ReadonlySet<number>): Set<string> {
  const inReach = new Set(parts.relations.filter((each) => reach.has(each.oid)).map((each) => each.name))
  const others = parts.relations.filter((each) => !reach.has(each.oid) && inReach.has(each.name))
  return new Set(others.map((each) => each.name))
}

function isKnownCall(call: CatalogueParts['ruleCalls'][number]): boolean {
  if (!call.builtin)
    return call.operator ? operatorsCompute(call.extension) : functionsCompute(call.extension)
  // The functions behind the server's own operators have no side effect; they are too many to be listed by name.
  return call.operator || HARMLESS.has(call.name) || QUIET.has(call.name)
}

function functionsOf(parts: CatalogueParts): Map<string, UserFunction> {
  const functions = new Map<string, UserFunction>()
  for (const each of parts.functions) {
    const before = functions.get(each.name)
    const { schema, volatile, least = 0, most = Number.POSITIVE_INFINITY } = each
    const form = { schema, least, most, volatile, harmless: functionsCompute(each.extension) }
    functions.set(each.name, {
      forms: [...(before?.forms ?? []), form],
      schemas: new Set([...(before?.schemas ?? []), each.schema]),
      volatile: each.volatile || before?.volatile === true,
      takesOne: each.takesOne !== false || before?.takesOne === true,
      harmless: functionsCompute(each.extension) && before?.harmless !== false,
    })
  }
  return functions
}

function operatorsOf(parts: CatalogueParts): Map<string, Set<string | undefined>> {
  const operators = new Map<string, Set<string | undefined>>()
  for (const { schema, name, extension } of parts.operators)
    if (!operatorsCompute(extension))
      operators.set(name, (operators.get(name) ?? new Set<string | undefined>()).add(schema))
  return operators
}

function listed(pairs: readonly (readonly [number, number])[]): Map<number, number[]> {
  const lists = new Map<number, number[]>()
  for (const [from, to] of pairs) {
    const list = lists.get(from)
    if (list === undefined) lists.set(from, [to])
    else list.push(to)
  }
  return lists
}

function untrustedCasts(parts: CatalogueParts): CatalogueParts['casts'] {
  return parts.casts.filter((cast) => !operatorsCompute(cast.extension))
}

function recastOf(parts: CatalogueParts): Set<number> {
  const recast = new Set(untrustedCasts(parts).flatMap((cast) => [cast.source, cast.target]))
  // Casts of built-in types to one another are a matter of every statement.
  for (const oid of recast) if (oid < FIRST_USER_OID) recast.delete(oid)
  for (let before = 0; before !== recast.size; ) {
    before = recast.size
    for (const { oid, base, relation } of parts.types) {
      const fields = relation === undefined ? [] : parts.columns.filter((each) => each.relation === relation)
      if (recast.has(base) || fields.some(({ type }) => recast.has(type))) recast.add(oid)
    }
  }
  return recast
}

/** A cast from a built-in type, or from the rows of a relation: nothing in the text names the type that is cast. */
function isRecastUnseen(parts: CatalogueParts): boolean {
  const rows = new Set(parts.types.filter(({ form }) => form === 'c').map(({ oid }) => oid))
  return untrustedCasts(parts).some(
    ({ source, target }) => target < FIRST_USER_OID && (source < FIRST_USER_OID || rows.has(source)),
  )
}

function textsOf(parts: CatalogueParts): Set<number> {
  const texts = new Set<number>()
  for (let before = -1; before !== texts.size; ) {
    before = texts.size
    for (const { oid, name, form, base, extension } of parts.types) {
      const isDomain = form === 'd' && isTextType(base, { texts })
      if (isDomain || (name === 'citext' && extension === 'citext')) texts.add(oid)
    }
  }
  return texts
}

function typesOf(parts: CatalogueParts, reach: ReadonlySet<number>): Map<string, Map<string, UserType>> {
  const recast = new Set(untrustedCasts(parts).flatMap((cast) => [cast.source, cast.target]))
  const byOid = new Map(parts.types.map((each) => [each.oid, each]))
  const fields = new Map<number, number[]>()
  for (const { relation, type } of parts.columns)
    fields.set(relation, [...(fields.get(relation) ?? []), type])
  const isHarmless = (oid: number): boolean => {
    if (oid < FIRST_USER_OID) return true
    const type = byOid.get(oid)
    if (type === undefined || recast.has(oid)) return false
    const { form, base, relation } = type
    if (form === 'e' || operatorsCompute(type.extension)) return true
    // The rows of a labelled relation are its own business; those of others are as harmless as their fields.
    if (form === 'c' && relation !== undefined)
      return !reach.has(relation) && (fields.get(relation) ?? []).every(isHarmless)
    if (type.userChecks || base === 0) return false
    // A domain over, an array or a range of, what is harmless itself.
    return (form === 'd' || form === 'b' || form === 'r') && isHarmless(base)
  }
  const isExact = (oid: number): boolean => {
    if (oid < FIRST_USER_OID) return !VECTORS.has(oid)
    const type = byOid.get(oid)
    if (type === undefined || type.loose !== false) return false
    const inside = type.relation === undefined ? [] : (fields.get(type.relation) ?? [])
    return (type.base === 0 || isExact(type.base)) && inside.every(isExact)
  }
  const types = new Map<string, Map<string, UserType>>()
  for (const { schema, name, oid } of parts.types)
    entry(types, schema).set(name, { oid, harmless: isHarmless(oid), exact: isExact(oid) })
  return types
}

function entry<Key, InnerKey, Value>(map: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = new Map<InnerKey, Value>()
  map.set(key, made)
  return made
}
