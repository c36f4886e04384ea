import { afterEach, describe as group, expect, it } from 'vitest'
import { done, fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { MemoryPipe, turns } from '../../../testing/pipe-pair.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  describe,
  errorOf,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { FieldOpener } from '../../../recording/index.ts'
import { testKeys } from '../../../testing/recording-keys.ts'
import { REVIEWED_RULES, until } from '../../../testing/world.ts'

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

/** Of what the client has asked for; the gateway looks at code of users by itself. */
function outcomes({ world }: PostgresStage): string[] {
  const own = new Set(world.entries('intent').flatMap(({ head }) => (head.form === 'code' ? [head.n] : [])))
  return world.entries('outcome').flatMap(({ head }) => (own.has(head.n) ? [] : [head.outcome]))
}

const DENIED = 'DROP TABLE customers'
const HELD = "UPDATE orders SET state = 'sent'"
const REFUSED = expect.stringMatching(/^error SL001 Do not send this to crm/)
const ONE = ['columns ?column?', 'row 1', 'done SELECT 1', 'ready idle']

group('a refusal in a pipeline', () => {
  it('keeps its place among the answers, and discards to Sync', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.say(
      [
        parse('SELECT 1'),
        bind(),
        execute(),
        sync,
        parse('SELECT 2'),
        bind(),
        execute(),
        parse(DENIED),
        bind(),
        execute(),
        parse('SELECT 3'),
        sync,
        parse('SELECT 4'),
        bind(),
        execute(),
        sync,
        query(DENIED),
        query('SELECT 1'),
      ],
      5,
    )
    expect(script(heard)).toEqual([
      'parseComplete',
      'bindComplete',
      'row 1',
      'done SELECT 1',
      'ready idle',
      'parseComplete',
      'bindComplete',
      'row 2',
      'done SELECT 1',
      REFUSED,
      'ready idle',
      'parseComplete',
      'bindComplete',
      'row 4',
      'done SELECT 1',
      'ready idle',
      REFUSED,
      'ready idle',
      ...ONE,
    ])
    expect(stage.ran().filter((sql) => sql.includes('DROP'))).toEqual([])
    const outcomes = stage.world.entries('outcome').map(({ head }) => `${head.n} ${head.outcome}`)
    expect(outcomes.toSorted()).toEqual(['1 ok', '2 ok', '3 refused', '4 ok', '5 refused', '6 ok'])
  })

  it('behind a failure of the server is not told: the failure came first', async () => {
    const stage = await open()
    stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
    const client = await stage.client()
    const heard = await client.say([parse('SELECT 7'), bind(), execute(), parse(DENIED), sync])
    expect(script(heard)).toEqual([
      'parseComplete',
      'bindComplete',
      'error 22012 division by zero',
      'ready idle',
    ])
  })

  it('of a Parse with nothing outstanding is answered without the server', async () => {
    const stage = await open()
    const client = await stage.client()
    const before = stage.server.count()
    expect(script(await client.say([parse(DENIED), bind(), execute(), sync]))).toEqual([
      REFUSED,
      'ready idle',
    ])
    expect(stage.server.count()).toBe(before)
  })
})

group('a refusal in a transaction', () => {
  it.each([
    ['simple', [query(DENIED)]],
    ['extended', [parse(DENIED), bind(), execute(), sync]],
  ])('fails it on both sides, in the %s protocol', async (_name, refused) => {
    const stage = await open()
    const client = await stage.client()
    expect(script(await client.query('BEGIN'))).toEqual(['done BEGIN', 'ready transaction'])
    expect(script(await client.say(refused))).toEqual([REFUSED, 'ready failed'])
    expect(script(await client.query('SELECT 1'))).toEqual([
      'error 25P02 current transaction is aborted, commands ignored until end of transaction block',
      'ready failed',
    ])
    expect(script(await client.query(DENIED))).toEqual([REFUSED, 'ready failed'])
    expect(script(await client.query('ROLLBACK'))).toEqual(['done ROLLBACK', 'ready idle'])
    expect(script(await client.query('SELECT 1'))).toEqual(ONE)
  })

  it('fails fast with the ticket where a command would wait, so that no lock is held for people', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    const from = client.heard.length
    client.write(query(HELD))
    await until('it is held', () => stage.world.waiting().length === 1)
    await turns()
    stage.world.clock.advance(1)
    const heard = await client.hear(from)
    expect(script(heard)).toEqual([expect.stringContaining('error SL002'), 'ready failed'])
    const [ticket] = stage.world.waiting()
    expect(errorOf(heard).detail).toContain(String(ticket))
    await client.query('ROLLBACK')
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    await client.query('BEGIN')
    expect(script(await client.query(HELD))).toEqual(['done UPDATE 1', 'ready transaction'])
  })
})

group('what cannot be read', () => {
  it('is refused with its place, a request id, and an entry in the recording (P-03, P-09)', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.query('SELECT 1 FORM customers WHERE')
    const error = errorOf(heard)
    expect(error).toMatchObject({ code: '42601' })
    expect(Number(error.position)).toBeGreaterThan(1)
    const [session] = stage.world.gateway.sessions()
    expect(error.detail).toContain(`${session?.id}.1`)
    const [attempt] = stage.world.entries('intent')
    // Nobody knows what stands in it: it may be any labelled value.
    expect(attempt?.head).toMatchObject({ decision: 'deny', text: '[sealed 1]' })
    if (attempt === undefined) throw new Error('it is not recorded')
    const opened = new FieldOpener(testKeys).shown(attempt, () => true)
    expect(opened.head).toMatchObject({ text: 'SELECT 1 FORM customers WHERE' })
    expect(stage.ran()).toEqual([])
    expect(script(await client.say([parse('SELEC'), bind(), execute(), sync]))).toHaveLength(2)
    expect(stage.world.entries('intent')).toHaveLength(2)
  })

  it('leaves the session usable when it is too long, and is recorded with its beginning only', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.query(`SELECT '${'x'.repeat(1024 * 1024)}'`)
    expect(script(heard)).toEqual([expect.stringContaining('error SL005'), 'ready idle'])
    expect(stage.world.entries('intent')[0]?.head.text.length).toBeLessThan(3_000)
    expect(script(await client.query('SELECT 1'))).toEqual(ONE)
  })

  it.each([['a function call', [{ kind: 'functionCall', body: Buffer.alloc(8) } as const], '0A000']])(
    '%s is refused',
    async (_name, messages, code) => {
      const stage = await open()
      const client = await stage.client()
      const heard = await client.say(messages)
      expect(errorOf(heard)).toMatchObject({ code })
      expect(script(heard).at(-1)).toBe('ready idle')
      expect(stage.server.count('functionCall')).toBe(0)
      expect(script(await client.query('SELECT 1'))).toEqual(ONE)
    },
  )

  it.each([
    ['an unknown message', Buffer.from([0x7a, 0, 0, 0, 4])],
    ['a password out of turn', Buffer.from([0x70, 0, 0, 0, 5, 0])],
    ['a length below four', Buffer.from([0x51, 0, 0, 0, 3])],
    ['a negative length', Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
    ['a query without its end', Buffer.from([0x51, 0, 0, 0, 5, 0x53])],
    ['an empty query message', Buffer.from([0x51, 0, 0, 0, 4])],
    ['a Bind that is cut short', Buffer.from([0x42, 0, 0, 0, 6, 0, 0])],
  ])('ends the session: %s (P-03)', async (_name, bytes) => {
    const stage = await open()
    const client = await stage.client()
    const before = stage.ran().length
    client.pipe.write(bytes)
    await until('the gateway hangs up', () => client.ended)
    expect(errorOf(client.heard)).toMatchObject({ code: '08P01', severity: 'FATAL' })
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(stage.ran()).toHaveLength(before)
    expect(stage.server.sessions).toBe(0)
  })

  it('a zero byte inside a query is refused (P-03)', async () => {
    const stage = await open()
    const client = await stage.client()
    client.pipe.write(Buffer.from('\x51\0\0\0\x16SELECT 1\0DROP ITEM\0', 'latin1'))
    await until('something is said', () => client.heard.some((each) => each.kind === 'errorResponse'))
    expect(errorOf(client.heard).code).toBe('08P01')
    expect(stage.ran()).toEqual([])
  })

  it('more messages than may wait end the session', async () => {
    const stage = await open()
    stage.server.answer('SELECT 9', { kind: 'wait', until: new Promise(() => undefined) })
    takesEverything(stage)
    const client = await stage.client()
    client.write(query('SELECT 9'))
    const syncs = Buffer.from([0x53, 0, 0, 0, 4])
    client.pipe.write(Buffer.alloc(5 * 100_001, syncs))
    await until('the gateway hangs up', () => client.ended)
    expect(errorOf(client.heard)).toMatchObject({ code: 'SL005', severity: 'FATAL' })
  })
})

/** The way to the server never gets full, or the gateway would stop to read long before. */
function takesEverything({ server }: PostgresStage): void {
  const { serve } = server
  server.serve = (pipe) => {
    if (!(pipe instanceof MemoryPipe)) throw new Error('a pipe in memory')
    const { peer } = pipe
    const write = peer.write.bind(peer)
    peer.write = (bytes, done) => {
      write(bytes, done)
      return true
    }
    serve.call(server, pipe)
  }
}

group('text that judge and server could read differently', () => {
  // In SJIS the bytes 83 5C are one letter; for who does not know that, the second is a backslash.
  const trick = Buffer.from("SELECT E'\x83\x5c'; DELETE FROM orders; --'", 'latin1')

  it.each([
    ['answered before', false],
    ['in the same breath', true],
  ])('is opaque once the encoding has been changed, %s (P-03)', async (_name, pipelined) => {
    const stage = await open({ labelled: false, rules: READ_AND_SET })
    setting(stage, 'client_encoding', 'SJIS')
    const client = await stage.client()
    const from = client.heard.length
    const set = query("SET client_encoding = 'SJIS'")
    const attack = { kind: 'query', sql: trick } as const
    if (pipelined) {
      client.write(set, attack)
      await client.hear(from, 2)
    } else {
      await client.say([set])
      await client.say([attack])
    }
    expect(stage.ran()).toEqual(["SET client_encoding = 'SJIS'"])
    // In the group of the change itself nobody can wait for it.
    await client.say([
      parse("SET client_encoding = 'SJIS'"),
      bind(),
      execute(),
      { kind: 'parse', statement: '', sql: trick, parameterTypes: [] },
      bind(),
      execute(),
      sync,
    ])
    expect(stage.ran().filter((sql) => sql.includes('DELETE'))).toEqual([])
  })

  it.each([
    ['answered before', false],
    ['in the same breath', true],
  ])('is opaque once backslashes mean something else, %s (P-03)', async (_name, pipelined) => {
    const stage = await open({ labelled: false, rules: READ_AND_SET })
    setting(stage, 'standard_conforming_strings', 'off')
    const client = await stage.client()
    const from = client.heard.length
    const set = query('SET standard_conforming_strings = off')
    const attack = query("SELECT '\\'; SELECT '; DELETE FROM orders; --'")
    if (pipelined) {
      client.write(set, attack)
      await client.hear(from, 2)
    } else {
      await client.say([set])
      await client.say([attack])
    }
    expect(stage.ran()).toEqual(['SET standard_conforming_strings = off'])
  })

  it('is opaque also if it was judged before the encoding changed (P-03)', async () => {
    const stage = await open({ labelled: false, rules: READ_AND_SET })
    setting(stage, 'client_encoding', 'SJIS')
    const client = await stage.client()
    await client.say([{ kind: 'query', sql: trick }])
    expect(stage.ran()).toHaveLength(1)
    await client.query("SET client_encoding = 'SJIS'")
    const heard = script(await client.say([{ kind: 'query', sql: trick }]))
    expect(heard[0]).toMatch(/^error SL001/)
    expect(stage.ran()).toHaveLength(2)
  })

  function setting(stage: PostgresStage, name: string, value: string): void {
    stage.server.answer(
      new RegExp(`^SET ${name}`),
      { kind: 'send', messages: [{ kind: 'parameterStatus', name, value }] },
      done('SET'),
    )
    stage.server.answer(/DELETE/, done('DELETE 3'))
  }
})

/** Reads and settings run; anything that writes or cannot be seen through does not. */
const READ_AND_SET = `  - { name: reads, who: { kinds: [agent] }, on: all, permit: { run: [read, administer], unreviewed: [read, administer] } }
`

group('a statement too long to be read at once', () => {
  it('keeps its place among what follows it', async () => {
    const stage = await open()
    const client = await stage.client()
    const long = `SELECT email FROM customers WHERE id IN (${Array.from({ length: 1500 }, (_, i) => i).join(', ')})`
    const heard = await client.say(
      [query(long), query('SELECT 1'), parse(long), bind(), execute(), sync, query('SELECT 2')],
      4,
    )
    expect(script(heard)).toEqual([
      'columns email',
      'row c***@example.com',
      'row NULL',
      'done SELECT 2',
      'ready idle',
      ...ONE,
      'parseComplete',
      'bindComplete',
      'row c***@example.com',
      'row NULL',
      'done SELECT 2',
      'ready idle',
      'columns ?column?',
      'row 2',
      'done SELECT 1',
      'ready idle',
    ])
    expect(stage.ran()).toEqual([long, 'SELECT 1', long, 'SELECT 2'])
  })
})

group('a hold of a statement that had to be read by the parser first', () => {
  it('keeps back what is behind it (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    const long = `${HELD} /* ${'x'.repeat(4000)} */`
    client.write(query(long), query('SELECT 1'))
    await until('it is held', () => stage.world.waiting().length === 1)
    await turns()
    expect(stage.ran()).toEqual([])
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    await client.hear(from, 2)
    expect(stage.ran()).toEqual([long, 'SELECT 1'])
  })
})

group('a hold in the extended protocol', () => {
  it('lets Parse and Describe through, and neither Bind nor Execute (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse(HELD), describe('statement'), bind(), execute(), sync)
    await until('it is held', () => stage.world.waiting().length === 1)
    await turns()
    expect(stage.server.count('bind')).toBe(0)
    expect(stage.server.count('execute')).toBe(0)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    const heard = script(await client.hear(from))
    expect(heard.filter((each) => each.startsWith('notice'))).toEqual([
      `notice Held for approval: ticket ${ticket}.`,
    ])
    expect(heard.filter((each) => !each.startsWith('notice'))).toEqual([
      'parseComplete',
      'parameterDescription',
      'noData',
      'bindComplete',
      'done UPDATE 1',
      'ready idle',
    ])
    expect(outcomes(stage)).toEqual(['ok'])
  })

  it('is for these parameters: others are held again', async () => {
    const stage = await open()
    stage.server.answer(/^INSERT INTO orders/, done('INSERT 0 1'))
    const client = await stage.client()
    const from = client.heard.length
    client.write(
      parse('INSERT INTO orders (id) VALUES ($1)', 's'),
      bind({ statement: 's', values: ['1'] }),
      execute(),
      sync,
    )
    await until('it is held', () => stage.world.waiting().length === 1)
    const [first] = stage.world.waiting()
    if (first !== undefined) await stage.world.answer(first, 'approve')
    await client.hear(from)
    client.write(bind({ statement: 's', values: ['2'] }), execute(), sync)
    await until('the other is held', () => stage.world.waiting().length === 1)
    expect(stage.world.waiting()[0]).not.toBe(first)
    expect(
      stage.server.ran.filter((each) => each.sql.startsWith('INSERT')).map((each) => String(each.values[0])),
    ).toEqual(['1'])
  })

  it('that was approved and never executed is recorded as not run', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse(HELD), bind(), sync)
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    await client.hear(from)
    await turns()
    expect(stage.ran()).toEqual([])
    expect(outcomes(stage)).toEqual(['skipped'])
  })

  it('asks once for a portal that is fetched in parts, and shows only what the limit allows of it', async () => {
    const stage = await open({ rules: REVIEWED_RULES })
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SELECT n FROM numbers'), bind(), execute('', 4), flush)
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    await until('the first part came', () =>
      client.heard.slice(from).some((each) => each.kind === 'portalSuspended'),
    )
    client.write(execute('', 4), execute('', 4), execute('', 4), sync)
    const heard = script(await client.hear(from))
    expect(heard.filter((each) => each.startsWith('row'))).toHaveLength(10)
    expect(heard.slice(-2)).toEqual([
      'error SL005 Ask for less: the result was cut off at 10 rows.',
      'ready idle',
    ])
    expect(stage.world.approvals.list()).toHaveLength(1)
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toContain('cut')
  })

  it('ends when the client says farewell behind it: the command never runs (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    client.write(query(HELD))
    await until('it is held', () => stage.world.waiting().length === 1)
    client.write(query('SELECT 1'), { kind: 'terminate' })
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    await turns(50)
    expect(stage.ran()).not.toContain(HELD)
    expect(stage.world.entries('answer').map(({ head }) => head.answer)).toEqual(['abandoned'])
  })
})

group('names made by SQL', () => {
  it('do not take the place of a statement that was judged (P-02)', async () => {
    const stage = await open()
    const prepare = 'PREPARE a AS SELECT email FROM customers'
    stage.server.answer(/^PREPARE/, done('PREPARE')).answer(/^DEALLOCATE/, done('DEALLOCATE'))
    stage.server.answer('EXECUTE a', rows([FIELDS.email], [[CANARIES[0]]]))
    const client = await stage.client()
    await client.say([parse('SELECT 1', 'a'), sync])
    await client.query('DEALLOCATE a')
    expect(script(await client.query(prepare))).toEqual(['done PREPARE', 'ready idle'])
    expect(script(await client.query('EXECUTE a'))).toContain('row c***@example.com')
    expect(client.received().includes('canary')).toBe(false)
  })

  it('are bound under the strictest class where nothing is known of them (P-03)', async () => {
    const stage = await open({ labelled: false })
    const client = await stage.client()
    const heard = script(await client.say([bind({ statement: 'x' }), execute(), sync]))
    expect(heard).toEqual([expect.stringMatching(/^error SL001/), 'ready idle'])
  })

  it('are not bound at all where there are labels (P-02)', async () => {
    const stage = await open()
    stage.server.answer('SELECT 1', rows([FIELDS.email], [[CANARIES[0]]]))
    const client = await stage.client()
    expect(script(await client.say([bind({ statement: 'x' }), sync]))).toEqual([
      expect.stringMatching(/^error 26000/),
      'ready idle',
    ])
    expect(script(await client.say([execute('x'), sync]))).toEqual([
      expect.stringMatching(/^error 34000/),
      'ready idle',
    ])
  })
})
