import type { Node } from 'libpg-query'
import type { Output } from '../core/command.ts'
import type { LabelName } from '../core/ids.ts'
import type { Relation } from './catalogue.ts'
import { isPlainTable, labelsOf } from './catalogue.ts'
import { classOfKind, explains } from './classify.ts'
import { checkDefinition } from './definitions.ts'
import { Findings } from './findings.ts'
import type { Meaning, Names } from './names.ts'
import { QueryWalk } from './query.ts'
import { changeOf, changeOfStatement } from './settings.ts'
import type { OutputColumn } from './scope.ts'
import type { RelationRef, Survey } from './survey.ts'
import { guardedColumnRead } from './system-columns.ts'
import { constantText, kindOf } from './tree.ts'
import type { Rows } from './walk.ts'

/**
 * What one statement may do with labelled values. Every statement on a connection with labels comes through here, also
 * those that name no labelled table: a function of a user, a cursor, a changed setting could reach one.
 */
export type Protection = {
  /** Absent: nothing labelled is in reach, or the statement returns no rows of its own. */
  readonly outputs?: readonly Output[]
  readonly labels: readonly LabelName[]
  readonly filters: readonly LabelName[]
  readonly escape?: { readonly labels: readonly LabelName[]; readonly reason: string }
  /** A relation in labelled reach is named, or one whose triggers or rules may reach any: errors may quote values. */
  readonly reach: boolean
}

export type SessionNames = {
  /** Cursors that DECLARE has made in this session out of what holds no protected value. */
  readonly cursors: ReadonlySet<string>
}

export function protect(node: Node, found: Survey, names: Names, session: SessionNames): Protection {
  const findings = new Findings(names.catalogue.labels)
  const reach = found.relations.some((relation) => isInReach(names.relation(relation), names))
  const rows = new Statement(node, found, names, findings, session, reach).check()
  const { escaped } = findings
  const outputs = escaped === undefined ? rows?.columns.map(outputOf) : undefined
  return {
    ...(outputs === undefined ? {} : { outputs }),
    labels: labelsIn(outputs),
    filters: findings.filters,
    ...(escaped === undefined ? {} : { escape: escaped }),
    reach: reach || found.relations.some((relation) => runsTriggers(relation, names)),
  }
}

function runsTriggers(relation: RelationRef, names: Names): boolean {
  if (relation.role === 'read') return false
  const meaning = names.relation(relation)
  return meaning.kind === 'relation' && (meaning.relation.hasTriggers || meaning.relation.hasRules)
}

function isInReach(meaning: Meaning, names: Names): boolean {
  return meaning.kind === 'relation' && names.catalogue.reach.has(meaning.relation.oid)
}

function labelsIn(outputs: readonly Output[] | undefined): LabelName[] {
  const labels = new Set<LabelName>()
  for (const output of outputs ?? []) for (const label of output.labels ?? []) labels.add(label)
  return [...labels].sort()
}

function outputOf({ name, label, source }: OutputColumn): Output {
  return {
    name,
    ...(label === undefined ? {} : { labels: [label] }),
    ...(source === undefined ? {} : { source }),
  }
}

/** They change nothing that labels depend on and show no row. */
const PASSING: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableShowStmt',
  'ClosePortalStmt',
  'DeallocateStmt',
  'DiscardStmt',
  'UnlistenStmt',
  'NotifyStmt',
  'ConstraintsSetStmt',
  'CheckPointStmt',
  'LockStmt',
  'VacuumStmt',
  'CreateRoleStmt',
  'AlterRoleStmt',
  'DropRoleStmt',
  'DropdbStmt',
])

class Statement {
  readonly #node: Node
  readonly #found: Survey
  readonly #names: Names
  readonly #findings: Findings
  readonly #session: SessionNames
  readonly #reach: boolean

  constructor(
    node: Node,
    found: Survey,
    names: Names,
    findings: Findings,
    session: SessionNames,
    reach: boolean,
  ) {
    this.#node = node
    this.#found = found
    this.#names = names
    this.#findings = findings
    this.#session = session
    this.#reach = reach
  }

  /** The rows the statement returns, where they have to be known. */
  check(): Rows | undefined {
    const node = this.#node
    if (this.#found.beyond)
      this.#findings.escapeAll('Send a simpler statement: this one is too large to be judged.')
    if (PASSING.has(kindOf(node))) return undefined
    this.#checkParts()
    if ('VariableSetStmt' in node) {
      const { name, args } = node.VariableSetStmt
      const schemas = name === 'search_path' ? (args ?? []).map((arg) => constantText(arg) ?? '') : []
      const same = schemas.length > 0 && this.#names.isSearchPath(schemas)
      if (!same && !changeOfStatement(node.VariableSetStmt).safe) this.#setting(name ?? '')
      return undefined
    }
    if ('FetchStmt' in node) {
      const known = this.#session.cursors.has(node.FetchStmt.portalname ?? '')
      if (node.FetchStmt.ismove !== true && !known) {
        this.#findings.escapeAll('Run the query itself: what this cursor holds is not known.')
      }
      return undefined
    }
    if ('TruncateStmt' in node) {
      for (const relation of this.#reached()) this.#untriggered(relation)
      return undefined
    }
    if ('GrantStmt' in node) {
      // Who may use a schema decides which schemas are searched.
      if (node.GrantStmt.objtype === 'OBJECT_SCHEMA') this.#unfollowed('GRANT on a schema')
      return undefined
    }
    if ('ReindexStmt' in node || 'ClusterStmt' in node) {
      // Their errors show the values of keys.
      if (this.#reach || this.#found.relations.length === 0) this.#unfollowed('rebuilding indexes here')
      return undefined
    }
    if (classOfKind(kindOf(node)) === 'define' && !isQuery(node)) {
      // The server takes no subquery here; were there one, it would not be followed.
      if (this.#found.nested.has('SelectStmt') && !holdsQuery(node)) this.#unfollowed('this subquery')
      checkDefinition(node, this.#names, this.#findings)
      return undefined
    }
    if (!isQuery(node)) {
      this.#unfollowed(WORDS.get(kindOf(node)) ?? kindOf(node).replace(/Stmt$/, ''))
      return undefined
    }
    return this.#query(node)
  }

  #unfollowed(what: string): void {
    this.#findings.escapeAll(`Leave ${what} to who may see all protected values: its effect is not followed.`)
  }

  #setting(name: string): void {
    this.#findings.escapeAll(`Leave the setting ${name} as it is where protected columns are in reach.`)
  }

  /** A query of one form or another. Where nothing is in reach, its parts have told all there is to know. */
  #query(node: Node): Rows | undefined {
    this.#checkRelations()
    if ('ExplainStmt' in node && !returnsRows(node.ExplainStmt.query)) this.#unfollowed('this EXPLAIN')
    if (!this.#reach) {
      this.#remember(node)
      return undefined
    }
    const walk = new QueryWalk(this.#names, this.#findings)
    if ('ExplainStmt' in node) {
      if (explains(node.ExplainStmt)) {
        this.#findings.escapeAll('Use EXPLAIN without ANALYZE on tables that hold protected columns.')
      }
      walk.rows(node.ExplainStmt.query, undefined, undefined)
      return undefined
    }
    if ('CopyStmt' in node) {
      if (node.CopyStmt.relation !== undefined) {
        this.#findings.escapeAll(
          'Use SELECT or INSERT in place of COPY on tables that hold protected columns.',
        )
      }
      walk.inner(node.CopyStmt.query, undefined, undefined)
      return undefined
    }
    if ('DeclareCursorStmt' in node) {
      walk.inner(node.DeclareCursorStmt.query, undefined, undefined)
      return undefined
    }
    if ('PrepareStmt' in node) {
      this.#findings.escapeAll('Prepare it with your driver in place of PREPARE: it reads protected columns.')
      return undefined
    }
    const rows = walk.rows(node, undefined, undefined)
    if (!rows.counted)
      this.#findings.escapeAll('Name the columns in place of a star: not all of them are known here.')
    return rows
  }

  /** SELECT INTO makes a relation too. */
  #remember(node: Node): void {
    if (!('SelectStmt' in node)) return
    for (const { role, name } of this.#found.relations) if (role === 'write') this.#names.create(name)
  }

  /** Functions, operators, types and settings, wherever in the statement they are. */
  #checkParts(): void {
    const { calls, operators, types, settings } = this.#found
    for (const call of calls) {
      if (call.name === 'set_config' && !this.#reach) continue
      if (this.#names.isHarmlessCall(call, this.#reach)) continue
      this.#findings.escapeAll(
        `Leave out the function ${call.name}: it is not known to be harmless to protected columns.`,
      )
    }
    for (const { name, value } of settings) {
      if (name === undefined || !changeOf(name, value).safe) this.#setting(name ?? '')
    }
    for (const operator of operators) {
      if (this.#names.isHarmlessOperator(operator)) continue
      this.#findings.escapeAll(
        `Leave out the operator ${operator.name}: it runs a function that is not known.`,
      )
    }
    for (const type of types) {
      if (this.#names.isHarmlessType(type)) continue
      this.#findings.escapeAll(
        `Leave out the type ${type.name}: it is not known to be harmless to protected columns.`,
      )
    }
    if (this.#names.catalogue.builtinTypesRecast) {
      this.#findings.escapeAll(
        'Protected columns are not readable here: a cast between built-in types runs an unknown function.',
      )
    }
  }

  #checkRelations(): void {
    for (const relation of this.#found.relations) {
      if (this.#found.into && relation.role === 'write') continue
      const meaning = this.#names.relation(relation)
      if (meaning.kind === 'unknown') {
        this.#findings.escapeAll(`Name a relation that exists: ${relation.name} is not known here.`)
      } else if (meaning.kind === 'system') {
        if (!meaning.plain) {
          this.#findings.escapeAll(
            `Do not read ${meaning.schema}.${meaning.name}: it holds values or secrets.`,
          )
        } else if (relation.role === 'write') {
          this.#findings.escapeAll(`Do not write to ${meaning.schema}.${meaning.name}.`)
        } else {
          const column = guardedColumnRead(this.#node, meaning.name)
          if (column === undefined) continue
          this.#findings.escapeAll(
            `Name the columns of ${meaning.name} one by one, without ${column}: it is not for everybody.`,
          )
        }
      }
    }
  }

  #reached(): Relation[] {
    return this.#found.relations.flatMap((each) => {
      const meaning = this.#names.relation(each)
      return meaning.kind === 'relation' && isInReach(meaning, this.#names) ? [meaning.relation] : []
    })
  }

  #untriggered(relation: Relation): void {
    if (isPlainTable(relation) && !relation.hasTriggers && !relation.hasRules) return
    const reason = `Do not truncate ${relation.name}: its triggers see protected values and may pass them on.`
    this.#findings.escape(labelsOf(relation), reason)
  }
}

/** What the refusal calls a kind of statement. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['DoStmt', 'DO'],
  ['CallStmt', 'CALL'],
  ['ExecuteStmt', 'EXECUTE'],
  // Triggers and other sessions may put anything into a notification.
  ['ListenStmt', 'LISTEN'],
])

/** Definitions made of a query, whose relations are all looked at. */
function holdsQuery(node: Node): boolean {
  return 'ViewStmt' in node || 'CreateTableAsStmt' in node || 'RuleStmt' in node
}

/** SELECT, or a change that may have RETURNING. */
function returnsRows(node: Node | undefined): boolean {
  if (node === undefined) return false
  return (
    'SelectStmt' in node ||
    'InsertStmt' in node ||
    'UpdateStmt' in node ||
    'DeleteStmt' in node ||
    'MergeStmt' in node
  )
}

function isQuery(node: Node): boolean {
  return (
    returnsRows(node) ||
    'CopyStmt' in node ||
    'DeclareCursorStmt' in node ||
    'PrepareStmt' in node ||
    'ExplainStmt' in node
  )
}
