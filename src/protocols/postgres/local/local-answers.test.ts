import { afterEach, describe, expect, it } from 'vitest'
import type { ServerMessage } from '../../../wire/postgres/index.ts'
import {
  answerUsual,
  bind,
  describe as describeMessage,
  errorOf,
  execute,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'
import { until } from '../../../testing/world.ts'

let stage: PostgresStage | undefined

afterEach(() => stage?.close())

async function opened(options: Parameters<typeof PostgresStage.open>[0] = {}): Promise<PostgresStage> {
  stage = await PostgresStage.open(options)
  answerUsual(stage.server)
  return stage
}

function cells(heard: readonly ServerMessage[]): string[][] {
  return heard.flatMap((each) =>
    each.kind === 'dataRow' ? [each.cells.map((cell) => Buffer.from(cell ?? '').toString())] : [],
  )
}

const MASKED = 'SELECT email FROM customers'

describe('a question to the virtual schema', () => {
  it('is answered in the simple protocol, is recorded, and is never sent', async () => {
    const { world } = await opened()
    const client = await stage!.client()
    const heard = await client.query('SELECT kind, connection FROM sluice.whoami')
    expect(script(heard)).toEqual([
      'columns kind connection',
      'row agent | crm',
      'done SELECT 1',
      'ready idle',
    ])
    expect(stage!.ran().join()).not.toContain('whoami')
    const intents = world.journal.entries.filter((each) => each.kind === 'intent')
    expect(JSON.stringify(intents)).toContain('SELECT kind, connection FROM sluice.whoami')
  })

  it('keeps its place in a pipeline of both protocols', async () => {
    const client = await (await opened()).client()
    const heard = await client.say(
      [
        query('SELECT id, email, note, secret FROM customers'),
        query('SELECT connection FROM sluice.whoami'),
        parse('SELECT connection AS c FROM sluice.whoami WHERE kind = $1'),
        describeMessage('statement'),
        bind({ values: ['agent'], binary: true }),
        describeMessage('portal'),
        execute(),
        bind({ values: ['person'] }),
        execute(),
        sync,
      ],
      3,
    )
    const lines = script(heard).map((line) =>
      line.startsWith('row ') && line.includes('plain') ? 'row' : line,
    )
    expect(lines).toEqual([
      'columns id email note secret',
      'row',
      'row',
      'done SELECT 2',
      'ready idle',
      'columns connection',
      'row crm',
      'done SELECT 1',
      'ready idle',
      'parseComplete',
      'parameterDescription',
      'columns c',
      'bindComplete',
      'columns c',
      'row crm',
      'done SELECT 1',
      'bindComplete',
      'done SELECT 0',
      'ready idle',
    ])
    const [, , portal] = heard.filter((each) => each.kind === 'rowDescription').slice(1)
    expect(portal).toMatchObject({ fields: [{ format: 1, typeOid: 25 }] })
  })

  it('is fetched in parts', async () => {
    const client = await (await opened()).client()
    const heard = await client.say([
      parse('SELECT topic FROM sluice.policy'),
      bind(),
      execute('', 2),
      execute('', 2),
      execute('', 0),
      sync,
    ])
    const lines = script(heard)
    expect(lines.filter((line) => line === 'portalSuspended')).toHaveLength(2)
    expect(cells(heard).flat()).toEqual([...new Set(cells(heard).flat())])
    expect(cells(heard).flat()).toContain('see pii.email')
  })

  it('knows what was masked in the result before it, and not in one that is yet to come', async () => {
    const client = await (await opened()).client()
    const ask = 'SELECT column, shown, rows FROM sluice.last_result'.replace('column', '"column"')
    const heard = await client.say(
      [query(ask), query(MASKED), query(ask), query('SELECT n FROM numbers LIMIT 0')],
      4,
    )
    expect(cells(heard)).toContainEqual(['email', 'masked: partial (email)', '2'])
    expect(script(heard).slice(0, 3)).toEqual(['columns column shown rows', 'done SELECT 0', 'ready idle'])
  })

  it('tells of refusals, of masked columns, and of the rules', async () => {
    const client = await (await opened()).client()
    const refusal = errorOf(await client.query('DROP TABLE orders'))
    const denials = cells(await client.query('SELECT * FROM sluice.recent_denials'))
    expect(denials).toHaveLength(1)
    expect(denials[0]?.slice(2)).toEqual([refusal.message, expect.any(String), 'DROP TABLE orders'])
    expect(
      cells(await client.query('SELECT label, shown FROM sluice.masked_columns WHERE "column" = \'email\'')),
    ).toEqual([['pii.email', 'masked: partial (email)']])
    const rules = cells(await client.query('SELECT topic, answer FROM sluice.policy'))
    expect(rules).toContainEqual(['read', 'yes'])
    expect(rules).toContainEqual(['see pii.email', 'no'])
    expect(rules).toContainEqual(['filter pii.email', 'only ='])
    expect(rules).toContainEqual(['limit', '10 rows, 8388608 bytes'])
  })

  it('is refused with a reason when it is mixed, unknown, or asked in another form', async () => {
    const client = await (await opened()).client()
    for (const [sql, message] of [
      ['SELECT * FROM sluice.whoami, numbers', /by itself/],
      ['SELECT * FROM sluice.nothing', /Ask one of sluice\.whoami/],
      ['SELECT nothing FROM sluice.whoami', /columns that sluice\.whoami has: identity/],
      ['SELECT * FROM sluice.whoami ORDER BY 1', /in this form/],
    ] as const) {
      expect(errorOf(await client.query(sql))).toMatchObject({
        code: 'SL001',
        message: expect.stringMatching(message),
      })
      const extended = await client.say([parse(sql), bind(), execute(), sync])
      expect(errorOf(extended).code).toBe('SL001')
    }
    expect(stage!.ran().filter((sql) => /sluice/.test(sql))).toEqual([])
  })

  it('has the name that the connection gives it, or none', async () => {
    const client = await (await opened({ connection: '\n    virtualSchema: gateway' })).client()
    expect(script(await client.query('SELECT kind FROM gateway.whoami'))).toContain('row agent')
    expect(script(await client.query('SELECT kind FROM sluice.whoami'))).not.toContain('row agent')
    await stage?.close()
    const none = await (await opened({ connection: '\n    virtualSchema: ""', labelled: false })).client()
    expect(script(await none.query('SELECT kind FROM sluice.whoami'))).not.toContain('row agent')
  })
})

describe('sluice.tickets', () => {
  it('tells what this identity has asked people on this connection, and what they said', async () => {
    const { world } = await opened()
    const client = await stage!.client()
    const running = client.query("UPDATE orders SET state = 'sent'")
    await until('it is held', () => world.waiting().length === 1)
    const [ticket] = world.waiting()
    const other = await stage!.client()
    const asked = 'SELECT ticket, state, uses, answer, statement FROM sluice.tickets'
    expect(cells(await other.query(asked))).toEqual([
      [ticket, 'pending', '0', '', "UPDATE orders SET state = 'sent'"],
    ])
    await world.answer(ticket!, 'refuse')
    await running
    expect(cells(await other.query(`${asked} WHERE state = 'refused'`))).toEqual([
      [ticket, 'refused', '0', 'refuse', "UPDATE orders SET state = 'sent'"],
    ])
    expect(stage!.ran().join()).not.toContain('tickets')
  })

  it('tells nothing of what others have asked', async () => {
    const { world } = await opened()
    const client = await stage!.client()
    const [held] = [client.query("UPDATE orders SET state = 'sent'")]
    await until('it is held', () => world.waiting().length === 1)
    const { chain, connection } = world.approvals.list()[0]!
    expect(world.approvals.of(chain, connection)).toHaveLength(1)
    expect(world.approvals.of([{ ...chain[0], name: 'another' }], connection)).toEqual([])
    expect(world.approvals.of([chain[0], { ...chain[0], kind: 'person', name: 'p' }], connection)).toEqual([])
    expect(world.approvals.of(chain, 'elsewhere' as typeof connection)).toEqual([])
    await world.answer(world.waiting()[0]!, 'refuse')
    await held
  })
})
