import type { CatalogueParts } from './parts.ts'
import type { UserCode } from './catalogue.ts'
import { functionsCompute, operatorsCompute } from '../builtins/extensions.ts'

/** The first oid that the server gives to objects of users. */
const FIRST_USER_OID = 16384

/** Looked for where no operator is written: USING, NATURAL, IN, BETWEEN, CASE, NULLIF, DISTINCT, LIKE. */
const COMPARING: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>='])

export function userCodeOf(
  parts: CatalogueParts,
  reach: ReadonlySet<number>,
  recast: ReadonlySet<number>,
): UserCode {
  const types = codedTypes(parts, recast)
  const hung = (parts.hung ?? []).filter((each) => isUnknown(each, reach, types))
  const ordered = (parts.compared ?? []).filter(({ extension }) => !operatorsCompute(extension))
  const operators = parts.operators.filter(({ extension }) => !operatorsCompute(extension))
  return {
    types,
    relations: codedRelations(parts, hung, reach, types),
    definitions: (parts.eventTriggers ?? []).some(({ extension }) => !operatorsCompute(extension)),
    copied: hung.length > 0,
    moves: (parts.moving ?? []).some(({ extension }) => !functionsCompute(extension)),
    comparing:
      operators.some(({ name }) => COMPARING.has(name)) || ordered.some(({ type }) => type < FIRST_USER_OID),
  }
}

type Hung = NonNullable<CatalogueParts['hung']>[number]

function codedTypes(parts: CatalogueParts, recast: ReadonlySet<number>): Set<number> {
  const types = new Set(recast)
  for (const { type, extension } of parts.compared ?? []) if (!operatorsCompute(extension)) types.add(type)
  for (const { oid, form, base, userChecks, extension } of parts.types) {
    if (operatorsCompute(extension)) continue
    const ownInput = base === 0 && (form === 'b' || form === 'r')
    if (userChecks || ownInput) types.add(oid)
  }
  const fields = new Map<number, number[]>()
  for (const { relation, type } of parts.columns)
    fields.set(relation, [...(fields.get(relation) ?? []), type])
  for (let before = -1; before !== types.size; ) {
    before = types.size
    // Which range a multirange is of, is not known.
    const ranges = parts.types.some(({ oid, form }) => form === 'r' && types.has(oid))
    for (const { oid, form, base, relation } of parts.types) {
      const inside = relation === undefined ? [] : (fields.get(relation) ?? [])
      if ((form === 'm' && ranges) || types.has(base) || inside.some((type) => types.has(type)))
        types.add(oid)
    }
  }
  return types
}

function codedRelations(
  parts: CatalogueParts,
  hung: readonly Hung[],
  reach: ReadonlySet<number>,
  types: ReadonlySet<number>,
): Map<number, 'any' | 'write' | 'change'> {
  const any = new Set<number>()
  const write = new Set<number>()
  const change = new Set<number>()
  for (const { relation, reading } of hung) {
    if (reading) any.add(relation)
    else write.add(relation)
  }
  for (const { relation, type } of parts.columns) if (types.has(type)) any.add(relation)
  for (const { oid, hasTriggers } of parts.relations) if (hasTriggers) write.add(oid)
  const cascades = parts.cascades ?? []
  for (let before = -1; before !== any.size + write.size + change.size; ) {
    before = any.size + write.size + change.size
    for (const { child, parent } of parts.inherits) {
      if (any.has(child)) any.add(parent)
      if (write.has(child)) write.add(parent)
      if (change.has(child)) change.add(parent)
      if (change.has(parent)) change.add(child)
      // The key of a partitioned table is looked at where a row is put into a partition.
      if (write.has(parent)) write.add(child)
    }
    for (const { relation, of } of parts.ruleReads) {
      if (any.has(of)) any.add(relation)
      if (write.has(of)) write.add(relation)
      if (change.has(of)) change.add(relation)
    }
    for (const { from, to } of cascades)
      if (any.has(from) || write.has(from) || change.has(from) || reach.has(from)) change.add(to)
  }
  const relations = new Map<number, 'any' | 'write' | 'change'>()
  for (const oid of change) relations.set(oid, 'change')
  for (const oid of write) relations.set(oid, 'write')
  for (const oid of any) relations.set(oid, 'any')
  return relations
}

function isUnknown(
  { of, oid, extension }: Hung,
  reach: ReadonlySet<number>,
  types: ReadonlySet<number>,
): boolean {
  if (of === 'pg_class') return reach.has(oid)
  if (of === 'pg_type') return types.has(oid)
  if (oid < FIRST_USER_OID) return false
  return of === 'pg_proc' ? !functionsCompute(extension) : !operatorsCompute(extension)
}
