import { beforeAll, describe, expect, it } from 'vitest'
import { LINEAGE_CASES } from '../../testing/lineage-expectations.ts'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import { statementOf, Views } from '../lineage/views.ts'
import { sessionEffects } from '../session/effects.ts'
import { condense } from './condense.ts'
import type { ParserInstance } from './instance.ts'
import { loadParserInstance } from './instance.ts'
import type { ParseResult } from './parser.ts'
import { everyday } from '../../../test/support/fewer.ts'

let grammar: ParserInstance
let context: AnalysisContext

beforeAll(async () => {
  grammar = await loadParserInstance()
  const views = new Views((definition) => statementOf(short(definition)))
  context = { searchPath: ['public'], catalogue: sampleCatalogue(), views }
})

function short(text: string): ParseResult {
  const raw = grammar.parse(text)
  return raw.kind === 'error'
    ? { kind: 'unparsed', message: raw.message, position: undefined }
    : { kind: 'parsed', tree: JSON.parse(raw.json) }
}

/** As the text would be read if it were long. */
function long(text: string): ParseResult {
  const parsed = short(text)
  return parsed.kind === 'parsed' ? JSON.parse(JSON.stringify(condense(parsed as never))) : parsed
}

const PLACES = /^(.*_)?(location|len|start|end)$|^funcformat$/

function knownOf(parsed: ParseResult): unknown {
  const { escape, ...facts } = analyse(parsed, context)
  const effects = sessionEffects(parsed, context, escape?.labels)
  // The query of a cursor is kept as it was read.
  return JSON.parse(
    JSON.stringify({ escape, facts, effects }, (key, value: unknown) =>
      PLACES.test(key) ? undefined : value,
    ),
  )
}

describe('a long statement', () => {
  it('is known as it would be if it were short', () => {
    expect(LINEAGE_CASES.length).toBeGreaterThan(100)
    const cases = LINEAGE_CASES.filter((_, at) => !everyday || at % 5 === 0)
    const others = cases.filter(
      ({ text }) => JSON.stringify(knownOf(short(text))) !== JSON.stringify(knownOf(long(text))),
    )
    expect(others.map(({ text }) => text)).toEqual([])
  })

  it.each([
    'SET LOCAL search_path = app',
    'SET LOCAL ROLE crm_app',
    'CREATE TEMP VIEW customers AS SELECT 1 AS id',
    'CREATE TEMP TABLE mine (id int)',
    'SELECT * FROM ONLY events',
    'SELECT * FROM events',
    'SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS WITH TIES',
  ])('means the same: %s', (text) => {
    expect(knownOf(long(text))).toEqual(knownOf(short(text)))
  })

  const settings = (values: readonly string[]) =>
    `SELECT count(*) FROM (VALUES ${values.map((value) => `(set_config(${value}, false))`).join(', ')}) z`
  const many = Array.from({ length: 200 }, (_, i) => `'app.a', 'c${i}'`)
  const DANGEROUS = ["'standard_conforming_strings', 'off'", "'search_path', 'evil'", "'role', 'admin'"]

  it.each(DANGEROUS)('shows what any row of VALUES sets: %s', (dangerous) => {
    const { escape } = analyse(short(settings(["'app.a', 'x'", dangerous])), context)
    expect(escape).toBeDefined()
    expect(analyse(long(settings([...many, dangerous, ...many])), context).escape).toEqual(escape)
  })

  it.each(['(X)::text', 'ARRAY[X]', "X || 'a'", 'lower(X)', "coalesce(X, '')", '(SELECT X)', 'ROW(X)'])(
    'shows a call in %s',
    (around) => {
      const row = (value: string) => `(${around.replace('X', `set_config(${value}, false)`)})`
      const text = `VALUES ${[...many, ...DANGEROUS].map(row).join(', ')}`
      expect(analyse(long(text), context).escape).toBeDefined()
    },
  )

  it('sets what its last row sets', () => {
    const last = settings(["'search_path', 'app'", "'search_path', 'public'", "'search_path', 'app'"])
    expect(knownOf(long(last))).toEqual(knownOf(short(last)))
  })

  it('asks as often as each of its rows does', () => {
    const row = (i: number) => `((SELECT id FROM customers WHERE email = 'v${i}'))`
    const rows = Array.from({ length: 300 }, (_, i) => row(i)).join(', ')
    expect(analyse(long(`SELECT * FROM (VALUES ${rows}) z(i)`), context).asked).toEqual({ 'pii.email': 300 })
  })

  it('is small where rows are of plain values', () => {
    const rows = Array.from({ length: 2000 }, (_, i) => `(${i}, 'v${i}'::text, now(), ARRAY['a${i}'])`).join(
      ', ',
    )
    const text = `INSERT INTO customers (id, email, phone, plan) VALUES ${rows} ON CONFLICT (email) DO NOTHING`
    expect(JSON.stringify(long(text)).length).toBeLessThan(2_000)
  })
})
