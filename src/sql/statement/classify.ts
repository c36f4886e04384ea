import type {
  AlterTableStmt,
  AlterTableType,
  CopyStmt,
  ExplainStmt,
  Node,
  ObjectType,
  SelectStmt,
  TransactionStmt,
} from 'libpg-query'
import type { CommandClass } from '../../core/command.ts'
import { strictest } from '../../core/command.ts'
import { changeOfStatement } from '../builtins/settings.ts'
import type { StatementKind } from '../parse/tree.ts'
import { constantText, kindOf } from '../parse/tree.ts'

/**
 * The command class of one statement by its kind. What its parts add (a data-modifying WITH, a function with a side
 * effect) is added by `survey.ts`, which sees the whole tree.
 *
 * Where a table entry alone cannot say, it holds the mildest class and `refine` makes it stricter.
 */
const CLASSES = {
  // Reading, and what acts only on the session itself.
  SelectStmt: 'read',
  ExplainStmt: 'read',
  CopyStmt: 'read',
  DeclareCursorStmt: 'read',
  FetchStmt: 'read',
  ClosePortalStmt: 'read',
  PrepareStmt: 'read',
  DeallocateStmt: 'read',
  VariableSetStmt: 'read',
  VariableShowStmt: 'read',
  ConstraintsSetStmt: 'read',
  TransactionStmt: 'read',
  DiscardStmt: 'read',
  LockStmt: 'read',
  ListenStmt: 'read',
  UnlistenStmt: 'read',

  InsertStmt: 'write',
  UpdateStmt: 'write',
  DeleteStmt: 'write',
  MergeStmt: 'write',
  TruncateStmt: 'write',
  NotifyStmt: 'write',
  RefreshMatViewStmt: 'write',

  CreateStmt: 'define',
  CreateTableAsStmt: 'define',
  CreateForeignTableStmt: 'define',
  CreateSchemaStmt: 'define',
  CreateSeqStmt: 'define',
  CreateDomainStmt: 'define',
  CreateEnumStmt: 'define',
  CreateRangeStmt: 'define',
  CompositeTypeStmt: 'define',
  CreateFunctionStmt: 'define',
  CreateTrigStmt: 'define',
  CreateCastStmt: 'define',
  CreateConversionStmt: 'define',
  CreateTransformStmt: 'define',
  CreateOpClassStmt: 'define',
  CreateOpFamilyStmt: 'define',
  CreateStatsStmt: 'define',
  DefineStmt: 'define',
  IndexStmt: 'define',
  RuleStmt: 'define',
  ViewStmt: 'define',
  AlterTableStmt: 'define',
  AlterSeqStmt: 'define',
  AlterDomainStmt: 'define',
  AlterEnumStmt: 'define',
  AlterTypeStmt: 'define',
  AlterFunctionStmt: 'define',
  AlterOperatorStmt: 'define',
  AlterOpFamilyStmt: 'define',
  AlterCollationStmt: 'define',
  AlterStatsStmt: 'define',
  AlterObjectDependsStmt: 'define',
  AlterObjectSchemaStmt: 'define',
  AlterTSConfigurationStmt: 'define',
  AlterTSDictionaryStmt: 'define',
  RenameStmt: 'define',
  CommentStmt: 'define',
  DropStmt: 'define',

  // Roles, rights, settings of the server, replication, files, code from files, upkeep.
  GrantStmt: 'administer',
  GrantRoleStmt: 'administer',
  AlterDefaultPrivilegesStmt: 'administer',
  CreateRoleStmt: 'administer',
  AlterRoleStmt: 'administer',
  AlterRoleSetStmt: 'administer',
  DropRoleStmt: 'administer',
  DropOwnedStmt: 'administer',
  ReassignOwnedStmt: 'administer',
  AlterOwnerStmt: 'administer',
  CreatePolicyStmt: 'administer',
  AlterPolicyStmt: 'administer',
  SecLabelStmt: 'administer',
  CreatedbStmt: 'administer',
  AlterDatabaseStmt: 'administer',
  AlterDatabaseSetStmt: 'administer',
  AlterDatabaseRefreshCollStmt: 'administer',
  DropdbStmt: 'administer',
  AlterSystemStmt: 'administer',
  CheckPointStmt: 'administer',
  LoadStmt: 'administer',
  VacuumStmt: 'administer',
  ClusterStmt: 'administer',
  ReindexStmt: 'administer',
  CreateTableSpaceStmt: 'administer',
  DropTableSpaceStmt: 'administer',
  AlterTableSpaceOptionsStmt: 'administer',
  AlterTableMoveAllStmt: 'administer',
  CreateExtensionStmt: 'administer',
  AlterExtensionStmt: 'administer',
  AlterExtensionContentsStmt: 'administer',
  CreateFdwStmt: 'administer',
  AlterFdwStmt: 'administer',
  CreateForeignServerStmt: 'administer',
  AlterForeignServerStmt: 'administer',
  CreateUserMappingStmt: 'administer',
  AlterUserMappingStmt: 'administer',
  DropUserMappingStmt: 'administer',
  ImportForeignSchemaStmt: 'administer',
  CreateAmStmt: 'administer',
  CreatePLangStmt: 'administer',
  CreateEventTrigStmt: 'administer',
  AlterEventTrigStmt: 'administer',
  // Stands in ALTER TABLE only.
  ReplicaIdentityStmt: 'administer',
  CreatePublicationStmt: 'administer',
  AlterPublicationStmt: 'administer',
  CreateSubscriptionStmt: 'administer',
  AlterSubscriptionStmt: 'administer',
  DropSubscriptionStmt: 'administer',

  // The effect is in a text or a routine that is not part of the statement.
  DoStmt: 'opaque',
  CallStmt: 'opaque',
  ExecuteStmt: 'opaque',
  // Never a statement of its own; the grammar's description has them for other uses.
  RawStmt: 'opaque',
  ReturnStmt: 'opaque',
  PLAssignStmt: 'opaque',
  SetOperationStmt: 'opaque',
} as const satisfies Record<StatementKind, CommandClass>

const BY_KIND: ReadonlyMap<string, CommandClass> = new Map(Object.entries(CLASSES))

/** `undefined` for what is not a statement known here. */
export function classOfKind(kind: string): CommandClass | undefined {
  return BY_KIND.get(kind)
}

/** Does running it change definitions (or rights), so that what is known of names is stale afterwards? */
export function redefines(kind: string): boolean {
  const base = BY_KIND.get(kind)
  return (
    base === undefined ||
    base === 'opaque' ||
    base === 'define' ||
    (base === 'administer' && !UPKEEP.has(kind))
  )
}

const UPKEEP: ReadonlySet<string> = new Set([
  'CheckPointStmt',
  'VacuumStmt',
  'ClusterStmt',
  'ReindexStmt',
  'LoadStmt',
])

/**
 * The class of the statement itself, without what its parts add. Unknown kinds are opaque. `executed`: the class of
 * what an EXECUTE in it runs, where that is known.
 */
export function classOf(node: Node, executed: CommandClass = 'opaque'): CommandClass {
  if ('ExecuteStmt' in node) return executed
  const base = classOfKind(kindOf(node)) ?? 'opaque'
  return strictest([base, refine(node, executed)])
}

/** ROW SHARE, as SELECT ... FOR UPDATE takes it; below it is only ACCESS SHARE. In the server: lockdefs.h. */
const ROW_SHARE = 2

function refine(node: Node, executed: CommandClass): CommandClass {
  if ('SelectStmt' in node) return intoOf(node.SelectStmt)
  if ('CopyStmt' in node) return copyOf(node.CopyStmt)
  if ('ExplainStmt' in node) {
    return explains(node.ExplainStmt) ? innerOf(node.ExplainStmt.query, executed) : 'read'
  }
  if ('DeclareCursorStmt' in node) return innerOf(node.DeclareCursorStmt.query)
  if ('PrepareStmt' in node) return innerOf(node.PrepareStmt.query)
  if ('CreateTableAsStmt' in node) return innerOf(node.CreateTableAsStmt.query, executed)
  if ('VariableSetStmt' in node) return changeOfStatement(node.VariableSetStmt).class
  if ('TransactionStmt' in node) return transactionOf(node.TransactionStmt)
  // What readers take stops nobody; whoever takes more keeps writers out, or readers as well.
  if ('LockStmt' in node) return (node.LockStmt.mode ?? 0) <= ROW_SHARE ? 'read' : 'write'
  if ('AlterTableStmt' in node) return alterTableOf(node.AlterTableStmt)
  if ('CreateSchemaStmt' in node) {
    const { authrole, schemaElts } = node.CreateSchemaStmt
    return strictest([
      authrole === undefined ? 'read' : 'administer',
      ...(schemaElts ?? []).map((each) => classOf(each)),
    ])
  }
  if ('DropStmt' in node) return objectClass(node.DropStmt.removeType)
  if ('RenameStmt' in node) return objectClass(node.RenameStmt.renameType)
  if ('CommentStmt' in node) return objectClass(node.CommentStmt.objtype)
  if ('AlterObjectSchemaStmt' in node) return objectClass(node.AlterObjectSchemaStmt.objectType)
  return 'read'
}

function innerOf(query: Node | undefined, executed: CommandClass = 'opaque'): CommandClass {
  return query === undefined ? 'opaque' : classOf(query, executed)
}

/** EXPLAIN ANALYZE runs its statement; `ANALYZE off` and the last of several options count, as in the server. */
export function explains(statement: ExplainStmt): boolean {
  let analyze = false
  for (const option of statement.options ?? []) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'analyze') continue
    const value = constantText(option.DefElem.arg)?.toLowerCase()
    analyze = !(value === 'off' || value === 'false' || value === '0')
  }
  return analyze
}

function intoOf(statement: SelectStmt): CommandClass {
  // In a set operation INTO stands in the leftmost arm.
  for (let arm: SelectStmt | undefined = statement; arm !== undefined; arm = arm.larg) {
    if (arm.intoClause !== undefined) return 'define'
  }
  return 'read'
}

function copyOf(statement: CopyStmt): CommandClass {
  if (statement.is_program === true || statement.filename !== undefined) return 'administer'
  if (statement.is_from === true) return 'write'
  return statement.query === undefined ? 'read' : classOf(statement.query)
}

function transactionOf(statement: TransactionStmt): CommandClass {
  switch (statement.kind) {
    case 'TRANS_STMT_PREPARE':
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return 'administer'
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_ROLLBACK':
    case 'TRANS_STMT_SAVEPOINT':
    case 'TRANS_STMT_RELEASE':
    case 'TRANS_STMT_ROLLBACK_TO':
      return asksToWrite(statement) ? 'write' : 'read'
    default:
      return 'opaque'
  }
}

/** BEGIN READ WRITE leaves a read-only mode that the session may have been put in. */
function asksToWrite(statement: TransactionStmt): boolean {
  return (statement.options ?? []).some(
    (option) =>
      'DefElem' in option &&
      option.DefElem.defname === 'transaction_read_only' &&
      constantText(option.DefElem.arg) !== '1',
  )
}

/** What changes rights, or switches a safeguard off. */
const ADMINISTERING: ReadonlySet<AlterTableType | undefined> = new Set<AlterTableType | undefined>([
  undefined,
  'AT_ChangeOwner',
  'AT_EnableRowSecurity',
  'AT_DisableRowSecurity',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_EnableTrig',
  'AT_EnableAlwaysTrig',
  'AT_EnableReplicaTrig',
  'AT_DisableTrig',
  'AT_EnableTrigAll',
  'AT_DisableTrigAll',
  'AT_EnableTrigUser',
  'AT_DisableTrigUser',
  'AT_EnableRule',
  'AT_EnableAlwaysRule',
  'AT_EnableReplicaRule',
  'AT_DisableRule',
  'AT_ReplicaIdentity',
  'AT_GenericOptions',
  'AT_AlterColumnGenericOptions',
])

function alterTableOf(statement: AlterTableStmt): CommandClass {
  const administers = (statement.cmds ?? []).some(
    (each) => !('AlterTableCmd' in each) || ADMINISTERING.has(each.AlterTableCmd.subtype),
  )
  return administers ? 'administer' : 'define'
}

/** What a DROP, RENAME, COMMENT or SET SCHEMA is about: the database's own definitions, or its administration. */
const DEFINITIONS: ReadonlySet<ObjectType | undefined> = new Set<ObjectType | undefined>([
  'OBJECT_AGGREGATE',
  'OBJECT_AMOP',
  'OBJECT_AMPROC',
  'OBJECT_ATTRIBUTE',
  'OBJECT_CAST',
  'OBJECT_COLLATION',
  'OBJECT_COLUMN',
  'OBJECT_CONVERSION',
  'OBJECT_DEFAULT',
  'OBJECT_DOMAIN',
  'OBJECT_DOMCONSTRAINT',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_FUNCTION',
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_OPCLASS',
  'OBJECT_OPERATOR',
  'OBJECT_OPFAMILY',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_RULE',
  'OBJECT_SCHEMA',
  'OBJECT_SEQUENCE',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TABLE',
  'OBJECT_TRANSFORM',
  'OBJECT_TRIGGER',
  'OBJECT_TSCONFIGURATION',
  'OBJECT_TSDICTIONARY',
  'OBJECT_TSPARSER',
  'OBJECT_TSTEMPLATE',
  'OBJECT_TYPE',
  'OBJECT_VIEW',
])

/** A kind of object that is its default (the first of the list: access methods) is left out of the tree. */
function objectClass(type: ObjectType | undefined): CommandClass {
  return DEFINITIONS.has(type) ? 'define' : 'administer'
}
