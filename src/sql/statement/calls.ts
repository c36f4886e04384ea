import type { CommandClass } from '../../core/command.ts'
import { strictest } from '../../core/command.ts'
import { builtinClass } from '../builtins/functions.ts'
import { changeOf } from '../builtins/settings.ts'
import type { Survey } from './survey.ts'
import type { Call, QualifiedName } from '../parse/tree.ts'
import type { Names } from '../session/names.ts'

/**
 * What the functions a statement calls add to its class. A function of a user may do anything when it is volatile; one
 * that is stable or immutable cannot change data (the server forbids it). A name that is neither a known built-in nor
 * in the catalogue is opaque.
 */
export function classOfCalls({ calls, settings }: Survey, names: Names | undefined): CommandClass {
  if (calls.length === 0) return 'read'
  const classes = calls.map((call) => (isSetConfig(call) ? 'read' : classOfCall(call, names)))
  // set_config is SET in another spelling.
  for (const { name, value } of settings) {
    classes.push(name === undefined ? 'administer' : changeOf(name, value).class)
  }
  return strictest(classes)
}

function isSetConfig(call: QualifiedName): boolean {
  return call.name === 'set_config' && (call.schema === undefined || call.schema === 'pg_catalog')
}

function classOfCall(call: Call, names: Names | undefined): CommandClass {
  if (call.schema === 'information_schema') return 'read'
  const builtin =
    call.schema === undefined || call.schema === 'pg_catalog' ? builtinClass(call.name) : undefined
  const own = (names?.ownFunctions(call) ?? []).map(
    ({ volatile }): CommandClass => (volatile ? 'opaque' : 'read'),
  )
  return builtin === undefined && own.length === 0
    ? 'opaque'
    : strictest([...(builtin === undefined ? [] : [builtin]), ...own])
}
