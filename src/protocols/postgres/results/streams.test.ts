import { afterEach, describe as group, expect, it } from 'vitest'
import { column, fails, OID, rows } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  describe,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { until } from '../../../testing/world.ts'
import type { ServerMessage } from '../../../wire/postgres/index.ts'
import { encodeClient } from '../../../wire/postgres/index.ts'
import { everyday } from '../../../../test/support/fewer.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(options: StageOptions = {}): Promise<PostgresStage> {
  const stage = await PostgresStage.open(options)
  answerUsual(stage.server)
  stages.push(stage)
  return stage
}

const SQL = 'SELECT id, email, note, secret FROM customers'

function cellsOf(messages: readonly ServerMessage[]): (string | null)[][] {
  return messages.flatMap((each) =>
    each.kind === 'dataRow'
      ? [each.cells.map((cell) => (cell === null ? null : Buffer.from(cell).toString()))]
      : [],
  )
}

/** Lets the server write in pieces, so that every message is cut in many places. */
function chopped(stage: PostgresStage, pieceBytes: number): void {
  const { serve } = stage.server
  stage.server.serve = (pipe) => {
    const write = pipe.write.bind(pipe)
    pipe.write = (bytes) => {
      let welcome = true
      for (let at = 0; at < bytes.length; at += pieceBytes)
        welcome = write(Buffer.from(bytes.subarray(at, at + pieceBytes)))
      return welcome
    }
    serve.call(stage.server, pipe)
  }
}

group('rows', () => {
  const note = 'n'.repeat(70_000)
  const long = `${CANARIES[0]}${'x'.repeat(1024 * 1024)}`

  it.each([
    ['in large pieces', 65_536],
    ['in pieces of 1000 bytes', 1_000],
    ['in small pieces', everyday ? 70 : 7],
  ])('too large to wait for are masked as they stream by, %s (P-02)', async (_name, pieceBytes) => {
    const stage = await open({ connection: '\n    resultBytesKept: 2MiB' })
    chopped(stage, pieceBytes)
    const { id, email, note: noted, secret } = FIELDS
    const bytes = pieceBytes < 1_000 ? note : long
    stage.server.answer(
      SQL,
      rows(
        [id, email, noted, secret],
        [
          ['1', CANARIES[0], note, CANARIES[1]],
          ['2', bytes, 'plain', bytes],
          ['3', null, '', ''],
        ],
      ),
    )
    const client = await stage.client()
    expect(cellsOf(await client.query(SQL))).toEqual([
      ['1', 'c***@example.com', note, '[masked]'],
      ['2', '[masked]', 'plain', '[masked]'],
      ['3', null, '', '[masked]'],
    ])
    for (const canary of CANARIES) {
      expect(client.received().includes(canary)).toBe(false)
      expect(stage.world.journal.bytes().includes(canary)).toBe(false)
    }
  })

  it('byte by byte are masked all the same (P-02)', async () => {
    const stage = await open()
    chopped(stage, 1)
    const client = await stage.client({ chunkBytes: 1 })
    const heard = await client.say([parse(SQL), bind({ binary: true }), describe('portal'), execute(), sync])
    expect(cellsOf(heard).map((row) => row.slice(1))).toEqual([
      ['c***@example.com', 'plain one', '[masked]'],
      [null, 'plain two', '[masked]'],
    ])
    for (const canary of CANARIES) expect(client.received().includes(canary)).toBe(false)
  })

  it('with another number of columns than expected are hidden whole, however large (P-02)', async () => {
    const stage = await open()
    const extra = column('extra')
    const { id, email, note: noted, secret } = FIELDS
    stage.server.answer(
      SQL,
      rows([id, email, noted, secret, extra], [['1', CANARIES[0], note, CANARIES[1], 'x']]),
    )
    const client = await stage.client()
    expect(cellsOf(await client.query(SQL))).toEqual([[null, null, null, null, null]])
  })

  it('of other types become NULL, in text and in binary (P-02)', async () => {
    const stage = await open()
    const number = column('secret', { tableOid: 16_400, attnum: 4, typeOid: OID.int4, typlen: 4 })
    stage.server.answer('SELECT secret FROM customers', rows([number], [['424242']]))
    const client = await stage.client()
    const heard = await client.say([
      parse('SELECT secret FROM customers'),
      bind({ binary: true }),
      execute(),
      sync,
    ])
    expect(cellsOf(heard).flat()).not.toContain('424242')
    expect(client.received().includes(Buffer.from([0, 6, 0x79, 0x32]))).toBe(false)
  })

  it('are fetched in parts, masked, through one portal', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.say([
      parse(SQL),
      bind({ portal: 'p' }),
      execute('p', 1),
      execute('p', 1),
      execute('p', 1),
      sync,
    ])
    expect(script(heard)).toEqual([
      'parseComplete',
      'bindComplete',
      'row 1 | c***@example.com | plain one | [masked]',
      'portalSuspended',
      'row 2 | NULL | plain two | [masked]',
      'portalSuspended',
      'done SELECT 0',
      'ready idle',
    ])
    expect(stage.world.entries('outcome').map(({ head }) => `${head.tag} ${head.rows}`)).toEqual([
      'suspended 1',
      'suspended 1',
      'SELECT 0 0',
    ])
  })

  it('that a slow client does not read stop the server, and nothing grows without end', async () => {
    const stage = await open({ rules: UNLIMITED })
    let made = 0
    const endless = function* (): Generator<string[]> {
      for (;;) {
        made++
        yield ['x'.repeat(1000)]
      }
    }
    stage.server.answer('SELECT note FROM customers', rows([FIELDS.note], endless()))
    const client = await stage.client()
    client.pipe.pause()
    client.write(query('SELECT note FROM customers'))
    await turns(2_000)
    const before = made
    await turns(500)
    expect(made).toBe(before)
    expect(made).toBeLessThan(5_000)
    client.pipe.resume()
    await turns(50)
    expect(made).toBeGreaterThan(before)
    client.pipe.destroy()
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
  })
})

const UNLIMITED = `  - { name: reads, who: { kinds: [agent] }, on: all, permit: { run: [read], unreviewed: [read], unlimited: true } }
`
const WRITES = `  - { name: writes, who: { kinds: [agent] }, on: all, permit: { run: [read, write], unreviewed: [read, write] } }
`

group('rows that come when it is over', () => {
  it.each([
    ['a farewell', encodeClient({ kind: 'terminate' })],
    ['a broken message', Buffer.from([0x7a, 0, 0, 0, 4])],
  ])('behind %s are shown to nobody (P-02)', async (_name, last) => {
    const stage = await open()
    let go: (value: unknown) => void = () => undefined
    const slow = new Promise((resolve) => {
      go = resolve
    })
    const { id, email, note, secret } = FIELDS
    stage.server.answer(
      SQL,
      { kind: 'wait', until: slow },
      rows([id, email, note, secret], [['1', CANARIES[0], 'x', CANARIES[1]]]),
    )
    for (let turnsBetween = 0; turnsBetween < 4; turnsBetween++) {
      const client = await stage.client()
      client.write(query(SQL))
      await until('the server has it', () => stage.ran().length > turnsBetween)
      go(undefined)
      // The rows are on their way; which of the two comes first differs with the number of turns.
      await turns(turnsBetween)
      client.pipe.write(last)
      await until('the gateway hangs up', () => client.ended)
      for (const canary of CANARIES) expect(client.received().includes(canary)).toBe(false)
    }
  })

  it('that nobody asked for end the session (P-02)', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.server.tell({ kind: 'dataRow', cells: [Buffer.from(CANARIES[0])] })
    await until('the session ends', () => client.ended)
    expect(client.received().includes(CANARIES[0])).toBe(false)
  })
})

group('COPY', () => {
  it('in takes data, also with a Sync before its end, and goes on with what follows', async () => {
    const stage = await open({ labelled: false, rules: WRITES })
    stage.server.answer('COPY orders FROM STDIN', { kind: 'copyIn', columns: 2 })
    const client = await stage.client()
    const data = (text: string) => ({ kind: 'copyData', data: Buffer.from(text) }) as const
    expect(
      script(
        await client.say(
          [
            query('COPY orders FROM STDIN'),
            data('1\ta\n'),
            data('2\tb\n'),
            { kind: 'copyDone' },
            query('SELECT 1'),
          ],
          2,
        ),
      ),
    ).toEqual([
      'copyInResponse',
      'done COPY 2',
      'ready idle',
      'columns ?column?',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
    const from = client.heard.length
    client.write(parse('COPY orders FROM STDIN'), bind(), execute(), sync)
    await until('the server takes data', () =>
      client.heard.slice(from).some((each) => each.kind === 'copyInResponse'),
    )
    client.write(data('3\tc\n'), sync, data('4\td\n'), { kind: 'copyDone' }, sync)
    expect(script(await client.hear(from))).toEqual([
      'parseComplete',
      'bindComplete',
      'copyInResponse',
      'done COPY 2',
      'ready idle',
    ])
    expect(script(await client.query('SELECT 1'))).toContain('row 1')
  })

  it('in that the client gives up ends with an error', async () => {
    const stage = await open({ labelled: false, rules: WRITES })
    stage.server.answer('COPY orders FROM STDIN', { kind: 'copyIn', columns: 2 })
    const client = await stage.client()
    const heard = await client.say([query('COPY orders FROM STDIN'), { kind: 'copyFail', reason: 'no more' }])
    expect(script(heard)).toEqual([
      'copyInResponse',
      'error 57014 COPY from stdin failed: no more',
      'ready idle',
    ])
    expect(stage.world.entries('outcome')[0]?.head).toMatchObject({ outcome: 'error', tag: '57014' })
  })

  it('in does not wait for a client that has said its last word', async () => {
    const stage = await open({ labelled: false, rules: WRITES })
    stage.server.answer('COPY orders FROM STDIN', { kind: 'copyIn', columns: 2 })
    const client = await stage.client()
    client.write(query('COPY orders FROM STDIN'))
    client.pipe.end()
    await until('the gateway hangs up', () => client.ended)
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toEqual(['lost'])
  })

  it('out is cut off at the limit, and a server that goes on is told to stop', async () => {
    const stage = await open({ labelled: false })
    const chunks = Array.from({ length: 5_000 }, () => 'row\n')
    const never = new Promise(() => undefined)
    stage.server.answer('COPY orders TO STDOUT', { kind: 'copyOut', columns: 1, chunks })
    stage.server.answer(
      'COPY customers TO STDOUT',
      { kind: 'copyOut', columns: 1, chunks },
      { kind: 'wait', until: never },
    )
    const client = await stage.client()
    for (const table of ['orders', 'customers']) {
      const from = client.heard.length
      client.write(query(`COPY ${table} TO STDOUT`))
      expect(script(await client.hear(from))).toEqual([
        'copyOutResponse',
        ...Array.from({ length: 10 }, () => 'copyData'),
        'error SL005 Ask for less: the result was cut off at 10 rows.',
        'ready idle',
      ])
    }
    // One that has ended would lose its next command to it.
    expect(stage.server.cancels).toMatchObject([{ matched: true }])
  })

  it('of the next command is not sent while a server is told to stop', async () => {
    const stage = await open({ labelled: false })
    const order: string[] = []
    let late = (): void => undefined
    const end = new Promise<void>((resolve) => (late = resolve))
    const chunks = Array.from({ length: 5_000 }, () => 'row\n')
    stage.server.answer(
      'COPY customers TO STDOUT',
      { kind: 'copyOut', columns: 1, chunks },
      { kind: 'wait', until: end },
    )
    // The command ends by itself, and the request is acted on after it.
    const heardBefore = () =>
      stage.server.received.flatMap(({ message }) =>
        message.kind === 'query' ? Buffer.from(message.sql).toString() : [],
      )
    stage.server.beforeCancel = async () => {
      late()
      await new Promise((resolve) => setTimeout(resolve, 100))
      order.push(...heardBefore(), 'canceled')
    }
    const client = await stage.client()
    const from = client.heard.length
    client.write(query('COPY customers TO STDOUT'))
    await client.hear(from)
    expect(script(await client.query('SELECT 1')).at(-2)).toBe('done SELECT 1')
    expect(order).toEqual(['COPY customers TO STDOUT', 'canceled'])
  })

  it('data out of place is ignored by the server, and harms nothing', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.say([
      { kind: 'copyData', data: Buffer.from('DROP TABLE customers') },
      { kind: 'copyDone' },
      query('SELECT 1'),
    ])
    expect(script(heard)).toEqual(['columns ?column?', 'row 1', 'done SELECT 1', 'ready idle'])
  })
})

group('what nobody asked for', () => {
  it('arrives between messages, in order', async () => {
    const stage = await open()
    stage.server.answer(
      'SELECT 5',
      {
        kind: 'send',
        messages: [
          { kind: 'noticeResponse', fields: { severity: 'NOTICE', code: '42P07', message: 'it exists' } },
        ],
      },
      {
        kind: 'send',
        messages: [{ kind: 'notificationResponse', processId: 7, channel: 'c', payload: 'p' }],
      },
      rows(['n'], [['5']]),
    )
    const client = await stage.client()
    expect(script(await client.query('SELECT 5'))).toEqual([
      'notice it exists',
      'notificationResponse',
      'columns n',
      'row 5',
      'done SELECT 1',
      'ready idle',
    ])
    const from = client.heard.length
    stage.server.tell({ kind: 'notificationResponse', processId: 7, channel: 'c', payload: 'later' })
    await until('it arrives', () => client.heard.length > from)
    // Somebody else wrote the payload, and this client may not see every label.
    expect(client.heard.at(-1)).toMatchObject({ kind: 'notificationResponse', channel: 'c', payload: '' })
  })
})

group('errors of the server', () => {
  it('at Parse are in the record of the command that was to follow: not run, and why', async () => {
    const stage = await open()
    const answer = fails('42P01', 'no such relation')
    stage.server.answer('SELECT 7', { ...answer, at: 'parse' } as typeof answer)
    const client = await stage.client()
    const one = [parse('SELECT 1'), bind(), execute()]
    await client.say([parse('SELECT 7'), bind(), execute(), ...one, sync], 1)
    const outcomes = stage.world.entries('outcome').map(({ head }) => `${head.n} ${head.outcome} ${head.tag}`)
    expect(outcomes.toSorted()).toEqual(['1 skipped 42P01', '2 skipped '])
  })

  it('in a pipeline discard to Sync and leave the other groups alone', async () => {
    const stage = await open()
    stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
    const client = await stage.client()
    const one = [parse('SELECT 1'), bind(), execute()]
    const bad = [parse('SELECT 7'), bind(), execute()]
    const heard = await client.say(
      [...one, ...bad, ...one, sync, ...one, sync, ...bad, sync, ...one, sync],
      4,
    )
    const good = ['parseComplete', 'bindComplete', 'row 1', 'done SELECT 1']
    const failed = ['parseComplete', 'bindComplete', 'error 22012 division by zero']
    expect(script(heard)).toEqual([
      ...good,
      ...failed,
      'ready idle',
      ...good,
      'ready idle',
      ...failed,
      'ready idle',
      ...good,
      'ready idle',
    ])
    expect(
      stage.world
        .entries('outcome')
        .map(({ head }) => head.outcome)
        .toSorted(),
    ).toEqual(['error', 'error', 'ok', 'ok', 'ok', 'skipped'])
  })

  it('before a Sync was sent discard what is sent after them', async () => {
    const stage = await open()
    stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SELECT 7'), bind(), execute(), flush)
    await until('the error came', () =>
      client.heard.slice(from).some((each) => each.kind === 'errorResponse'),
    )
    client.write(parse('SELECT 1'), bind(), execute(), sync)
    expect(script(await client.hear(from)).slice(-2)).toEqual(['error 22012 division by zero', 'ready idle'])
    expect(stage.ran()).toEqual(['SELECT 7'])
    expect(stage.world.entries('intent')).toHaveLength(1)
  })
})
