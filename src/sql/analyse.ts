import type { Node, RawStmt } from 'libpg-query'
import type { CommandClass, Facts, StatementFacts } from '../core/command.ts'
import { strictest } from '../core/command.ts'
import { classOfCalls } from './calls.ts'
import type { Catalogue } from './catalogue.ts'
import { classOf, classOfKind, explains, redefines } from './classify.ts'
import type { ParseResult } from './parser.ts'
import type { RelationRef, Survey } from './survey.ts'
import { survey } from './survey.ts'
import { kindOf, showName } from './tree.ts'
import { readsUnbounded, writesEverything } from './unbounded.ts'

export type AnalysisContext = {
  /** Absent: no label is in play, and names stay as they are written. */
  readonly catalogue?: Catalogue
  /** Schemas in the order the session searches them, `$user` replaced. Without a catalogue it is not used. */
  readonly searchPath: readonly string[]
}

/** The facts of a batch. Total: whatever the tree, there is an answer, and what is not understood is opaque. */
export function analyse(parsed: ParseResult, context: AnalysisContext): Facts {
  if (parsed.kind !== 'parsed') return opaqueFacts(parsed, context)
  const gathered = new Gathered()
  for (const raw of parsed.tree.stmts ?? []) gathered.add(raw, context)
  return gathered.facts(context)
}

function opaqueFacts(parsed: Exclude<ParseResult, { kind: 'parsed' }>, context: AnalysisContext): Facts {
  const labels = context.catalogue?.labels ?? []
  const why = parsed.kind === 'unparsed' ? 'The statement does not parse.' : parsed.message
  return {
    class: 'opaque',
    statements: [{ class: 'opaque' }],
    reads: [],
    writes: [],
    calls: [],
    labels: [],
    filters: [],
    ...(labels.length > 0 ? { escape: { labels, reason: why } } : {}),
    unbounded: true,
    writesEverything: false,
    redefines: true,
    attributes: { parsed: false, statements: 1 },
  }
}

/** Adds up the statements of one batch. */
class Gathered {
  readonly #classes: CommandClass[] = []
  readonly #statements: StatementFacts[] = []
  readonly #reads = new Set<string>()
  readonly #writes = new Set<string>()
  readonly #calls = new Set<string>()
  #unbounded = false
  #writesEverything = false
  #redefines = false

  add(raw: RawStmt, context: AnalysisContext): void {
    const node = raw.stmt
    if (node === undefined) return
    const found = survey(node)
    const commandClass = found.beyond ? 'opaque' : classOfAll(node, found, context.catalogue)
    this.#classes.push(commandClass)
    this.#statements.push({ class: commandClass })
    for (const relation of found.relations) {
      const name = this.#name(relation)
      if (relation.role === 'read') this.#reads.add(name)
      else this.#writes.add(name)
    }
    for (const call of found.calls) this.#calls.add(showName(call))
    this.#unbounded ||= readsUnbounded(node)
    this.#writesEverything ||= runsItsParts(node) && found.changes.some(writesEverything)
    this.#redefines ||= found.into || redefines(kindOf(node))
  }

  #name(relation: RelationRef): string {
    return showName(relation)
  }

  facts(context: AnalysisContext): Facts {
    const labels = context.catalogue?.labels ?? []
    return {
      class: strictest(this.#classes),
      statements: this.#statements,
      reads: sorted(this.#reads),
      writes: sorted(this.#writes),
      calls: sorted(this.#calls),
      labels: [],
      filters: [],
      ...(labels.length > 0 ? { escape: { labels, reason: 'Labels are not followed here.' } } : {}),
      unbounded: this.#unbounded,
      writesEverything: this.#writesEverything,
      redefines: this.#redefines,
      attributes: { parsed: true, statements: this.#statements.length },
    }
  }
}

function classOfAll(node: Node, found: Survey, catalogue: Catalogue | undefined): CommandClass {
  const classes: CommandClass[] = [classOf(node)]
  if (runsItsParts(node)) {
    for (const kind of found.nested) classes.push(classOfKind(kind) ?? 'opaque')
    if (found.into) classes.push('define')
    classes.push(classOfCalls(found.calls, catalogue))
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

function sorted(names: ReadonlySet<string>): string[] {
  return [...names].sort()
}
