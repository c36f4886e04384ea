import { afterEach, describe as group, expect, it } from 'vitest'
import { rows } from '../../../testing/fake-postgres-answers.ts'
import { MemoryBudgetStore } from '../../../testing/memory-budget-store.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import {
  answerUsual,
  bind,
  connectionBlock,
  execute,
  FIELDS,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { AGENT_RULES, configurationOf, SEEING_RULES, until } from '../../../testing/world.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const UNLIMITED = `${AGENT_RULES}  - { name: free, who: everyone, on: all, permit: { unlimited: true } }\n`

async function open(budget: string, rules = UNLIMITED): Promise<PostgresStage> {
  const store = new MemoryBudgetStore()
  const stage = await PostgresStage.open({
    rules: `${rules}budgets:\n  - { name: daily, who: { kinds: [agent] }, on: [crm], ${budget} }\n`,
    budgetStore: store,
  })
  answerUsual(stage.server)
  stages.push(stage)
  return stage
}

const NUMBERS = 'SELECT n FROM numbers'
const CUSTOMERS = 'SELECT id, email, note, secret FROM customers'
const rowsIn = (lines: readonly string[]) => lines.filter((line) => line.startsWith('row ')).length
const SPENT = /^error SL005 Stop until \d{4}-\d\d-\d\d 00:00 UTC: the daily budget "daily" of/

group('a daily budget', () => {
  it('is met by one page after the other, and told of', async () => {
    const stage = await open('rows: 120')
    const client = await stage.client()
    expect(rowsIn(script(await client.query(NUMBERS)))).toBe(50)
    expect(rowsIn(script(await client.query(NUMBERS)))).toBe(50)
    const third = script(await client.query(NUMBERS))
    expect(rowsIn(third)).toBe(20)
    expect(third.at(-2)).toMatch(SPENT)
    const ran = stage.ran().length
    const fourth = script(await client.query(NUMBERS))
    expect(fourth).toEqual([expect.stringMatching(SPENT), 'ready idle'])
    expect(stage.ran()).toHaveLength(ran)
    // What says that it was refused is what was recorded, with the budget by name.
    const intent = stage.world.entries('intent').at(-1)?.head
    expect(intent).toMatchObject({
      decision: 'deny',
      rules: [expect.stringMatching(/^daily \(sluice.yaml:\d+\)$/)],
    })
    expect(stage.world.entries('outcome').at(-1)?.head).toMatchObject({
      outcome: 'refused',
      tag: 'limit_exceeded',
    })
  })

  it('is the same for another session, and for every way to ask', async () => {
    const stage = await open('rows: 120')
    const first = await stage.client()
    expect(rowsIn(script(await first.query(NUMBERS)))).toBe(50)
    const second = await stage.client()
    const pages = [parse(NUMBERS), bind({ portal: 'p' }), execute('p', 20), execute('p', 20), sync]
    expect(rowsIn(script(await second.say(pages)))).toBe(40)
    expect(rowsIn(script(await second.query(NUMBERS)))).toBe(30)
    expect(script(await second.say([parse(NUMBERS), bind(), execute(), sync]))).toEqual([
      'parseComplete',
      'bindComplete',
      expect.stringMatching(SPENT),
      'ready idle',
    ])
  })

  it('is met by bytes', async () => {
    const stage = await open('bytes: 200B')
    const client = await stage.client()
    const heard = script(await client.query(NUMBERS))
    expect(rowsIn(heard)).toBeGreaterThan(10)
    expect(rowsIn(heard)).toBeLessThan(20)
    expect(heard.at(-2)).toMatch(SPENT)
  })

  it('waits for its block in the middle of a result, and reads the server no further meanwhile', async () => {
    const stage = await open('rows: 4000')
    stage.server.answer(
      /^SELECT n FROM numbers WHERE n > 0/,
      rows(
        [FIELDS.n],
        Array.from({ length: 3_000 }, (_, i) => [String(i)]),
      ),
    )
    const client = await stage.client()
    const heard = script(await client.query('SELECT n FROM numbers WHERE n > 0'))
    expect(rowsIn(heard)).toBe(3_000)
    expect(heard.at(-2)).toBe('done SELECT 3000')
  })

  it('counts records that are masked, and those that are seen', async () => {
    for (const rules of [UNLIMITED, SEEING_RULES]) {
      const stage = await open('records: 3', rules)
      const client = await stage.client()
      // An address and two secrets; the address that is NULL is none.
      expect(rowsIn(script(await client.query(CUSTOMERS)))).toBe(2)
      expect(script(await client.query(CUSTOMERS))[0]).toMatch(/of 3 protected records is spent/)
    }
  })

  it('counts them once, however often they are shown', async () => {
    const stage = await open('records: 4')
    const client = await stage.client()
    for (let i = 0; i < 20; i++) expect(rowsIn(script(await client.query(CUSTOMERS)))).toBe(2)
  })

  it('counts those of COPY, every row as new', async () => {
    const stage = await open('records: 5')
    const client = await stage.client()
    const sql = 'COPY customers (email) TO STDOUT'
    const chunks = Array.from({ length: 50 }, () => 'canary.alice@example.com\n')
    stage.server.answer(sql, { kind: 'copyOut', columns: 1, chunks })
    const heard = script(await client.query(sql))
    expect(heard.filter((line) => line === 'copyData').length).toBeLessThanOrEqual(7)
    expect(heard.at(-2)).toMatch(/of 5 protected records is spent/)
    expect(client.received().includes('canary')).toBe(false)
  })

  it('of another identity, connection or label is none of it', async () => {
    const stage = await open('records: 1, labels: [pii.email]')
    const client = await stage.client()
    stage.server.answer(/^SELECT secret FROM customers/, rows([FIELDS.secret], [['a'], ['b'], ['c']]))
    for (let i = 0; i < 5; i++)
      expect(rowsIn(script(await client.query('SELECT secret FROM customers')))).toBe(3)
  })

  it('takes what is adopted at the next command', async () => {
    const stage = await open('rows: 1000')
    const client = await stage.client()
    await client.query(NUMBERS)
    const { rules } = stage.options
    stage.world.adopt(
      configurationOf(connectionBlock(stage.options), rules?.replace('rows: 1000', 'rows: 50')),
    )
    await turns()
    expect(script(await client.query(NUMBERS))[0]).toMatch(/of 50 rows is spent/)
  })

  it('that cannot be written down lets nothing through (P-03)', async () => {
    const stage = await open('rows: 1000')
    const store = stage.options.budgetStore
    const gate = Promise.withResolvers<void>()
    gate.promise.catch(() => undefined)
    if (store !== undefined) store.gate = gate.promise
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(NUMBERS))
    await until('the server is asked', () => stage.ran().includes(NUMBERS))
    await turns()
    gate.reject(new Error('the disk is full'))
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(0)
    expect(heard.at(-2)).toMatch(/^error SL005 Try again in a moment/)
  })
})
