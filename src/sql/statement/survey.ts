import type { Node } from 'libpg-query'
import { LIMITS } from '../../core/limits.ts'
import { classOfKind } from './classify.ts'
import type { Call, Fields, QualifiedName } from '../parse/tree.ts'
import { constantText, isFields } from '../parse/tree.ts'

/**
 * One walk over everything in a statement, whatever the kinds of its nodes: every relation, function, operator and
 * type it names. Nothing hides from it: it looks at each object of the tree, known or not, and recognises names by the
 * fields that only their nodes have (`relname`, `funcname`, ...). It keeps its own stack, so depth costs no recursion.
 */
export type Survey = {
  readonly relations: readonly RelationRef[]
  readonly calls: readonly Call[]
  /** What set_config is to set, where its arguments say so. */
  readonly settings: readonly { readonly name: string | undefined; readonly value: string | undefined }[]
  /** Operators as written; LIKE and its kin by the operator behind them. */
  readonly operators: readonly QualifiedName[]
  readonly types: readonly QualifiedName[]
  /** Every `x.name` and `(value).name`: a column or field, or a function that is called with what stands before it. */
  readonly attributes: readonly Attribute[]
  /** Kinds of statements nested in this one (the arms of WITH, rule actions), by name. */
  readonly nested: ReadonlySet<string>
  /** Every UPDATE, DELETE and TRUNCATE at any level. */
  readonly changes: readonly Node[]
  /** SELECT INTO at any level. */
  readonly into: boolean
  /** The walk gave up: too deep, or too many parts. */
  readonly beyond: boolean
}

/** Without a qualifier: of a value in parentheses. */
export type Attribute = { readonly qualifier?: string; readonly name: string }

export type RelationRef = QualifiedName & {
  readonly role: 'read' | 'write'
  /** Without its children. */
  readonly only?: true
}

/** Names of WITH that are visible, innermost first. */
type Scope = { readonly names: ReadonlySet<string>; readonly outer: Scope } | undefined
type Role = 'read' | 'write'

type Step = { value: unknown; key: string; scope: Scope; role: Role; depth: number }

export function survey(statement: Node): Survey {
  const relations: RelationRef[] = []
  const calls: Call[] = []
  const settings: { name: string | undefined; value: string | undefined }[] = []
  const operators: QualifiedName[] = []
  const types: QualifiedName[] = []
  const attributes: Attribute[] = []
  const nested = new Set<string>()
  const changes: Node[] = []
  let into = false
  let beyond = false

  const stack: Step[] = [{ value: statement, key: '', scope: undefined, role: 'write', depth: 0 }]
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    const { value, role, depth } = step
    if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) {
        const each: unknown = value[i]
        if (typeof each === 'object')
          stack.push({ value: each, key: step.key, scope: step.scope, role, depth })
      }
      continue
    }
    if (!isFields(value)) continue
    if (depth > LIMITS.treeDepthMax) {
      beyond = true
      continue
    }
    const scope = value['withClause'] === undefined ? step.scope : enter(value['withClause'], step.scope)
    if (FUNCTION_LIKE.has(step.key))
      for (const like of FUNCTION_LIKE.get(step.key) ?? []) calls.push({ name: like })
    if (changesRows(value)) changes.push(value)
    for (const key in value) {
      const child = value[key]
      if (typeof child === 'string') {
        if (key === 'relname') addRelation(value, child, scope, role)
        continue
      }
      if (typeof child !== 'object' || child === null) continue
      if (key === 'ColumnRef' || key === 'A_Indirection') addAttributes(attributes, key, child)
      if (NAMELESS.has(key)) continue
      if (key === 'withClause') {
        pushWith(child, step.scope, depth + 1)
        continue
      }
      if (Array.isArray(child) && look(value, key, child, step.key)) continue
      if (key === 'intoClause') into = true
      if (depth > 0 && classOfKind(key) !== undefined) nested.add(key)
      stack.push({ value: child, key, scope, role: roleOf(key, value, role), depth: depth + 1 })
    }
  }
  return { relations, calls, settings, operators, types, attributes, nested, changes, into, beyond }

  /** Takes the names of a list; true when there was nothing else in it. */
  function look(fields: Fields, key: string, list: readonly unknown[], parent: string): boolean {
    switch (key) {
      case 'funcname':
        // The name of a function that is being defined is no call.
        if (parent === 'CreateFunctionStmt') return true
        if (!add(calls, list, parent === 'FuncCall' ? argumentsOf(fields) : undefined)) return false
        if (calls.at(-1)?.name === 'set_config') settings.push(settingOf(fields['args']))
        return true
      case 'name':
      case 'operName':
      case 'useOp':
        return add(operators, list)
      case 'names':
        return 'typemod' in fields && add(types, list)
      default:
        return false
    }
  }

  function addRelation(fields: Fields, relname: string, scope: Scope, role: Role): void {
    const { schemaname, catalogname } = fields
    if (schemaname === undefined && role === 'read' && isVisible(relname, scope)) return
    relations.push({
      name: relname,
      role,
      ...(fields['inh'] === true ? {} : { only: true as const }),
      ...(typeof schemaname === 'string' ? { schema: schemaname } : {}),
      ...(typeof catalogname === 'string' ? { database: catalogname } : {}),
    })
  }

  /** The names of WITH see one another from top to bottom; with RECURSIVE, all see all. */
  function pushWith(clause: unknown, outer: Scope, depth: number): void {
    if (!isFields(clause) || !Array.isArray(clause['ctes'])) return
    const all = enter(clause, outer)
    const seen = new Set<string>()
    for (const each of clause['ctes']) {
      const scope = clause['recursive'] === true ? all : { names: new Set(seen), outer }
      stack.push({ value: each, key: 'ctes', scope, role: 'read', depth: depth + 1 })
      const name = nameOfCte(each)
      if (name !== undefined) seen.add(name)
    }
  }
}

function addAttributes(attributes: Attribute[], kind: 'ColumnRef' | 'A_Indirection', child: object): void {
  if (!isFields(child)) return
  const list = kind === 'ColumnRef' ? child['fields'] : child['indirection']
  if (!Array.isArray(list)) return
  const strings = list.map((each) =>
    isFields(each) && isFields(each['String']) ? each['String'] : undefined,
  )
  const names = strings.map((each) => (typeof each?.['sval'] === 'string' ? each['sval'] : undefined))
  if (kind === 'A_Indirection') for (const name of names) if (name !== undefined) attributes.push({ name })
  if (kind === 'A_Indirection' || names.length < 2) return
  const [qualifier, name] = names.slice(-2)
  if (qualifier !== undefined && name !== undefined) attributes.push({ qualifier, name })
}

/**
 * Words that the grammar of a newer server makes into nodes of their own, while to an older one they are functions,
 * which only a user can have made: PostgreSQL 16 and 17 added them.
 */
const FUNCTION_LIKE: ReadonlyMap<string, readonly string[]> = new Map([
  ['JsonFuncExpr', ['json_exists', 'json_query', 'json_value']],
  ['JsonScalarExpr', ['json_scalar']],
  ['JsonParseExpr', ['json']],
  ['JsonSerializeExpr', ['json_serialize']],
  ['JsonTable', ['json_table']],
  ['JsonObjectConstructor', ['json_object']],
  ['JsonArrayConstructor', ['json_array']],
  ['JsonArrayQueryConstructor', ['json_array']],
  ['JsonObjectAgg', ['json_objectagg']],
  ['JsonArrayAgg', ['json_arrayagg']],
  ['MergeSupportFunc', ['merge_action']],
])

function settingOf(args: unknown): { name: string | undefined; value: string | undefined } {
  const [name, value] = Array.isArray(args) ? args : []
  return { name: constantText(name), value: constantText(value) }
}

/** What holds no name of a relation, function, operator or type, however deep. FOR UPDATE OF names what FROM named. */
const NAMELESS: ReadonlySet<string> = new Set([
  'String',
  'A_Const',
  'Integer',
  'ColumnRef',
  'ParamRef',
  'lockedRels',
])

function changesRows(value: Fields): value is Fields & Node {
  return 'UpdateStmt' in value || 'DeleteStmt' in value || 'TruncateStmt' in value
}

/** With how many arguments a function is called; undefined where names, VARIADIC or WITHIN GROUP leave that open. */
function argumentsOf({
  args,
  func_variadic: variadic,
  agg_within_group: within,
}: Fields): number | undefined {
  const list: readonly unknown[] = Array.isArray(args) ? args : []
  const named = list.some((each) => isFields(each) && 'NamedArgExpr' in each)
  return named || variadic === true || within === true ? undefined : list.length
}

/** Adds a qualified name; false when the list holds anything but strings, and so is none. */
function add(list: Call[], parts: readonly unknown[], given?: number): boolean {
  const strings: string[] = []
  for (const part of parts) {
    const inner = isFields(part) ? part['String'] : undefined
    if (!isFields(inner)) return false
    const { sval } = inner
    strings.push(typeof sval === 'string' ? sval : '')
  }
  const name = strings.at(-1)
  const schema = strings.at(-2)
  const database = strings.at(-3)
  if (name === undefined) return false
  list.push({
    name,
    ...(schema === undefined ? {} : { schema }),
    ...(database === undefined ? {} : { database }),
    ...(given === undefined ? {} : { arguments: given }),
  })
  return true
}

function enter(clause: unknown, outer: Scope): Scope {
  const names = new Set<string>()
  const ctes = isFields(clause) ? clause['ctes'] : undefined
  for (const each of Array.isArray(ctes) ? ctes : []) {
    const name = nameOfCte(each)
    if (name !== undefined) names.add(name)
  }
  return { names, outer }
}

function nameOfCte(node: unknown): string | undefined {
  const cte = isFields(node) ? node['CommonTableExpr'] : undefined
  const name = isFields(cte) ? cte['ctename'] : undefined
  return typeof name === 'string' ? name : undefined
}

function isVisible(name: string, scope: Scope): boolean {
  for (let each = scope; each !== undefined; each = each.outer) if (each.names.has(name)) return true
  return false
}

/**
 * Whether a relation found below is read or written. A statement's own relation is written (so is everything a
 * definition names); what stands in a query, a USING or a FROM is read.
 */
function roleOf(key: string, parent: Fields, role: Role): Role {
  switch (key) {
    case 'SelectStmt':
    case 'LockStmt':
    case 'TableLikeClause':
    case 'Constraint':
    case 'ExplainStmt':
    case 'PrepareStmt':
    case 'DeclareCursorStmt':
    case 'selectStmt':
    case 'fromClause':
    case 'usingClause':
    case 'sourceRelation':
    case 'inhRelations':
    case 'constrrel':
    case 'pktable':
      return 'read'
    case 'intoClause':
    case 'into':
      return 'write'
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
    case 'RuleStmt':
      return 'write'
    case 'CopyStmt': {
      const copy = parent['CopyStmt']
      return isFields(copy) && copy['is_from'] === true ? 'write' : 'read'
    }
    // Inside a statement that writes, everything but its target reads.
    case 'targetList':
    case 'whereClause':
    case 'returningClause':
    case 'onConflictClause':
    case 'joinCondition':
    case 'mergeWhenClauses':
      return 'read'
    default:
      return role
  }
}
