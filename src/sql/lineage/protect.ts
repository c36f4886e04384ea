import type { CopyStmt, Node } from 'libpg-query'
import type { CopyForm, Output, StatementFacts } from '../../core/command.ts'
import type { LabelName } from '../../core/ids.ts'
import type { Relation } from '../catalogue/catalogue.ts'
import { isPlainTable, labelsOf } from '../catalogue/catalogue.ts'
import type { Given } from '../sealing/given.ts'
import { checkCasts, checkParts, checkRelations, settingEscapes } from './checks.ts'
import { classOfKind, explains } from '../statement/classify.ts'
import { copyForm, copyInForm } from '../statement/copy-form.ts'
import { checkDefinition } from './definitions.ts'
import { isTemporary, settingEffect } from '../session/effects.ts'
import { bringsCodedTypes, runsUnnamedCode } from '../session/unnamed-code.ts'
import { Findings } from './findings.ts'
import type { OutputColumn } from './lineage.ts'
import { unionOf } from './lineage.ts'
import type { LineageRule, RulesOff } from './lineage-rules.ts'
import type { Meaning, Names } from '../session/names.ts'
import { ruleHolds } from './lineage-rules.ts'
import { isJudged } from './nodes.ts'
import { QueryWalk } from './query.ts'
import { changeOfStatement } from '../builtins/settings.ts'
import type { RelationRef, Survey } from '../statement/survey.ts'
import { isExact } from './touch.ts'
import { executedBy, kindOf, stringsOf } from '../parse/tree.ts'
import type { Views } from './views.ts'
import type { Rows } from './walk.ts'

/**
 * What one statement may do with labelled values. Every statement on a connection with labels comes through here, also
 * those that name no labelled table: a function of a user, a cursor, a changed setting could reach one.
 */
export type Protection = {
  /** Absent: nothing labelled is in reach, or the statement returns no rows of its own. */
  readonly outputs?: readonly Output[]
  /** How COPY writes the outputs. */
  readonly copy?: CopyForm
  /** How COPY reads rows from the client, and the labels of the columns that they are for. */
  readonly copyIn?: StatementFacts['copyIn']
  readonly labels: readonly LabelName[]
  readonly touches: readonly LabelName[]
  readonly asked: ReadonlyMap<LabelName, number>
  readonly filters: readonly LabelName[]
  readonly stores: readonly LabelName[]
  readonly escape?: { readonly labels: readonly LabelName[]; readonly reason: string }
  /** The labels of the columns that a value of the client meets; undefined: any that the statement uses. */
  placeOf(given: Given): ReadonlySet<LabelName> | undefined
  /** A column without labels may have the values of one with labels. */
  readonly links: boolean
  /** A relation in labelled reach is named, or one whose triggers or rules may reach any: errors may quote values. */
  readonly reach: boolean
  /** Types with code of users are in play: it may run, and say what it likes, while the text itself is read. */
  readonly ownTypes: boolean
}

export type SessionNames = {
  /** Cursors and prepared statements of which it is known what they run: it is judged as if it stood here. */
  readonly cursors: { has(name: string): boolean }
  readonly prepared: {
    has(name: string): boolean
    /** It shows, uses and changes nothing protected. */
    isPlain(name: string): boolean
  }
}

/** What the lineage is followed with. */
export type LineageMeans = {
  /** Absent: no view is followed. */
  readonly views?: Views
  /** For tests only: rules that do not hold. */
  readonly off?: RulesOff
}

export function protect(
  node: Node,
  found: Survey,
  names: Names,
  session: SessionNames,
  means: LineageMeans = {},
): Protection {
  const findings = new Findings(names.catalogue.labels)
  const reach = found.relations.some((relation) => isInReach(names.relation(relation), names))
  const statement = new Statement(node, found, names, findings, session, reach, means)
  const rows = statement.check()
  const { copyIn } = statement
  const ownTypes = bringsCodedTypes(found, names)
  const form = 'CopyStmt' in node ? copyForm(node.CopyStmt) : undefined
  const { escaped } = findings
  // Also where some labels escape: who may see those may not see the rest.
  const known = escaped === undefined || escaped.labels.length < names.catalogue.labels.length
  const outputs = known && rows?.counted === true ? rows.columns.map(outputOf) : undefined
  return {
    ...(outputs === undefined ? {} : { outputs }),
    ...(outputs === undefined || form === undefined ? {} : { copy: form }),
    ...(copyIn === undefined ? {} : { copyIn }),
    labels: labelsIn(outputs),
    touches: findings.touches,
    asked: findings.asked,
    filters: findings.filters,
    stores: findings.stores,
    ...(escaped === undefined ? {} : { escape: escaped }),
    placeOf: (given) => findings.placeOf(given),
    links: findings.links,
    reach:
      reach ||
      ownTypes ||
      runsUnnamedCode(node, found, names) ||
      found.relations.some((relation) => isNear(relation, names)),
    ownTypes,
  }
}

/** COPY runs a program there, or uses a file: the tables themselves are files there, and the server's user reads all of them. */
function leavesTheServer({ is_program: isProgram, filename }: CopyStmt): boolean {
  return isProgram === true || filename !== undefined
}

/** A view of this session's own, behind which is something in reach. */
function isNear(relation: RelationRef, names: Names): boolean {
  const meaning = names.relation(relation)
  return meaning.kind === 'own' && meaning.near === true
}

function isInReach(meaning: Meaning, names: Names): boolean {
  return meaning.kind === 'relation' && names.catalogue.reach.has(meaning.relation.oid)
}

function labelsIn(outputs: readonly Output[] | undefined): LabelName[] {
  const labels = new Set<LabelName>()
  for (const output of outputs ?? []) for (const label of output.labels ?? []) labels.add(label)
  return [...labels].sort()
}

const UNKNOWN_TYPE = 705

function outputOf({ name, labels, computed, source, type, paths, mixed }: OutputColumn): Output {
  return {
    name,
    ...(labels.length === 0 ? {} : { labels: [...labels].sort() }),
    ...(labels.length > 0 && computed ? { computed } : {}),
    ...(labels.length > 0 && !computed && paths !== undefined ? { paths } : {}),
    ...(labels.length > 0 && !computed && mixed === true ? { mixed } : {}),
    ...(source === undefined ? {} : { source }),
    ...(labels.length === 0 || computed || type === undefined || type === UNKNOWN_TYPE ? {} : { type }),
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
  'DropRoleStmt',
  'DropdbStmt',
])

/** What may be said of a role without a change to what it may use; of a new one, that it is a superuser, too. */
const RIGHTLESS: ReadonlySet<string> = new Set([
  'password',
  'validUntil',
  'connectionlimit',
  'canlogin',
  'createdb',
  'createrole',
])
const RIGHTS_OF_NEW: ReadonlySet<string> = new Set(['superuser', 'inherit', 'isreplication', 'bypassrls'])

function changesRights(node: Node): boolean {
  const isNew = 'CreateRoleStmt' in node
  const options = isNew
    ? node.CreateRoleStmt.options
    : 'AlterRoleStmt' in node
      ? node.AlterRoleStmt.options
      : []
  return (options ?? []).some((option) => {
    const name = 'DefElem' in option ? (option.DefElem.defname ?? '') : ''
    return !RIGHTLESS.has(name) && !(isNew && RIGHTS_OF_NEW.has(name))
  })
}

class Statement {
  readonly #node: Node
  readonly #found: Survey
  readonly #names: Names
  readonly #findings: Findings
  readonly #session: SessionNames
  readonly #reach: boolean
  readonly #means: LineageMeans
  copyIn: StatementFacts['copyIn']

  constructor(
    node: Node,
    found: Survey,
    names: Names,
    findings: Findings,
    session: SessionNames,
    reach: boolean,
    means: LineageMeans,
  ) {
    this.#node = node
    this.#found = found
    this.#names = names
    this.#findings = findings
    this.#session = session
    this.#reach = reach
    this.#means = means
  }

  /** The rows the statement returns, where they have to be known. */
  check(): Rows | undefined {
    const node = this.#node
    if (this.#found.beyond)
      this.#findings.escapeAll('Send a simpler statement: this one is too large to be judged.')
    const kind = kindOf(node)
    if (PASSING.has(kind) || (isJudged(kind) && !this.#holds(kind))) return undefined
    if (this.#names.lost && this.#found.relations.length > 0) {
      this.#findings.escapeAll(
        'Connect again, or DISCARD ALL: a statement of this session may have changed what names mean.',
      )
    }
    if (this.#found.nested.has('ExecuteStmt') && !this.#executesPlain(node))
      this.#unfollowed('EXECUTE inside of another statement')
    checkParts(this.#found, this.#names, this.#findings, this.#reach, node, this.#means.off)
    if ('VariableSetStmt' in node) {
      const effect = settingEffect(node.VariableSetStmt, this.#names)
      const known = effect === 'none' ? changeOfStatement(node.VariableSetStmt).safe : effect !== undefined
      if (!known) settingEscapes(node.VariableSetStmt.name ?? '', this.#findings)
      return undefined
    }
    if ('FetchStmt' in node) {
      const known = this.#session.cursors.has(node.FetchStmt.portalname ?? '')
      if (!known) {
        this.#findings.escapeAll('Run the query itself: what this cursor holds is not known.')
      }
      return undefined
    }
    if ('ExecuteStmt' in node && this.#session.prepared.has(node.ExecuteStmt.name ?? '')) return undefined
    if ('TruncateStmt' in node) {
      for (const relation of this.#reached()) this.#untriggered(relation)
      return undefined
    }
    if ('GrantStmt' in node) {
      // Who may use a schema decides which schemas are searched.
      if (node.GrantStmt.objtype === 'OBJECT_SCHEMA') this.#unfollowed('GRANT on a schema')
      return undefined
    }
    if ('CreateRoleStmt' in node || 'AlterRoleStmt' in node) {
      // Rights decide which schemas are searched, also in the transaction that has just changed them.
      if (changesRights(node)) this.#unfollowed('giving a role rights or members')
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
      for (const relation of this.#holds('types') ? this.#found.relations : [])
        checkCasts(relation, this.#names, this.#findings)
      this.#derive(node)
      checkDefinition(node, this.#names, this.#findings)
      return undefined
    }
    if (!isQuery(node)) {
      this.#unfollowed(WORDS.get(kindOf(node)) ?? kindOf(node).replace(/Stmt$/, ''))
      return undefined
    }
    return this.#query(node)
  }

  #holds(rule: LineageRule): boolean {
    return ruleHolds(rule, this.#means.off)
  }

  #unfollowed(what: string): void {
    this.#findings.escapeAll(`Leave ${what} to who may see all protected values: its effect is not followed.`)
  }

  /** A query of one form or another. Where nothing is in reach, its parts have told all there is to know. */
  #query(node: Node): Rows | undefined {
    checkRelations(node, this.#found, this.#names, this.#findings, this.#means.off)
    if ('ExplainStmt' in node && !returnsRows(node.ExplainStmt.query) && executedBy(node) === undefined)
      this.#unfollowed('this EXPLAIN')
    this.#unshadowed(node)
    if ('CopyStmt' in node && leavesTheServer(node.CopyStmt))
      this.#unfollowed('programs and files of the server')
    if (!this.#reach) return undefined
    const { views, off } = this.#means
    const walk = new QueryWalk(this.#names, this.#findings, views, off)
    if ('ExplainStmt' in node) {
      const rows = walk.rows(node.ExplainStmt.query, undefined, undefined)
      // How many rows, how much memory and how long: of what is made of unprotected columns alone, that tells nothing.
      if (explains(node.ExplainStmt) && !this.#isClear(rows)) {
        this.#findings.escapeAll('Use EXPLAIN without ANALYZE where protected columns are used.')
      }
      if (this.#found.into) this.#unfollowed('this INTO')
      return undefined
    }
    if ('CopyStmt' in node) return this.#copy(node.CopyStmt, walk)
    if ('DeclareCursorStmt' in node) {
      this.#counted(walk.rows(node.DeclareCursorStmt.query, undefined, undefined))
      return undefined
    }
    if ('PrepareStmt' in node) {
      this.#counted(walk.rows(node.PrepareStmt.query, undefined, undefined))
      if (
        node.PrepareStmt.argtypes?.some(
          (each) => !('TypeName' in each) || !isExact(each.TypeName, this.#names),
        )
      )
        this.#findings.filter(this.#findings.touches)
      return undefined
    }
    const rows = walk.rows(node, undefined, undefined)
    if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) {
      this.#leave(rows, 'a new table', 'select into')
      return undefined
    }
    if (this.#found.into) this.#unfollowed('this INTO')
    return this.#counted(rows)
  }

  /** Nothing protected comes out, is written, or decides about anything. */
  #isClear(rows: Rows): boolean {
    const { filters, touches, stores, escapes } = this.#findings
    const used = [
      ...rows.columns.flatMap(({ labels }) => labels),
      ...rows.rest,
      ...filters,
      ...touches,
      ...stores,
    ]
    return used.length === 0 && !escapes
  }

  /** CREATE TABLE AS EXECUTE and EXPLAIN EXECUTE of what has nothing to do with protected columns. */
  #executesPlain(node: Node): boolean {
    const name = executedBy(node)
    return name !== undefined && this.#session.prepared.isPlain(name)
  }

  /** A view, or a table made by a query: only of what is not protected, by nothing that is. */
  #derive(node: Node): void {
    const query = derivedFrom(node)
    if (query === undefined) return
    checkRelations(node, this.#found, this.#names, this.#findings, this.#means.off)
    if (!this.#reach) return
    const { views, off } = this.#means
    if (!this.#holds('derive')) return
    const rows = new QueryWalk(this.#names, this.#findings, views, off).rows(query, undefined, undefined)
    if (rows.counted && this.#isClear(rows) && !this.#replaces(node)) return
    for (const relation of this.#reached()) {
      const reason = `Derive from ${relation.name} only what is not protected, in a query that uses nothing protected.`
      const labels = labelsOf(relation)
      if (labels.length === 0) this.#findings.escapeAll(reason)
      else this.#findings.escape(labels, reason)
    }
  }

  /** Until it is committed, the catalogue has what was there before: something that nothing protected stands behind. */
  #replaces(node: Node): boolean {
    if (!('ViewStmt' in node) || node.ViewStmt.replace !== true) return false
    return this.#found.relations.some((each) => {
      const meaning = each.role === 'write' ? this.#names.relation(each) : undefined
      return meaning?.kind === 'relation' && !isInReach(meaning, this.#names)
    })
  }

  #counted(rows: Rows): Rows {
    if (!rows.counted)
      this.#findings.escapeAll('Name the columns in place of a star: not all of them are known here.')
    return rows
  }

  /** Rows go where their masks do not go with them. */
  #leave(rows: Rows, where: string, rule: LineageRule): void {
    if (!this.#holds(rule)) return
    const labels = unionOf([...rows.columns, { labels: rows.rest }])
    if (labels.length === 0) return
    const reason = `Do not put protected values (${labels.join(', ')}) into ${where}: they are not protected there.`
    this.#findings.escape(labels, reason)
  }

  /** The rows that go to the client, where they can be told apart there. */
  #copy(copy: CopyStmt, walk: QueryWalk): Rows | undefined {
    const { relation, is_from: isFrom, attlist } = copy
    const toClient = (rows: Rows) => {
      if (rows.counted && copyForm(copy) !== undefined) return rows
      this.#leave(rows, 'COPY in this form; use SELECT', 'copy')
      return undefined
    }
    if (relation === undefined) return toClient(walk.rows(copy.query, undefined, undefined))
    const target = isFrom === true ? walk.from.target(relation, 'insert') : undefined
    const { items } =
      target === undefined
        ? walk.from.all([{ RangeVar: relation }], undefined, undefined)
        : { items: [target] }
    const names = stringsOf(attlist)
    const all = (target ?? items[0])?.columns ?? []
    // In the order in which they are named; one that is not known here leaves nobody sure of the others.
    const named = (names ?? []).flatMap((name) => all.find((column) => column.name === name) ?? [])
    const counted = names !== undefined && named.length === names.length
    const columns = attlist === undefined || !counted ? all : named
    if (isFrom !== true) return toClient({ columns, counted, rest: [] })
    const labels = unionOf(columns)
    const form = copyInForm(copy)
    this.#findings.store(labels)
    // How many rows come, nobody knows.
    this.#findings.filter(unionOf(columns.filter((column) => column.unique === true)))
    const isGiven = (name: string) => columns.some((column) => column.name === name)
    const asks = columns.flatMap((column) => column.asks ?? [])
    this.#findings.filter(unionOf(asks.filter(({ spared }) => spared.every(isGiven))))
    if (form !== undefined && labels.length > 0) {
      this.copyIn = {
        form,
        columns: counted || attlist === undefined ? columns.map((each) => each.labels) : [],
      }
    } else if (labels.length > 0) {
      const reason = `Send COPY in another form: in this one masked values (${labels.join(', ')}) could not be told from others.`
      this.#findings.escape(labels, reason)
    }
    // Which rows a condition lets in depends on what the client sends.
    walk.expressions.predicate(copy.whereClause, { items, outer: undefined }, undefined)
    return undefined
  }

  /** SELECT INTO makes a relation too. */
  #unshadowed(node: Node): void {
    const made = 'SelectStmt' in node ? node.SelectStmt.intoClause?.rel : undefined
    const name = made?.relname
    if (name === undefined || !isTemporary(made) || !this.#names.wouldShadow(name)) return
    this.#findings.escapeAll(
      `Give ${name} another name: a temporary relation of it would hide the one there is.`,
    )
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

/** The query that a view or a table is made of. */
function derivedFrom(node: Node): Node | undefined {
  if ('ViewStmt' in node) return node.ViewStmt.query
  const query = 'CreateTableAsStmt' in node ? node.CreateTableAsStmt.query : undefined
  return query !== undefined && 'ExecuteStmt' in query ? undefined : query
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
