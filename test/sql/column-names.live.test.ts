import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Client } from 'pg'
import type { SqlAnalyser } from '../../src/sql/index.ts'
import { createSqlAnalyser } from '../../src/sql/index.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { loadCatalogue } from './load.ts'
import { SCHEMA } from './schema.ts'

/** Outputs without AS; what the server calls them decides what a query around may call them. */
const EXPRESSIONS =
  `id; c.id; (c).name; lower(name); name || 'x'; name::varchar; 5::int; 5; 'x'; 'x'::text; $$x$$::date IS NULL;
  name COLLATE "C"; ('x' || name) COLLATE "C"; (name || 'x')::text; nullif(id, 5); coalesce(id, 5); CASE WHEN true THEN 1 END;
  CASE WHEN true THEN 1 ELSE id END; CASE WHEN true THEN 'x' ELSE '5'::text END; CASE WHEN true THEN 1 ELSE 2 + id END;
  (CASE WHEN true THEN 1 END)::int8; ARRAY[id]; (ARRAY[id])[1]; (ARRAY[5, 6])[1]; ROW(id, name); EXISTS (SELECT 1);
  ARRAY(SELECT 1); (SELECT 5); (SELECT 5)::text; (SELECT id FROM orders LIMIT 1); (SELECT 5 AS y); (SELECT count(*) FROM orders);
  NOT true; id IS NULL; (id = 5) IS TRUE; id BETWEEN 1 AND 2; id IN (1, 2); name LIKE 'x'; xmlserialize(content '<a/>'::xml AS text);
  current_setting('work_mem'); now() AT TIME ZONE 'UTC'; substring(name FROM 1 FOR 2); trim(name); -id; (c.*)::text; c;
  id IN (SELECT 1); position('a' IN name); interval '1 day'; date '2024-01-01'; c.name::mood::text; (c.name).x`
    .split(';')
    .map((text) => text.trim())

describe.each(MAJORS)('names of outputs on PostgreSQL %i', (major) => {
  let server: TestServer
  let client: Client
  let analyser: SqlAnalyser

  beforeAll(async () => {
    server = await startTestServer(major, { autovacuum: false })
    await server.sql('CREATE DATABASE named')
    client = await server.client('named')
    for (const text of SCHEMA) await client.query(text)
    analyser = await createSqlAnalyser()
  })

  afterAll(async () => {
    await analyser.close()
    await client.end()
    await server.stop()
  })

  it('are told as the server gives them, or not at all', async () => {
    const catalogue = await loadCatalogue(client)
    let told = 0
    for (const expression of EXPRESSIONS) {
      const text = `SELECT ${expression} FROM customers c LIMIT 0`
      const facts = analyser.analyse(await analyser.parse(text), { catalogue, searchPath: ['public'] })
      const name = facts.statements[0]?.outputs?.[0]?.name
      const result = await client.query(text).catch(() => undefined)
      if (result === undefined || name === undefined || name === '') continue
      told++
      expect(name, text).toBe(result.fields[0]?.name)
    }
    expect(told).toBeGreaterThan(40)
  })
})
