/** What triggers and constraints say of protected values, in errors, notices, notifications and settings. */
import { beforeAll, describe, expect, test } from 'vitest'
import { targetOf } from '../abuse/world.ts'
import type { Target } from '../differential/raw-client.ts'
import { bind, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './world.ts'
import { MARK, startShop } from './world.ts'

const FORMS = ['simple', 'extended'] as const
const CODES = [
  '23505',
  '23514',
  '55000',
  '55P03',
  '40001',
  '42501',
  '42703',
  '0A000',
  '08006',
  'P0001',
] as const

/** Tries, by name, and what the client may still hear of them. */
const TRIES: readonly (readonly [sql: string, heard: RegExp])[] = [
  ...CODES.map(
    (code) => [`UPDATE orders SET state = 'raise ${code}' WHERE id = 2`, new RegExp(code)] as const,
  ),
  ...CODES.map((code) => [`UPDATE noted SET note = 'raise ${code}' WHERE id = 2`, new RegExp(code)] as const),
  ["UPDATE orders SET state = 'known' WHERE id = 2", /23505.*customers/s],
  ["UPDATE orders SET state = 'state' WHERE id = 2", /P0001/],
  ["UPDATE noted SET note = 'state' WHERE id = 2", /P0001/],
  ["UPDATE orders SET state = 'notice' WHERE id = 2", /UPDATE 1/],
  ["UPDATE noted SET note = 'notice' WHERE id = 2", /UPDATE 1/],
  ["UPDATE customers SET plan = 'none' WHERE id = 2", /23514.*violates check constraint "known_plan"/s],
  [
    'UPDATE customers SET name = NULL WHERE id = 2',
    /23502.*null value in column "name" of relation "customers"/s,
  ],
  ['INSERT INTO customers (id, name) VALUES (1, $$x$$)', /23505.*"customers_pkey"/s],
  ['DELETE FROM customers WHERE id = 2', /23503.*"orders_customer_fkey"/s],
  ['SELECT id FROM customers WHERE plan = 1', /42883.*operator does not exist: text = integer/s],
]

describe('P-02: what comes back besides rows', () => {
  const later = teardown()
  let shop: Shop
  let writer: Target

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
    writer = targetOf(await shop.gateway.dsn('shop', 'writer'))
  }, 120_000)

  test.each(FORMS)(
    'what triggers tell shows the mark when it is asked of the server itself, %s',
    async (form) => {
      const { host, port, password } = shop.server
      const own = { host, port, user: 'postgres', password, database: 'shop' }
      const told = await heard(own, TRIES[0]?.[0] ?? '', form)
      expect(told).toContain(MARK)
      expect(await heard(own, "UPDATE noted SET note = 'notice' WHERE id = 2", form)).toContain(MARK)
    },
  )

  test.each(FORMS)('nothing of it is heard behind the gateway, %s', async (form) => {
    for (const [sql, expected] of TRIES) {
      const told = await heard(writer, sql, form)
      expect(told, sql).toMatch(expected)
      expect(told, sql).not.toContain(MARK)
    }
    expect(shop.gateway.stderr()).toBe('')
  })

  test('a made-up SQLSTATE says nothing', async () => {
    const told = await heard(writer, "UPDATE orders SET state = 'state' WHERE id = 2", 'simple')
    expect(told).not.toMatch(/\0CQ[0-9A-F]{4}\0/)
  })

  test('who sees every label hears the server itself', async () => {
    const boss = targetOf(await shop.gateway.dsn('shop', 'boss'))
    expect(await heard(boss, TRIES[0]?.[0] ?? '', 'simple')).toContain(MARK)
  })
})

async function heard(target: Target, sql: string, form: (typeof FORMS)[number]): Promise<string> {
  const { client } = await RawClient.open(target)
  try {
    client.write(
      form === 'simple'
        ? query(sql)
        : Buffer.concat([parse('', sql), bind('', '', [], 0), execute(''), sync()]),
    )
    const seen = await client.readUntilReady()
    return seen.map(({ type, body }) => `${type}${body.toString('utf8')}`).join('\n')
  } finally {
    await client.close()
  }
}
