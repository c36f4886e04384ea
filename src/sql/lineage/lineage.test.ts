import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { LINEAGE_CASES, toldOf } from '../../testing/lineage-expectations.ts'
import { sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import type { Parser } from '../parse/parser.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { createParser } from '../parse/parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), views, ...more })
}

const GROUPS = [...new Set(LINEAGE_CASES.map(({ group }) => group))]

describe.each(GROUPS)('%s', (name) => {
  it.each(LINEAGE_CASES.filter(({ group }) => group === name))('$text', async (one) => {
    const facts = await factsOf(
      one.text,
      one.labels === undefined ? {} : { catalogue: sampleCatalogue({}, one.labels) },
    )
    expect(toldOf(facts)).toMatchObject(one.expected)
    if (facts.escape !== undefined) expect(facts.escape.reason).toMatch(/^[\x20-\x7e]{10,199}$/)
    else if (name !== 'what is not followed is an escape') expect(facts.attributes['reach']).toBe(true)
  })
})

describe('labelled columns are handed out', () => {
  it('with their source by the numbers of the catalogue', async () => {
    const facts = await factsOf('SELECT email, id + 1, e.contact_email FROM customers, events_2024 e')
    expect(facts.statements[0]?.outputs).toEqual([
      {
        name: 'email',
        labels: ['pii.email'],
        source: { relation: 20001, attribute: 4, type: 25 },
        type: 25,
      },
      { name: '?column?' },
      {
        name: 'contact_email',
        labels: ['pii.email'],
        source: { relation: 20005, attribute: 2, type: 25 },
        type: 25,
      },
    ])
  })

  it('by each statement of a batch', async () => {
    const facts = await factsOf('BEGIN; SELECT email FROM customers; SELECT phone FROM customers; COMMIT')
    expect(facts.statements.map((_, i) => toldOf(facts, i).outputs)).toEqual([
      '-',
      'email=pii.email',
      'phone=pii.phone',
      '-',
    ])
    expect(facts.labels).toEqual(['pii.email', 'pii.phone'])
  })
})

describe('where masks cannot follow, labelled values escape', () => {
  it('and who may see those still gets the others masked', async () => {
    const facts = await factsOf('UPDATE customers SET name = email RETURNING phone')
    expect(facts.escape?.labels).toEqual(['pii.email'])
    expect(toldOf(facts).outputs).toBe('phone=pii.phone')
    expect(facts.labels).toEqual(['pii.phone'])
  })
})

describe('views', () => {
  it('over what the server knows of others are looked into', async () => {
    const view = (definition: string): Catalogue => {
      const parts = sampleParts()
      return sampleCatalogue({
        ruleReads: [...parts.ruleReads, { relation: 20_011, of: 11_004 }],
        views: [{ relation: 20_011, definition }],
      })
    }
    const text = 'SELECT total FROM order_totals'
    const queries = view(' SELECT pid AS customer_id, query AS total FROM pg_stat_activity;')
    expect((await factsOf(text, { catalogue: queries })).escape).toBeDefined()
    const states = view(' SELECT pid AS customer_id, state AS total FROM pg_stat_activity;')
    expect((await factsOf(text, { catalogue: states })).escape).toBeUndefined()
  })

  it.each([
    ['without a definition', []],
    ['that is no query', [{ relation: 20_009, definition: 'DELETE FROM public.customers' }]],
    ['that does not parse', [{ relation: 20_009, definition: 'SELECT SELECT' }]],
    ['of another width', [{ relation: 20_009, definition: 'SELECT id, email FROM public.customers' }]],
    ['that reads itself', [{ relation: 20_009, definition: 'SELECT * FROM public.customer_list' }]],
    [
      'too long to read',
      [
        {
          relation: 20_009,
          definition: `SELECT id, name, email FROM public.customers -- ${'x'.repeat(70_000)}`,
        },
      ],
    ],
    [
      'of names that are not there',
      [{ relation: 20_009, definition: 'SELECT id, name, email FROM customers' }],
    ],
  ])('%s are not followed', async (_, definitions) => {
    const catalogue = sampleCatalogue({ views: definitions })
    const facts = await factsOf('SELECT id FROM customer_list', { catalogue })
    expect(facts.escape?.labels).toEqual(['pii.email', 'pii.phone', 'secret'])
  })

  it('filter by their own conditions', async () => {
    const definition = "SELECT id, name, email FROM public.customers WHERE email > 'm'"
    const catalogue = sampleCatalogue({ views: [{ relation: 20_009, definition }] })
    expect((await factsOf('SELECT id FROM customer_list', { catalogue })).filters).toEqual(['pii.email'])
  })
})

describe('recursive queries inside recursive queries', () => {
  it('are opaque when there are too many', async () => {
    let text = 'SELECT id, name, email FROM customers'
    for (let i = 0; i < 10; i++)
      text = `WITH RECURSIVE t AS (SELECT 1 AS id, '' AS name, '' AS email UNION ALL (SELECT s.id, s.email, t.name FROM (${text}) s, t)) SELECT * FROM t`
    const facts = await factsOf(text)
    expect(facts.class).toBe('opaque')
    expect(facts.escape?.labels).toEqual(['pii.email', 'pii.phone', 'secret'])
  })
})
