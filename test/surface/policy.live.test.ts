/** `sluice policy`: what it says of a statement is what then happens to it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './world.ts'
import { startShop } from './world.ts'

const CASES = `cases:
  - name: addresses are masked
    as: reader
    on: shop
    sql: SELECT id, email FROM customers
    expect: { decision: allow, masked: [email], rule: readers read, rows: 100 }
  - { as: reader, on: shop, sql: DELETE FROM orders, expect: deny }
  - { as: boss, on: shop, sql: SELECT email FROM customers, expect: { decision: allow, masked: [], rows: unlimited } }
`

describe('sluice policy', () => {
  const later = teardown()
  let shop: Shop

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
  }, 120_000)

  const explain = async (as: string, sql: string): Promise<Record<string, unknown>> => {
    const done = await shop.gateway.cli(['policy', 'explain', '--as', as, '--on', 'shop', sql, '--json'])
    expect(done.stderr).toBe('')
    return JSON.parse(done.stdout) as Record<string, unknown>
  }

  test('explain says which rule decides, where it stands, and what is masked', async () => {
    const sql =
      'SELECT c.id, x.e FROM (SELECT email AS e, id FROM customers) x JOIN customers c ON c.id = x.id'
    const told = await explain('reader', 'SELECT id, email FROM customers')
    expect(told).toMatchObject({
      identity: 'agent:reader',
      decision: 'allow',
      class: 'read',
      reads: ['public.customers'],
      labels: ['pii.email'],
      rules: [{ name: 'readers read', file: shop.gateway.configFile, line: expect.any(Number) }],
      outputs: [
        { name: 'id', labels: [], computed: false, statement: 1 },
        { name: 'email', labels: ['pii.email'], mask: { kind: 'partial', of: 'email' } },
      ],
      limit: { rows: 100 },
    })
    expect(await explain('writer', sql)).toHaveProperty('decision')
    expect(await explain('reader', 'UPDATE customers SET plan = $$x$$')).toMatchObject({
      decision: 'deny',
      class: 'write',
      message: expect.stringContaining('no rule permits'),
    })
  })

  test.each([
    'SELECT id, email FROM customers ORDER BY id LIMIT 2',
    'SELECT email FROM customers WHERE email LIKE $$c1%$$',
    'SELECT upper(email) FROM customers LIMIT 1',
    'DELETE FROM customers',
    'SELECT * FROM nowhere',
  ])('the real thing comes to the same: %s', async (sql) => {
    const { decision, message } = await explain('reader', sql)
    const done = await psql(await shop.gateway.dsn('shop', 'reader'), sql, ['-At', '-v', 'VERBOSITY=verbose'])
    if (decision === 'deny') {
      expect(done.stderr).toContain('SL001')
      expect(done.stderr).toContain(String(message))
    } else {
      expect(done.stderr).not.toContain('SL001')
    }
  })

  test('it runs nothing', async () => {
    const before = await shop.server.sql('SELECT count(*) FROM customers', [], 'shop')
    await explain('boss', 'DELETE FROM customers')
    expect(await shop.server.sql('SELECT count(*) FROM customers', [], 'shop')).toEqual(before)
    const logged = await shop.server.statementsLogged()
    expect(logged.some(({ text }) => text.includes('DELETE FROM customers'))).toBe(false)
  })

  test('what cannot be read, and who is not known, is an error', async () => {
    const broken = await shop.gateway.cli(['policy', 'explain', '--as', 'reader', '--on', 'shop', 'SELEC 1'])
    expect(broken).toMatchObject({ code: 1, stdout: '' })
    expect(broken.stderr).toContain('cannot be parsed')
    const nobody = await shop.gateway.cli(['policy', 'explain', '--as', 'x', '--on', 'shop', 'SELECT 1'])
    expect(nobody.code).toBe(1)
    expect((await shop.gateway.cli(['policy', 'explain', 'SELECT 1'])).code).toBe(2)
  })

  test('test ends with 0 when every case is as expected, and with 1 when one is not', async () => {
    const file = join(shop.gateway.dataDirectory, 'cases.yaml')
    await writeFile(file, CASES)
    const good = await shop.gateway.cli(['policy', 'test', file])
    expect(good.stdout).toContain('3 of 3 cases as expected')
    expect(good.code).toBe(0)
    await writeFile(file, CASES.replace('expect: deny', 'expect: allow'))
    const bad = await shop.gateway.cli(['policy', 'test', file])
    expect(bad.code).toBe(1)
    expect(bad.stdout).toMatch(/cases\.yaml:7: .*\n.*expected allow, found deny/)
  })

  test('check names what has no effect', async () => {
    const good = await shop.gateway.cli(['policy', 'check', shop.gateway.configFile, '--strict'])
    expect(good.code).toBe(0)
    expect(good.stdout).toMatch(/ok .* 3 rules, 1 labels, 0 warnings/)
  })
})
