import { afterEach, describe as group, expect, it } from 'vitest'
import { fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { LIMITS } from '../../../core/index.ts'
import { QUIET_QUERY } from '../catalogue/quiet-code.ts'
import {
  answerUsual,
  bind,
  execute,
  FIELDS,
  NO_CODE,
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

const HELD_RULES = `  - { name: agents ask, who: { kinds: [agent] }, on: all, permit: { run: all, unlimited: true } }
`

group('what people are told of a held command', () => {
  async function held(code: readonly (readonly (string | null)[])[] = NO_CODE): Promise<PostgresStage> {
    const stage = await PostgresStage.open({ rules: HELD_RULES })
    const plan = JSON.stringify([
      { Plan: { 'Node Type': 'ModifyTable', 'Plan Rows': 0, Plans: [{ 'Plan Rows': 40 }] } },
    ])
    stage.server.answer(/^EXPLAIN/, rows(['QUERY PLAN'], [[plan]]))
    stage.server.answer(QUIET_QUERY, rows(['kind', 'a', 'b', 'c', 'd'], code))
    stages.push(stage)
    return stage
  }
  const UPDATE = 'UPDATE numbers SET n = 1 WHERE n > 5'
  const waiting = async (stage: PostgresStage, count = 1): Promise<(number | undefined)[]> => {
    await until('it is held', () => stage.world.waiting().length === count)
    return stage.world.approvals.list().map(({ estimatedRows }) => estimatedRows)
  }

  it('is what the planner expects of it, asked on a session of the gateway and recorded', async () => {
    const stage = await held()
    const client = await stage.client()
    client.write(query(UPDATE))
    expect(await waiting(stage)).toEqual([40])
    expect(stage.ran()).toEqual([`EXPLAIN (FORMAT JSON) ${UPDATE}`])
    expect(stage.world.entries('intent').map(({ head }) => head.form)).toContain('estimate')
  })

  it('the same with parameters', async () => {
    const stage = await held()
    const client = await stage.client()
    client.write(parse('UPDATE numbers SET n = 1 WHERE n > $1'), bind({ values: ['5'] }), execute(), sync)
    expect(await waiting(stage)).toEqual([40])
    const asked = stage.server.ran.find((each) => each.sql.startsWith('EXPLAIN'))
    expect(asked?.values.map(String)).toEqual(['5'])
  })

  it.each([
    ['code of users behind a table might run while it is planned', UPDATE, undefined],
    ['it is several statements', `${UPDATE}; ${UPDATE}`, NO_CODE],
    ['it defines something', 'CREATE TABLE more (n int)', NO_CODE],
    ['it is not known what stands behind a table', UPDATE, []],
  ])('is nothing when %s (P-05)', async (_why, sql, code) => {
    const policy = NO_CODE.map(([, oid = null]) => ['calls', oid, '16400', null, null])
    const stage = await held(code ?? [...NO_CODE, ['function', '16400', 'f', 'SELECT true', null], ...policy])
    const client = await stage.client()
    client.write(query(sql))
    expect(await waiting(stage)).toEqual([undefined])
    expect(explained(stage)).toEqual([])
  })

  it('is nothing for those that come while many are being asked', async () => {
    const stage = await held()
    const plan = Promise.withResolvers<void>()
    stage.server.answer(/^EXPLAIN/, { kind: 'wait', until: plan.promise }, fails('57014', 'no'))
    const clients = await Promise.all(Array.from({ length: LIMITS.guessesMax + 2 }, () => stage.client()))
    for (const [n, client] of clients.entries()) client.write(query(`UPDATE numbers SET n = ${n}`))
    await until('the others are held', () => stage.world.waiting().length === 2)
    await until('all of them are asked', () => explained(stage).length === LIMITS.guessesMax)
    plan.resolve()
    expect(await waiting(stage, LIMITS.guessesMax + 2)).toEqual(clients.map(() => undefined))
  })

  it('is waited for no longer than a second', async () => {
    const stage = await held()
    stage.server.answer(/^EXPLAIN/, { kind: 'wait', until: new Promise(() => undefined) })
    const client = await stage.client()
    client.write(query(UPDATE))
    await until('it is asked', () => explained(stage).length === 1)
    expect(stage.world.waiting()).toEqual([])
    stage.world.clock.advance(1_000)
    expect(await waiting(stage)).toEqual([undefined])
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
