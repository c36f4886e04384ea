import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../src/core/index.ts'
import type { Catalogue, SqlAnalyser } from '../../src/sql/index.ts'
import { createSqlAnalyser } from '../../src/sql/index.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { Generator } from './generator.ts'
import { loadCatalogue } from './load.ts'
import { rows, SCHEMA } from './schema.ts'

/**
 * Two databases that differ in nothing but their protected values. Whatever statement the analysis lets pass without a
 * permission to see or filter, the two must answer alike, but for the columns it labels: same rows, same other columns,
 * same error. If they do not, the statement tells something of a protected value. What needs a permission to filter may
 * tell something, but must not hand out a value in a column that is not labelled.
 */
const SIDES = ['left', 'right'] as const

/** Other values on each side, in another order, of another length, equal and absent in other places. */
function secret(side: string): (kind: string, i: number) => string {
  return (kind, i) => {
    const digest = createHash('sha256').update(`${side} ${kind} ${i}`).digest('hex')
    return `${digest.slice(0, 3 + (digest.charCodeAt(0) % 9))}@${side}-${kind}`
  }
}

/** What every protected value has in it, as it stands or in a simple disguise. */
const SECRETS =
  /@?(left|right)-(email|phone|contact|ssn|audited)|(email|phone|contact|ssn|audited)-(left|right)|-(tfel|thgir)@/i

const TIMED_OUT = 'error 57014'

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  let server: TestServer
  let analyser: SqlAnalyser
  const clients: Client[] = []
  const catalogues: Catalogue[] = []

  beforeAll(async () => {
    server = await startTestServer(major, { autovacuum: false })
    analyser = await createSqlAnalyser()
    for (const side of SIDES) {
      await server.sql(`CREATE DATABASE "${side}"`)
      const client = await server.client(side)
      for (const text of [...SCHEMA, ...rows(secret(side))]) await client.query(text)
      await client.query('SET statement_timeout = 300')
      clients.push(client)
      catalogues.push(await loadCatalogue(client))
    }
  })

  afterAll(async () => {
    for (const client of clients) await client.end()
    await analyser.close()
    await server.stop()
  })

  async function judge(text: string): Promise<Facts[] | undefined> {
    const parsed = await analyser.parse(text)
    if (parsed.kind !== 'parsed') return undefined
    return catalogues.map((catalogue) => analyser.analyse(parsed, { catalogue, searchPath: ['public'] }))
  }

  /** What a client without any permission for labels gets to see: rows without the labelled columns, or the error's code. */
  async function seen(
    client: Client,
    text: string,
    facts: Facts,
  ): Promise<{ shown: string; whole: string; ran: boolean; wrong: string }> {
    await client.query('BEGIN')
    try {
      const result = await client.query({ text, rowMode: 'array' })
      const outputs = facts.statements[0]?.outputs
      let wrong = ''
      // The rows of COPY come without a description, and the client hands none out.
      if (outputs !== undefined && result.command !== 'COPY' && outputs.length !== result.fields.length)
        wrong = 'another number of columns'
      for (const [i, field] of result.fields.entries()) {
        const output = outputs?.[i]
        // What is computed is hidden whole, whatever the server says of it.
        if (output?.labels === undefined || output.computed === true) continue
        const { relation, attribute } = output.source ?? { relation: 0, attribute: 0 }
        if (relation !== field.tableID || attribute !== field.columnID)
          wrong = `another source of ${field.name}`
        if (output.type !== undefined && output.type !== field.dataTypeID)
          wrong = `another type of ${field.name}`
      }
      // Which plan is chosen depends on how many pages the tables happen to have.
      if (result.command === 'EXPLAIN') return { shown: 'a plan', whole: '', ran: true, wrong }
      const visible = result.rows.map((row: unknown[]) =>
        JSON.stringify(row.filter((_, i) => outputs?.[i]?.labels === undefined)),
      )
      if (SECRETS.test(visible.join())) wrong = 'a protected value in a column without a label'
      const whole = JSON.stringify(result.rows)
      return { shown: visible.sort().join('\n'), whole, ran: true, wrong }
    } catch (error) {
      return { shown: `error ${Object(error).code}`, whole: '', ran: false, wrong: '' }
    } finally {
      // The time limit may strike once more, on a busy machine.
      await client.query('ROLLBACK').catch(() => client.query('ROLLBACK'))
    }
  }

  it('what passes tells nothing of protected values', { timeout: 3_600_000 }, async () => {
    const generator = new Generator(randomFrom(seed))
    const count = times({ small: 1_500, full: 100_000 })
    const tallies = {
      passed: 0,
      ran: 0,
      labelled: 0,
      touches: 0,
      filters: 0,
      computed: 0,
      escapes: 0,
      telling: 0,
    }
    for (let i = 0; i < count; i++) {
      const text = generator.statement()
      const facts = await judge(text)
      const [left, right] = facts ?? []
      if (left === undefined || right === undefined) continue
      expect(left.class).toBe(right.class)
      const [a, b] = clients
      if (a === undefined || b === undefined) throw new Error('two sides')
      const refused = left.escape !== undefined || left.filters.length > 0
      if (left.escape !== undefined) tallies.escapes++
      if (left.filters.length > 0) tallies.filters++
      // A few of those that escape are run as well, to see that the two sides can be told apart at all.
      if (left.escape !== undefined && tallies.escapes > count / 20) continue
      const ofLeft = await seen(a, text, left)
      const ofRight = await seen(b, text, right)
      if (ofLeft.shown === TIMED_OUT || ofRight.shown === TIMED_OUT) continue
      if (refused) {
        if (ofLeft.whole !== ofRight.whole) tallies.telling++
        if (left.escape === undefined) {
          expect(ofLeft.wrong, `seed ${seed}: ${text}`).toBe('')
          if (left.labels.length > 0 && ofLeft.ran) tallies.computed++
        }
        continue
      }
      if (left.touches.length > 0) tallies.touches++
      tallies.passed++
      if (left.labels.length > 0) tallies.labelled++
      if (ofLeft.ran) tallies.ran++
      const what = `seed ${seed}: ${text}`
      expect(ofLeft.wrong, what).toBe('')
      expect(ofLeft.shown, what).toBe(ofRight.shown)
    }
    for (const [name, value] of Object.entries(tallies)) tally(`interference-${major}-${name}`, value)
    // The generator is worth something only if a good part passes and runs.
    expect(tallies.ran).toBeGreaterThan(count / 50)
    expect(tallies.labelled).toBeGreaterThan(count / 100)
    expect(tallies.escapes).toBeGreaterThan(count / 50)
    expect(tallies.filters).toBeGreaterThan(count / 10)
    expect(tallies.touches).toBeGreaterThan(0)
    expect(tallies.computed).toBeGreaterThan(0)
    expect(tallies.telling).toBeGreaterThan(0)
  })
})
