import type { Node, RangeVar } from 'libpg-query'
import { isFollowed, setConfigEffects } from '../session/effects.ts'
import type { Findings } from './findings.ts'
import type { Names } from '../session/names.ts'
import { changeOf } from '../builtins/settings.ts'
import type { RelationRef, Survey } from '../statement/survey.ts'
import { guardedColumnRead } from '../builtins/system-columns.ts'
import type { RulesOff } from './lineage-rules.ts'
import { ruleHolds } from './lineage-rules.ts'

/**
 * What is looked at in every statement, wherever it stands: functions, operators, types and settings by their names.
 * Allow-lists: what is not known to be harmless is an escape. `strict`: in a statement that reads labelled tables.
 */
export function checkParts(
  found: Survey,
  names: Names,
  findings: Findings,
  strict: boolean,
  node?: Node,
  off?: RulesOff,
): void {
  for (const call of ruleHolds('functions', off) ? found.calls : []) {
    if (call.name === 'set_config' && !strict) continue
    if (names.isHarmlessCall(call, strict)) continue
    findings.escapeAll(
      `Leave out the function ${call.name}: it is not known to be harmless to protected columns.`,
    )
  }
  const followed =
    found.settings.length === 0 || node === undefined ? undefined : setConfigEffects(node, names)
  for (const { name, value } of ruleHolds('settings', off) ? found.settings : []) {
    if (followed !== undefined && name !== undefined && isFollowed(name)) continue
    if (name === undefined || !changeOf(name, value).safe) settingEscapes(name ?? '', findings)
  }
  for (const operator of ruleHolds('operators', off) ? found.operators : []) {
    if (names.isHarmlessOperator(operator)) continue
    findings.escapeAll(`Leave out the operator ${operator.name}: it runs a function that is not known.`)
  }
  for (const type of ruleHolds('types', off) ? found.types : []) {
    if (names.isHarmlessType(type)) continue
    findings.escapeAll(
      `Leave out the type ${type.name}: it is not known to be harmless to protected columns.`,
    )
  }
  if (names.catalogue.builtinTypesRecast && ruleHolds('types', off)) {
    findings.escapeAll(
      'Protected columns are not readable here: a cast between built-in types runs an unknown function.',
    )
  }
}

export function settingEscapes(name: string, findings: Findings): void {
  findings.escapeAll(`Leave the setting ${name} as it is where protected columns are in reach.`)
}

/** Relations that are not known, and those of the system that hold more than definitions. */
export function checkRelations(
  node: Node,
  found: Survey,
  names: Names,
  findings: Findings,
  off: RulesOff | undefined,
): void {
  const made = madeBy(node)
  // What is made is not there yet. Only that: a WITH in front of it may write to anything.
  const own = found.relations.findIndex(
    ({ role, name, schema }) => role === 'write' && name === made?.relname && schema === made.schemaname,
  )
  const relations = ruleHolds('known relations', off) ? found.relations : []
  for (const [i, relation] of relations.entries()) {
    if (i === own) continue
    const meaning = names.relation(relation)
    checkCasts(relation, names, findings)
    if (meaning.kind === 'unknown') {
      findings.escapeAll(`Name a relation that exists: ${relation.name} is not known here.`)
    } else if (meaning.kind === 'own') {
      if (meaning.near === true && relation.role === 'write')
        findings.escapeAll(
          `Write to the tables behind ${relation.name}: what a write to it does is not followed.`,
        )
    } else if (meaning.kind === 'system') {
      if (!meaning.plain) {
        findings.escapeAll(`Do not read ${meaning.schema}.${meaning.name}: it holds values or secrets.`)
      } else if (relation.role === 'write') {
        findings.escapeAll(`Do not write to ${meaning.schema}.${meaning.name}.`)
      } else {
        const column = guardedColumnRead(node, meaning.name)
        if (column === undefined) continue
        findings.escapeAll(
          `Name the columns of ${meaning.name} one by one, without ${column}: it is not for everybody.`,
        )
      }
    }
  }
}

/** A column of a type with such a cast brings it along, also into what is made of its relation. */
export function checkCasts(relation: RelationRef, names: Names, findings: Findings): void {
  const meaning = names.relation(relation)
  const { recast } = names.catalogue
  if (meaning.kind !== 'relation' || !meaning.relation.columns.some(({ type }) => recast?.has(type))) return
  findings.escapeAll(
    `Leave ${relation.name} to who may see all protected values: a cast of its columns runs an unknown function.`,
  )
}

/** What is made of a query: SELECT INTO, CREATE TABLE AS, a view. */
function madeBy(node: Node): RangeVar | undefined {
  if ('SelectStmt' in node) return node.SelectStmt.intoClause?.rel
  if ('ViewStmt' in node) return node.ViewStmt.view
  return 'CreateTableAsStmt' in node ? node.CreateTableAsStmt.into?.rel : undefined
}
