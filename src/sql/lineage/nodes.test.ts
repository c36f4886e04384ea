import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LINEAGE_CASES } from '../../testing/lineage-expectations.ts'
import { COMPUTED_KINDS, NODE_ANSWERS } from './nodes.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { isFields } from '../parse/tree.ts'

/** Frozen: what is opaque, by reason. */
const OPAQUE_KINDS = {
  // The server makes them when it analyses and plans a statement; the parser never does.
  planned: [
    'Aggref',
    'AlternativeSubPlan',
    'ArrayCoerceExpr',
    'ArrayExpr',
    'CallContext',
    'CaseTestExpr',
    'CoerceToDomain',
    'CoerceToDomainValue',
    'CoerceViaIO',
    'CollateExpr',
    'ConvertRowtypeExpr',
    'DistinctExpr',
    'FieldSelect',
    'FieldStore',
    'FromExpr',
    'FuncExpr',
    'InferenceElem',
    'InlineCodeBlock',
    'IntList',
    'JsonConstructorExpr',
    'JsonExpr',
    'JsonTablePath',
    'JsonTablePathScan',
    'JsonTableSiblingJoin',
    'MergeAction',
    'NextValueExpr',
    'NullIfExpr',
    'OidList',
    'OnConflictExpr',
    'OpExpr',
    'Param',
    'Query',
    'RTEPermissionInfo',
    'RangeTblEntry',
    'RangeTblFunction',
    'RangeTblRef',
    'RelabelType',
    'ReturningExpr',
    'RowCompareExpr',
    'RowMarkClause',
    'ScalarArrayOpExpr',
    'SetOperationStmt',
    'SortGroupClause',
    'SubPlan',
    'SubscriptingRef',
    'TableFunc',
    'TableSampleClause',
    'TargetEntry',
    'Var',
    'WindowClause',
    'WindowFunc',
    'WindowFuncRunCondition',
    'WithCheckOption',
  ],
  // Answers of the library around the grammar, not parts of a statement.
  tool: ['FilterColumn', 'Function', 'ParseResult', 'ScanResult', 'ScanToken', 'SummaryResult', 'Table'],
  // RETURN in a function body, and assignments of PL/pgSQL: bodies are not looked into, so defining one is an escape.
  body: ['PLAssignStmt', 'ReturnStmt'],
} as const

/** The kinds as the grammar's own description lists them. */
function described(): string[] {
  const file = new URL('../../../node_modules/@pgsql/types/types.d.ts', import.meta.url)
  const text = readFileSync(file, 'utf8')
  const union = text.slice(text.indexOf('export type Node = {'))
  const list = union.slice(0, union.indexOf(';\n};') + 4)
  return [...list.matchAll(/^ {4}(\w+): \1;$/gm)].map((match) => match[1] ?? '')
}

describe('every kind of node the grammar knows', () => {
  it('has an answer', () => {
    const kinds = described()
    expect(kinds.length).toBeGreaterThan(200)
    expect(Object.keys(NODE_ANSWERS).sort()).toEqual([...kinds].sort())
  })

  it('is opaque only if the parser never makes it, or it stands in the body of a function', () => {
    for (const [answer, kinds] of Object.entries(OPAQUE_KINDS)) {
      const found = Object.entries(NODE_ANSWERS).filter(([, each]) => each === answer)
      expect(found.map(([kind]) => kind).sort()).toEqual([...kinds])
    }
  })

  it('that is computed has an answer for each of its fields', () => {
    const computed = Object.entries(NODE_ANSWERS).filter(([, answer]) => answer === 'computed')
    expect(computed.map(([kind]) => kind).sort()).toEqual([...COMPUTED_KINDS].sort())
  })
})

describe('the statements of lineage.test.ts', () => {
  let parser: Parser

  beforeAll(async () => {
    parser = await createParser()
  })

  afterAll(() => parser.close())

  it('meet every kind that a query can be made of', async () => {
    const met = new Set<string>()
    for (const { text } of LINEAGE_CASES) {
      const parsed = await parser.parse(text)
      const stack: unknown[] = parsed.kind === 'parsed' ? [parsed.tree] : []
      for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
        if (Array.isArray(each)) stack.push(...each.map((one: unknown) => one))
        else if (isFields(each)) for (const key in each) stack.push(each[key] ?? false)
        if (isFields(each) && !Array.isArray(each)) for (const key in each) met.add(key)
      }
    }
    const wanted = Object.entries(NODE_ANSWERS).flatMap(([kind, answer]) =>
      answer === 'computed' || answer === 'followed' || answer === 'from' || answer === 'query' ? [kind] : [],
    )
    expect(wanted.filter((kind) => !met.has(kind) && !UNWRAPPED.has(kind))).toEqual([])
  })
})

/** They stand in fields that say what they are, not under their names. */
const UNWRAPPED: ReadonlySet<string> = new Set(['JsonBehavior', 'JsonAggConstructor', 'JsonKeyValue'])
