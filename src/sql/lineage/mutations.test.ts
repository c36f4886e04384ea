/**
 * The small mutation run: with any one rule of the lineage or of the nodes switched off, some statement of
 * lineage.test.ts fails there. `npm run prove -- mutations` does it with generated statements and a real server.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HARMLESS } from '../../testing/judged-cases.ts'
import { complaints, LINEAGE_CASES } from '../../testing/lineage-expectations.ts'
import { mutantsOf } from '../../testing/mutants.ts'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import type { LineageRule } from './lineage-rules.ts'
import { LINEAGE_RULES, NODE_RULES } from './lineage-rules.ts'
import { COMPUTED_KINDS, JUDGED_KINDS, NODE_ANSWERS } from './nodes.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { kindOf } from '../parse/tree.ts'
import { statementOf, Views } from './views.ts'

describe('a rule that is switched off', () => {
  let parser: Parser
  let views: Views
  /** The first statement that fails without the rule. */
  const killers = new Map<LineageRule, string>()
  const catalogue = sampleCatalogue()

  beforeAll(async () => {
    parser = await createParser()
    views = new Views((definition) => statementOf(parser.parseNow(definition)))
    for (const one of LINEAGE_CASES) {
      const own = one.labels === undefined ? catalogue : sampleCatalogue({}, one.labels)
      const context: AnalysisContext = { searchPath: ['public'], catalogue: own, views }
      for (const { rule, facts } of mutantsOf(await parser.parse(one.text), context))
        if (complaints(one, facts).length > 0 && !killers.has(rule)) killers.set(rule, one.text)
    }
  })

  afterAll(() => parser.close())

  it.each(LINEAGE_RULES.filter((rule) => !Object.hasOwn(HARMLESS, rule)))('is missed: %s', (rule) => {
    expect(killers.get(rule)).toBeDefined()
  })

  it('is one that the analysis asks for', () => {
    const sources = ['checks', 'dml', 'expression', 'from', 'protect', 'query', 'views']
    const text = sources.map((name) => readFileSync(new URL(`${name}.ts`, import.meta.url), 'utf8')).join()
    const others = LINEAGE_RULES.filter((rule) => !isKind(rule))
    expect(others.filter((rule) => !text.includes(`'${rule}'`))).toEqual([])
  })

  it('protects nothing when all are off', async () => {
    for (const { text } of LINEAGE_CASES) {
      const parsed = await parser.parse(text)
      const facts = analyse(parsed, { searchPath: ['public'], catalogue, views, off: 'all' })
      expect(facts).toMatchObject({ labels: [], filters: [], touches: [], stores: [] })
      expect(facts.escape).toBeUndefined()
    }
  })

  it.each(Object.entries(HARMLESS))('would be nothing to miss: %s, such as %s', async (kind, text) => {
    const parsed = await parser.parse(text)
    expect(kindOf(statementOf(parsed) ?? {})).toBe(kind)
    expect(analyse(parsed, { searchPath: ['public'], catalogue, views }).escape).toBeUndefined()
  })
})

describe('every kind of node', () => {
  it('that says where values come from or go to is handled by a rule with a name', () => {
    const handled = Object.entries(NODE_ANSWERS).filter(
      ([, answer]) => !['constant', 'definition', 'planned', 'tool', 'body'].includes(answer),
    )
    const named = new Set<string>([...COMPUTED_KINDS, ...JUDGED_KINDS, ...Object.keys(NODE_RULES)])
    expect(handled.map(([kind]) => kind).filter((kind) => !named.has(kind))).toEqual([])
    const known = new Set<string>(LINEAGE_RULES)
    for (const rules of Object.values(NODE_RULES))
      for (const rule of rules) expect(known.has(rule), rule).toBe(true)
  })

  it('is without a rule only if it holds no value', () => {
    const bare = Object.entries(NODE_RULES).filter(([, rules]) => rules.length === 0)
    expect(bare.map(([kind]) => kind)).toEqual([
      'Alias',
      'RoleSpec',
      'JsonFormat',
      'JsonReturning',
      'JsonOutput',
      'ColumnDef',
      'DefElem',
      'LockingClause',
      'RawStmt',
    ])
  })
})

function isKind(rule: string): boolean {
  return Object.hasOwn(NODE_ANSWERS, rule)
}
