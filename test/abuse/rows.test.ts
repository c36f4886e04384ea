/** Every published attack that was gathered, by its row: each is tried by a test that names it, or it is said why not. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

type Row = {
  /** File and a piece of the title or name that is in it. */
  readonly tests: readonly (readonly [file: string, name: string])[]
  /** What of the row no test tries yet. */
  readonly later?: string
  /** Whose matter that is. */
  readonly issue?: number
}

const ROOT = new URL('../../', import.meta.url)
const rows: Readonly<Record<string, Row>> = JSON.parse(
  readFileSync(new URL('rows.json', import.meta.url), 'utf8'),
)

const numbered = (table: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${table}-${String(i + 1).padStart(2, '0')}`)

/** Tables A (PostgreSQL) and J (approvals and people) of the catalogue of attacks, as they are counted there. */
const CATALOGUE = [...numbered('A', 30), ...numbered('J', 9)]

/**
 * How many bypasses of other gateways are documented: those of MaxScale, of hoop's guardrails and of hoopinspect; and the traps
 * that were found while reading hoop.
 */
const BYPASSES = { 'peers 2.3': 12, 'hoop 3.7': 6, 'hoop 3.9': 17, 'hoop 6.3': 14 } as const

describe('published attacks', () => {
  it.each(CATALOGUE)('%s has its row, and a test', (id) => {
    expect(rows[id]?.tests.length).toBeGreaterThan(0)
  })

  it.each(Object.entries(BYPASSES))('%s: %i bypasses and traps have their rows', (source, count) => {
    expect(Object.keys(rows).filter((id) => id.startsWith(`${source}: `))).toHaveLength(count)
  })

  it.each(Object.entries(rows))('%s: the tests exist and name it, and what is missing is said', (id, row) => {
    for (const [file, name] of row.tests) {
      expect(readFileSync(new URL(file, ROOT), 'utf8'), `${id} in ${file}`).toContain(name)
      if (CATALOGUE.includes(id) && file !== 'test/abuse/wire.live.test.ts') expect(name).toBe(id)
    }
    if (row.tests.length === 0) expect(row.later).toBeDefined()
    if (row.issue !== undefined) expect(row.later).toBeDefined()
  })

  it('are all there is', () => {
    const bypasses = Object.values(BYPASSES).reduce((sum, count) => sum + count, 0)
    expect(Object.keys(rows)).toHaveLength(CATALOGUE.length + bypasses)
  })
})
