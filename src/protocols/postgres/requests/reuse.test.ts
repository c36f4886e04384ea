/** What one approval lets run, on the wire: commands of one shape, and never what only looks like one. */
import { afterEach, expect, it } from 'vitest'
import type { Reuse } from '../../../approvals/index.ts'
import { done } from '../../../testing/fake-postgres-answers.ts'
import {
  answerUsual,
  bind,
  execute,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { APPROVER, until } from '../../../testing/world.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const RULES = `  - name: agents ask
    who: { kinds: [agent] }
    on: all
    permit: { run: all, unreviewed: [read] }
    review: { reuse: { shape: 1h, session: true, times: 5 } }
`

const ONE = "UPDATE orders SET state = 'sent' WHERE id = 1"

async function approved(reuse: Reuse, first = ONE, labelled = true) {
  const stage = await PostgresStage.open({ rules: RULES, labelled })
  stages.push(stage)
  answerUsual(stage.server)
  stage.server.answer(/^UPDATE/, done('UPDATE 1'))
  const client = await stage.client()
  client.write(query(first))
  await until('it is held', () => stage.world.waiting().length === 1)
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  const proof = { chain: [APPROVER], at: stage.world.clock.now(), method: 'code' } as const
  await stage.world.approvals.answer(ticket, { verdict: 'approve', proof, through: 'test', reuse })
  await until('it ran', () => stage.ran().includes(first))
  return { stage, ticket }
}

it('other values of the same shape run at once, each recorded; what differs in more is asked about (P-05)', async () => {
  const { stage, ticket } = await approved({ kind: 'shape', ms: 3_600_000 })
  const client = await stage.client()
  const two = "UPDATE orders SET state = 'sent' WHERE id = 2"
  expect(script(await client.query(two)).at(-2)).toBe('done UPDATE 1')
  expect(script(await client.query(`${two};`)).at(-2)).toBe('done UPDATE 1')
  expect(stage.world.approvals.get(ticket)?.uses).toBeGreaterThanOrEqual(2)
  expect(stage.world.entries('answer').map(({ head }) => head.answer)).toEqual(Array(3).fill('approved'))
  for (const other of [
    "UPDATE orders SET state = 'sent' WHERE 1 = 1",
    "UPDATE orders SET state = 'sent'",
    "UPDATE orders SET state = lower('sent') WHERE id = 2",
    "UPDATE orders SET state = 'sent' WHERE id = 1 OR id = 2",
    "UPDATE orders SET state = 'sent' WHERE id < 1",
    'DELETE FROM orders WHERE id = 1',
  ]) {
    const from = stage.world.waiting().length
    const asking = await stage.client()
    asking.write(query(other))
    await until(`it is held: ${other}`, () => stage.world.waiting().length === from + 1)
    expect(stage.ran()).not.toContain(other)
  }
})

it('parameters of one statement may differ, but not how they are read', async () => {
  const { stage } = await approved({ kind: 'session' })
  expect(stage.world.waiting()).toEqual([])
  const text = "UPDATE orders SET state = 'sent' WHERE id = $1"
  const client = await stage.client()
  client.write(parse(text), bind({ values: ['1'] }), execute(), sync)
  await until('it is held', () => stage.world.waiting().length === 1)
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  const proof = { chain: [APPROVER], at: stage.world.clock.now(), method: 'code' } as const
  await stage.world.approvals.answer(ticket, {
    verdict: 'approve',
    proof,
    through: 'test',
    reuse: { kind: 'session' },
  })
  await until('it ran', () => stage.ran().includes(text))
  client.write(parse(text), bind({ values: ['2'] }), execute(), sync)
  await until('it ran again', () => stage.ran().filter((each) => each === text).length === 2)
  expect(stage.world.approvals.get(ticket)).toMatchObject({ state: 'approved', uses: 2 })
  client.write(parse(text), bind({ values: [null] }), execute(), sync)
  await until('NULL is asked about', () => stage.world.waiting().length === 1)
  // Another session has to ask.
  const other = await stage.client()
  other.write(parse(text), bind({ values: ['2'] }), execute(), sync)
  await until('it is held', () => stage.world.waiting().length === 2)
})

it('parameters may only differ where one does as much as any other, and who approves is told where that is (P-05)', async () => {
  const text = 'UPDATE orders SET state = $1 WHERE id = $2 AND (id < $3 OR $4)'
  const stage = await PostgresStage.open({ rules: RULES })
  stages.push(stage)
  answerUsual(stage.server)
  stage.server.answer(/^UPDATE/, done('UPDATE 1'))
  const run = async (...values: string[]): Promise<void> => {
    const client = await stage.client()
    client.write(parse(text), bind({ values }), execute(), sync)
  }
  await run('sent', '1', '5', 'f')
  await until('it is held', () => stage.world.waiting().length === 1)
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  expect(stage.world.approvals.get(ticket)?.varies).toEqual(['SET state = ...', 'WHERE id = ...'])
  // Whether `id` is a key nobody has looked.
  expect(stage.world.approvals.get(ticket)?.warnings).toEqual([
    'for its shape or the session it may run for any number of rows: other values select others, as many as have them (WHERE id = ...)',
  ])
  const proof = { chain: [APPROVER], at: stage.world.clock.now(), method: 'code' } as const
  const reuse = { kind: 'shape', ms: 3_600_000 } as const
  await stage.world.approvals.answer(ticket, { verdict: 'approve', proof, through: 'test', reuse })
  await until('it ran', () => stage.ran().filter((each) => each === text).length === 1)
  await run('lost', '2', '5', 'f')
  await until('it ran', () => stage.ran().filter((each) => each === text).length === 2)
  for (const [i, values] of [
    ['sent', '1', '5', 't'],
    ['sent', '1', '999', 'f'],
  ].entries()) {
    await run(...values)
    await until('it is held', () => stage.world.waiting().length === i + 1)
  }
})

it('an approval is for what is known to have run before: behind a view that may set something it is asked about anew (P-05)', async () => {
  const { stage } = await approved({ kind: 'times', times: 5 }, ONE, false)
  stage.server.answer(/^SELECT \* FROM setter/, done('SELECT 1'))
  const client = await stage.client()
  // Reads, whichever they are, make no difference: a retry finds its ticket.
  await client.query('SELECT n FROM numbers')
  await client.query('SHOW search_path')
  expect(script(await client.query(ONE)).at(-2)).toBe('done UPDATE 1')
  await client.query('SELECT * FROM setter')
  client.write(query(ONE))
  await until('it is held', () => stage.world.waiting().length === 1)
})

it.each([
  ["SET SCHEMA 's3' -- reset all"],
  ["SET app.tenant = 'b' /* discard all */"],
  ["SET app.tenant = 'b'", 'RESET ALL'],
  ['BEGIN', 'SET LOCAL search_path = s3', 'SAVEPOINT a', 'ROLLBACK TO a'],
])('an approval is not for a session that has sent: %s (P-05)', async (...texts) => {
  const { stage } = await approved({ kind: 'times', times: 5 }, ONE, false)
  for (const each of texts) stage.server.answer(each, done(each.split(' ')[0] ?? ''))
  const client = await stage.client()
  for (const each of texts) await client.query(each)
  const from = stage.ran().length
  client.write(query(ONE))
  await until('it is held', () => stage.world.entries('hold').length === 2)
  await until('people are asked', () => stage.world.waiting().length === 1)
  expect(
    stage
      .ran()
      .slice(from)
      .filter((each) => each === ONE),
  ).toEqual([])
})
