import { afterEach, describe as group, expect, it } from 'vitest'
import { type Answer, column, done, fails, rows } from '../../../testing/fake-postgres-answers.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  close,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  type StageClient,
  sync,
} from '../../../testing/postgres-stage.ts'
import { catalogueQueries, fingerprintQuery } from '../catalogue/catalogue.ts'
import { AGENT_RULES, REVIEWED_RULES, until } from '../../../testing/world.ts'

/** What the client has asked for; the gateway looks at code of users by itself. */
function asked(stage: PostgresStage): string[] {
  const own = stage.world.entries('intent').filter(({ head }) => head.form !== 'code')
  return own.map(({ head }) => head.text)
}

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const EMAILS = rows([FIELDS.email], [[CANARIES[0]]])
const NUMBERS = Array.from({ length: 4 }, (_, i) => [String(i)])

async function open(options: StageOptions = {}): Promise<PostgresStage> {
  const stage = await PostgresStage.open(options)
  answerUsual(stage.server)
  for (const word of [
    'BEGIN',
    'COMMIT',
    'ROLLBACK',
    'DECLARE',
    'PREPARE',
    'CLOSE',
    'DEALLOCATE',
    'SET',
    'DISCARD',
  ])
    stage.server.answer(new RegExp(`^${word}`), done(word))
  stage.server.answer(/^CREATE TEMP TABLE/, done('CREATE TABLE'))
  stage.server.answer(/^(?:FETCH|EXECUTE) .*e$/, EMAILS)
  stage.server.answer(/^FETCH .*n$/, rows([FIELDS.n], NUMBERS))
  stages.push(stage)
  return stage
}

const RULES = AGENT_RULES.replace('run: [read], unreviewed: [read]', 'run: all, unreviewed: all').replace(
  'run: [define, administer, opaque]',
  'run: [opaque]',
)
const REFUSED = expect.stringMatching(/^error SL001/)

const NO_COLUMN: Answer = {
  kind: 'error',
  fields: { severity: 'ERROR', code: '42703', message: 'no such column' },
  at: 'parse',
}

group('a group that fails while the next one is on its way', () => {
  const broken = 'SELECT n AS broken FROM numbers'

  /** Leaves behind what was judged harmless under every name that the groups after it use. */
  async function prepared(): Promise<{ stage: PostgresStage; client: StageClient }> {
    const stage = await open({ rules: RULES })
    stage.server.answer(/^SELECT n AS broken/, NO_COLUMN)
    const client = await stage.client()
    await client.say([parse('SELECT n FROM numbers'), bind(), execute(), sync])
    return { stage, client }
  }

  it.each([
    ['a statement and a portal', [parse('SELECT email FROM customers'), bind()], [execute(), sync]],
    ['a statement', [parse('SELECT email FROM customers')], [bind(), execute(), sync]],
  ])(
    'takes back what its own messages made of a name, and not %s of the next (P-02)',
    async (_what, now, later) => {
      const { stage, client } = await prepared()
      const from = client.heard.length
      client.write(parse(broken), bind(), execute(), sync, ...now)
      await client.hear(from)
      const heard = script(await client.say([...later]))
      expect(heard.filter((each) => each.startsWith('row'))).toHaveLength(2)
      expect(client.received().toString()).not.toContain(CANARIES[0])
      const ran = stage.world.journal.entries.flatMap((each) =>
        each.kind === 'intent' ? [each.head.text] : [],
      )
      expect(ran.at(-1)).toBe('SELECT email FROM customers')
    },
  )
})

group('a message that waits to be read', () => {
  it.each([
    [
      'a long statement',
      `SELECT n FROM numbers WHERE n NOT IN (${Array.from({ length: 30_000 }, (_, i) => i).join()})`,
    ],
    ['one that is refused', `DROP TABLE customers /* ${'x'.repeat(200_000)} */`],
  ])('is skipped when its group fails meanwhile, as the server skips it: %s', async (_what, long) => {
    const stage = await open()
    stage.server.answer(/^SELECT n AS broken/, NO_COLUMN)
    const client = await stage.client()
    const heard = script(
      await client.say(
        [
          parse('SELECT n AS broken FROM numbers'),
          parse(long, 'long'),
          bind({ statement: 'long' }),
          execute(),
          sync,
          parse('SELECT email FROM customers'),
          bind(),
          execute(),
          sync,
        ],
        2,
      ),
    )
    expect(heard.slice(0, 2)).toEqual(['error 42703 no such column', 'ready idle'])
    expect(heard.filter((each) => each.startsWith('row'))).toHaveLength(2)
    expect(heard.at(-1)).toBe('ready idle')
    expect(client.received().toString()).not.toContain(CANARIES[0])
  })
})

group('a portal that runs what has a name', () => {
  const plain = 'SELECT n FROM numbers'
  const emails = 'SELECT email FROM customers'

  it.each([
    [
      'EXECUTE of a statement of the protocol',
      [parse(plain, 'e'), parse('EXECUTE e', 'b'), bind({ statement: 'b', portal: 'p' })],
      [close('statement', 'e'), parse(emails, 'e'), execute('p')],
    ],
    [
      'EXECUTE of a statement of SQL',
      [query(`PREPARE e AS ${plain}`), parse('EXECUTE e', 'b'), bind({ statement: 'b', portal: 'p' })],
      [
        parse('DEALLOCATE e', 'd'),
        bind({ statement: 'd', portal: 'd' }),
        execute('d'),
        parse(`PREPARE e AS ${emails}`, 'd2'),
        bind({ statement: 'd2', portal: 'd2' }),
        execute('d2'),
        execute('p'),
      ],
    ],
    [
      'FETCH from a portal',
      [
        parse(plain, 's'),
        parse(emails, 't'),
        bind({ statement: 's', portal: 'e' }),
        parse('FETCH ALL FROM e', 'f'),
        bind({ statement: 'f', portal: 'p' }),
      ],
      [close('portal', 'e'), bind({ statement: 't', portal: 'e' }), execute('p')],
    ],
    [
      'a prepared FETCH',
      [
        parse(plain, 's'),
        parse(emails, 't'),
        bind({ statement: 's', portal: 'e' }),
        parse('FETCH ALL FROM e', 'f'),
      ],
      [
        close('portal', 'e'),
        bind({ statement: 't', portal: 'e' }),
        bind({ statement: 'f', portal: 'p' }),
        execute('p'),
      ],
    ],
  ])('runs what has it then, and is masked as that is: %s (P-02)', async (_what, before, after) => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    const simple = before.filter(({ kind }) => kind === 'query')
    for (const each of simple) await client.say([each])
    const heard = script(await client.say([...before.filter(({ kind }) => kind !== 'query'), ...after, sync]))
    expect(heard).toContain('row c***@example.com')
    expect(client.received().includes('canary')).toBe(false)
  })

  it('was approved for what had it when it was asked about (P-05)', async () => {
    const stage = await open({ rules: REVIEWED_RULES })
    const client = await stage.client()
    const write = (id: number) => `UPDATE orders SET state = 'x' WHERE id = ${id}`
    client.write(parse(write(1), 'e'), parse('EXECUTE e', 'b'), bind({ statement: 'b', portal: 'p' }), flush)
    await until('it is held', () => stage.world.waiting().length > 0)
    for (const ticket of stage.world.waiting()) await stage.world.answer(ticket, 'approve')
    const from = client.heard.length
    client.write(close('statement', 'e'), parse(write(2), 'e'), execute('p'), sync)
    await until('it is held once more', () => stage.world.waiting().length > 0)
    const texts = asked(stage)
    expect(texts).toEqual([`EXECUTE e\n/* ${write(1)} */`, `EXECUTE e\n/* ${write(2)} */`])
    for (const ticket of stage.world.waiting()) await stage.world.answer(ticket, 'refuse')
    expect(script(await client.hear(from))).toContainEqual(expect.stringMatching(/^error SL00/))
    expect(stage.ran()).not.toContainEqual(expect.stringMatching(/^EXECUTE/))
  })
})

group('where a cursor stands', () => {
  it('is in no approval: nobody is asked about CURRENT OF, in whatever form it comes (P-05)', async () => {
    const stage = await open({ rules: REVIEWED_RULES })
    const client = await stage.client()
    const update = "UPDATE orders SET state = 'x' WHERE CURRENT OF c"
    expect(script(await client.say([query(update)]))).toContainEqual(REFUSED)
    expect(script(await client.say([parse(update), bind(), execute(), sync]))).toContainEqual(REFUSED)
    await client.say([parse(update, 'u'), sync])
    expect(script(await client.say([query('EXECUTE u')]))).toContainEqual(REFUSED)
    expect(stage.world.waiting()).toEqual([])
    expect(stage.ran()).toEqual([])
  })
})

group('a cursor of SQL', () => {
  it('is masked as its query is, in every message that reads it (P-02)', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    expect(script(await client.query('DECLARE e CURSOR FOR SELECT email FROM customers'))).toEqual([
      'done DECLARE',
      'ready transaction',
    ])
    expect(script(await client.query('FETCH 1 FROM e'))).toContain('row c***@example.com')
    const extended = await client.say([parse('FETCH 1 FROM e'), bind(), execute(), sync])
    expect(script(extended)).toContain('row c***@example.com')
    const both = 'DECLARE e CURSOR FOR SELECT email FROM customers; FETCH 1 FROM e'
    stage.server.answer(both, done('DECLARE CURSOR'), EMAILS)
    const batch = await client.query(both)
    expect(script(batch).slice(-1)).toEqual(['ready transaction'])
    expect(client.received().includes('canary')).toBe(false)
  })

  it('is one portal: what was fetched before counts towards the limit', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    await client.query('DECLARE n CURSOR FOR SELECT n FROM numbers')
    expect(script(await client.query('FETCH 4 FROM n'))).toContain('row 3')
    expect(script(await client.query('FETCH 4 FROM n'))).toContain('row 3')
    const third = script(await client.query('FETCH 4 FROM n'))
    expect(third.filter((line) => line.startsWith('row'))).toEqual(['row 0', 'row 1'])
    expect(third).toContain('error SL005 Ask for less: the result was cut off at 10 rows.')
  })

  it('that is not known is not read, nor moved in (P-03)', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    for (const text of ['FETCH 1 FROM e', 'MOVE 1 FROM e'])
      expect(script(await client.query(text))[0]).toEqual(REFUSED)
  })

  it('ends with its transaction, but for one WITH HOLD', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    await client.query('DECLARE e CURSOR FOR SELECT email FROM customers')
    await client.query('DECLARE hold_e CURSOR WITH HOLD FOR SELECT email FROM customers')
    await client.query('COMMIT')
    expect(script(await client.query('FETCH 1 FROM e'))[0]).toEqual(REFUSED)
    expect(script(await client.query('FETCH 1 FROM hold_e'))).toContain('row c***@example.com')
    await client.query('CLOSE ALL')
    expect(script(await client.query('FETCH 1 FROM hold_e'))[0]).toEqual(REFUSED)
  })

  it('that was refused by the server is not known', async () => {
    const stage = await open()
    stage.server.answer(/^DECLARE e/, fails('34000', 'no'))
    const client = await stage.client()
    await client.query('DECLARE e CURSOR FOR SELECT email FROM customers')
    expect(script(await client.query('FETCH 1 FROM e'))[0]).toEqual(REFUSED)
  })

  it('may be a portal of the protocol', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = await client.say(
      [
        query('BEGIN'),
        parse('SELECT email FROM customers'),
        bind({ portal: 'e' }),
        parse('FETCH 1 FROM e', 'f'),
        bind({ statement: 'f' }),
        execute(),
        sync,
      ],
      2,
    )
    expect(script(heard)).toContain('row c***@example.com')
  })
})

group('a statement prepared by SQL', () => {
  it('is bound by its name, and is masked (P-02)', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('PREPARE e AS SELECT email FROM customers')
    await client.say([parse('SELECT email FROM customers', 'f'), sync])
    expect(script(await client.query('EXECUTE e'))).toContain('row c***@example.com')
    stage.server.answer('EXECUTE f', EMAILS)
    expect(script(await client.query('EXECUTE f'))).toContain('row c***@example.com')
    await client.query('DEALLOCATE e')
    expect(script(await client.query('EXECUTE e'))[0]).toEqual(REFUSED)
  })

  it('stays when its transaction is rolled back, and goes with DISCARD ALL', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    await client.query('PREPARE e AS SELECT email FROM customers')
    await client.query('ROLLBACK')
    expect(script(await client.query('EXECUTE e'))).toContain('row c***@example.com')
    await client.query('DISCARD ALL')
    expect(script(await client.query('EXECUTE e'))[0]).toEqual(REFUSED)
  })

  it('writes no masked value back, be it in PREPARE or in EXECUTE', async () => {
    const stage = await open({ rules: RULES.replace('unreviewed: all', 'unreviewed: all, store: all') })
    stage.server.answer(/^EXECUTE w/, done('UPDATE 1'))
    const client = await stage.client()
    await client.query('PREPARE w AS UPDATE customers SET email = $1 WHERE id = 1')
    for (const text of [
      "EXECUTE w ('c***@example.com')",
      "PREPARE v AS UPDATE customers SET email = '[masked]' WHERE id = 1",
    ]) {
      expect(script(await client.query(text))[0]).toMatch(/^error SL001 Do not write masked values back/)
      expect(stage.ran()).not.toContain(text)
    }
    expect(script(await client.query("EXECUTE w ('c@example.com')"))).toContain('done UPDATE 1')
  })

  it('has the class of what it runs, also on a connection without labels', async () => {
    const stage = await open({ labelled: false })
    const client = await stage.client()
    expect(script(await client.query('EXECUTE e'))[0]).toEqual(REFUSED)
    await client.query('PREPARE e AS SELECT email FROM customers')
    expect(script(await client.query('EXECUTE e'))).toContain(`row ${CANARIES[0]}`)
    await client.query('BEGIN')
    await client.query('DECLARE n CURSOR FOR SELECT n FROM numbers')
    expect(script(await client.query('FETCH 4 FROM n'))).toContain('row 3')
  })

  it('is shown to who is asked about EXECUTE, which is approved for it alone (P-05)', async () => {
    const stage = await open({ rules: REVIEWED_RULES })
    const client = await stage.client()
    const prepare = 'PREPARE e AS SELECT email FROM customers'
    for (const [i, text] of [prepare, 'EXECUTE e'].entries()) {
      const from = client.heard.length
      client.write(query(text))
      await until('it is held', () => stage.world.waiting().length === 1)
      expect(stage.ran()).not.toContain(text)
      const [ticket] = stage.world.waiting()
      if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
      await client.hear(from)
      expect(stage.ran()).toHaveLength(i + 1)
    }
    const texts = asked(stage)
    expect(texts).toEqual([prepare, `EXECUTE e\n/* ${prepare} */`])
  })
})

group('a parameter that is declared to be of a type of users', () => {
  const TYPES = catalogueQueries.find((each) => each.includes('FROM pg_catalog.pg_type t')) ?? ''
  const type = (oid: number, name: string, base: number, loose: 't' | 'f') => [
    String(oid),
    'public',
    name,
    'd',
    String(base),
    'f',
    null,
    '0',
    loose,
  ]
  const LOOK_UP = 'SELECT id FROM customers WHERE email = $1'

  it('stands for one value, or may not be compared with protected ones', async () => {
    const stage = await open({ rules: RULES })
    const types = [
      type(20001, 'address', 25, 'f'),
      type(20002, 'folded', 25, 't'),
      type(20003, 'many', 30, 'f'),
    ]
    const names = ['oid', 'schema', 'name', 'form', 'base', 'checks', 'extension', 'relation', 'loose']
    stage.server.answer(TYPES, rows(names, types))
    stage.server.answer(LOOK_UP, rows([FIELDS.id], NUMBERS))
    const client = await stage.client()
    const said = async (text: string, oid: number) => {
      const declared = {
        kind: 'parse' as const,
        statement: '',
        sql: Buffer.from(text),
        parameterTypes: [oid],
      }
      return script(await client.say([declared, bind({ values: ['1'] }), execute(), sync]))
    }
    for (const oid of [0, 25, 20001]) expect(await said(LOOK_UP, oid)).toContain('row 1')
    for (const oid of [20002, 20003]) expect((await said(LOOK_UP, oid))[0]).toEqual(REFUSED)
    expect((await said('SELECT n FROM numbers WHERE n = $1', 20003))[0]).not.toEqual(REFUSED)
  })
})

group('definitions that another session changes', () => {
  /** `numbers` becomes a view of what is protected. */
  function unveil(stage: PostgresStage): void {
    stage.server.answer(fingerprintQuery, rows(['f'], [['2']]))
    const reads = catalogueQueries.findIndex((each) => each.includes(':relid'))
    stage.server.answer(catalogueQueries[reads] ?? '', rows(['a', 'b'], [['16420', '16400']]))
    const names = ['oid', 'schema', 'name', 'kind', 'triggers', 'rules']
    const relations = [
      ['16400', 'public', 'customers', 'r', 'f', 'f'],
      ['16420', 'public', 'numbers', 'v', 'f', 'f'],
    ]
    stage.server.answer(catalogueQueries[1] ?? '', rows(names, relations))
  }

  const DEFINE = 'CREATE TABLE fresh (a int)'

  async function changing(stage: PostgresStage): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    stage.server.answer(DEFINE, { kind: 'wait', until: promise }, done('CREATE TABLE'))
    const other = await stage.client()
    other.write(query(DEFINE))
    await until('it runs', () => stage.ran().includes(DEFINE))
    return resolve
  }

  it('are looked at for every statement until they have changed (P-02)', async () => {
    const stage = await open({ rules: RULES })
    const client = await stage.client()
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
    const end = await changing(stage)
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
    const prepared = await client.say([parse('SELECT n FROM numbers'), bind(), execute(), sync])
    expect(script(prepared)).toContain('row 1')
    unveil(stage)
    expect(script(await client.query('SELECT n FROM numbers'))[0]).toEqual(REFUSED)
    end()
  })

  it.each(['simple', 'extended', 'copy'])(
    'while a statement waits to run: of it nothing is shown that means something else then (P-02): %s',
    async (form) => {
      const stage = await open({ rules: RULES })
      const client = await stage.client()
      const { promise, resolve } = Promise.withResolvers<void>()
      const text = form === 'copy' ? 'COPY numbers TO STDOUT' : 'SELECT n FROM numbers'
      stage.server.answer(
        text,
        { kind: 'wait', until: promise },
        ...(form === 'copy'
          ? [{ kind: 'copyOut' as const, columns: 1, chunks: [`${CANARIES[0]}\n`] }, done('COPY 1')]
          : [rows([FIELDS.n], [[CANARIES[0]]])].flat()),
      )
      const from = client.heard.length
      if (form === 'extended') client.write(parse(text), bind(), execute(), sync)
      else client.write(query(text))
      await until('it runs', () => stage.ran().includes(text))
      const end = await changing(stage)
      unveil(stage)
      resolve()
      const heard = script(await client.hear(from))
      expect(heard).toContain('error 55000 Run it again: definitions changed while it ran.')
      expect(client.received().includes('canary')).toBe(false)
      end()
    },
  )

  it('do not disturb a statement that they are not about', async () => {
    const stage = await open({ rules: RULES })
    const client = await stage.client()
    const { promise, resolve } = Promise.withResolvers<void>()
    stage.server.answer('SELECT n FROM numbers', { kind: 'wait', until: promise }, rows([FIELDS.n], NUMBERS))
    const from = client.heard.length
    client.write(query('SELECT n FROM numbers'))
    await until('it runs', () => stage.ran().includes('SELECT n FROM numbers'))
    const end = await changing(stage)
    resolve()
    expect(script(await client.hear(from))).toContain('row 3')
    end()
  })
})

group('a change of what names mean', () => {
  it('counts for what stands behind it, sent ahead of its answer or not (P-02)', async () => {
    const stage = await open()
    stage.server.answer('SELECT * FROM t', rows([column('x', { tableOid: 99_999, attnum: 1 })], [['1']]))
    const client = await stage.client({
      minted: await stage.world.mint('database', 'crm'),
    })
    expect(script(await client.query('SELECT * FROM t'))[0]).toEqual(REFUSED)
    await client.query('SET search_path = public')
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
    await client.query('SET search_path = pg_catalog')
    // Not found where the session looks for it.
    expect(script(await client.query('SELECT n FROM numbers'))[0]).toEqual(REFUSED)
    const heard = await client.say([query('RESET search_path'), query('SELECT n FROM numbers')], 2)
    expect(script(heard)).toContain('row 1')
  })

  it('is taken back when the server says no, or rolls it back', async () => {
    const stage = await open()
    stage.server.answer('SET search_path = pg_temp', fails('22023', 'no'))
    const client = await stage.client()
    await client.query('SET search_path = pg_temp')
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
    const failed = await client.say([
      parse('SET search_path = pg_temp'),
      bind(),
      execute(),
      parse('SELECT n FROM numbers', 'later'),
      bind({ statement: 'later' }),
      execute(),
      sync,
    ])
    expect(script(failed).at(-1)).toBe('ready idle')
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
    await client.query('BEGIN')
    await client.query('SET search_path = pg_catalog')
    await client.query('ROLLBACK')
    expect(script(await client.query('SELECT n FROM numbers'))).toContain('row 1')
  })

  it.each([
    ['an error', [parse('SELECT 7'), bind(), execute(), sync]],
    ['what cannot be read', [parse('SELEC'), sync]],
    ['what is refused', [parse('SELECT lower(email) FROM customers'), bind(), execute(), sync]],
    ['ROLLBACK', [parse('ROLLBACK'), bind(), execute(), sync]],
    ['a block', [parse('BEGIN'), bind(), execute(), parse('ROLLBACK'), bind(), execute(), sync]],
  ])(
    'by DISCARD ALL is committed at once, whatever becomes of its group: %s (P-02)',
    async (_name, behind) => {
      const stage = await open({ rules: RULES })
      stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
      const client = await stage.client()
      for (const text of ['DISCARD ALL', 'RESET search_path']) {
        await client.query('SET search_path = pg_catalog')
        await client.say([parse(text), bind(), execute(), ...behind])
        await client.query('ROLLBACK')
        const found = script(await client.query('SELECT n FROM numbers'))
        // RESET is taken back with what it stands beside.
        if (text === 'DISCARD ALL') expect(found).toContain('row 1')
        else expect(found[0]).toEqual(REFUSED)
      }
    },
  )

  it('counts for what was prepared before it, whatever was judged meanwhile (P-02)', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.say([parse('SELECT n FROM numbers', 's'), sync])
    await client.query('SET search_path = pg_catalog')
    await client.query('SELECT 1')
    const heard = await client.say([bind({ statement: 's' }), execute(), sync])
    expect(script(heard)).toEqual([
      'error 26000 Prepare it again: its names mean something else now.',
      'ready idle',
    ])
  })

  it('counts at once in its own group', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse('SET search_path = pg_catalog'), bind(), execute(), flush)
    client.write(parse('SELECT n FROM numbers', 'n'), bind({ statement: 'n' }), execute(), sync)
    expect(script(await client.hear(from))).toContainEqual(REFUSED)
    const heard = await client.say([bind({ statement: 'n' }), execute(), sync])
    expect(script(heard)[0]).toMatch(/^error/)
  })
})
