import type { Node, RawStmt } from 'libpg-query'
import type { CommandClass, Facts, StatementFacts } from '../core/command.ts'
import { strictest } from '../core/command.ts'
import type { LabelName } from '../core/ids.ts'
import { classOfCalls } from './calls.ts'
import type { Catalogue } from './catalogue.ts'
import { classOf, classOfKind, explains, redefines } from './classify.ts'
import { Names } from './names.ts'
import type { ParseResult } from './parser.ts'
import type { RulesOff } from './lineage-rules.ts'
import type { LineageMeans, SessionNames } from './protect.ts'
import { protect } from './protect.ts'
import type { RelationRef, Survey } from './survey.ts'
import { survey } from './survey.ts'
import { kindOf, showName } from './tree.ts'
import { readsUnbounded, writesEverything } from './unbounded.ts'
import type { Views } from './views.ts'

export type AnalysisContext = {
  /** Absent: no label is in play, and names stay as they are written. */
  readonly catalogue?: Catalogue
  /** Schemas in the order the session searches them, `$user` replaced. Without a catalogue it is not used. */
  readonly searchPath: readonly string[]
  /**
   * Names of relations and types that this session has made (`createdNames` of what it ran) and that the catalogue may not
   * show yet: temporary ones, those of the open transaction. Names of the catalogue go first.
   */
  readonly created?: ReadonlySet<string>
  /** Cursors that a DECLARE of this session has opened under facts without an escape; not portals of the protocol. */
  readonly cursors?: ReadonlySet<string>
  /** Reads the definitions of views; without it, what a view derives is not followed. */
  readonly views?: Views
  /** For tests only: rules of the lineage that do not hold. */
  readonly off?: RulesOff
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
    ...(labels.length > 0 ? { escape: { labels, reason } } : {}),
    unbounded: true,
    writesEverything: false,
    redefines: true,
    attributes: { parsed, reach: labels.length > 0 },
  }
}

const NO_CURSORS: SessionNames = { cursors: new Set() }

/** Adds up the statements of one batch. */
class Gathered {
  readonly #context: AnalysisContext
  readonly #catalogue: Catalogue | undefined
  /** Present where labels are in play. */
  readonly #names: Names | undefined
  readonly #statements: StatementFacts[] = []
  readonly #reads = new Set<string>()
  readonly #writes = new Set<string>()
  readonly #calls = new Set<string>()
  readonly #labels = new Set<LabelName>()
  readonly #touches = new Map<LabelName, number>()
  readonly #filters = new Set<LabelName>()
  readonly #stores = new Set<LabelName>()
  readonly #escaping = new Set<LabelName>()
  #reason: string | undefined
  #reach = false
  #unbounded = false
  #writesEverything = false
  #redefines = false

  constructor(context: AnalysisContext) {
    this.#context = context
    this.#catalogue = context.catalogue
    const { catalogue } = context
    if (catalogue !== undefined) this.#names = new Names(catalogue, context.searchPath, context.created)
  }

  add(raw: RawStmt): void {
    const node = raw.stmt
    if (node === undefined) return
    const found = survey(node)
    const commandClass = found.beyond ? 'opaque' : classOfAll(node, found, this.#catalogue)
    for (const relation of found.relations) {
      const shown = this.#show(relation)
      if (relation.role === 'read') this.#reads.add(shown)
      else this.#writes.add(shown)
    }
    for (const call of found.calls) this.#calls.add(showName(call))
    this.#unbounded ||= readsUnbounded(node)
    this.#writesEverything ||= runsItsParts(node) && found.changes.some(writesEverything)
    this.#redefines ||= found.into || redefines(kindOf(node))
    const { outputs, copy } = this.#protect(node, found)
    const own = found.relations.some((each) => this.#names?.relation(each).kind === 'own')
    this.#statements.push({
      class: commandClass,
      ...(outputs === undefined ? {} : { outputs }),
      ...(copy === undefined ? {} : { copy }),
      ...(own ? { own } : {}),
    })
  }

  #show(relation: RelationRef): string {
    const meaning = this.#names?.relation(relation)
    return meaning?.kind === 'relation' ? showName(meaning.relation) : showName(relation)
  }

  #protect(node: Node, found: Survey): Pick<StatementFacts, 'outputs' | 'copy'> {
    const names = this.#names
    const { cursors, views, off } = this.#context
    if (names === undefined || names.catalogue.labels.length === 0 || off === 'all') return {}
    const means: LineageMeans = {
      ...(views === undefined ? {} : { views }),
      ...(off === undefined ? {} : { off }),
    }
    const result = protect(node, found, names, cursors === undefined ? NO_CURSORS : { cursors }, means)
    for (const label of result.labels) this.#labels.add(label)
    for (const [label, values] of result.asked)
      this.#touches.set(label, (this.#touches.get(label) ?? 0) + values)
    for (const label of result.filters) this.#filters.add(label)
    for (const label of result.stores) this.#stores.add(label)
    for (const label of result.escape?.labels ?? []) this.#escaping.add(label)
    this.#reason ??= result.escape?.reason
    this.#reach ||= result.reach
    const { outputs, copy } = result
    return { ...(outputs === undefined ? {} : { outputs }), ...(copy === undefined ? {} : { copy }) }
  }

  facts(): Facts {
    return {
      class: strictest(this.#statements.map((each) => each.class)),
      statements: this.#statements,
      reads: sorted(this.#reads),
      writes: sorted(this.#writes),
      calls: sorted(this.#calls),
      labels: sorted(this.#labels),
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
      attributes: { parsed: true, reach: this.#reach },
    }
  }
}

function classOfAll(node: Node, found: Survey, catalogue: Catalogue | undefined): CommandClass {
  const classes: CommandClass[] = [classOf(node)]
  if (runsItsParts(node)) {
    for (const kind of found.nested) classes.push(classOfKind(kind) ?? 'opaque')
    if (found.into) classes.push('define')
    classes.push(classOfCalls(found, catalogue))
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
