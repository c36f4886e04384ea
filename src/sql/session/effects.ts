import type { Node, RangeVar, VariableSetStmt } from 'libpg-query'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { stateOfReach } from '../catalogue/catalogue.ts'
import type { Effect, Own } from './effect.ts'
import type { Beginning } from './names.ts'
import { Names } from './names.ts'
import type { Overlay } from './overlay.ts'
import type { ParseResult } from '../parse/parser.ts'
import { settles } from './settling.ts'
import { bringsCodedTypes, runsUnnamedCode } from './unnamed-code.ts'
import { survey } from '../statement/survey.ts'
import { constantText, executedBy, qualifiedName, stringsOf } from '../parse/tree.ts'

/** What the session began with, and what it has changed since. */
export type SessionContext = { readonly catalogue?: Catalogue; readonly overlay?: Overlay } & Beginning

const HOLD = 0x20

/** Of what escapes, nobody knows where it went: everything may have changed, or these values have gone somewhere. */
export function effectsOfEscape(
  escaped: readonly string[] | undefined,
  all: readonly string[],
): readonly Effect[] {
  if (escaped === undefined) return []
  return all.every((label) => escaped.includes(label))
    ? [{ kind: 'taint' }, { kind: 'lose' }]
    : [{ kind: 'taint' }]
}

/** What each statement of a batch leaves behind, in order; later statements mean what the ones before them make of it. */
export function sessionEffects(
  parsed: ParseResult,
  context: SessionContext,
  escaped: readonly string[] | undefined,
): readonly (readonly Effect[])[] {
  if (parsed.kind !== 'parsed') return []
  const { catalogue } = context
  const names = catalogue === undefined ? undefined : new Names(catalogue, context, context.overlay)
  const all: (readonly Effect[])[] = []
  for (const { stmt } of parsed.tree.stmts ?? []) {
    if (stmt === undefined) continue
    const effects = effectsOf(stmt, names)
    names?.follow(effects)
    all.push(catalogue === undefined ? effects : [...effects, ...effectsOfEscape(escaped, catalogue.labels)])
  }
  return all
}

/** `names` absent: on a connection without labels only prepared statements and cursors are followed. */
export function effectsOf(node: Node, names: Names | undefined): readonly Effect[] {
  const effects = effectsSaid(node, names)
  return names !== undefined && movesUnsaid(node, names) ? [...effects, { kind: 'lose' }] : effects
}

/**
 * Code that nobody names may change where names are looked for. What is only prepared or declared counts as if it ran at once: what
 * runs it later does not say what it is.
 */
function movesUnsaid(node: Node, names: Names): boolean {
  if (names.catalogue.userCode?.moves !== true) return false
  const found = survey(node)
  return runsUnnamedCode(node, found, names) || bringsCodedTypes(found, names)
}

function effectsSaid(node: Node, names: Names | undefined): readonly Effect[] {
  const named = namedEffect(node)
  if (named !== undefined) return named
  const executed = executedBy(node)
  if (executed !== undefined) {
    const made = names === undefined ? [] : definitionEffects(node, names)
    return [{ kind: 'run', name: executed }, ...made]
  }
  if (names === undefined) return []
  if ('TransactionStmt' in node) return transactionEffect(node)
  if ('VariableSetStmt' in node) {
    const effect = settingEffect(node.VariableSetStmt, names)
    return effect === undefined || effect === 'none' ? [] : [effect]
  }
  if ('SelectStmt' in node) {
    const effects = isOnlySetConfig(node) ? (setConfigEffects(node, names) ?? []) : []
    const into = node.SelectStmt.intoClause
    return into === undefined ? effects : [...effects, ...make(into.rel, ownOf(node, into.rel, names))]
  }
  const defined = definitionEffects(node, names)
  // Whether DO and CALL commit is not followed: nothing counts as known behind them.
  return settles(node) ? [...defined, SETTLED] : defined
}

const SETTLED = { kind: 'settle' } as const

function namedEffect(node: Node): readonly Effect[] | undefined {
  if ('PrepareStmt' in node) {
    const { name, query } = node.PrepareStmt
    return query === undefined ? [] : [{ kind: 'prepare', name: name ?? '', query }]
  }
  if ('DeclareCursorStmt' in node) {
    const { portalname, query, options } = node.DeclareCursorStmt
    const hold = ((options ?? 0) & HOLD) !== 0
    return query === undefined ? [] : [{ kind: 'declare', name: portalname ?? '', query, hold }]
  }
  if ('ExecuteStmt' in node) return [{ kind: 'run', name: node.ExecuteStmt.name ?? '' }]
  if ('FetchStmt' in node) return [{ kind: 'fetch', name: node.FetchStmt.portalname ?? '' }]
  if ('DeallocateStmt' in node) {
    const { name } = node.DeallocateStmt
    return [{ kind: 'deallocate', ...(name === undefined ? {} : { name }) }]
  }
  if ('ClosePortalStmt' in node) {
    const { portalname: name } = node.ClosePortalStmt
    return [{ kind: 'close', ...(name === undefined ? {} : { name }) }]
  }
  if ('DiscardStmt' in node) {
    const { target } = node.DiscardStmt
    if (target === 'DISCARD_TEMP') return [{ kind: 'discard', what: 'temporary' }]
    if (target !== undefined && target !== 'DISCARD_ALL') return []
    return [{ kind: 'discard', what: 'all' }, { kind: 'deallocate' }, { kind: 'close' }, SETTLED]
  }
  return undefined
}

function transactionEffect(node: Node): readonly Effect[] {
  if (!('TransactionStmt' in node)) return []
  const { kind, savepoint_name: name = '' } = node.TransactionStmt
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return [{ kind: 'begin' }]
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_PREPARE':
      return [{ kind: 'commit' }]
    case 'TRANS_STMT_ROLLBACK':
      return [{ kind: 'rollback' }]
    case 'TRANS_STMT_SAVEPOINT':
      return [{ kind: 'savepoint', name }]
    case 'TRANS_STMT_RELEASE':
      return [{ kind: 'release', name }]
    case 'TRANS_STMT_ROLLBACK_TO':
      return [{ kind: 'rollbackTo', name }]
    default:
      return settles(node) ? [SETTLED] : []
  }
}

/** Of SET and RESET. `none`: not about path or role. Undefined: about them, and not to be followed. */
export function settingEffect(statement: VariableSetStmt, names: Names): Effect | 'none' | undefined {
  const { kind, args } = statement
  const name = statement.name?.toLowerCase()
  const local = statement.is_local === true
  if (kind === 'VAR_RESET_ALL') return { kind: 'path', path: 'default', local: false }
  if (name !== 'search_path' && name !== 'role') return 'none'
  if (kind === 'VAR_RESET' || kind === 'VAR_SET_DEFAULT') {
    if (name === 'role') return { kind: 'role', role: 'default', local }
    return { kind: 'path', path: 'default', local }
  }
  if (kind !== 'VAR_SET_VALUE') return undefined
  const values = (args ?? []).map(constantText)
  if (!values.every((value) => value !== undefined)) return undefined
  return name === 'role' ? roleEffect(values, local, names) : pathEffect(values, local, names)
}

function pathEffect(path: readonly string[], local: boolean, names: Names): Effect | undefined {
  return names.isPath(path) ? { kind: 'path', path, local } : undefined
}

function roleEffect(values: readonly string[], local: boolean, names: Names): Effect | undefined {
  const [name] = values
  if (values.length !== 1 || name === undefined) return undefined
  // As the server compares it: in the case it is written in.
  if (name === 'none') return { kind: 'role', role: 'none', local }
  return names.isRole(name) ? { kind: 'role', role: { name }, local } : undefined
}

/**
 * `SELECT set_config('search_path', '...', false)` and nothing else in the statement, so that it runs exactly once.
 * Undefined: it changes path or role in another way.
 */
export function setConfigEffects(node: Node, names: Names): readonly Effect[] | undefined {
  const { settings } = survey(node)
  const concerned = settings.filter(
    (each) => each.name === undefined || CONCERNED.has(each.name.toLowerCase()),
  )
  if (concerned.length === 0) return []
  if (!('SelectStmt' in node) || !isOnlySetConfig(node)) return undefined
  const effects: Effect[] = []
  for (const target of node.SelectStmt.targetList ?? []) {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined
    const effect = value === undefined ? undefined : setConfigEffect(value, names)
    if (effect === undefined) return undefined
    effects.push(effect)
  }
  return effects
}

/** Every output is a call of set_config, and there is nothing but outputs. */
export function isOnlySetConfig(node: Node): boolean {
  if (!('SelectStmt' in node)) return false
  const { targetList, op, limitOption, ...rest } = node.SelectStmt
  if (Object.keys(rest).length > 0 || (op ?? 'SETOP_NONE') !== 'SETOP_NONE') return false
  if ((limitOption ?? 'LIMIT_OPTION_DEFAULT') !== 'LIMIT_OPTION_DEFAULT') return false
  return (targetList ?? []).every((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined
    if (value === undefined || !('FuncCall' in value)) return false
    return qualifiedName(value.FuncCall.funcname)?.name === 'set_config'
  })
}

const CONCERNED: ReadonlySet<string> = new Set(['search_path', 'role'])

/** Whether changes of this setting are followed, when they are written so that they can be. */
export function isFollowed(setting: string): boolean {
  return CONCERNED.has(setting.toLowerCase())
}

function setConfigEffect(value: Node, names: Names): Effect | undefined {
  if (!('FuncCall' in value)) return undefined
  const called = qualifiedName(value.FuncCall.funcname)
  const args = (value.FuncCall.args ?? []).map(constantText)
  if (called?.name !== 'set_config' || args.length !== 3) return undefined
  const [name, text, local] = args
  if (name === undefined || text === undefined || (local !== 'true' && local !== 'false')) return undefined
  if (name.toLowerCase() === 'role') return roleEffect([text], local === 'true', names)
  const path = name.toLowerCase() === 'search_path' ? readPath(text) : undefined
  return path === undefined ? undefined : pathEffect(path, local === 'true', names)
}

/** What the server passes over between names: a vertical tab only since PostgreSQL 16, and nothing beyond ASCII. */
const BLANK = '[ \\t\\n\\r\\f]*'
const SCHEMA_NAME = new RegExp(`^${BLANK}(?:"((?:[^"]|"")*)"|([^\\s,"]+))${BLANK}(,|$)`)
/** The server cuts what is longer (NAMEDATALEN, less the zero byte), at a character of its own encoding. */
const NAME_BYTES_MAX = 63
const ONLY_BLANK = new RegExp(`^${BLANK}$`)

/**
 * The schemas of a search_path as the server keeps it: separated by commas, in double quotes or folded to lower case
 * (SplitIdentifierString in varlena.c). Undefined when it is written in no such way, or a name is longer than the server reads.
 */
export function readPath(text: string): readonly string[] | undefined {
  const path: string[] = []
  if (ONLY_BLANK.test(text)) return path
  for (let rest = text; ; ) {
    const match = SCHEMA_NAME.exec(rest)
    if (match === null) return undefined
    const [all, quoted, bare, comma] = match
    // What the server folds beyond ASCII depends on its locale.
    if (bare !== undefined && !/^[\0-\x7f]*$/.test(bare)) return undefined
    const name = quoted === undefined ? (bare ?? '').toLowerCase() : quoted.replaceAll('""', '"')
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) return undefined
    path.push(name)
    if (comma === '') return path
    rest = rest.slice(all.length)
  }
}

/**
 * Whether a text may change what names mean, or whose rights count, for statements behind it: by a path, a role or who the
 * session is, set in any spelling. What is opaque may as well; its class says so.
 */
export function mayMoveNames(parsed: ParseResult): boolean {
  if (parsed.kind !== 'parsed') return true
  return (parsed.tree.stmts ?? []).some(({ stmt }) => stmt !== undefined && movesNames(stmt))
}

function movesNames(node: Node): boolean {
  if ('DiscardStmt' in node) return true
  if ('VariableSetStmt' in node) {
    // RESET ALL takes back to what the session began with.
    return MOVING.has(node.VariableSetStmt.name?.toLowerCase() ?? '')
  }
  const { settings, relations } = survey(node)
  return (
    settings.some(({ name }) => name === undefined || MOVING.has(name.toLowerCase())) ||
    // A rule of this view calls set_config.
    relations.some(({ name, role }) => name === 'pg_settings' && role === 'write')
  )
}

const MOVING: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization'])

function definitionEffects(node: Node, names: Names): readonly Effect[] {
  if ('CreateStmt' in node) {
    const { relation, if_not_exists } = node.CreateStmt
    return make(relation, ownOf(node, relation, names), if_not_exists === true, names)
  }
  if ('CreateTableAsStmt' in node) {
    const { into, if_not_exists } = node.CreateTableAsStmt
    return make(into?.rel, ownOf(node, into?.rel, names), if_not_exists === true, names)
  }
  if ('ViewStmt' in node) return make(node.ViewStmt.view, ownOf(node, node.ViewStmt.view, names))
  if ('CreateSeqStmt' in node) {
    const { sequence, if_not_exists } = node.CreateSeqStmt
    return make(sequence, ownOf(node, sequence, names), if_not_exists === true, names)
  }
  if ('CompositeTypeStmt' in node) return makeType(node.CompositeTypeStmt.typevar?.relname)
  if ('CreateEnumStmt' in node) return makeType(qualifiedName(node.CreateEnumStmt.typeName)?.name)
  if ('CreateDomainStmt' in node) return makeType(qualifiedName(node.CreateDomainStmt.domainname)?.name)
  if ('DropStmt' in node) {
    const dropped = (node.DropStmt.objects ?? []).flatMap((each) => lastNameOf(each) ?? [])
    return dropped.length === 0 ? [] : [{ kind: 'drop', names: dropped }]
  }
  if ('RenameStmt' in node) return renameEffects(node, names)
  if ('AlterTableStmt' in node) return changed(node.AlterTableStmt.relation, names)
  if ('AlterObjectSchemaStmt' in node) return changed(node.AlterObjectSchemaStmt.relation, names)
  return []
}

function lastNameOf(node: Node): string | undefined {
  if ('List' in node) return stringsOf(node.List.items)?.at(-1)
  if ('TypeName' in node) return stringsOf(node.TypeName.names)?.at(-1)
  return undefined
}

function make(made: RangeVar | undefined, own: Own, ifMissing = false, names?: Names): readonly Effect[] {
  const name = made?.relname
  // What is there already stays what it is.
  if (name === undefined || (ifMissing && names?.own(name) !== undefined)) return []
  return [{ kind: 'make', name, own }]
}

const TYPE: Own = { temporary: false, tainted: false, reads: [], endsWithTransaction: false }

function makeType(name: string | undefined): readonly Effect[] {
  return name === undefined ? [] : [{ kind: 'make', name, own: TYPE }]
}

export function isTemporary(made: RangeVar | undefined): boolean {
  return made?.relpersistence === 't' || made?.schemaname === 'pg_temp'
}

/** What a statement makes, if it makes a relation that only its own session will see. */
export function makesTemporary(node: Node): boolean {
  if ('CreateStmt' in node) return isTemporary(node.CreateStmt.relation)
  if ('CreateTableAsStmt' in node) return isTemporary(node.CreateTableAsStmt.into?.rel)
  if ('SelectStmt' in node) return isTemporary(node.SelectStmt.intoClause?.rel)
  if ('ViewStmt' in node) return isTemporary(node.ViewStmt.view)
  if ('CreateSeqStmt' in node) return isTemporary(node.CreateSeqStmt.sequence)
  return false
}

function ownOf(node: Node, made: RangeVar | undefined, names: Names): Own {
  const columns = columnsOf(node)
  const temporary = isTemporary(made)
  const schema = temporary ? 'pg_temp' : made?.schemaname
  const reads: number[] = []
  for (const each of showsThrough(node) ? survey(node).relations : []) {
    const meaning = each.role === 'read' ? names.relation(each) : undefined
    if (meaning?.kind === 'relation') reads.push(meaning.relation.oid)
    // What shows through a view that it reads shows through it, too.
    else if (meaning?.kind === 'own') reads.push(...(names.own(each.name)?.reads ?? []))
  }
  // Were it not found clear, it would be an escape, and tainted.
  const near = reads.some((oid) => names.catalogue.reach.has(oid))
  return {
    ...(near ? { clearAt: stateOfReach(names.catalogue) } : {}),
    ...(schema === undefined ? {} : { schema }),
    ...(columns === undefined ? {} : { columns }),
    temporary,
    tainted: false,
    reads,
    endsWithTransaction: onCommitOf(node) === 'ONCOMMIT_DROP',
  }
}

/** A view shows what its relations hold whenever it is read, a table what they held once. */
function showsThrough(node: Node): boolean {
  return (
    'ViewStmt' in node || ('CreateTableAsStmt' in node && node.CreateTableAsStmt.objtype === 'OBJECT_MATVIEW')
  )
}

function onCommitOf(node: Node): string | undefined {
  if ('CreateStmt' in node) return node.CreateStmt.oncommit
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.into?.onCommit
  if ('SelectStmt' in node) return node.SelectStmt.intoClause?.onCommit
  return undefined
}

function columnsOf(node: Node): readonly string[] | undefined {
  if ('CreateStmt' in node) {
    const { tableElts, inhRelations, ofTypename, partbound } = node.CreateStmt
    if (inhRelations !== undefined || ofTypename !== undefined || partbound !== undefined) return undefined
    if ((tableElts ?? []).some((each) => 'TableLikeClause' in each)) return undefined
    return (tableElts ?? []).flatMap((each) => ('ColumnDef' in each ? [each.ColumnDef.colname ?? ''] : []))
  }
  if ('ViewStmt' in node) return namesOf(node.ViewStmt.query, stringsOf(node.ViewStmt.aliases))
  if ('CreateTableAsStmt' in node) {
    const { query, into } = node.CreateTableAsStmt
    return namesOf(query, stringsOf(into?.colNames))
  }
  return 'SelectStmt' in node ? namesOf(node, undefined) : undefined
}

/** The names of a query's outputs where the text tells them all. */
function namesOf(
  query: Node | undefined,
  given: readonly string[] | undefined,
): readonly string[] | undefined {
  if (query === undefined || !('SelectStmt' in query)) return undefined
  const found: string[] = []
  for (const [i, node] of (query.SelectStmt.targetList ?? []).entries()) {
    const { name, val } = 'ResTarget' in node ? node.ResTarget : {}
    const column =
      val !== undefined && 'ColumnRef' in val ? stringsOf(val.ColumnRef.fields)?.at(-1) : undefined
    const each = given?.[i] ?? name ?? column
    if (each === undefined) return undefined
    // A star stands for as many as there are.
    if (val !== undefined && 'ColumnRef' in val && column === undefined) return undefined
    found.push(each)
  }
  return found.length === 0 ? undefined : found
}

/** Its columns, name or schema are not known any more. */
function changed(relation: RangeVar | undefined, names: Names): readonly Effect[] {
  const name = relation?.relname
  const own = name === undefined ? undefined : names.own(name)
  if (name === undefined || own === undefined) return []
  const { columns: _columns, schema: _schema, ...rest } = own
  return [{ kind: 'make', name, own: rest }]
}

function renameEffects(node: Node, names: Names): readonly Effect[] {
  if (!('RenameStmt' in node) || node.RenameStmt.relation === undefined) return []
  const { relation, renameType, newname } = node.RenameStmt
  if (renameType === 'OBJECT_COLUMN') return changed(relation, names)
  if (newname === undefined || renameType === 'OBJECT_TABCONSTRAINT' || renameType === 'OBJECT_POLICY')
    return []
  const before = relation.relname ?? ''
  const meaning = names.relation({
    name: before,
    ...(relation.schemaname === undefined ? {} : { schema: relation.schemaname }),
  })
  const known = meaning.kind === 'relation' && !names.catalogue.reach.has(meaning.relation.oid)
  const reads = meaning.kind === 'relation' ? [meaning.relation.oid] : []
  const own = names.own(before) ?? { ...TYPE, reads, tainted: !known }
  const { columns: _columns, ...rest } = own
  return [
    { kind: 'drop', names: [before] },
    { kind: 'make', name: newname, own: rest },
  ]
}
