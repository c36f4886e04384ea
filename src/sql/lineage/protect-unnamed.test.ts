import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'

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

describe('code of users that nobody names', () => {
  const hung = [{ relation: 20002, reading: false, of: 'pg_proc', oid: 30000, extension: null }]
  const columns = sampleParts().columns.map((each) =>
    each.relation === 20015 && each.name === 'mood' ? { ...each, type: 20104 } : each,
  )
  const coded = sampleCatalogue({ hung, columns })

  it.each([
    ['INSERT INTO orders (id) VALUES (1)', { reach: true }],
    ['WITH x AS (UPDATE orders SET id = 1 RETURNING id) SELECT * FROM x', { reach: true }],
    [
      'CREATE TEMP TABLE mine (LIKE orders); INSERT INTO mine (id) VALUES (1)',
      { reach: true, ownTypes: true },
    ],
    ['SELECT * FROM orders', { reach: false }],
    ['SELECT id FROM feelings', { reach: true, ownTypes: true }],
    ['INSERT INTO leads (id) VALUES (1)', { reach: false }],
    ['PREPARE p AS INSERT INTO orders (id) VALUES (1); EXECUTE p', { reach: true }],
  ])('may speak where it runs: %s', async (text, expected) => {
    const facts = await factsOf(text, { catalogue: coded })
    expect(facts.attributes).toEqual({ parsed: true, ...expected })
    expect(facts.escape).toBeUndefined()
  })

  it.each([
    ['ANALYZE', true],
    ['VACUUM ANALYZE orders', false],
    ['TRUNCATE feelings CASCADE', true],
    ['TRUNCATE feelings', false],
    ['DELETE FROM leads', true],
    ['INSERT INTO leads (id) VALUES (1)', false],
    ['INSERT INTO leads (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2', true],
    ['WITH d AS (DELETE FROM leads RETURNING id) INSERT INTO orders (id) SELECT id FROM d', true],
    ['DROP TABLE leads', false],
  ])('may hang on what is not named: %s', async (text, reach) => {
    const catalogue = sampleCatalogue({ cascades: [{ from: 20008, to: 20003 }] })
    expect((await factsOf(text, { catalogue })).attributes).toMatchObject({ reach })
  })

  it.each([
    ['COMMIT', true],
    ['END AND CHAIN', true],
    ["PREPARE TRANSACTION 'x'", true],
    ['SET CONSTRAINTS ALL IMMEDIATE', true],
    ['SET/**/CONSTRAINTS ALL DEFERRED', true],
    ['SELECT 1; SET--x\nCONSTRAINTS x IMMEDIATE', true],
    ["SELECT 'commit' AS end", undefined],
    ['ROLLBACK', undefined],
    ['SELECT CASE WHEN true THEN 1 END', undefined],
  ])('may have been put off until: %s', async (text, deferred) => {
    expect((await factsOf(text)).attributes['deferred']).toBe(deferred)
  })

  it('runs with definitions where there are event triggers', async () => {
    for (const [extension, reach] of [
      [null, true],
      ['timescaledb', false],
    ] as const) {
      const catalogue = sampleCatalogue({ eventTriggers: [{ extension }] })
      for (const text of [
        'DROP TABLE leads',
        'GRANT SELECT ON leads TO app',
        'REVOKE SELECT ON leads FROM app',
        'SELECT 1 AS a INTO made',
        'SELECT 1 AS a INTO made UNION ALL SELECT 2',
        'REINDEX INDEX leads_pkey',
        'REFRESH MATERIALIZED VIEW leads',
        'CREATE TABLE made AS SELECT 1 AS a',
        'EXPLAIN ANALYZE CREATE TABLE made AS SELECT 1 AS a',
      ])
        expect((await factsOf(text, { catalogue })).attributes, text).toMatchObject({ reach })
      expect((await factsOf('DELETE FROM leads', { catalogue })).attributes).toMatchObject({ reach: false })
    }
  })

  it('may stand behind a type that is named', async () => {
    const catalogue = sampleCatalogue({ compared: [{ type: 20101, extension: null }] })
    for (const text of ["SELECT 'x'::mood", "SELECT '{x}'::mood[]"])
      expect((await factsOf(text, { catalogue })).attributes).toMatchObject({ reach: true, ownTypes: true })
    expect((await factsOf("SELECT 'x'::posint", { catalogue })).attributes).toEqual({
      parsed: true,
      reach: false,
    })
  })

  it('may be looked for by the server itself', async () => {
    const catalogue = sampleCatalogue({ operators: [{ name: '=', extension: null }] })
    const text = 'SELECT * FROM orders JOIN leads USING (id)'
    expect((await factsOf(text, { catalogue })).attributes).toEqual({ parsed: true, reach: true })
    expect((await factsOf(text)).attributes).toEqual({ parsed: true, reach: false })
  })
})
