/** What the facts say is read and written, on a sample, held against the locks of real servers; `npm run prove -- facts` does it on PostgreSQL's own suite. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../src/core/index.ts'
import type { SqlAnalyser } from '../../src/sql/index.ts'
import { createSqlAnalyser } from '../../src/sql/index.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import type { Outcome } from './against-locks.ts'
import { compareWithLocks } from './against-locks.ts'
import { statementsOf } from './script.ts'

const STATEMENTS = statementsOf(readFileSync(new URL('sample.sql', import.meta.url), 'utf8'), new Map())

/** As good as the one that there is, but for what `less` leaves out. */
async function blinded(less: (facts: Facts) => Facts): Promise<SqlAnalyser> {
  const analyser = await createSqlAnalyser()
  return {
    ...analyser,
    analyse: (parsed, context) => less(analyser.analyse(parsed, context)),
    analyseQuery: (query, context) => less(analyser.analyseQuery(query, context)),
  }
}

/** Of which a comparison that is to fail needs no more. */
const FEW = 40

async function compared(
  server: TestServer,
  name: string,
  statements = STATEMENTS,
  analyser?: SqlAnalyser,
): Promise<Outcome> {
  await server.sql(`CREATE DATABASE ${name}`)
  const script = { name, statements: () => Promise.resolve(statements) }
  return compareWithLocks(server, name, [script], () => undefined, analyser)
}

describe.each(MAJORS)('facts against locks: PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop('immediate'))
  })

  it('tells every table that is read or written', async () => {
    const outcome = await compared(server, 'whole')
    expect(outcome.missed).toEqual([])
    expect(outcome.crashes).toEqual([])
    expect(outcome.compared).toBeGreaterThan(80)
    expect(outcome.failed).toBe(0)
    expect(Object.fromEntries(outcome.excused)).toEqual({
      ancestor: 1,
      trigger: 1,
      body: 3,
      key: 1,
      cascade: 1,
    })
    expect([...outcome.opaqueKinds]).toEqual([])
    expect(outcome.opaqueOfUsers).toBe(2)
  })
})

describe('the comparison', () => {
  const later = teardown()
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
  })

  it.each<[string, (facts: Facts) => Facts]>([
    ['reads', (facts) => ({ ...facts, reads: facts.reads.slice(0, -1) })],
    ['writes', (facts) => ({ ...facts, writes: [] })],
    ['writes told as reads', (facts) => ({ ...facts, reads: [...facts.reads, ...facts.writes], writes: [] })],
  ])('finds out an analysis that does not tell all %s', async (what, less) => {
    const analyser = await blinded(less)
    later(() => analyser.close())
    const { missed } = await compared(
      server,
      `no_${what.replaceAll(' ', '_')}`,
      STATEMENTS.slice(0, FEW),
      analyser,
    )
    expect(missed.length).toBeGreaterThan(5)
  })
})
