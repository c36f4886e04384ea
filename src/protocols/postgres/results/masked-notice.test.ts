import { afterEach, describe, expect, it } from 'vitest'
import {
  answerUsual,
  bind,
  CANARIES,
  describe as describeMessage,
  execute,
  parse,
  PostgresStage,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'

let stage: PostgresStage | undefined

afterEach(() => stage?.close())

async function opened(options: Parameters<typeof PostgresStage.open>[0] = {}): Promise<PostgresStage> {
  stage = await PostgresStage.open({ maskedNotice: true, ...options })
  answerUsual(stage.server)
  return stage
}

const SQL = 'SELECT id, email, note, secret FROM customers'
const NOTICE = 'notice Masked in 2 rows: email (pii.email), secret (secret).'

function kinds(lines: readonly string[]): string[] {
  return lines.map((line) => (line.startsWith('notice') ? line : (line.split(' ')[0] ?? '')))
}

describe('a notice of what was masked', () => {
  it('comes behind the rows and before the end of the statement', async () => {
    const client = await (await opened()).client()
    const heard = await client.query(SQL)
    expect(kinds(script(heard))).toEqual(['columns', 'row', 'row', NOTICE, 'done', 'ready'])
    const notice = heard.find((each) => each.kind === 'noticeResponse')
    expect(notice).toMatchObject({ fields: { severity: 'NOTICE', code: 'SL010' } })
    for (const canary of CANARIES) expect(client.received().includes(canary)).toBe(false)
  })

  it('comes once per shape of statement and session', async () => {
    const client = await (await opened()).client()
    const told = async (sql: string): Promise<number> =>
      script(await client.query(sql)).filter((line) => line.startsWith('notice')).length
    expect(await told(SQL)).toBe(1)
    expect(await told(SQL)).toBe(0)
    expect(await told(`${SQL} LIMIT 5`)).toBe(1)
    expect(await told(`${SQL}   LIMIT 7`)).toBe(0)
    const other = await stage?.client()
    expect(script((await other?.query(SQL)) ?? [])).toContain(NOTICE)
  })

  it('has its place in the extended protocol, too, and in parts of a portal', async () => {
    const client = await (await opened()).client()
    const heard = await client.say([
      parse(SQL),
      bind(),
      describeMessage('portal'),
      execute('', 1),
      execute('', 0),
      sync,
    ])
    expect(kinds(script(heard))).toEqual([
      'parseComplete',
      'bindComplete',
      'columns',
      'row',
      'notice Masked in 1 row: email (pii.email), secret (secret).',
      'portalSuspended',
      'row',
      'done',
      'ready',
    ])
  })

  it('says nothing of results without a masked value, and nothing at all where it is switched off', async () => {
    const client = await (await opened()).client()
    expect(kinds(script(await client.query('SELECT n FROM numbers')))).not.toContain('notice')
    await stage?.close()
    const silent = await (await opened({ maskedNotice: false })).client()
    expect(kinds(script(await silent.query(SQL)))).toEqual(['columns', 'row', 'row', 'done', 'ready'])
  })
})
