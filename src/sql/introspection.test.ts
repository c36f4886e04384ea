import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleCatalogue } from '../testing/sample-catalogue.ts'
import { analyse } from './analyse.ts'
import type { Parser } from './parse/parser.ts'
import { createParser } from './parse/parser.ts'

/**
 * What real clients ask a server about itself: recorded from psql 15 (`psql -E` for every backslash command), psycopg 2
 * and 3, pgjdbc's DatabaseMetaData, TypeORM, Drizzle and postgres.js. On a connection with labels all of it has to work.
 */
type Corpus = {
  /** Names of the relations of the system's schemas, of PostgreSQL 15 and 18 together. */
  readonly system: Readonly<Record<string, readonly string[]>>
  readonly statements: readonly { readonly client: string; readonly text: string }[]
}

const corpus: Corpus = JSON.parse(
  readFileSync(new URL('./vectors/introspection.json', import.meta.url), 'utf8'),
)

const catalogue = sampleCatalogue({
  system: Object.entries(corpus.system).flatMap(([schema, names], i) =>
    names.map((name, j) => ({ oid: 10_000 + 1_000 * i + j, schema, name })),
  ),
})

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

describe('introspection', () => {
  it('is worth the name', () => {
    expect(corpus.statements.length).toBeGreaterThan(200)
    expect(catalogue.system.get('pg_catalog')?.size).toBeGreaterThan(130)
  })

  it.each(corpus.statements)('$client: $text', async ({ text }) => {
    const parsed = await parser.parse(text)
    expect(parsed).toMatchObject({ kind: 'parsed' })
    const facts = analyse(parsed, { searchPath: ['public'], catalogue })
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(['read', 'write']).toContain(facts.class)
  })
})
