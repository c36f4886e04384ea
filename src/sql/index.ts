/**
 * Statement text and catalogue to facts: what a SQL batch does, what it touches, which labelled columns come out and
 * where. Leaves deciding to policy, masking to masking, and reading the catalogue to the protocol's adapter.
 * Promise: what is not understood is never called harmless. It is opaque, or an escape.
 */
import type { Facts, SealedCommand } from '../core/command.ts'
import { LIMITS } from '../core/limits.ts'
import type { AnalysisContext } from './analyse.ts'
import { analyse } from './analyse.ts'
import type { Effect, QueryTree } from './session/effect.ts'
import { sessionEffects } from './session/effects.ts'
import type { ParserInstance } from './parse/instance.ts'
import { KeyMaker } from './parse/keys.ts'
import type { RulesOff } from './lineage/lineage-rules.ts'
import type { ParseResult } from './parse/parser.ts'
import { createParser } from './parse/parser.ts'
import type { ReuseShape } from './parse/reuse-shape.ts'
import { ReuseShapes } from './parse/reuse-shape.ts'
import type { Shape } from './parse/shape.ts'
import { shapeOf } from './parse/shape.ts'
import { statementOf, Views } from './lineage/views.ts'
import type { Sealing } from './sealing/seal.ts'
import { seal, sealingOf } from './sealing/seal.ts'

export type { LineageRule, RulesOff } from './lineage/lineage-rules.ts'
export type { AnalysisContext } from './analyse.ts'
export type { NamedFacts } from './analyse.ts'
export type { Effect, QueryTree } from './session/effect.ts'
export { functionsCompute, operatorsCompute } from './builtins/extensions.ts'
export { builtinClass } from './builtins/functions.ts'
export { mayMoveNames, readPath } from './session/effects.ts'
export type { Mark } from './session/marks.ts'
export { leavesSettings, marksOf } from './session/marks.ts'
export type { Given, SettingSaid } from './session/settings-said.ts'
export type { Beginning } from './session/names.ts'
export { settingsNow } from './session/names.ts'
export type { Overlay } from './session/overlay.ts'
export { isSettled, moves, NO_OVERLAY, overlayAfter, overlayAgain } from './session/overlay.ts'
export type { CatalogueParts } from './catalogue/parts.ts'
export { assembleCatalogue } from './catalogue/assemble.ts'
export { isPlainTable, labelledReach, labelsOfColumn } from './catalogue/catalogue.ts'
export type { SettingChange } from './builtins/settings.ts'
export { matches, readPattern } from './catalogue/patterns.ts'
export { changeOf } from './builtins/settings.ts'
export { countableOf } from './statement/countable.ts'
export type { NamedInStatement } from './statement/named.ts'
export { isSameButReturning, namedIn, returningOf } from './statement/named.ts'
export type { AnswerForm } from './statement/answer-forms.ts'
export { answerForms } from './statement/answer-forms.ts'
export type { Virtual, VirtualQuery } from './statement/virtual.ts'
export { virtualQuery } from './statement/virtual.ts'
export type {
  Catalogue,
  Column,
  Relation,
  RelationKind,
  UserFunction,
  UserType,
} from './catalogue/catalogue.ts'
export type { ParseResult } from './parse/parser.ts'
export type { ReuseShape } from './parse/reuse-shape.ts'
export type { Shape } from './parse/shape.ts'
export type { Sealing } from './sealing/seal.ts'

export interface SqlAnalyser {
  /**
   * Short texts are parsed at once, long ones by a worker. A syntax error is an answer (`unparsed`); GatewayError
   * `limit_exceeded` is thrown (or the promise rejected) for a text that is too long or too much for the parser.
   */
  parse(text: string): ParseResult | Promise<ParseResult>
  /** Total: it answers for every tree. What did not parse is opaque, and an escape where labels are in play. */
  analyse(parsed: ParseResult, context: AnalysisContext): Facts
  /** What each statement of the batch leaves behind in its session. `escaped`: the labels of its facts that escape. */
  effects(
    parsed: ParseResult,
    context: AnalysisContext,
    escaped: readonly string[] | undefined,
  ): readonly (readonly Effect[])[]
  /** The facts of a query that PREPARE or DECLARE holds. */
  analyseQuery(query: QueryTree, context: AnalysisContext): Facts
  /**
   * The shape of `bytes[start, end)` (the text without its closing NUL), or `undefined` when it has to be parsed every
   * time. It points into `bytes`: use it before the buffer is used again.
   */
  shape(bytes: Uint8Array, start: number, end: number): Shape | undefined
  /** The key under which facts and decisions of this text may be cached; `undefined` until its shape is learned. */
  keyOf(shape: Shape): string | undefined
  /** Learns a shape from a parse of the very text the shape was taken from; returns that text's key. */
  learn(shape: Shape, parsed: ParseResult): string
  /** What a text shares with those that one approval may be for. Undefined: it is only like itself. */
  reuse(text: string): ReuseShape | undefined
  /**
   * Which values of a text meet labelled columns, by the facts that `analyse` gave for it: for every text that has the
   * same key. Undefined: none does.
   */
  sealing(text: string, facts: Facts): Sealing | undefined
  /** A text and its parameters with marks in place of the values that are sealed. */
  seal(text: string, parameters: readonly (Uint8Array | null)[] | undefined, sealing: Sealing): SealedCommand
  close(): Promise<void>
}

/**
 * Loads the grammar (about 10 ms the first time). One analyser serves all sessions of a process. `load` makes a fresh
 * instance of the grammar; tests that make many analysers hand in ones that are used again. `off`
 * is for tests as well: rules of the lineage that shall not hold.
 */
export async function createSqlAnalyser(
  load?: () => Promise<ParserInstance>,
  off?: RulesOff,
): Promise<SqlAnalyser> {
  const parser = await createParser(load)
  const keys = new KeyMaker()
  const shapes = new ReuseShapes()
  const views = new Views((definition) => statementOf(parser.parseNow(definition)))
  const means = off === undefined ? { views } : { views, off }
  return {
    parse: (text) => parser.parse(text),
    analyse: (parsed, context) => analyse(parsed, { ...means, ...context }),
    analyseQuery: (query, context) =>
      analyse({ kind: 'parsed', tree: { version: 0, stmts: [{ stmt: query }] } }, { ...means, ...context }),
    effects: sessionEffects,
    shape: (bytes, start, end) =>
      end - start <= LIMITS.statementInlineBytesMax ? shapeOf(bytes, start, end) : undefined,
    keyOf: (shape) => keys.keyOf(shape),
    learn: (shape, parsed) => keys.learn(shape, parsed),
    reuse: (text) => {
      const bytes = Buffer.from(text)
      if (bytes.length > LIMITS.statementInlineBytesMax) return undefined
      const shape = shapeOf(bytes, 0, bytes.length)
      return shape === undefined ? undefined : shapes.of(shape, () => parser.parseNow(text))
    },
    sealing: (text, facts) => sealingOf(text, facts, parser),
    seal: (text, parameters, sealing) => seal(text, parameters, sealing, parser),
    close: () => parser.close(),
  }
}
