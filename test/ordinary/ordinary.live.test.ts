/**
 * Ordinary work is not disturbed: what clients and people send to a database with protected columns gives the same
 * through a labelled connection as without it, but for the protected columns themselves.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { World } from '../abuse/world.ts'
import { marksIn, SECRETS, startWorld, targetOf } from '../abuse/world.ts'
import type { Message, Target } from '../differential/raw-client.ts'
import { query, RawClient } from '../differential/raw-client.ts'
import { tally } from '../support/proof.ts'
import { ANALYTICS, MIGRATIONS, TOOLS } from './statements.ts'

/** What is disturbed because we chose so, by its text, with the reason. */
const chosen: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL('disturbed.json', import.meta.url), 'utf8'),
)

type Recorded = { readonly statements: readonly { readonly client: string; readonly text: string }[] }
const { statements: RECORDED }: Recorded = JSON.parse(
  readFileSync(new URL('../../src/sql/vectors/introspection.json', import.meta.url), 'utf8'),
)

describe('ordinary statements on a connection with labels', () => {
  let world: World
  let direct: RawClient
  let through: RawClient
  let target: Target
  const disturbed = new Map<string, string>()
  let compared = 0

  beforeAll(async () => {
    world = await startWorld()
    const { host, port } = world.server
    target = { host, port, user: 'builder', password: SECRETS.superuser, database: 'crm' }
    direct = (await RawClient.open(target)).client
    through = (await RawClient.open(targetOf(await world.gateway.dsn('crm-super', 'builder')))).client
  }, 120_000)

  afterAll(async () => {
    await direct.close()
    await through.close()
    await world.stop()
  })

  async function ask(client: RawClient, sql: string): Promise<Message[]> {
    client.write(query(sql))
    return client.readUntilReady()
  }

  async function held(sql: string, isRepeatable: boolean): Promise<void> {
    compared++
    const first = await ask(direct, sql)
    // What differs by itself from one time to the next can only be held against its shape.
    const second = isRepeatable ? await ask(direct, sql) : first
    const answer = await ask(through, sql)
    const why = differenceOf(first, answer, JSON.stringify(rowsOf(first)) === JSON.stringify(rowsOf(second)))
    if (why !== undefined) disturbed.set(sql, why)
  }

  test('recorded from psql, TypeORM, pgjdbc, psycopg, Drizzle and postgres.js', async () => {
    for (const { text } of RECORDED)
      if (!/^\s*(SET|BEGIN|COMMIT|ROLLBACK)/i.test(text)) await held(text, true)
  })

  test('analytics', async () => {
    for (const sql of ANALYTICS) await held(sql, false)
  })

  test('written down from Prisma, Metabase and DBeaver', async () => {
    for (const sql of TOOLS) await held(sql, true)
  })

  test('migrations under a role that is allowed to', async () => {
    // One server holds only one of each: first all of it directly, which cleans up behind itself, then the same again.
    const expected: Message[][] = []
    for (const sql of MIGRATIONS) expected.push(await ask(direct, sql))
    for (const [i, sql] of MIGRATIONS.entries()) {
      compared++
      const why = differenceOf(expected[i] ?? [], await ask(through, sql), true)
      // How the transaction ends follows from what was refused in it.
      if (sql === 'COMMIT') continue
      if (why !== undefined) disturbed.set(sql, why)
    }
    for (const sql of [
      'ROLLBACK',
      'DROP VIEW IF EXISTS ord_titles',
      'DROP TABLE IF EXISTS ord_projects',
      'DROP TYPE IF EXISTS ord_state',
    ])
      await ask(direct, sql)
  })

  test('there are at least 300, and none is disturbed but where we chose so', () => {
    tally('ordinary statements', compared)
    tally('disturbed', disturbed.size)
    expect(compared).toBeGreaterThanOrEqual(300)
    expect([...disturbed].filter(([sql]) => chosen[sql] === undefined)).toEqual([])
    expect(Object.keys(chosen).filter((sql) => !disturbed.has(sql))).toEqual([])
  })
})

function rowsOf(messages: readonly Message[]): (string | null)[][] {
  return messages.filter(({ type }) => type === 'D').map(({ body }) => cellsOf(body))
}

function cellsOf(body: Buffer): (string | null)[] {
  const cells: (string | null)[] = []
  let at = 2
  for (let n = body.readInt16BE(0); n > 0; n--) {
    const length = body.readInt32BE(at)
    at += 4
    cells.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return cells
}

/** In words, or undefined when both say the same but for columns in which the server shows protected values. */
function differenceOf(
  straight: readonly Message[],
  answer: readonly Message[],
  isStable: boolean,
): string | undefined {
  const errorOf = (messages: readonly Message[]) => messages.find(({ type }) => type === 'E')?.body
  const [a, b] = [errorOf(straight), errorOf(answer)]
  const state = (body: Buffer) => /\0C(\w{5})/.exec(`\0${body.toString('latin1')}`)?.[1]
  if (a !== undefined || b !== undefined) {
    if (a !== undefined && b !== undefined && state(a) === state(b)) return undefined
    const message = b === undefined ? 'answered' : (/\0M([^\0]*)/.exec(b.toString())?.[1] ?? '')
    return message.replace(/ Request .*/, '')
  }
  const shape = (messages: readonly Message[]) =>
    messages
      .filter(({ type }) => 'TC'.includes(type))
      .map(({ type, body }) => (type === 'C' ? body.toString() : body.readInt16BE(0)))
  const [rows, others] = [rowsOf(straight), rowsOf(answer)]
  if (
    isStable &&
    (JSON.stringify(shape(straight)) !== JSON.stringify(shape(answer)) || rows.length !== others.length)
  )
    return 'another shape'
  if (!isStable) return undefined
  const hidden = new Set<number>()
  for (const row of rows)
    for (const [i, cell] of row.entries())
      if (cell !== null && marksIn(Buffer.from(cell)).length > 0) hidden.add(i)
  for (const [r, row] of rows.entries())
    for (const [i, cell] of row.entries())
      if (!hidden.has(i) && cell !== others[r]?.[i]) return `column ${i + 1} differs`
  return undefined
}
