import type { Node } from 'libpg-query'
import type { CommandClass } from '../../core/command.ts'
import { NO_USER_CODE } from '../catalogue/catalogue.ts'
import { classOf } from '../statement/classify.ts'
import type { RelationRef, Survey } from '../statement/survey.ts'
import type { Names } from './names.ts'

/** Whether a statement runs code of users that it does not name: triggers, rules, defaults, row policies. */
export function runsUnnamedCode(node: Node, found: Survey, names: Names): boolean {
  const inserts = insertsOnly(node, found)
  return (
    runsAnyCode(node, names) ||
    found.relations.some((each) => runsTriggers(each, names) || runsUserCode(each, names, inserts))
  )
}

/** Whether values come by that are read, compared or cast by code of users. */
export function bringsCodedTypes(found: Survey, names: Names): boolean {
  return (
    found.types.some((type) => names.isCodedType(type)) ||
    found.relations.some((relation) => bringsTypes(relation, names))
  )
}

/** Code of users that hangs on relations which are not named, or on none. */
function runsAnyCode(node: Node, names: Names): boolean {
  const { comparing, definitions } = names.catalogue.userCode ?? NO_USER_CODE
  // ANALYZE computes what indexes and statistics are over.
  if ('VacuumStmt' in node) return (node.VacuumStmt.rels ?? []).length === 0
  if ('TruncateStmt' in node && node.TruncateStmt.behavior === 'DROP_CASCADE') return true
  // Event triggers run for definitions, rights, REINDEX, and what makes a table or fills one anew.
  return comparing || (definitions && (!ROWS_ONLY.has(classOf(node)) || 'RefreshMatViewStmt' in node))
}

const ROWS_ONLY: ReadonlySet<CommandClass> = new Set(['read', 'write'])

/** No row that others refer to is changed or removed. */
function insertsOnly(node: Node, { changes, nested }: Survey): boolean {
  if ('CopyStmt' in node) return node.CopyStmt.query === undefined
  if (!('InsertStmt' in node) || node.InsertStmt.onConflictClause !== undefined) return false
  return changes.length === 0 && !nested.has('InsertStmt') && !nested.has('MergeStmt')
}

/** What hangs on it may say anything. */
function runsUserCode(relation: RelationRef, names: Names, inserts: boolean): boolean {
  const { relations, copied } = names.catalogue.userCode ?? NO_USER_CODE
  const meaning = names.relation(relation)
  if (meaning.kind === 'own') return copied
  const when = meaning.kind === 'relation' ? relations.get(meaning.relation.oid) : undefined
  if (when === 'any' || when === undefined || relation.role === 'read') return when === 'any'
  return when === 'write' || !inserts
}

function bringsTypes(relation: RelationRef, names: Names): boolean {
  const { types } = names.catalogue.userCode ?? NO_USER_CODE
  if (types.size === 0) return false
  const meaning = names.relation(relation)
  if (meaning.kind === 'own') return true
  return meaning.kind === 'relation' && meaning.relation.columns.some(({ type }) => types.has(type))
}

function runsTriggers(relation: RelationRef, names: Names): boolean {
  if (relation.role === 'read') return false
  const meaning = names.relation(relation)
  return meaning.kind === 'relation' && (meaning.relation.hasTriggers || meaning.relation.hasRules)
}
