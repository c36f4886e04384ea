import { afterEach, describe as group, expect, it } from 'vitest'
import { done, rows } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
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
import { AGENT_RULES, until } from '../../../testing/world.ts'
import { GatewayError } from '../../../core/index.ts'
import type { ClientMessage } from '../../../wire/postgres/index.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const RULES = AGENT_RULES.replace('run: [read], unreviewed: [read]', 'run: all, unreviewed: all')
const SLOW = 'UPDATE orders SET state = 1'
const NEXT = 'UPDATE orders SET state = 2'
const LONG = `UPDATE orders SET state = 2 WHERE id IN (${'1, '.repeat(60_000)}2)`
const READ = 'SELECT n FROM numbers'
const run = (text: string): ClientMessage[] => [parse(text), bind(), execute(), sync]

async function open(): Promise<{ stage: PostgresStage; answer: () => void }> {
  const stage = await PostgresStage.open({ rules: RULES })
  stages.push(stage)
  answerUsual(stage.server)
  stage.server.answer(READ, rows([FIELDS.n], [['1']]))
  const { promise, resolve } = Promise.withResolvers<undefined>()
  stage.server.answer(SLOW, { kind: 'wait', until: promise }, done('UPDATE 1'))
  return { stage, answer: () => resolve(undefined) }
}

group('what lasts, sent while something before it runs', () => {
  it.each([
    ['a simple query', [query(SLOW), query(NEXT)], [SLOW]],
    ['an Execute', [...run(SLOW), ...run(NEXT)], [SLOW]],
    ['a long statement', [query(SLOW), query(LONG)], [SLOW]],
    ['a long statement, prepared', [...run(SLOW), ...run(LONG)], [SLOW]],
    ['one behind what only reads', [query(SLOW), query(READ), query(NEXT)], [SLOW]],
    ['COMMIT', [query('BEGIN'), query(SLOW), query('COMMIT')], ['BEGIN', SLOW]],
    ['COMMIT, prepared', [query('BEGIN'), ...run(SLOW), ...run('COMMIT')], ['BEGIN', SLOW]],
  ])('has not begun when the session is ended: %s', async (_name, messages, began) => {
    const { stage } = await open()
    const client = await stage.client()
    client.write(...messages)
    await until('it runs', () => stage.ran().includes(SLOW))
    await turns(60)
    stage.world.gateway.terminate(() => true, new GatewayError('denied', 'Your access has ended.'))
    await until('it has ended', () => client.ended)
    await turns(60)
    expect(stage.ran().filter((each) => each !== READ)).toEqual(began)
  })

  it('is sent when that is answered; what only reads does not wait', async () => {
    const { stage, answer } = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(SLOW), ...run(READ), query(READ), query(NEXT), ...run(NEXT))
    await until('it runs', () => stage.ran().includes(SLOW))
    await turns(60)
    const sent = Buffer.concat(stage.forwarded.flat()).toString('latin1')
    expect(sent.split(READ)).toHaveLength(3)
    expect(sent.includes(NEXT)).toBe(false)
    answer()
    expect(script(await client.hear(from, 5)).filter((each) => each.startsWith('done'))).toEqual([
      'done UPDATE 1',
      'done SELECT 1',
      'done SELECT 1',
      'done UPDATE 1',
      'done UPDATE 1',
    ])
  })

  it('of one group is sent at once: the server skips what stands behind a command that was canceled', async () => {
    const { stage } = await open()
    const client = await stage.client()
    client.write(parse(SLOW), bind(), execute(), parse(NEXT), bind(), execute(), sync)
    await until('it runs', () => stage.ran().includes(SLOW))
    await turns(60)
    expect(Buffer.concat(stage.forwarded.flat()).includes(NEXT)).toBe(true)
    stage.world.gateway.terminate(() => true, new GatewayError('denied', 'Your access has ended.'))
    await until('it has ended', () => client.ended)
    await turns(60)
    expect(stage.ran()).toEqual([SLOW])
  })
})
