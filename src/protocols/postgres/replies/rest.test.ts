import { afterEach, describe as group, expect, it } from 'vitest'
import { GatewayError } from '../../../core/index.ts'
import { fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import type { StageClient, StageOptions } from '../../../testing/postgres-stage.ts'
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
import { until } from '../../../testing/world.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

/** Results are held at 10 rows and cut at 30. */
const RULES = `  - name: agents read
    who: { kinds: [agent] }
    on: all
    permit: { run: [read], unreviewed: [read], unlimited: true }
    limit: { rows: 10, action: hold }
  - { name: not more, who: everyone, on: all, limit: { rows: 30 } }`

async function open(options: StageOptions = {}): Promise<PostgresStage> {
  const stage = await PostgresStage.open({ rules: RULES, ...options })
  answerUsual(stage.server)
  stage.server.answer(/^SELECT n FROM numbers LIMIT 10$/, numbers(10))
  stage.server.answer(/^SELECT n FROM numbers LIMIT 20$/, numbers(20))
  stages.push(stage)
  return stage
}

function numbers(count: number) {
  return rows(
    [FIELDS.n],
    Array.from({ length: count }, (_, i) => [String(i)]),
  )
}

const TWENTY = 'SELECT n FROM numbers LIMIT 20'
const FIFTY = 'SELECT n FROM numbers'

const rowsIn = (lines: readonly string[]) => lines.filter((line) => line.startsWith('row ')).length
const words = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('row '))

async function held(stage: PostgresStage, client: StageClient, from: number) {
  await until('the rest is held', () => stage.world.waiting().length === 1)
  await turns()
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('no ticket')
  expect(words(script(client.heard.slice(from)))).toContain(
    `notice The rest of this result is held for approval: ticket ${ticket}.`,
  )
  return ticket
}

/** The server's bytes in pieces, so that the row that is held lies in every position. */
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

group('the rest of a result beyond a limit that holds', () => {
  it.each([1, 7, 11, 13, 65_536])(
    'goes on when it is approved; the server in pieces of %d',
    async (bytes) => {
      const stage = await open()
      chopped(stage, bytes)
      const client = await stage.client()
      const from = client.heard.length
      client.write(query(TWENTY))
      const ticket = await held(stage, client, from)
      expect(rowsIn(script(client.heard.slice(from)))).toBe(10)
      await stage.world.answer(ticket, 'approve')
      const heard = script(await client.hear(from))
      expect(heard.filter((line) => line.startsWith('row '))).toEqual(
        Array.from({ length: 20 }, (_, i) => `row ${i}`),
      )
      expect(words(heard).at(-2)).toBe('done SELECT 20')
      expect(stage.world.entries('hold').map(({ head }) => head.ticket)).toEqual([ticket])
      expect(stage.world.entries('answer').map(({ head }) => head.answer)).toEqual(['approved'])
      expect(stage.world.entries('outcome').map(({ head }) => [head.outcome, head.rows])).toEqual([
        ['ok', 20],
      ])
      expect(await client.query('SELECT 1')).toHaveLength(4)
    },
  )

  it('is asked about as what it is, and not by what the command itself would be', async () => {
    const stage = await open()
    const client = await stage.client()
    client.write(query(TWENTY))
    await held(stage, client, 0)
    expect(stage.world.approvals.list()).toMatchObject([
      { text: `The rest of the result, beyond 10 rows: ${TWENTY}` },
    ])
  })

  it('ends when it is refused: not one row more comes out, and the session goes on (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(TWENTY))
    await stage.world.answer(await held(stage, client, from), 'refuse')
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(10)
    expect(words(heard).at(-2)).toMatch(/^error SL\d+ Ask for less: an approver refused the rest/)
    expect(stage.world.entries('outcome').map(({ head }) => [head.outcome, head.tag, head.rows])).toEqual([
      ['cut', 'approval_refused', 10],
    ])
    expect(await client.query('SELECT 1')).toHaveLength(4)
  })

  it.each(['refuse', 'nobody answers'])(
    'of a write says that the write stands: %s (P-09)',
    async (answer) => {
      const rules = RULES.replaceAll('[read]', '[read, write]')
      const stage = await open({ rules })
      const write = 'UPDATE numbers SET n = n RETURNING n'
      stage.server.answer(write, numbers(20))
      const client = await stage.client()
      const from = client.heard.length
      client.write(query(write))
      const ticket = await held(stage, client, from)
      if (answer === 'refuse') await stage.world.answer(ticket, 'refuse')
      else stage.world.clock.advance(31_000)
      const heard = script(await client.hear(from))
      expect(rowsIn(heard)).toBe(10)
      expect(words(heard).at(-2)).toMatch(
        /^error SL\d+ Do not send it again: it has run and its changes stand/,
      )
    },
  )

  it('of a write that fails in the end says that nothing of it stands (P-09)', async () => {
    const rules = RULES.replaceAll('[read]', '[read, write]')
    const stage = await open({ rules })
    const write = 'UPDATE numbers SET n = n RETURNING n'
    const twenty = Array.from({ length: 20 }, (_, i) => ({
      kind: 'dataRow' as const,
      cells: [Buffer.from(`${i}`)],
    }))
    const messages = [{ kind: 'rowDescription' as const, fields: [FIELDS.n] }, ...twenty]
    stage.server.answer(write, { kind: 'send', messages }, fails('40001', 'could not serialize access'))
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(write))
    await stage.world.answer(await held(stage, client, from), 'refuse')
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(10)
    expect(words(heard).at(-2)).toMatch(/^error SL\d+ Ask for less: .* nothing of it stands/)
  })

  it('ends as pending when nobody answers in time; the same command joins the ticket', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(TWENTY))
    const ticket = await held(stage, client, from)
    stage.world.clock.advance(31_000)
    expect(words(script(await client.hear(from))).at(-2)).toMatch(/^error SL\d+ Wait for approval of T-/)
    await stage.world.answer(ticket, 'approve')
    const again = script(await client.query(TWENTY))
    expect(rowsIn(again)).toBe(20)
    expect(words(again).at(-2)).toBe('done SELECT 20')
    // Used up: the next time it is asked about anew.
    const later = client.heard.length
    client.write(query(TWENTY))
    expect(await held(stage, client, later)).not.toBe(ticket)
  })

  it('is cut off at the next limit that cuts, also when it was approved', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(FIFTY))
    await stage.world.answer(await held(stage, client, from), 'approve')
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(30)
    expect(words(heard).at(-2)).toMatch(/^error SL\d+ Ask for less: the result was cut off at 30 rows/)
  })

  it('is not there when the result ends just at the limit', async () => {
    const stage = await open()
    const client = await stage.client()
    const heard = script(await client.query('SELECT n FROM numbers LIMIT 10'))
    expect([rowsIn(heard), heard.at(-2)]).toEqual([10, 'done SELECT 10'])
    expect(stage.world.approvals.list()).toEqual([])
  })

  it('is not waited for inside a transaction', async () => {
    const stage = await open()
    const client = await stage.client()
    await client.query('BEGIN')
    const from = client.heard.length
    client.write(query(TWENTY))
    await until('the rest is held', () => stage.world.entries('hold').length === 1)
    await turns()
    stage.world.clock.advance(1)
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(10)
    expect(words(heard).at(-2)).toMatch(/^error SL\d+ Wait for approval of T-/)
    expect(words(heard).some((line) => line.startsWith('notice'))).toBe(false)
  })

  it('counts the rows of all executions of a portal, and is approved for all of them', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(parse(TWENTY), bind({ portal: 'p' }), execute('p', 8), execute('p', 8), execute('p'), sync)
    await stage.world.answer(await held(stage, client, from), 'approve')
    const heard = script(await client.hear(from))
    expect(rowsIn(heard)).toBe(20)
    expect(words(heard).filter((line) => line === 'portalSuspended')).toHaveLength(2)
    expect(stage.world.entries('hold')).toHaveLength(1)
  })

  it('is given up when its client cancels or leaves (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(TWENTY))
    const ticket = await held(stage, client, from)
    client.leave()
    await until('the session is recorded as closed', () => stage.world.entries('close').length === 1)
    expect(stage.world.entries('answer').map(({ head }) => head.answer)).toEqual(['abandoned'])
    expect(rowsIn(script(client.heard.slice(from)))).toBe(10)
    expect(stage.world.waiting()).toEqual([ticket])
    const kinds = stage.world.journal.entries.map((entry) => entry.kind)
    expect(kinds.indexOf('answer')).toBeLessThan(kinds.indexOf('close'))
  })

  it('ends with its session when that is ended from outside', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    client.write(query(TWENTY))
    await held(stage, client, from)
    stage.world.gateway.terminate(() => true, new GatewayError('shutting_down', 'The gateway is stopping.'))
    await until('the client is told', () => client.ended)
    expect(words(script(client.heard)).at(-1)).toMatch(/^error \S+ The gateway is stopping/)
    expect(rowsIn(script(client.heard.slice(from)))).toBe(10)
  })
})
