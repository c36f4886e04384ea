import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SqlAnalyser } from '../index.ts'
import { createSqlAnalyser } from '../index.ts'
import type { Virtual } from './virtual.ts'
import { virtualQuery } from './virtual.ts'

let analyser: SqlAnalyser

beforeAll(async () => {
  analyser = await createSqlAnalyser()
})
afterAll(() => analyser.close())

async function read(sql: string): Promise<Virtual> {
  return virtualQuery(await analyser.parse(sql), 'sluice')
}

describe('a question to the virtual schema', () => {
  it.each([
    ['SELECT * FROM sluice.whoami', { table: 'whoami' }],
    [
      'select identity, groups as g from SLUICE.Whoami;',
      {
        table: 'whoami',
        columns: [
          { name: 'identity', as: 'identity' },
          { name: 'groups', as: 'g' },
        ],
      },
    ],
    [
      "SELECT w.label FROM sluice.masked_columns w WHERE w.label = 'pii.email' LIMIT 3",
      {
        table: 'masked_columns',
        columns: [{ name: 'label', as: 'label' }],
        where: { column: 'label', value: { kind: 'constant', text: 'pii.email' } },
        limit: 3,
      },
    ],
    [
      'SELECT * FROM sluice.policy WHERE topic = $1 LIMIT 0',
      {
        table: 'policy',
        where: { column: 'topic', value: { kind: 'parameter', number: 1 } },
        limit: 0,
      },
    ],
    [
      'SELECT * FROM sluice.last_result WHERE position = 2',
      {
        table: 'last_result',
        where: { column: 'position', value: { kind: 'constant', text: '2' } },
      },
    ],
  ])('%s', async (sql, query) => {
    expect(await read(sql)).toEqual({ kind: 'query', query })
  })

  it.each([
    'SELECT 1',
    "SELECT 'sluice.whoami'",
    'SELECT sluice.whoami FROM t sluice',
    'SELECT * FROM whoami',
    'SELEC sluice.whoami',
  ])('is none: %s', async (sql) => {
    expect(await read(sql)).toEqual({ kind: 'none' })
  })

  it.each([
    ['SELECT * FROM sluice.whoami, customers', /mixed/],
    ['SELECT * FROM customers WHERE id IN (SELECT 1 FROM sluice.whoami)', /mixed/],
    ['SELECT * FROM sluice.whoami, crm.sluice.whoami', /mixed/],
    ['INSERT INTO t SELECT * FROM sluice.whoami', /mixed/],
    ['SELECT 1; SELECT * FROM sluice.whoami', /of its own/],
    ['DELETE FROM sluice.policy', /plain SELECT/],
    ['COPY sluice.whoami TO STDOUT', /plain SELECT/],
    ['PREPARE p AS SELECT * FROM sluice.whoami', /plain SELECT/],
    ['SELECT count(*) FROM sluice.whoami', /this form/],
    ['SELECT a.*, b.* FROM sluice.whoami a, sluice.policy b', /this form/],
    ['SELECT * FROM sluice.whoami WHERE a > 1', /this form/],
    ["SELECT * FROM sluice.whoami WHERE a = 'x' AND b = 'y'", /this form/],
    ['SELECT * FROM sluice.whoami ORDER BY 1', /this form/],
    ['SELECT DISTINCT a FROM sluice.whoami', /this form/],
    ['SELECT * FROM sluice.whoami LIMIT 1 OFFSET 1', /this form/],
    ['SELECT a FROM sluice.whoami UNION SELECT b FROM sluice.policy', /this form/],
    ['SELECT * INTO t FROM sluice.whoami', /mixed/],
    ['SELECT * FROM sluice.whoami FOR UPDATE', /this form/],
    ['SELECT other.a FROM sluice.whoami', /this form/],
    ['WITH x AS (SELECT 1) SELECT a FROM sluice.whoami', /this form/],
  ])('is refused: %s', async (sql, message) => {
    expect(await read(sql)).toEqual({ kind: 'refused', message: expect.stringMatching(message) })
  })
})
