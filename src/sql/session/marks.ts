import type { Node, TransactionStmt, VariableSetStmt } from 'libpg-query'
import { builtinClass } from '../builtins/functions.ts'
import { isSystemSchema } from '../builtins/system.ts'
import type { ParseResult } from '../parse/parser.ts'
import type { QualifiedName } from '../parse/tree.ts'
import { constantText, kindOf } from '../parse/tree.ts'
import { survey } from '../statement/survey.ts'
import { isOnlySetConfig, makesTemporary } from './effects.ts'
import type { SettingSaid } from './settings-said.ts'
import { setConfigSaid, settingSaid } from './settings-said.ts'

/**
 * What a statement does to the meaning of statements behind it, as far as its text alone says. Whatever is not known to
 * leave that as it is counts as a change.
 */
export type Mark =
  /** As it was, but for what code of users does that the text does not name. */
  | { readonly kind: 'none' }
  | { readonly kind: 'begin' | 'commit' | 'rollback' }
  | { readonly kind: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }
  /** DISCARD ALL. */
  | { readonly kind: 'discard' }
  /** Until the end of the transaction, and no longer. `says`: which settings, where it is that. */
  | { readonly kind: 'local'; readonly says?: readonly SettingSaid[] }
  /** The same change whenever it is sent, taken back with its transaction. */
  | { readonly kind: 'change'; readonly says?: readonly SettingSaid[] }
  /** The same: it makes a relation that only its session sees. */
  | { readonly kind: 'make' }
  /** The same for definitions: until it is committed, others do not see what names mean here. */
  | { readonly kind: 'define' }
  /** The same, and it may commit what stands before it. */
  | { readonly kind: 'settle' }
  /** It may do anything, another thing each time, and not be taken back. */
  | { readonly kind: 'unknown' }

const NONE: Mark = { kind: 'none' }
const CHANGE: Mark = { kind: 'change' }
const UNKNOWN: Mark = { kind: 'unknown' }

/** What each statement of a text does, in order. Undefined: nobody knows what it says. */
export function marksOf(parsed: ParseResult): readonly Mark[] | undefined {
  if (parsed.kind !== 'parsed') return undefined
  return (parsed.tree.stmts ?? []).map(({ stmt }) => (stmt === undefined ? UNKNOWN : markOf(stmt)))
}

/** Whether these functions are all the server's own, change no setting, and run no text as SQL. */
export function leavesSettings(calls: readonly string[]): boolean {
  return calls.every((name) => {
    if (name.startsWith('information_schema.')) return true
    const of = builtinClass(name)
    return (of === 'read' || of === 'write') && name !== 'setseed'
  })
}

/** They change no meaning by themselves. */
const PLAIN: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'TruncateStmt',
  'ExplainStmt',
  'CopyStmt',
  'VariableShowStmt',
  'LockStmt',
  'NotifyStmt',
  'ListenStmt',
  'UnlistenStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'DeallocateStmt',
])

/** They commit what stands before them, or may. */
const SETTLING: ReadonlySet<string> = new Set([
  'VacuumStmt',
  'CreatedbStmt',
  'DropdbStmt',
  'AlterDatabaseStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'ReindexStmt',
  'ClusterStmt',
  'AlterSystemStmt',
  'CreateSubscriptionStmt',
  'AlterSubscriptionStmt',
  'DropSubscriptionStmt',
])

function markOf(node: Node): Mark {
  if ('TransactionStmt' in node) return transactionMark(node.TransactionStmt)
  if ('VariableSetStmt' in node) return settingMark(node.VariableSetStmt)
  if ('ConstraintsSetStmt' in node)
    return { kind: 'local', says: [{ name: 'constraints', value: 'set', local: true }] }
  if ('DiscardStmt' in node) {
    const { target } = node.DiscardStmt
    return target === undefined || target === 'DISCARD_ALL' ? { kind: 'discard' } : UNKNOWN
  }
  const kind = kindOf(node)
  if (SETTLING.has(kind) || ('IndexStmt' in node && node.IndexStmt.concurrent === true))
    return { kind: 'settle' }
  // What a library keeps for itself, no transaction takes back.
  if ('LoadStmt' in node || 'DoStmt' in node || 'CallStmt' in node) return UNKNOWN
  if (makesTemporary(node)) return { kind: 'make' }
  if (!PLAIN.has(kind)) return { kind: 'define' }
  const found = survey(node)
  if (found.beyond) return UNKNOWN
  if (found.into) return { kind: 'define' }
  // Rules of the server's own relations call what changes settings.
  if (found.relations.some((each) => each.role === 'write' && isSystemName(each))) return UNKNOWN
  if (found.calls.some(({ name }) => name === 'set_config'))
    return isConstantSetConfig(node) ? { kind: 'change', says: setConfigSaid(node) } : UNKNOWN
  return NONE
}

function isSystemName({ schema, name }: QualifiedName): boolean {
  return schema === undefined ? name.startsWith('pg_') : isSystemSchema(schema)
}

/** Nothing but calls of set_config with constants and parameters: it runs once, and what it sets is in text and parameters. */
function isConstantSetConfig(node: Node): boolean {
  if (!('SelectStmt' in node) || !isOnlySetConfig(node)) return false
  return (node.SelectStmt.targetList ?? []).every((target) => {
    const call = 'ResTarget' in target ? target.ResTarget.val : undefined
    return call !== undefined && 'FuncCall' in call && (call.FuncCall.args ?? []).every(isGiven)
  })
}

function isGiven(node: Node): boolean {
  if ('TypeCast' in node) return node.TypeCast.arg !== undefined && isGiven(node.TypeCast.arg)
  return 'ParamRef' in node || constantText(node) !== undefined
}

function transactionMark({ kind, savepoint_name: name = '' }: TransactionStmt): Mark {
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { kind: 'begin' }
    case 'TRANS_STMT_COMMIT':
      return { kind: 'commit' }
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'rollback' }
    case 'TRANS_STMT_SAVEPOINT':
      return { kind: 'savepoint', name }
    case 'TRANS_STMT_RELEASE':
      return { kind: 'release', name }
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'rollbackTo', name }
    default:
      return CHANGE
  }
}

function settingMark(statement: VariableSetStmt): Mark {
  const { kind, name, is_local: isLocal } = statement
  const says = settingSaid(statement)
  // SET TRANSACTION, also with the snapshot of another.
  if (kind === 'VAR_SET_MULTI')
    return { kind: name?.startsWith('TRANSACTION') === true ? 'local' : 'change', says }
  if (kind === 'VAR_RESET_ALL')
    return { kind: 'change', says: [{ name: 'all settings', value: undefined, local: false }] }
  return { kind: isLocal === true ? 'local' : 'change', says }
}
