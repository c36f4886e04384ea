import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brand } from '../../core/index.ts'
import { ESCAPES, FILTERS, STORES, TOUCHES, UNTOUCHED } from '../../testing/lineage-cases.ts'
import { SAMPLE_LABELS, sampleCatalogue } from '../../testing/sample-catalogue.ts'
import { analyse } from '../analyse.ts'
import type { LineageRule, RulesOff } from './lineage-rules.ts'
import { LINEAGE_RULES } from './lineage-rules.ts'
import { COMPUTED_KINDS, NODE_ANSWERS } from './nodes.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { isFields } from '../parse/tree.ts'
import { statementOf, Views } from './views.ts'

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

describe('the rules of the lineage', () => {
  let parser: Parser

  let whole: readonly string[]

  beforeAll(async () => {
    parser = await createParser()
    whole = await verdicts()
  })

  afterAll(() => parser.close())

  const catalogue = sampleCatalogue()
  const statements = [UNTOUCHED, TOUCHES, STORES, FILTERS, ESCAPES].flatMap((cases) =>
    cases.map(([statement]) => statement),
  )

  /** A view whose column has a label of its own. */
  const labelled = sampleCatalogue({}, [
    ...SAMPLE_LABELS,
    { pattern: 'public.customer_names.n', label: brand('pii.name') },
  ])

  async function verdicts(off?: RulesOff): Promise<string[]> {
    const views = new Views((definition) => statementOf(parser.parseNow(definition)))
    const context = { searchPath: ['public'], catalogue, views, ...(off === undefined ? {} : { off }) }
    const found: string[] = []
    for (const text of statements) found.push(JSON.stringify(analyse(await parser.parse(text), context)))
    const named = await parser.parse('SELECT n FROM customer_names')
    found.push(JSON.stringify(analyse(named, { ...context, catalogue: labelled })))
    return found
  }

  it.each(LINEAGE_RULES)('%s is missed when it is switched off', async (rule) => {
    const off: ReadonlySet<LineageRule> = new Set([rule])
    expect(await verdicts(off)).not.toEqual(whole)
  })

  it('protect nothing when all are switched off', async () => {
    for (const verdict of await verdicts('all')) {
      const facts: unknown = JSON.parse(verdict)
      expect(isFields(facts) && facts).toMatchObject({ labels: [], filters: [], touches: [], stores: [] })
      expect(facts).not.toHaveProperty('escape')
    }
  })

  it('meet every kind that a query can be made of', async () => {
    const met = new Set<string>()
    for (const text of statements) {
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
