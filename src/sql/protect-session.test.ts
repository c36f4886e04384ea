import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../core/index.ts'
import { sampleCatalogue, sampleParts } from '../testing/sample-catalogue.ts'
import type { AnalysisContext } from './analyse.ts'
import { analyse } from './analyse.ts'
import { sessionEffects } from './effects.ts'
import type { Parser } from './parser.ts'
import { createParser } from './parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), ...more })
}

describe('errors may quote protected values', () => {
  it.each([
    ['SELECT id FROM customers', true],
    ['SELECT 1; SELECT 2 FROM customers', true],
    ['SELECT * FROM order_totals', false],
    ['SELECT * FROM orders', false],
    ['UPDATE orders SET note = 1', false],
  ])('of %s: %s', async (text, expected) => {
    expect((await factsOf(text)).attributes['reach']).toBe(expected)
  })

  it('where triggers of a table run that is not protected itself', async () => {
    const parts = sampleParts()
    const relations = parts.relations.map((each) =>
      each.name === 'orders' ? { ...each, hasTriggers: true } : each,
    )
    const catalogue = sampleCatalogue({ relations })
    const write = await factsOf("UPDATE orders SET note = 'x'", { catalogue })
    expect(write.escape).toBeUndefined()
    expect(write.attributes['reach']).toBe(true)
    expect((await factsOf('SELECT * FROM orders', { catalogue })).attributes['reach']).toBe(false)
  })
})

describe('names that come and go', () => {
  it('made in the same batch are known', async () => {
    const text =
      'CREATE TABLE fresh (id int); CREATE INDEX ON fresh (id); INSERT INTO fresh VALUES (1); SELECT * FROM fresh'
    expect((await factsOf(text)).escape).toBeUndefined()
  })

  it('made by the session before are known from what it ran', async () => {
    const effects = sessionEffects(
      await parser.parse(
        "CREATE TEMP TABLE a (x int); CREATE TYPE color AS ENUM ('red'); SELECT 1 INTO b; DECLARE c CURSOR FOR SELECT 1; SELECT 2",
      ),
    )
    expect(effects).toEqual({ created: ['a', 'color', 'b'], cursors: ['c'] })
    const text = "SELECT * FROM a, b WHERE x = 'red'::color; FETCH ALL FROM c"
    expect((await factsOf(text)).escape).toBeDefined()
    const more = { created: new Set(effects.created), cursors: new Set(effects.cursors) }
    expect((await factsOf(text, more)).escape).toBeUndefined()
  })

  it('of the catalogue go before those the session says it made', async () => {
    const facts = await factsOf('SELECT lower(email) FROM customers', { created: new Set(['customers']) })
    expect(facts.filters).toEqual(['pii.email'])
  })

  it('follow the search path', async () => {
    const parts = {
      relations: [
        { oid: 20001, schema: 'public', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
        { oid: 20002, schema: 'app', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
      ],
      columns: [
        { relation: 20001, attribute: 1, name: 'email', type: 25 },
        { relation: 20002, attribute: 1, name: 'email', type: 25 },
      ],
    } as const
    const catalogue = sampleCatalogue(parts)
    const text = 'SELECT lower(email) FROM customers'
    const filtersAlong = async (searchPath: string[]): Promise<readonly string[]> =>
      (await factsOf(text, { catalogue, searchPath })).filters
    expect(await filtersAlong(['app', 'public'])).toEqual([])
    expect(await filtersAlong(['public', 'app'])).toEqual(['pii.email'])
    expect(await filtersAlong(['nowhere', 'public'])).toEqual(['pii.email'])
    // Uncovering the protected table by taking the other one away, in a transaction nobody else sees.
    for (const uncover of [
      'DROP TABLE app.customers',
      'ALTER TABLE app.customers RENAME TO x',
      'ALTER TABLE app.customers SET SCHEMA other',
      'DROP SCHEMA app CASCADE',
      'DROP TABLE app.something CASCADE',
    ]) {
      expect(
        (await factsOf(uncover, { catalogue, searchPath: ['app', 'public'] })).escape,
        uncover,
      ).toBeDefined()
    }
  })

  it('a nearer column does not hide a labelled one', async () => {
    // orders.email would be meant, but may have been dropped a moment ago.
    const facts = await factsOf(
      "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM leads WHERE email = 'x')",
    )
    expect(facts.touches).toEqual(['pii.email'])
  })

  it('but one that the statement itself names does', async () => {
    const facts = await factsOf(
      "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM (SELECT source AS email FROM leads) l WHERE email > 'x')",
    )
    expect(facts.filters).toEqual([])
  })

  it('an alias of a labelled table is a row, even if a column has its name', async () => {
    const facts = await factsOf('SELECT note FROM customers note, orders')
    expect(facts.filters).toEqual(['pii.email', 'pii.phone'])
    expect(facts.statements[0]?.outputs?.[0]).toMatchObject({
      labels: ['pii.email', 'pii.phone'],
      computed: true,
    })
  })
})
