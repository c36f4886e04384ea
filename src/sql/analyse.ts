import type { FetchStmt, Node, RawStmt } from 'libpg-query'
import type { CommandClass, Facts, LabelledColumn, Output, StatementFacts } from '../core/command.ts'
import { labelsUsed, strictest } from '../core/command.ts'
import type { LabelName } from '../core/ids.ts'
import { withAttributeCalls } from './attributes.ts'
import { touchedBy } from './company.ts'
import { classOfCalls } from './statement/calls.ts'
import type { Catalogue } from './catalogue/catalogue.ts'
import { classOf, classOfKind, explains, redefines } from './statement/classify.ts'
import { effectsOf, effectsOfEscape, makesTemporary } from './session/effects.ts'
import type { Beginning } from './session/names.ts'
import { Names } from './session/names.ts'
import type { Overlay } from './session/overlay.ts'
import type { ParseResult } from './parse/parser.ts'
import type { RulesOff } from './lineage/lineage-rules.ts'
import type { LineageMeans, SessionNames } from './lineage/protect.ts'
import type { Protection } from './lineage/protect.ts'
import { protect } from './lineage/protect.ts'
import { seenColumns } from './lineage/seen-columns.ts'
import type { Gives } from './sealing/places.ts'
import { Places, placesFor, placesOf } from './sealing/places.ts'
import { isClientValue } from './lineage/touch.ts'
import type { Survey } from './statement/survey.ts'
import { survey } from './statement/survey.ts'
import { executedBy, kindOf, showName } from './parse/tree.ts'
import { readsUnbounded, writesEverything } from './statement/unbounded.ts'
import type { Views } from './lineage/views.ts'

export type AnalysisContext = {
  /** Absent: no label is in play, and names stay as they are written. */
  readonly catalogue?: Catalogue
  /** What the session has changed for itself since it began. */
  readonly overlay?: Overlay
  /** What prepared statements and cursors of this session run, as it is judged now. Absent: none is known. */
  readonly named?: NamedFacts
  /** Reads the definitions of views; without it, what a view derives is not followed. */
  readonly views?: Views
  /** For tests only: rules of the lineage that do not hold. */
  readonly off?: RulesOff
} & Beginning

export type NamedFacts = {
  prepared(name: string): Facts | undefined
  cursor(name: string): Facts | undefined
}

/** The facts of a batch. Total: whatever the tree, there is an answer, and what is not understood is opaque. */
export function analyse(parsed: ParseResult, context: AnalysisContext): Facts {
  if (parsed.kind !== 'parsed') return opaqueFacts(context, reasonOf(parsed), false)
  const gathered = new Gathered(context)
  try {
    for (const raw of parsed.tree.stmts ?? []) gathered.add(raw)
  } catch (error) {
    // Only depth can do this to a walk over plain data, and the parser has let pass what should not be this deep.
    if (error instanceof RangeError)
      return opaqueFacts(context, 'Send a simpler statement: this one nests too deeply.', true)
    throw error
  }
  return gathered.facts()
}

function reasonOf(parsed: Exclude<ParseResult, { kind: 'parsed' }>): string {
  return parsed.kind === 'unparsed' ? 'Correct the syntax: the statement does not parse.' : parsed.message
}

function opaqueFacts(context: AnalysisContext, reason: string, parsed: boolean): Facts {
  const labels = context.catalogue?.labels ?? []
  return {
    class: 'opaque',
    statements: [{ class: 'opaque' }],
    reads: [],
    writes: [],
    calls: [],
    labels: [],
    touches: [],
    filters: [],
    stores: [],
    ...(labels.length > 0
      ? { escape: { labels, reason }, columns: labels.map((label) => ({ column: '*', label })) }
      : {}),
    unbounded: true,
    writesEverything: false,
    redefines: true,
    attributes: { parsed, reach: labels.length > 0 },
  }
}

/** Nothing protected comes out of it, is used or changed by it. */
function isPlain(facts: Facts | undefined): boolean {
  if (facts === undefined || facts.escape !== undefined || facts.statements.length !== 1) return false
  const used = [...facts.labels, ...facts.filters, ...facts.touches, ...facts.stores]
  const followed = facts.attributes['reach'] !== true || facts.statements[0]?.outputs !== undefined
  return used.length === 0 && followed
}

/** EXECUTE is what it runs; around it, what it runs when it is run, and what is made of it. */
function classAround(node: Node, runs: Facts): CommandClass {
  if ('CreateTableAsStmt' in node) return strictest(['define', runs.class])
  return 'ExplainStmt' in node && !explains(node.ExplainStmt) ? 'read' : runs.class
}

/** `FETCH ALL` and its like; how many it says otherwise. */
function fetchesAll({ howMany }: FetchStmt): boolean {
  return Number(howMany ?? 0) > FETCHED_AT_ONCE
}

/** FETCH ALL is written as the largest number there is. */
const FETCHED_AT_ONCE = 1_000_000

/** What names of prepared statements and cursors mean to the statements of one batch, in their order. */
class BatchNames implements SessionNames {
  readonly #context: AnalysisContext
  readonly #made = {
    prepared: new Map<string, Facts | undefined>(),
    cursor: new Map<string, Facts | undefined>(),
  }
  readonly #cleared = { prepared: false, cursor: false }
  readonly cursors = { has: (name: string) => this.#find('cursor', name) !== undefined }
  readonly prepared = {
    has: (name: string) => this.#find('prepared', name) !== undefined,
    isPlain: (name: string) => isPlain(this.#find('prepared', name)),
  }

  constructor(context: AnalysisContext) {
    this.#context = context
  }

  /** The facts of what EXECUTE, FETCH, MOVE, or a statement around EXECUTE runs; undefined for other statements, and where it is not known. */
  runs(node: Node): Facts | undefined {
    if ('ExecuteStmt' in node) return this.#find('prepared', node.ExecuteStmt.name ?? '')
    const executed = executedBy(node)
    if (executed !== undefined) return this.#find('prepared', executed)
    return 'FetchStmt' in node ? this.#find('cursor', node.FetchStmt.portalname ?? '') : undefined
  }

  /** The facts of what an EXECUTE in EXPLAIN or CREATE TABLE AS runs. */
  runsInside(node: Node): Facts | undefined {
    let inner: Node | undefined
    if ('ExplainStmt' in node) inner = node.ExplainStmt.query
    else if ('CreateTableAsStmt' in node) inner = node.CreateTableAsStmt.query
    if (inner === undefined) return undefined
    return 'ExecuteStmt' in inner ? this.runs(inner) : this.runsInside(inner)
  }

  #find(what: 'prepared' | 'cursor', name: string): Facts | undefined {
    if (this.#made[what].has(name) || this.#cleared[what]) return this.#made[what].get(name)
    return this.#context.named?.[what](name)
  }

  /** The statement has run, when those behind it do. */
  follow(node: Node, names: Names | undefined, escaped: readonly LabelName[] | undefined): void {
    const effects = effectsOf(node, names)
    for (const effect of effects) {
      switch (effect.kind) {
        case 'prepare':
        case 'declare': {
          const inner = new Gathered(this.#context, names?.copy())
          inner.add({ stmt: effect.query })
          this.#made[effect.kind === 'prepare' ? 'prepared' : 'cursor'].set(effect.name, inner.facts())
          break
        }
        case 'deallocate':
        case 'close': {
          const what = effect.kind === 'deallocate' ? 'prepared' : 'cursor'
          if (effect.name !== undefined) this.#made[what].set(effect.name, undefined)
          else {
            this.#cleared[what] = true
            this.#made[what].clear()
          }
          break
        }
        default:
          break
      }
    }
    names?.follow(effects)
    names?.follow(effectsOfEscape(escaped, names.catalogue.labels))
  }
}

/** What has to be known of a statement beside its lineage to say where its values go. */
type Placing = {
  /** What it runs by name; undefined: nothing, or it is not known what. */
  readonly runs: Facts | undefined
  readonly byName: boolean
  /** Its values may go into columns of which it is not known yet which labels they will have. */
  readonly anywhere: boolean
  readonly gives: Gives
}

/** Adds up the statements of one batch. */
class Gathered {
  readonly #context: AnalysisContext
  readonly #catalogue: Catalogue | undefined
  /** Present where labels are in play. */
  readonly #names: Names | undefined
  readonly #session: BatchNames
  readonly #statements: StatementFacts[] = []
  readonly #reads = new Set<string>()
  /** Of those read and written: names that nobody knows. */
  readonly #typed = new Set<string>()
  readonly #writes = new Set<string>()
  readonly #calls = new Set<string>()
  readonly #labels = new Set<LabelName>()
  readonly #touches = new Map<LabelName, number>()
  readonly #filters = new Set<LabelName>()
  readonly #stores = new Set<LabelName>()
  readonly #escaping = new Set<LabelName>()
  readonly #places = new Places()
  #lastEscaped: readonly LabelName[] | undefined
  #reason: string | undefined
  #reach = false
  #ownTypes = false
  #deferred = false
  #unbounded = false
  #writesEverything = false
  #redefines = false

  constructor(context: AnalysisContext, names?: Names) {
    this.#context = context
    this.#catalogue = context.catalogue
    const { catalogue } = context
    if (names !== undefined) this.#names = names
    else if (catalogue !== undefined) this.#names = new Names(catalogue, context, context.overlay)
    this.#session = new BatchNames(context)
  }

  add(raw: RawStmt): void {
    const node = raw.stmt
    if (node === undefined) return
    const found = withAttributeCalls(node, survey(node), this.#names)
    const inside = this.#session.runsInside(node)
    const commandClass = found.beyond ? 'opaque' : classOfAll(node, found, this.#names, inside?.class)
    const { reads, writes, typed } = touchedBy(node, found, this.#names)
    for (const each of [...typed, ...(inside?.typed ?? [])]) this.#typed.add(each)
    for (const each of [...reads, ...(inside?.reads ?? [])]) this.#reads.add(each)
    for (const each of [...writes, ...(inside?.writes ?? [])]) this.#writes.add(each)
    for (const each of inside?.calls ?? []) this.#calls.add(each)
    for (const call of found.calls) this.#calls.add(showName(call))
    this.#unbounded ||= readsUnbounded(node)
    this.#writesEverything ||= runsItsParts(node) && found.changes.some(writesEverything)
    this.#redefines ||= (found.into || redefines(kindOf(node))) && !makesTemporary(node)
    const runs = this.#session.runs(node)
    const followed = this.#protect(node, found)
    const makes = !makesTemporary(node) && (found.into || MAKES_COLUMNS.has(kindOf(node)))
    if (followed !== undefined)
      this.#place(node, followed, {
        runs: runs ?? inside,
        byName: 'FetchStmt' in node || 'ExecuteStmt' in node || found.nested.has('ExecuteStmt'),
        anywhere: makes || found.relations.some((each) => this.#names?.isNew(each)),
        gives: givesOf(node, commandClass, followed),
      })
    const outputs = followed?.outputs ?? this.#addNamed(node, runs)
    const { copy, copyIn } = followed ?? {}
    const own = found.relations.some((each) => this.#names?.relation(each).kind === 'own')
    this.#session.follow(node, this.#names, this.#lastEscaped)
    this.#statements.push({
      class: runs === undefined ? commandClass : classAround(node, runs),
      ...(outputs === undefined ? {} : { outputs }),
      ...(copy === undefined ? {} : { copy }),
      ...(copyIn === undefined ? {} : { copyIn }),
      ...(own || runs?.statements[0]?.own === true ? { own: true } : {}),
    })
  }

  #protect(node: Node, found: Survey): Protection | undefined {
    const names = this.#names
    const { views, off } = this.#context
    if (names === undefined || names.catalogue.labels.length === 0 || off === 'all') return undefined
    const means: LineageMeans = {
      ...(views === undefined ? {} : { views }),
      ...(off === undefined ? {} : { off }),
    }
    const result = protect(node, found, names, this.#session, means)
    this.#lastEscaped = result.escape?.labels
    for (const label of result.labels) this.#labels.add(label)
    for (const [label, values] of result.asked)
      this.#touches.set(label, (this.#touches.get(label) ?? 0) + values)
    for (const label of result.filters) this.#filters.add(label)
    for (const label of result.stores) this.#stores.add(label)
    for (const label of result.escape?.labels ?? []) this.#escaping.add(label)
    this.#reason ??= result.escape?.reason
    this.#reach ||= result.reach
    this.#ownTypes ||= result.ownTypes
    this.#deferred ||= runsDeferred(node)
    return result
  }

  /** Under which labels the recording keeps what the client gives in this statement. */
  #place(node: Node, protection: Protection, { runs, byName, anywhere, gives }: Placing): void {
    const { filters, touches, stores, escape, reach } = protection
    const used = new Set([...filters, ...touches, ...stores, ...(escape?.labels ?? [])])
    if (runs !== undefined)
      for (const label of [...labelsUsed(runs), ...(placesOf(runs)?.labels ?? [])]) used.add(label)
    if (byName) this.#places.runs(runs && placesOf(runs), [...used])
    // Definitions are not followed value by value, and which labels a new column will have is not known before it is there.
    const defines = anywhere || (reach && !FOLLOWED.has(kindOf(node)))
    if (defines) for (const label of this.#catalogue?.labels ?? []) used.add(label)
    const followed = escape === undefined && runs === undefined && !defines
    this.#places.add(node, [...used], gives, followed ? protection.placeOf : () => undefined)
  }

  /** EXECUTE and FETCH are what they run. */
  #addNamed(node: Node, runs: Facts | undefined): readonly Output[] | undefined {
    if (runs === undefined) return undefined
    for (const each of runs.reads) this.#reads.add(each)
    for (const each of runs.typed ?? []) this.#typed.add(each)
    for (const each of runs.writes) this.#writes.add(each)
    for (const each of runs.calls) this.#calls.add(each)
    for (const each of runs.filters) this.#filters.add(each)
    // A cursor has asked its questions when it was declared.
    for (const each of 'FetchStmt' in node ? [] : runs.touches) {
      // How many values a computed argument holds, nobody knows before it runs.
      if ('ExecuteStmt' in node && !(node.ExecuteStmt.params ?? []).every((value) => this.#isGiven(value)))
        this.#filters.add(each)
      else this.#touches.set(each, (this.#touches.get(each) ?? 0) + (runs.asked?.[each] ?? 1))
    }
    for (const each of runs.stores) this.#stores.add(each)
    for (const each of runs.escape?.labels ?? []) this.#escaping.add(each)
    this.#reason ??= runs.escape?.reason
    if (runs.escape !== undefined) this.#lastEscaped = runs.escape.labels
    this.#reach ||= runs.attributes['reach'] === true
    this.#ownTypes ||= runs.attributes['ownTypes'] === true
    this.#unbounded ||= 'FetchStmt' in node ? fetchesAll(node.FetchStmt) : runs.unbounded
    this.#writesEverything ||= runs.writesEverything
    this.#redefines ||= runs.redefines
    if ('FetchStmt' in node && node.FetchStmt.ismove === true) return undefined
    // The rows go into a table, or nowhere.
    if (executedBy(node) !== undefined) return undefined
    for (const each of runs.labels) this.#labels.add(each)
    return runs.statements[0]?.outputs
  }

  #isGiven(value: Node): boolean {
    return this.#names !== undefined && isClientValue(value, this.#names)
  }

  #columns(): readonly LabelledColumn[] {
    const labels = [...this.#escaping]
    if (this.#catalogue === undefined || (this.#labels.size === 0 && labels.length === 0)) return []
    const touched = new Set([...this.#reads, ...this.#writes])
    return seenColumns(this.#catalogue, this.#statements, touched, labels)
  }

  facts(): Facts {
    const columns = this.#columns()
    const facts: Facts = {
      class: strictest(this.#statements.map((each) => each.class)),
      statements: this.#statements,
      reads: sorted(this.#reads),
      writes: sorted(this.#writes),
      ...(this.#typed.size === 0 ? {} : { typed: sorted(this.#typed) }),
      calls: sorted(this.#calls),
      labels: sorted(this.#labels),
      ...(columns.length === 0 ? {} : { columns }),
      touches: [...this.#touches.keys()].sort(),
      ...(this.#touches.size === 0 ? {} : { asked: Object.fromEntries(this.#touches) }),
      filters: sorted(this.#filters),
      stores: sorted(this.#stores),
      ...(this.#reason === undefined
        ? {}
        : { escape: { labels: sorted(this.#escaping), reason: this.#reason } }),
      unbounded: this.#unbounded,
      writesEverything: this.#writesEverything,
      redefines: this.#redefines,
      attributes: {
        parsed: true,
        reach: this.#reach,
        ...(this.#ownTypes ? { ownTypes: true } : {}),
        ...(this.#deferred ? { deferred: true } : {}),
      },
    }
    placesFor(facts, this.#places)
    return facts
  }
}

/** Checks, or makes to be checked now, what earlier statements of the transaction did: what was deferred runs. */
function runsDeferred(node: Node): boolean {
  if ('ConstraintsSetStmt' in node) return true
  const { kind } = 'TransactionStmt' in node ? node.TransactionStmt : {}
  return kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_PREPARE'
}

/** Those after which columns are there, or called or described so, that were not before: labels may be meant for them. */
const MAKES_COLUMNS: ReadonlySet<string> = new Set([
  'CreateStmt',
  'CreateForeignTableStmt',
  'CreateTableAsStmt',
  'CreateSchemaStmt',
  'AlterTableStmt',
  'CompositeTypeStmt',
  'CommentStmt',
  'SecLabelStmt',
  'ViewStmt',
])

/** Utility statements that return rows; https://www.postgresql.org/docs/current/protocol-flow.html */
const RETURNS_ROWS: ReadonlySet<string> = new Set([
  'CallStmt',
  'ExecuteStmt',
  'ExplainStmt',
  'FetchStmt',
  'VariableShowStmt',
])

/** Relations below this number are the server's own: statements and settings stand in some of them. */
const FIRST_USER_OID = 16_384

function givesOf(node: Node, commandClass: CommandClass, { outputs, links }: Protection): Gives {
  if ('CopyStmt' in node && node.CopyStmt.is_from === true) return 'nothing'
  if (RETURNS_ROWS.has(kindOf(node))) return 'values'
  if ('InsertStmt' in node) return node.InsertStmt.returningClause === undefined ? 'nothing' : 'values'
  if ('UpdateStmt' in node) return node.UpdateStmt.returningClause === undefined ? 'nothing' : 'values'
  if ('DeleteStmt' in node) return node.DeleteStmt.returningClause === undefined ? 'nothing' : 'values'
  if ('MergeStmt' in node) return node.MergeStmt.returningClause === undefined ? 'nothing' : 'values'
  if (!('SelectStmt' in node || 'CopyStmt' in node)) return 'nothing'
  if (commandClass !== 'read' || links || outputs === undefined) return 'values'
  const isColumn = ({ source, labels }: Output): boolean =>
    source !== undefined && source.relation >= FIRST_USER_OID && labels === undefined
  return outputs.every(isColumn) ? 'columns' : 'values'
}

/** Kinds of statements whose values are followed to the columns that they meet. */
const FOLLOWED: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CopyStmt',
  'DeclareCursorStmt',
  'PrepareStmt',
  'ExplainStmt',
])

/** `executed`: the class of what an EXECUTE inside of it runs; absent where there is none, or it is not known. */
function classOfAll(
  node: Node,
  found: Survey,
  names: Names | undefined,
  executed: CommandClass = 'opaque',
): CommandClass {
  const classes: CommandClass[] = [classOf(node, executed)]
  if (runsItsParts(node)) {
    for (const kind of found.nested)
      classes.push(kind === 'ExecuteStmt' ? executed : (classOfKind(kind) ?? 'opaque'))
    if (found.into) classes.push('define')
    classes.push(classOfCalls(found, names))
  }
  return strictest(classes)
}

/** Definitions that only store what they hold, and a plan that is only shown, call nothing. */
function runsItsParts(node: Node): boolean {
  if ('ExplainStmt' in node) return explains(node.ExplainStmt)
  return !STORES_ONLY.has(kindOf(node))
}

const STORES_ONLY: ReadonlySet<string> = new Set([
  'CreateStmt',
  'CreateDomainStmt',
  'CreateFunctionStmt',
  'CreateTrigStmt',
  'CreateEventTrigStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'RuleStmt',
  'ViewStmt',
])

function sorted<Name extends string>(names: ReadonlySet<Name>): Name[] {
  return [...names].sort()
}
