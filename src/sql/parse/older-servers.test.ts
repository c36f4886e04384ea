import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import { analyse } from '../analyse.ts'
import type { Parser } from './parser.ts'
import { createParser } from './parser.ts'

let parser: Parser
beforeAll(async () => {
  parser = await createParser()
})
afterAll(() => parser.close())

const context = { searchPath: ['public'], catalogue: sampleCatalogue() }
const factsOf = async (text: string) => analyse(await parser.parse(text), context)

describe('P-02 what a newer grammar takes for the server’s own', () => {
  it.each([
    "SELECT system_user || '' FROM (SELECT email AS system_user FROM customers) c",
    'SELECT (SELECT upper(system_user)) FROM (SELECT email AS system_user FROM customers) c',
    "SELECT 1 FROM (SELECT email AS system_user FROM customers) c WHERE system_user LIKE 'a%'",
    "SELECT (SELECT pg_catalog.json || '' FROM (SELECT 'a' AS json) i) FROM (SELECT email AS json FROM customers) pg_catalog",
    "SELECT (SELECT pg_catalog.json_object || '' FROM (SELECT 'a' AS json_object) i) FROM (SELECT email AS json_object FROM customers) pg_catalog",
  ])('may be a column: %s', async (text) => {
    const { filters, escape } = await factsOf(text)
    expect(filters.length + (escape?.labels.length ?? 0)).toBeGreaterThan(0)
  })

  it.each([
    'SELECT system_user',
    'SELECT SYSTEM_USER, current_user',
    'SELECT id FROM orders WHERE state = system_user',
    "SELECT json_object('{a,b}')",
    'SELECT \'"system_user" {"FuncCall":{"funcname":\', id FROM orders',
  ])('is the server’s own where nobody else has the name: %s', async (text) => {
    expect(await factsOf(text)).toMatchObject({ labels: [], filters: [] })
    expect((await factsOf(text)).escape).toBeUndefined()
  })

  it.each(["SELECT '{}'::json", 'SELECT JSON $${}$$', "SELECT CAST('[]' AS json[])"])(
    'is looked for on the search path: the type of %s',
    async (text) => {
      expect(JSON.stringify(await parser.parse(text))).not.toContain('pg_catalog')
    },
  )

  it('is found by any name of a function: json_object', async () => {
    expect((await factsOf('SELECT json_object(id) FROM orders')).calls).toEqual(['json_object'])
  })
})
