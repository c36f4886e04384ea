import { afterEach, describe as group, expect, it } from 'vitest'
import { column, done, fails, rows } from '../../testing/fake-postgres-answers.ts'
import type { StageOptions } from '../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  close,
  connectionBlock,
  describe,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../testing/postgres-stage.ts'
import { turns } from '../../testing/pipe-pair.ts'
import { AGENT_RULES, configurationOf, SEEING_RULES, until } from '../../testing/world.ts'

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

const MASKED = 'SELECT id, email, note, secret FROM customers'
const ROWS = ['row 1 | c***@example.com | plain one | [masked]', 'row 2 | NULL | plain two | [masked]']

group('a simple query', () => {
  it('is masked', async () => {
    const stage = await open()
    const client = await stage.client()
    expect(script(await client.query(MASKED))).toEqual([
      'columns id email note secret',
      ...ROWS,
      'done SELECT 2',
      'ready idle',
    ])
  })

  it('of several statements is masked in the one that needs it', async () => {
    const stage = await open()
    const sql = `SELECT 1; ${MASKED}`
    const { id, email, note, secret } = FIELDS
    stage.server.answer(
      sql,
      rows(['n'], [['1']]),
      rows([id, email, note, secret], [['1', CANARIES[0], 'x', CANARIES[1]]]),
    )
    const client = await stage.client()
    expect(script(await client.query(sql))).toEqual([
      'columns n',
      'row 1',
      'done SELECT 1',
      'columns id email note secret',
      'row 1 | c***@example.com | x | [masked]',
      'done SELECT 1',
      'ready idle',
    ])
  })

  it('of several statements shows nothing behind the one that reached the limit (P-02)', async () => {
    const stage = await open()
    const sql = 'SELECT n FROM numbers; SELECT email FROM customers'
    const many = Array.from({ length: 11 }, (_, i) => [String(i)])
    stage.server.answer(sql, rows([FIELDS.n], many), rows([FIELDS.email], [[CANARIES[0]]]))
    const client = await stage.client()
    const heard = script(await client.query(sql))
    expect(heard).toEqual([
      'columns n',
      ...many.slice(0, 10).map(([n]) => `row ${n}`),
      'error SL005 Ask for less: the result was cut off at 10 rows.',
      'ready idle',
    ])
    expect(client.received().includes(CANARIES[0])).toBe(false)
    expect(script(await client.query('SELECT 1'))).toEqual([
      'columns ?column?',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
  })
})

group('a result that should hold nothing protected', () => {
  const UNKNOWN = 99_999
  const surprising = [
    FIELDS.n,
    FIELDS.email,
    column('v', { tableOid: UNKNOWN, attnum: 1 }),
    column('system', { tableOid: 1_259, attnum: 2 }),
  ]
  const values = [['1', CANARIES[0], CANARIES[1], 'pg_class']]

  it('is hidden where the server says that it comes from elsewhere (P-02, P-03)', async () => {
    const stage = await open()
    const sql = 'SELECT 1; SELECT n FROM numbers'
    stage.server.answer(sql, rows(['n'], [['1']]), rows(surprising, values))
    const client = await stage.client()
    expect(script(await client.query(sql))).toContain('row 1 | NULL | NULL | pg_class')
    expect(client.received().includes('canary')).toBe(false)
  })

  it('is hidden as it was described, whenever it is executed (P-02, P-03)', async () => {
    const stage = await open()
    stage.server.answer('SELECT n FROM numbers', rows(surprising, values))
    const client = await stage.client()
    const first = await client.say([
      parse('SELECT n FROM numbers', 's'),
      describe('statement', 's'),
      bind({ statement: 's' }),
      execute(),
      sync,
    ])
    const second = await client.say([bind({ statement: 's' }), execute(), sync])
    for (const heard of [first, second]) expect(script(heard)).toContain('row 1 | NULL | NULL | pg_class')
    expect(client.received().includes('canary')).toBe(false)
  })

  it('passes on a connection without labels, and where nothing is a surprise', async () => {
    const stage = await open({ labelled: false })
    stage.server.answer('SELECT n FROM numbers', rows(surprising, values))
    const client = await stage.client()
    expect(script(await client.query('SELECT n FROM numbers'))).toContain(
      `row 1 | ${CANARIES[0]} | ${CANARIES[1]} | pg_class`,
    )
  })
})

group('a pipeline', () => {
  it('shows nothing behind an Execute that reached the limit, and keeps its places (P-02)', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.say(
      [
        parse('SELECT n FROM numbers'),
        bind(),
        execute(),
        parse('SELECT email FROM customers', 'b'),
        bind({ statement: 'b', portal: 'p' }),
        execute('p'),
        sync,
        query('SELECT 1'),
      ],
      2,
    )
    expect(script(heard)).toEqual([
      'parseComplete',
      'bindComplete',
      ...Array.from({ length: 10 }, (_, i) => `row ${i}`),
      expect.stringMatching(
        /^error SL005 Ask for less: .* the commands sent together with it went on: they stand/,
      ),
      'ready idle',
      'columns ?column?',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
    expect(client.received().includes(CANARIES[0])).toBe(false)
  })

  it('discards to Sync what follows an Execute that reached the limit and was not followed by Sync yet', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SELECT n FROM numbers'), bind(), execute(), flush)
    await until('the limit is told', () => client.heard.some((each) => each.kind === 'errorResponse'))
    client.write(parse(MASKED), bind(), execute(), sync)
    expect(script(await client.hear(from)).slice(-2)).toEqual([
      'error SL005 Ask for less: the result was cut off at 10 rows.',
      'ready idle',
    ])
    expect(script(await client.query('SELECT 1'))).toEqual([
      'columns ?column?',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
  })

  it('keeps a portal that was bound ahead of the end of the transaction before it', async () => {
    const stage = await open()
    let go: (value: unknown) => void = () => undefined
    const slow = new Promise((resolve) => {
      go = resolve
    })
    stage.server.answer('SELECT 5', { kind: 'wait', until: slow }, rows(['n'], [['5']]))
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SELECT 5'), bind(), execute(), sync, parse(MASKED, 'b'), bind({ statement: 'b' }))
    await turns()
    go(undefined)
    await client.hear(from)
    client.write(execute(), sync)
    expect(script(await client.hear(from, 2)).slice(-6)).toEqual([
      'parseComplete',
      'bindComplete',
      ...ROWS,
      'done SELECT 2',
      'ready idle',
    ])
  })
})

group('what the server describes', () => {
  const sql = 'SELECT email FROM customers'
  const wrong = column('email', { tableOid: 16_400, attnum: 4 })

  it.each([
    ['in a simple query', [query(sql)]],
    ['for a portal', [parse(sql), bind(), describe('portal'), execute(), sync]],
    ['for a statement', [parse(sql), describe('statement'), bind(), execute(), sync]],
  ])('hides whole what disagrees with the analysis, %s (P-02)', async (_name, messages) => {
    const stage = await open()
    stage.server.answer(sql, rows([wrong], [[CANARIES[1]]]))
    const client = await stage.client()
    const heard = script(await client.say(messages))
    expect(heard).toContain('row NULL')
    expect(client.received().includes(CANARIES[1])).toBe(false)
  })

  it.each([
    [
      'a portal bound before the description came',
      [parse(sql), describe('statement'), bind(), flush],
      [execute(), sync],
    ],
    [
      'a portal fetched twice',
      [parse(sql), bind(), describe('portal'), execute('', 1), flush],
      [execute('', 1), sync],
    ],
  ])('hides it in %s (P-02)', async (_name, first, second) => {
    const stage = await open()
    stage.server.answer(sql, rows([wrong], [[CANARIES[1]], [CANARIES[2]]]))
    const client = await stage.client()
    const from = client.heard.length
    client.write(...first)
    await until('the server has answered', () =>
      client.heard
        .slice(from)
        .some((each) => each.kind === 'bindComplete' || each.kind === 'portalSuspended'),
    )
    await turns()
    client.write(...second)
    expect(script(await client.hear(from))).toContain('row NULL')
    for (const canary of CANARIES) expect(client.received().includes(canary)).toBe(false)
  })

  it('hides every column when there are more or fewer of them (P-02)', async () => {
    const stage = await open()
    stage.server.answer(sql, rows([FIELDS.email, FIELDS.secret], [[CANARIES[0], CANARIES[1]]]))
    const client = await stage.client()
    expect(script(await client.query(sql))).toContain('row NULL | NULL')
    expect(script(await client.say([parse(sql), bind(), execute(), sync]))).toContain('row NULL | NULL')
  })
})

group('the policy changes', () => {
  it('between Bind and Execute: what is masked now is masked (P-02)', async () => {
    const stage = await open({ rules: SEEING_RULES })
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse(MASKED), describe('statement'), bind(), flush)
    await until('it is bound', () => client.heard.slice(from).some((each) => each.kind === 'bindComplete'))
    stage.world.adopt(configurationOf(connectionBlock(), AGENT_RULES))
    client.write(execute(), sync)
    expect(script(await client.hear(from)).slice(-4)).toEqual([...ROWS, 'done SELECT 2', 'ready idle'])
  })

  it('after Parse, and something else was judged meanwhile: what is masked now is masked (P-02)', async () => {
    const stage = await open({ rules: SEEING_RULES })
    const client = await stage.client()
    await client.say([parse(MASKED, 's'), sync])
    stage.world.adopt(configurationOf(connectionBlock(), AGENT_RULES))
    await client.query('SELECT 1')
    const heard = await client.say([bind({ statement: 's' }), execute(), sync])
    expect(script(heard).slice(-4)).toEqual([...ROWS, 'done SELECT 2', 'ready idle'])
  })
})

group('names', () => {
  it('follow what the server said', async () => {
    const stage = await open()
    stage.server.answer('SELECT 7', { ...fails('42P01', 'no such relation'), at: 'parse' } as never)
    const client = await stage.client()
    const heard = await client.say(
      [
        parse(MASKED, 'a'),
        sync,
        parse('SELECT 7', 'b'),
        sync,
        parse('SELECT 1', 'a'),
        sync,
        bind({ statement: 'a' }),
        execute(),
        close('statement', 'a'),
        sync,
        parse('SELECT 1', 'a'),
        bind({ statement: 'a' }),
        execute(),
        sync,
      ],
      5,
    )
    expect(script(heard)).toEqual([
      'parseComplete',
      'ready idle',
      'error 42P01 no such relation',
      'ready idle',
      'error 42P05 prepared statement "a" already exists',
      'ready idle',
      'bindComplete',
      ...ROWS,
      'done SELECT 2',
      'closeComplete',
      'ready idle',
      'parseComplete',
      'bindComplete',
      'row 1',
      'done SELECT 1',
      'ready idle',
    ])
  })
})

group('a session that ends', () => {
  it('gives a client that has said its last word its results, without a Sync too', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse(MASKED), bind(), execute(), flush)
    client.pipe.end()
    await until('the gateway hangs up', () => client.ended)
    expect(script(client.heard.slice(from))).toEqual([
      'parseComplete',
      'bindComplete',
      ...ROWS,
      'done SELECT 2',
    ])
    expect(stage.world.entries('close')).toHaveLength(1)
  })

  it('ends with a client that leaves in the middle of a message behind an Execute without Sync', async () => {
    const stage = await open()
    const client = await stage.client()
    client.write(parse(MASKED), bind(), execute())
    client.pipe.end(Buffer.from([0x64, 0, 1, 0, 0, 1]))
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
  })

  it('does not wait for COPY data of a client that has said its last word', async () => {
    const stage = await open({ labelled: false })
    stage.server.answer('COPY orders FROM STDIN', { kind: 'copyIn', columns: 2 })
    const client = await stage.client()
    client.write(query('COPY orders FROM STDIN'))
    client.pipe.end()
    await until('the gateway hangs up', () => client.ended)
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
  })

  it('records its end last, also when its client goes while a statement is being read', async () => {
    const stage = await open()
    const client = await stage.client()
    client.write(query(`SELECT email FROM customers -- ${'x'.repeat(3000)}`))
    client.pipe.destroy()
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    await turns(200)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(stage.world.journal.entries.at(-1)?.kind).toBe('close')
    expect(stage.world.entries('intent').length).toBe(stage.ran().length)
  })
})
void done

group('many small messages in one write', () => {
  it('share the event loop with everybody else', async () => {
    const stage = await open()
    const client = await stage.client()
    let turnsOfOthers = 0
    let watching = true
    const watch = (): void => {
      turnsOfOthers++
      if (watching) setImmediate(watch)
    }
    const many = Array.from({ length: 3000 }, (_, n) => parse(`SELECT ${n}`, `s${n}`))
    const told = client.say([...many, sync])
    const before = turnsOfOthers
    watch()
    const heard = await told
    watching = false
    expect(heard.filter((each) => each.kind === 'parseComplete')).toHaveLength(3000)
    // Parsing alone takes a tenth of a second. In one go it would be a handful of turns.
    expect(turnsOfOthers - before).toBeGreaterThan(20)
  })
})
