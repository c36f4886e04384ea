import { afterEach, describe as group, expect, it } from 'vitest'
import type { Answer } from '../../../testing/fake-postgres-answers.ts'
import { done, fails, rows } from '../../../testing/fake-postgres-answers.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  execute,
  FIELDS,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { SEEING_RULES } from '../../../testing/world.ts'
import type { ServerMessage } from '../../../wire/postgres/index.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const PLAIN = 'SELECT n FROM numbers'
const HIDDEN = 'SELECT email FROM customers'
const NUMBER = rows([FIELDS.n], [['1']])
const EMAIL = rows([FIELDS.email], [[CANARIES[0]]])

function says(...messages: ServerMessage[]): Answer {
  return { kind: 'send', messages }
}

const READY: ServerMessage = { kind: 'readyForQuery', status: 'idle' }
const ERROR: ServerMessage = {
  kind: 'errorResponse',
  fields: { severity: 'ERROR', code: '22012', message: 'no' },
}
const END: ServerMessage = { kind: 'commandComplete', tag: 'SELECT 1' }
const SURPRISES: readonly (readonly [string, readonly Answer[]])[] = [
  ['ReadyForQuery before anything else', [says(READY), NUMBER]],
  ['one statement more than there are', [NUMBER, NUMBER]],
  ['rows behind an error', [says(ERROR), NUMBER]],
  ['the end of a statement behind an error', [says(ERROR, END)]],
  ['a question for rows of COPY', [{ kind: 'copyIn', columns: 1 }]],
  ['rows of COPY', [{ kind: 'copyOut', columns: 1, chunks: [`${CANARIES[0]}\n`] }]],
  ['rows of COPY without their beginning', [says({ kind: 'copyData', data: Buffer.from(CANARIES[0]) })]],
  ['the end of rows of COPY', [says({ kind: 'copyDone' }), NUMBER]],
  ['a statement that was read', [says({ kind: 'parseComplete' }), NUMBER]],
  ['a portal', [says({ kind: 'bindComplete' }), NUMBER]],
  ['something closed', [says({ kind: 'closeComplete' }), NUMBER]],
  ['no columns', [says({ kind: 'noData' }), NUMBER]],
  ['parameters', [says({ kind: 'parameterDescription', types: [] }), NUMBER]],
]

async function open(answers: readonly Answer[]): Promise<PostgresStage> {
  const stage = await PostgresStage.open()
  stages.push(stage)
  answerUsual(stage.server)
  stage.server.answer(PLAIN, ...answers)
  stage.server.answer(HIDDEN, EMAIL)
  return stage
}

group('an answer that does not fit', () => {
  it.each([
    ...SURPRISES,
    ['a portal that was interrupted', [says({ kind: 'portalSuspended' }), NUMBER]],
  ] as const)('to a simple query ends the session: %s (P-02)', async (_name, answers) => {
    const stage = await open(answers)
    const client = await stage.client()
    await client.say([query(PLAIN), query(HIDDEN), query(PLAIN), query(HIDDEN)], 9)
    expect(client.ended).toBe(true)
    expect(client.received().includes(CANARIES[0])).toBe(false)
    expect(stage.world.reports.map(String)).toEqual([expect.stringContaining('nobody asked for')])
  })

  it.each([
    ...SURPRISES,
    ['a description of rows', [says({ kind: 'rowDescription', fields: [FIELDS.n] }), NUMBER]],
  ] as const)('to an Execute ends the session: %s (P-02)', async (_name, answers) => {
    const stage = await open(answers)
    const client = await stage.client()
    const run = (text: string) => [parse(text), bind(), execute(), sync]
    await client.say([PLAIN, HIDDEN, PLAIN, HIDDEN].flatMap(run), 9)
    expect(client.ended).toBe(true)
    expect(stage.world.reports.map(String)).toEqual([expect.stringContaining('nobody asked for')])
    expect(client.received().includes(CANARIES[0])).toBe(false)
  })

  it('ends it where a batch has fewer statements than were judged', async () => {
    const stage = await open([NUMBER])
    const client = await stage.client()
    stage.server.answer(`${PLAIN}; ${PLAIN}`, NUMBER)
    const heard = script(await client.query(`${PLAIN}; ${PLAIN}`))
    expect(heard.at(-1)).toBe('done SELECT 1')
    expect(client.ended).toBe(true)
  })
})

group('an answer that fits', () => {
  it('is passed on: batches, empty statements, errors, rows of COPY, texts that nobody can read', async () => {
    const stage = await PostgresStage.open({ rules: SEEING_RULES, labelled: false })
    stages.push(stage)
    answerUsual(stage.server)
    const unreadable = 'SELECT SOMETHING ENTIRELY NEW FROM'
    stage.server.answer(unreadable, NUMBER, done('SET'), NUMBER)
    stage.server.answer(`${PLAIN};; SET a.b = 1; ${PLAIN}`, NUMBER, done('SET'), fails('22012', 'no'))
    const copy = { kind: 'copyOut', columns: 1, chunks: ['a\n'] } as const
    stage.server.answer('COPY orders TO STDOUT; COPY orders TO STDOUT', copy, copy)
    const client = await stage.client()
    const heard = async (text: string): Promise<string[]> => script(await client.query(text))
    const one = ['columns n', 'row 1', 'done SELECT 1']
    expect(await heard(unreadable)).toEqual([...one, 'done SET', ...one, 'ready idle'])
    expect(await heard(`${PLAIN};; SET a.b = 1; ${PLAIN}`)).toEqual([
      ...one,
      'done SET',
      'error 22012 no',
      'ready idle',
    ])
    const copied = ['copyOutResponse', 'copyData', 'copyDone', 'done COPY 1']
    expect(await heard('COPY orders TO STDOUT; COPY orders TO STDOUT')).toEqual([
      ...copied,
      ...copied,
      'ready idle',
    ])
    for (const empty of [' ; ;', '-- nothing'])
      stage.server.answer(empty, says({ kind: 'emptyQueryResponse' }))
    for (const empty of ['', ' ; ;', '-- nothing'])
      expect(await heard(empty)).toEqual(['emptyQueryResponse', 'ready idle'])
    const extended = await client.say([parse(''), bind(), execute(), sync])
    expect(script(extended)).toEqual(['parseComplete', 'bindComplete', 'emptyQueryResponse', 'ready idle'])
    expect(client.ended).toBe(false)
  })
})
