import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { SAMPLE_LABELS, sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import { sessionEffects } from '../session/effects.ts'
import type { Overlay } from '../session/overlay.ts'
import { NO_OVERLAY, overlayAfter } from '../session/overlay.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

const catalogue = sampleCatalogue()

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  return analyse(await parser.parse(text), { searchPath: ['public'], catalogue, views, ...more })
}

/** What a session has when these statements have run. */
async function overlayOf(text: string): Promise<Overlay> {
  const parsed = await parser.parse(text)
  const context = { searchPath: ['public'], catalogue, views }
  const { escape } = analyse(parsed, context)
  return sessionEffects(parsed, context, escape?.labels).flat().reduce(overlayAfter, NO_OVERLAY)
}

describe('made of unprotected columns of a protected table', () => {
  it.each([
    'CREATE TABLE mine AS SELECT id, plan FROM customers WHERE plan = 1',
    'CREATE TEMP TABLE mine AS SELECT count(*) FROM customers',
    'CREATE VIEW mine AS SELECT id FROM customers',
    'CREATE MATERIALIZED VIEW mine AS SELECT id FROM customer_list',
    'CREATE TEMP VIEW mine AS SELECT id FROM customers; SELECT * FROM mine',
    'CREATE TEMP VIEW mine AS SELECT id FROM customers; CREATE TEMP VIEW more AS TABLE mine; TABLE more',
    'PREPARE p AS SELECT id FROM customers; CREATE TABLE mine AS EXECUTE p; TABLE mine',
    'EXPLAIN ANALYZE SELECT id FROM customers ORDER BY plan',
    'PREPARE p AS SELECT id FROM customers; EXPLAIN (ANALYZE) EXECUTE p',
    'PREPARE p AS SELECT id FROM orders; EXPLAIN EXECUTE p',
  ])('goes: %s', async (text) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect([facts.labels, facts.filters, facts.touches, facts.stores].flat()).toEqual([])
  })

  it.each([
    'CREATE TABLE mine AS SELECT id, email FROM customers',
    'CREATE TABLE mine AS SELECT * FROM customers',
    'CREATE TABLE mine AS SELECT id FROM customers ORDER BY email',
    "CREATE TABLE mine AS SELECT id FROM customers WHERE email = 'x'",
    'CREATE TABLE mine AS SELECT count(email) FROM customers',
    'CREATE TABLE mine AS SELECT c::text FROM customers c',
    'CREATE TABLE mine AS SELECT id FROM customers NATURAL JOIN leads',
    'CREATE TABLE mine AS SELECT id FROM nowhere',
    'CREATE TABLE mine AS SELECT rolpassword FROM pg_authid',
    'CREATE VIEW mine AS SELECT get_email(id) FROM customers',
    'CREATE VIEW mine AS SELECT pg_sleep(id) FROM customers',
    'CREATE VIEW mine AS SELECT id FROM nowhere',
    'CREATE VIEW mine AS SELECT email FROM customer_list',
    'CREATE VIEW mine (id) AS SELECT (SELECT email FROM customers LIMIT 1)',
    'CREATE RECURSIVE VIEW mine (a) AS SELECT email FROM customers UNION ALL SELECT a FROM mine',
    'CREATE MATERIALIZED VIEW mine AS SELECT email FROM customers',
    'CREATE TEMP VIEW customers AS SELECT id FROM orders',
    'CREATE TEMP VIEW mine AS SELECT id FROM customers; INSERT INTO mine VALUES (1)',
    'CREATE TEMP VIEW mine AS SELECT id FROM customers; CREATE RULE r AS ON SELECT TO orders DO INSTEAD TABLE mine',
    'CREATE TEMP VIEW mine AS SELECT email FROM customers; CREATE TEMP VIEW more AS TABLE mine; TABLE more',
    'PREPARE p AS SELECT email FROM customers; CREATE TABLE mine AS EXECUTE p',
    "PREPARE p AS SELECT id FROM customers WHERE email = 'x'; CREATE TABLE mine AS EXECUTE p",
    'PREPARE p AS SELECT get_email(1); CREATE TABLE mine AS EXECUTE p',
    'PREPARE p AS SELECT id FROM orders; CREATE TABLE mine AS EXECUTE p (get_email(1))',
    'PREPARE p AS SELECT id FROM orders; DEALLOCATE p; CREATE TABLE mine AS EXECUTE p',
    'EXPLAIN ANALYZE SELECT id FROM customers ORDER BY email',
    "EXPLAIN ANALYZE SELECT id FROM customers WHERE email = 'x'",
    'EXPLAIN ANALYZE SELECT count(email) FROM customers',
    'EXPLAIN ANALYZE SELECT id INTO mine FROM customers',
    "EXPLAIN ANALYZE UPDATE customers SET email = 'x'",
    'EXPLAIN ANALYZE INSERT INTO audited (id) VALUES (1)',
    'PREPARE p AS SELECT email FROM customers; EXPLAIN ANALYZE EXECUTE p',
  ])('does not go: %s', async (text) => {
    expect((await factsOf(text)).escape).toBeDefined()
  })

  it('is read for as long as nothing changes of what is protected', async () => {
    const overlay = await overlayOf('CREATE TEMP VIEW mine AS SELECT id, name FROM customers')
    const facts = await factsOf('SELECT name FROM mine', { overlay })
    expect(facts.escape).toBeUndefined()
    // Errors of what stands behind it may quote values.
    expect(facts.attributes['reach']).toBe(true)
    const parts = sampleParts()
    const epoch = sampleCatalogue({ epoch: 9, types: parts.types.slice(1) })
    expect((await factsOf('SELECT name FROM mine', { overlay, catalogue: epoch })).escape).toBeUndefined()
    const named = sampleCatalogue({}, [
      ...SAMPLE_LABELS,
      { pattern: 'public.customers.name', label: brand('secret') },
    ])
    expect((await factsOf('SELECT name FROM mine', { overlay, catalogue: named })).escape).toBeDefined()
    expect(
      (await factsOf('CREATE VIEW more AS TABLE mine', { overlay, catalogue: named })).escape,
    ).toBeDefined()
  })

  it('is of the class of what it runs', async () => {
    const classOf = async (text: string) => (await factsOf(text)).statements.at(-1)?.class
    expect(await classOf('PREPARE p AS SELECT id FROM orders; CREATE TABLE mine AS EXECUTE p')).toBe('define')
    expect(await classOf('PREPARE p AS DELETE FROM orders; EXPLAIN ANALYZE EXECUTE p')).toBe('write')
    expect(await classOf('PREPARE p AS DELETE FROM orders; EXPLAIN EXECUTE p')).toBe('read')
    expect(await classOf('EXPLAIN ANALYZE EXECUTE p')).toBe('opaque')
  })
})
