import { afterEach, describe as group, expect, it } from 'vitest'
import { fails, rows } from '../../../testing/fake-postgres-answers.ts'
import {
  answerUsual,
  bind,
  execute,
  FIELDS,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { until } from '../../../testing/world.ts'
import { rowsOf } from './estimate.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const RULES = `  - { name: agents read, who: { kinds: [agent] }, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
  - name: large
    who: { kinds: [agent] }
    on: all
    forbid: { unreviewed: all }
    when: context.reads.contains("public.numbers") && context.estimatedRows > 100
`

async function open(estimate: number | undefined): Promise<PostgresStage> {
  const stage = await PostgresStage.open({ rules: RULES })
  const plan = JSON.stringify([{ Plan: { 'Node Type': 'Seq Scan', 'Plan Rows': estimate } }])
  stage.server.answer(
    /^EXPLAIN/,
    estimate === undefined
      ? fails('42P01', 'relation "canary" does not exist')
      : rows(['QUERY PLAN'], [[plan]]),
  )
  answerUsual(stage.server)
  stage.server.answer(/^SELECT n FROM numbers WHERE/, rows([FIELDS.n], [['1']]))
  stages.push(stage)
  return stage
}

const NUMBERS = 'SELECT n FROM numbers'
const explained = (stage: PostgresStage) => stage.ran().filter((each) => each.startsWith('EXPLAIN'))

group('a rule that asks for the estimate', () => {
  it('lets through what the planner expects to be few, and asks first, on the record', async () => {
    const stage = await open(50)
    const client = await stage.client()
    expect(script(await client.query(NUMBERS)).at(-2)).toBe('done SELECT 50')
    expect(stage.ran()).toEqual([`EXPLAIN (FORMAT JSON) ${NUMBERS}`, NUMBERS])
    expect(stage.world.entries('intent').map(({ head }) => [head.n, head.form, head.decision])).toEqual([
      [1, 'estimate', 'allow'],
      [2, 'query', 'allow'],
    ])
    expect(stage.world.entries('outcome').map(({ head }) => head.tag)).toEqual(['50 rows', 'SELECT 50'])
    // Kept by nobody: the table may have grown.
    await client.query(NUMBERS)
    expect(explained(stage)).toHaveLength(2)
  })

  it.each([
    ['many', 1_000_000],
    ['nobody knows how many', undefined],
  ])('holds what it expects to be %s, before it runs (P-05)', async (_name, estimate) => {
    const stage = await open(estimate)
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(NUMBERS))
    await until('it is held', () => stage.world.waiting().length === 1)
    expect(stage.ran()).not.toContain(NUMBERS)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    const heard = script(await client.hear(from))
    expect(heard.at(-2)).toBe('done SELECT 50')
    expect(heard.join()).not.toContain('canary')
  })

  it('holds also when nobody can be asked', async () => {
    const stage = await open(1)
    const client = await stage.client()
    stage.server.serve = (pipe) => pipe.destroy()
    client.write(query(NUMBERS))
    await until('it is held', () => stage.world.waiting().length === 1)
    expect(stage.world.entries('outcome').map(({ head }) => head.tag)).toEqual(['unknown'])
    expect(stage.ran()).toEqual([])
  })

  it('asks with the parameters and types of the client, once for each Bind', async () => {
    const stage = await open(1)
    const client = await stage.client()
    const sql = 'SELECT n FROM numbers WHERE n > $1'
    const from = client.heard.length
    client.write(parse(sql, 's'), bind({ statement: 's', portal: 'p', values: ['5'] }), execute('p'), sync)
    expect(script(await client.hear(from))).toEqual([
      'parseComplete',
      'bindComplete',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
    expect(explained(stage)).toEqual([`EXPLAIN (FORMAT JSON) ${sql}`])
    const asked = stage.server.ran.find((each) => each.sql.startsWith('EXPLAIN'))
    expect(asked?.values.map(String)).toEqual(['5'])
    await client.say([bind({ statement: 's', values: ['6'] }), execute(), sync])
    expect(explained(stage)).toHaveLength(2)
  })

  it('holds at Bind, and one approval is for Bind and Execute', async () => {
    const stage = await open(1000)
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SELECT n FROM numbers WHERE n > 1'), bind(), execute(), sync)
    await until('it is held', () => stage.world.waiting().length === 1)
    expect(stage.server.count('bind')).toBe(explained(stage).length)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    expect(script(await client.hear(from)).at(-2)).toBe('done SELECT 1')
    expect(stage.world.approvals.list()).toHaveLength(1)
  })

  it('asks about nothing else', async () => {
    const stage = await open(1000)
    const client = await stage.client()
    for (const sql of ['BEGIN', 'SELECT 1', 'COMMIT', "UPDATE orders SET state = 'x'"])
      await client.query(sql)
    expect(explained(stage)).toEqual([])
    expect(stage.world.waiting()).toEqual([])
  })
})

group('a plan', () => {
  it.each<[unknown, number | undefined]>([
    [[{ Plan: { 'Node Type': 'Limit', 'Plan Rows': 10, Plans: [{ 'Plan Rows': 1e6 }] } }], 10],
    [[{ Plan: { 'Node Type': 'ModifyTable', 'Plan Rows': 0, Plans: [{ 'Plan Rows': 40 }] } }], 40],
    [[{ Plan: { 'Node Type': 'ModifyTable', 'Plan Rows': 0, Plans: [{}] } }], undefined],
    [[{ Plan: {} }], undefined],
    [[], undefined],
    ['', undefined],
  ])('%j', (plan, rows) => {
    expect(rowsOf(JSON.stringify(plan))).toBe(rows)
  })
})
