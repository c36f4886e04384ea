import { afterEach, describe as group, expect, it } from 'vitest'
import { done, fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import type { StageClient } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { AGENT_RULES, until } from '../../../testing/world.ts'
import { encodeClient } from '../../../wire/postgres/index.ts'
import type { ClientMessage } from '../../../wire/postgres/index.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const RULES = AGENT_RULES.replace('run: [read], unreviewed: [read]', 'run: all, unreviewed: all').replace(
  'forbid: { run: [define, administer, opaque] }',
  'forbid: { run: [define, administer] }',
)
const COPY = 'COPY orders FROM STDIN'
const TWICE = 'COPY orders FROM STDIN; COPY numbers FROM STDIN'
const HIDDEN = 'SELECT email FROM customers'
const PLAIN = 'SELECT n FROM numbers'
const BAD = 'bad\n'
const MASKED = 'row c***@example.com'
const FAILED = `error 22P02 invalid input syntax for type integer: "${BAD}"`

const row = (text: string): ClientMessage => ({ kind: 'copyData', data: Buffer.from(text) })
const over: ClientMessage = { kind: 'copyDone' }
const given = (reason: string): ClientMessage => ({ kind: 'copyFail', reason })
const run = (text: string): ClientMessage[] => [parse(text), bind(), execute()]

async function open(): Promise<{ stage: PostgresStage; client: StageClient }> {
  const stage = await PostgresStage.open({ rules: RULES })
  answerUsual(stage.server)
  const taking = { kind: 'copyIn', columns: 2, bad: BAD } as const
  stage.server.answer(COPY, taking)
  stage.server.answer(TWICE, taking, taking)
  // One row that the plan of the other query would show in clear.
  stage.server.answer(HIDDEN, rows([FIELDS.email], [[CANARIES[0]]]))
  stage.server.answer(PLAIN, rows([FIELDS.n], [['1']]))
  stages.push(stage)
  return { stage, client: await stage.client() }
}

/** Asks for COPY, and waits until the server takes rows. */
async function begin(client: StageClient, messages: readonly ClientMessage[]): Promise<void> {
  const from = client.heard.length
  client.write(...messages)
  await until('rows are asked for', () =>
    client.heard.slice(from).some((each) => each.kind === 'copyInResponse'),
  )
}

/** What the client has heard when nothing more comes. */
async function heardBy(client: StageClient, messages: readonly ClientMessage[]): Promise<string[]> {
  const from = client.heard.length
  client.write(...messages)
  await turns(60)
  return script(client.heard.slice(from))
}

async function isInStep(client: StageClient): Promise<void> {
  expect(script(await client.say([...run(HIDDEN), sync, query(PLAIN)], 2))).toEqual([
    'parseComplete',
    'bindComplete',
    MASKED,
    'done SELECT 1',
    'ready idle',
    'columns n',
    'row 1',
    'done SELECT 1',
    'ready idle',
  ])
}

group('what is sent while rows of COPY are asked for', () => {
  it.each([
    ['a simple query', [query(COPY)]],
    ['an Execute', [...run(COPY), flush]],
    ['an Execute and Sync at once', [...run(COPY), sync]],
  ])(
    'ends the session if it is another message, also when the COPY has failed by then: %s (P-02)',
    async (_name, begins) => {
      for (const behind of [
        [query(HIDDEN), query(PLAIN), query(PLAIN)],
        [...run(HIDDEN), sync, ...run(PLAIN), sync],
      ]) {
        const { stage, client } = await open()
        await begin(client, begins)
        const heard = await heardBy(client, [row(BAD), sync, sync, ...behind])
        expect(client.ended).toBe(true)
        expect(heard.at(-1)).toMatch(/^error 08P01 The client sent another message/)
        expect(stage.ran()).toEqual([COPY])
        expect(client.received().includes(CANARIES[0])).toBe(false)
      }
    },
  )

  it.each([
    ['a simple query', [query(COPY)], [FAILED, 'ready idle'], []],
    ['an Execute', [...run(COPY), flush], [FAILED], ['ready idle']],
  ])(
    'counts for nothing if it is Sync or Flush, and every answer keeps its place: %s (P-02)',
    async (_name, begins, atOnce, atSync) => {
      const { client } = await open()
      await begin(client, begins)
      expect(await heardBy(client, [sync, flush, row(BAD), sync, flush, sync])).toEqual(atOnce)
      // The rest of the rows, on its way when the error came.
      expect(await heardBy(client, [row('1\ta\n'), over])).toEqual([])
      if (atSync.length > 0) expect(await heardBy(client, [sync])).toEqual(atSync)
      await isInStep(client)
    },
  )

  it.each([
    ['CopyDone', [row('1\ta\n'), over], ['done COPY 1']],
    ['CopyDone behind a row that fails', [row(BAD), row('1\ta\n'), over], [FAILED]],
    ['CopyFail', [row('1\ta\n'), given('no more')], ['error 57014 COPY from stdin failed: no more']],
  ])('goes on behind %s, in one write (P-02)', async (_name, ends, answer) => {
    const { client } = await open()
    await begin(client, [query(COPY)])
    const simple = await heardBy(client, [sync, ...ends, sync, query(HIDDEN), query(PLAIN)])
    expect(simple).toEqual([
      ...answer,
      'ready idle',
      'ready idle',
      'columns email',
      MASKED,
      'done SELECT 1',
      'ready idle',
      'columns n',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
    await begin(client, [...run(COPY), sync])
    const extended = await heardBy(client, [...ends, ...run(PLAIN), sync, ...run(HIDDEN), sync])
    const skipped = answer[0]?.startsWith('error') === true
    expect(extended).toEqual([
      ...answer,
      ...(skipped ? [] : ['parseComplete', 'bindComplete', 'row 1', 'done SELECT 1']),
      'ready idle',
      'parseComplete',
      'bindComplete',
      MASKED,
      'done SELECT 1',
      'ready idle',
    ])
    await isInStep(client)
  })
})

group('what is sent behind COPY before the server has answered', () => {
  it('waits until rows are asked for, and is not sent if it is another message', async () => {
    const { stage, client } = await open()
    const heard = await heardBy(client, [query(COPY), query(HIDDEN)])
    expect(heard).toEqual(['copyInResponse', expect.stringMatching(/^error 08P01/)])
    expect(stage.ran()).toEqual([COPY])
  })

  it.each([
    ['a simple query', [query(COPY)]],
    ['an Execute', run(COPY)],
  ])('may be the rows, all in one write: %s', async (_name, begins) => {
    const { client } = await open()
    const heard = await heardBy(client, [...begins, sync, row('1\ta\n'), row('2\tb\n'), over, sync])
    expect(heard.slice(begins.length === 1 ? 0 : 2)).toEqual(
      begins.length === 1
        ? ['copyInResponse', 'done COPY 2', 'ready idle', 'ready idle']
        : ['copyInResponse', 'done COPY 2', 'ready idle'],
    )
    await isInStep(client)
  })

  it.each([
    ['a simple query', [query(COPY)], 2],
    ['an Execute', run(COPY), 1],
  ])(
    'is answered, discarded or ignored as by a server where COPY cannot begin: %s (P-02)',
    async (_name, begins, ready) => {
      const { stage, client } = await open()
      stage.server.answer(COPY, fails('42501', 'permission denied for table orders'))
      const heard = await heardBy(client, [...begins, row(BAD), over, sync])
      expect(heard.filter((each) => each === 'ready idle')).toHaveLength(ready)
      await isInStep(client)
    },
  )

  it('goes to the statement of a batch that asks for it (P-02)', async () => {
    const { client } = await open()
    const heard = await heardBy(client, [
      query(TWICE),
      row('1\ta\n'),
      over,
      row('1\n'),
      row('2\n'),
      over,
      query(HIDDEN),
    ])
    expect(heard).toEqual([
      'copyInResponse',
      'done COPY 1',
      'copyInResponse',
      'done COPY 2',
      'ready idle',
      'columns email',
      MASKED,
      'done SELECT 1',
      'ready idle',
    ])
    // The first fails: the second never asks, and its rows go nowhere.
    const failed = await heardBy(client, [
      query(TWICE),
      row(BAD),
      over,
      row('1\n'),
      over,
      sync,
      query(HIDDEN),
    ])
    expect(failed).toEqual([
      'copyInResponse',
      FAILED,
      'ready idle',
      'ready idle',
      'columns email',
      MASKED,
      'done SELECT 1',
      'ready idle',
    ])
    await isInStep(client)
  })

  it('waits for the answer to a text that nobody can read, too', async () => {
    const stage = await PostgresStage.open({ rules: RULES, labelled: false })
    stages.push(stage)
    answerUsual(stage.server)
    const text = 'COPY orders FROM STDIN SOMEHOW'
    const client = await stage.client()
    stage.server.answer(text, { kind: 'copyIn', columns: 1 })
    expect(await heardBy(client, [query(text), sync, row('1\n'), over])).toEqual([
      'copyInResponse',
      'done COPY 1',
      'ready idle',
    ])
    stage.server.answer(text, done('COPY 0'))
    expect(await heardBy(client, [...run(text), sync, query('SELECT 1')])).toEqual([
      'parseComplete',
      'bindComplete',
      'done COPY 0',
      'ready idle',
      'columns ?column?',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
  })
})

group('a message that is on its way when its group fails', () => {
  it('is discarded with the rest, as the server does (P-02)', async () => {
    const { stage, client } = await open()
    stage.server.answer(PLAIN, fails('22012', 'division by zero'))
    const first = encodeClient(...run(PLAIN), flush)
    const behind = encodeClient(...run(HIDDEN))
    const from = client.heard.length
    client.pipe.write(Buffer.concat([first, behind.subarray(0, 9)]))
    await until('it has failed', () => client.heard.slice(from).some((each) => each.kind === 'errorResponse'))
    client.pipe.write(behind.subarray(9))
    await turns(20)
    stage.server.answer(PLAIN, rows([FIELDS.n], [['1']]))
    expect(script(await client.say([sync])).slice(-1)).toEqual(['ready idle'])
    expect(stage.ran()).not.toContain(HIDDEN)
    await isInStep(client)
  })
})

group('a row of COPY', () => {
  it('is recorded before it is sent, and nothing is sent that cannot be (P-04)', async () => {
    const { stage, client } = await open()
    const { journal } = stage.world
    await begin(client, [query(COPY)])
    const lines = ['1\ta\n', '2\tb\n', '3\tc\n']
    client.write(...lines.slice(0, 2).map(row))
    await turns(30)
    expect(await heardBy(client, [row(lines[2] ?? ''), over])).toEqual(['done COPY 3', 'ready idle'])
    let recorded = ''
    for (const each of journal.tape) {
      if (each.kind === 'upstream') {
        for (const line of lines) if (each.bytes.includes(line)) expect(recorded).toContain(line)
      } else if (each.entry.kind === 'input') recorded += Buffer.from(each.entry.body ?? '').toString()
    }
    expect(recorded).toBe(lines.join(''))
    expect(journal.entries.filter(({ kind }) => kind === 'input').at(-1)?.head).toMatchObject({
      end: { how: 'done', bytes: 12, unkept: 0 },
    })

    await begin(client, [query(COPY)])
    journal.broken = true
    client.write(row('4\td\n'))
    await turns(30)
    journal.broken = false
    expect(client.ended).toBe(true)
    const sent = journal.tape.filter((each) => each.kind === 'upstream' && each.bytes.includes('4\td'))
    expect(sent).toEqual([])
  })

  it('is recorded as far as the server could have it, where the COPY fails (P-04)', async () => {
    const { stage, client } = await open()
    const told = () => {
      const inputs = stage.world.journal.entries.filter(({ kind }) => kind === 'input')
      return inputs.map((each) => ({
        ...each.head,
        body: 'body' in each ? Buffer.from(each.body ?? '').toString() : '',
      }))
    }
    await begin(client, [query(COPY)])
    await heardBy(client, [row('1\ta\n'), row(BAD)])
    await heardBy(client, [row('2\tb\n'), over])
    await begin(client, [query(COPY)])
    await heardBy(client, [row('3\tc\n'), given('no more')])
    expect(told()).toEqual([
      { n: 1, body: `1\ta\n${BAD}` },
      { n: 1, body: '', end: { how: 'cut', bytes: 8, unkept: 0 } },
      { n: 2, body: '3\tc\n', end: { how: 'failed', bytes: 4, unkept: 0 } },
    ])
    await isInStep(client)
  })
})
