/** What a client hears while its command waits for people, and when it stops to wait. */
import { afterEach, expect, it } from 'vitest'
import { done, rows } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import type { LoginOptions, StageOptions } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  execute,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { AGENT_RULES, APPROVER, until } from '../../../testing/world.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const HELD = "UPDATE orders SET state = 'sent' WHERE id = 1"
const OTHER = "UPDATE orders SET state = 'sent' WHERE id = 2"

async function open(options: StageOptions = {}, login: LoginOptions = {}) {
  const stage = await PostgresStage.open(options)
  stages.push(stage)
  answerUsual(stage.server)
  return { stage, client: await stage.client(login) }
}

const waits = (stage: PostgresStage, count = 1) =>
  until(`${count} are held`, () => stage.world.waiting().length === count)

it('a line every 12 seconds with the ticket and what is left, until it is answered', async () => {
  const { stage, client } = await open()
  const from = client.heard.length
  client.write(query(HELD), query('SELECT 1'))
  await waits(stage)
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  stage.world.clock.advance(12_000)
  await turns()
  stage.world.clock.advance(11_999)
  await turns()
  expect(script(client.heard.slice(from))).toEqual([
    `notice Held for approval: ticket ${ticket}.`,
    `notice Held for approval: ticket ${ticket}, up to 18 s more.`,
  ])
  const [, said] = client.heard.slice(from)
  expect(said).toMatchObject({ fields: { severity: 'INFO', code: 'SL002' } })
  await stage.world.answer(ticket, 'approve')
  stage.world.clock.advance(60_000)
  const heard = script(await client.hear(from, 2))
  expect(heard.slice(2)).toEqual([
    'done UPDATE 1',
    'ready idle',
    'columns ?column?',
    'row 1',
    'done SELECT 1',
    'ready idle',
  ])
  // What the client saw is in the recording, like any notice.
  const told = stage.world
    .entries('result')
    .filter(({ body }) => Buffer.from(body ?? '').includes('up to 18 s more'))
  expect(told).toHaveLength(1)
})

it('and what it was told so is recorded in its place, in one piece, five lines at the latest', async () => {
  const { stage, client } = await open(
    { connection: '\n    patienceFor: { "patient*": 5m }' },
    { parameters: { application_name: 'patient' } },
  )
  const from = client.heard.length
  client.write(query(HELD))
  await waits(stage)
  const lines = (): number[] =>
    stage.world
      .entries('result')
      .map(
        ({ body }) =>
          Buffer.from(body ?? '')
            .toString('latin1')
            .match(/ up to \d+ s more/g)?.length ?? 0,
      )
      .filter((count) => count > 0)
  for (let i = 0; i < 7; i++) {
    stage.world.clock.advance(12_000)
    await turns()
  }
  expect(lines()).toEqual([5])
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  await stage.world.answer(ticket, 'approve')
  await client.hear(from)
  expect(lines()).toEqual([5, 2])
  const kinds = stage.world.journal.entries.map(({ kind }) => kind).filter((kind) => kind !== 'admin')
  expect(kinds.slice(kinds.indexOf('hold'))).toEqual([
    'hold',
    'result',
    'result',
    'result',
    'answer',
    'outcome',
  ])
  const told = client.heard.slice(from).filter(({ kind }) => kind === 'noticeResponse')
  expect(told).toHaveLength(8)
})

it('no more when the client has canceled, or when patience is at its end', async () => {
  const { stage, client } = await open()
  const from = client.heard.length
  client.write(query(HELD))
  await waits(stage)
  stage.world.clock.advance(29_999)
  await turns()
  expect(client.heard.slice(from)).toHaveLength(3)
  stage.world.clock.advance(1)
  expect(script(await client.hear(from)).at(-2)).toMatch(/^error SL002 /)
  const timers = stage.world.clock.waiting
  client.write(query(OTHER))
  await waits(stage, 2)
  client.leave()
  await until('it is given up', () => stage.world.entries('close').length === 1)
  expect(stage.world.clock.waiting).toBe(timers)
})

it('nothing where a connection wants none', async () => {
  const { stage, client } = await open({ connection: '\n    waitingNotice: false' })
  const from = client.heard.length
  client.write(query(HELD))
  await waits(stage)
  stage.world.clock.advance(29_000)
  await turns()
  expect(script(client.heard.slice(from))).toHaveLength(1)
})

it('nothing in the middle of a message, and nothing that piles up behind it', async () => {
  // What may change something waits for all answers before it; what is only read does not.
  const rule = `  - { name: orders are looked at, who: everyone, on: all, forbid: { unreviewed: [read] }, when: 'context.reads.contains("orders")' }\n`
  const { stage, client } = await open({ labelled: false, rules: AGENT_RULES + rule })
  stage.server.answer('SELECT id FROM orders', rows(['id'], [['1']]))
  stage.server.answer('SELECT big', rows(['big'], [['x'.repeat(6_000_000)]]))
  const from = client.heard.length
  // A client that does not read: the row stops in the middle of its way.
  client.pipe.pause()
  client.write(query('SELECT big'))
  await turns(50)
  client.write(query('SELECT id FROM orders'))
  await waits(stage)
  stage.world.clock.advance(12_000)
  stage.world.clock.advance(12_000)
  await turns()
  client.pipe.resume()
  await until('all has come', () => client.heard.slice(from).some((each) => each.kind === 'readyForQuery'))
  const heard = script(client.heard.slice(from)).map((line) => line.replace(/T-\w+|x+/, '...'))
  expect(heard.slice(0, 3)).toEqual(['columns big', 'row ...', 'notice Held for approval: ticket ....'])
  expect(heard.filter((line) => line.includes('more')).length).toBeLessThan(2)
})

it.each([
  ['as it says when it connects', { parameters: { application_name: 'Hasty job 7' } }, undefined],
  ['as it says later', {}, "SET application_name = 'hasty'"],
])('a program waits as long as it is configured: %s', async (_how, login, set) => {
  const { stage, client } = await open({ connection: '\n    patienceFor: { "hasty*": 2s }' }, login)
  if (set !== undefined) {
    // As a server reports it, in front of the end.
    const report = { kind: 'parameterStatus', name: 'application_name', value: 'hasty' } as const
    stage.server.answer(/^SET/, { kind: 'send', messages: [report] }, done('SET'))
    await client.query(set)
  }
  const from = client.heard.length
  client.write(query(HELD))
  await waits(stage)
  await until('it is told', () => client.heard.length > from)
  expect(client.heard.at(-1)).toMatchObject({
    fields: { detail: expect.stringContaining('Waiting up to 2 s here') },
  })
  stage.world.clock.advance(2_000)
  expect(script(await client.hear(from)).at(-2)).toMatch(/^error SL002 /)
})

it('what waits in a group that fails meanwhile is over at once, and is not run when it is approved (P-05)', async () => {
  const { stage, client } = await open()
  stage.server.answer(/^SELECT broken/, {
    kind: 'error',
    at: 'parse',
    fields: { severity: 'ERROR', code: '42703', message: 'no such column' },
  })
  client.write(
    parse('SELECT broken FROM numbers'),
    flush,
    parse(HELD, 'held'),
    bind({ statement: 'held' }),
    execute(),
    sync,
  )
  await until('it is given up', () => stage.world.entries('answer').length === 1)
  expect(stage.world.entries('answer').map(({ head }) => head.answer)).toEqual(['abandoned'])
  const [ticket] = stage.world.waiting()
  if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
  await until(
    'the group has ended',
    () => client.heard.filter((each) => each.kind === 'readyForQuery').length === 2,
  )
  expect(script(client.heard).at(-1)).toBe('ready idle')
  expect(stage.ran()).not.toContain(HELD)
  expect(script(await client.query('SELECT 1')).at(-2)).toBe('done SELECT 1')
})

it('an approval of the shape that is given elsewhere lets it run where it waits, and nobody has to answer it (P-05)', async () => {
  const rules = `  - name: agents ask
    who: { kinds: [agent] }
    on: all
    permit: { run: all, unreviewed: [read] }
    review: { reuse: { shape: 1h } }
`
  const { stage, client } = await open({ rules })
  stage.server.answer(/^UPDATE/, done('UPDATE 1'))
  const second = await stage.client()
  const third = await stage.client()
  client.write(query(HELD))
  await waits(stage)
  third.write(query(HELD))
  second.write(query(OTHER))
  await waits(stage, 2)
  await until('all three wait', () => stage.world.entries('hold').length === 3)
  const own = stage.world.approvals.list().find(({ text }) => text === HELD)
  const other = stage.world.approvals.list().find(({ text }) => text === OTHER)
  if (own === undefined || other === undefined) throw new Error('nothing waits')
  const proof = { chain: [APPROVER], at: stage.world.clock.now(), method: 'code' } as const
  const reuse = { kind: 'shape', ms: 3_600_000 } as const
  await stage.world.approvals.answer(other.ticket, { verdict: 'approve', proof, through: 'test', reuse })
  await until('all have run', () => stage.ran().length === 3)
  expect(stage.ran().toSorted()).toEqual([HELD, HELD, OTHER])
  expect(stage.world.approvals.get(other.ticket)?.uses).toBe(3)
  await until(
    'what nobody waits for is taken back',
    () => stage.world.approvals.get(own.ticket)?.state === 'withdrawn',
  )
  expect(stage.world.entries('answer').map(({ head }) => [head.ticket, head.answer])).toEqual(
    Array.from({ length: 3 }, () => [other.ticket, 'approved']),
  )
})
