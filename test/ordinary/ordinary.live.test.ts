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
  /** What the server refuses without the gateway. */
  const failing: string[] = []
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

  function compare(sql: string, expected: readonly Message[], answer: readonly Message[], isStable = true) {
    compared++
    if (expected.some(({ type }) => type === 'E')) failing.push(sql)
    const why = differenceOf(expected, answer, isStable)
    if (why !== undefined) disturbed.set(sql, why)
  }

  /** First all of it directly, which cleans up behind itself, then the same again: one server holds one of each. */
  async function inTurn(list: readonly string[]): Promise<void> {
    const expected: Message[][] = []
    for (const sql of list) expected.push(await ask(direct, sql))
    for (const [i, sql] of list.entries()) compare(sql, expected[i] ?? [], await ask(through, sql))
    expect(statusOf(expected.at(-1))).toBe('I')
    // A list of which something fails without the gateway shows nothing about it.
    expect(failing.splice(0)).toEqual([])
  }

  test('recorded from psql, TypeORM, pgjdbc, psycopg, Drizzle and postgres.js', async () => {
    for (const { text: recorded } of RECORDED) {
      // A parameter may be a number, a name or a truth.
      const text = recorded.replaceAll(/\$\d/g, "'1'")
      if (/^\s*(SET|BEGIN|COMMIT|ROLLBACK|START|SAVEPOINT|RELEASE)/i.test(text)) continue
      const first = await ask(direct, text)
      // What differs by itself from one time to the next can only be held against its shape.
      const second = await ask(direct, text)
      const isStable = JSON.stringify(rowsOf(first)) === JSON.stringify(rowsOf(second))
      const answer = await ask(through, text)
      compare(text, first, answer, isStable)
      expect([statusOf(second), statusOf(answer)], text).toEqual(['I', 'I'])
    }
    // Three of psql 15, which asks PostgreSQL 18 for columns it has no more, and two about things of another database.
    expect(failing.splice(0)).toHaveLength(5)
  })

  test('analytics', async () => inTurn(ANALYTICS))

  test('written down from Prisma, Metabase and DBeaver', async () => inTurn(TOOLS))

  test('migrations under a role that is allowed to', async () => inTurn(MIGRATIONS))

  test('there are at least 300, and none is disturbed but where we chose so', () => {
    tally('ordinary statements', compared)
    tally('disturbed', disturbed.size)
    expect(compared).toBeGreaterThanOrEqual(300)
    expect([...disturbed].filter(([sql]) => chosen[sql] === undefined)).toEqual([])
    expect(Object.keys(chosen).filter((sql) => !disturbed.has(sql))).toEqual([])
  })
})

/** Idle, in a transaction, or in a failed one. */
function statusOf(messages: readonly Message[] | undefined): string | undefined {
  return messages?.at(-1)?.body.toString('latin1')
}

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
