/**
 * Texts that the grammar of PostgreSQL 18 takes for the server's own and that an older server reads as a name: nothing protected comes
 * out by the difference. Run directly, each shows a mark.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Target } from '../differential/raw-client.ts'
import {
  bind,
  describe as describeNamed,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import { teardown } from '../support/teardown.ts'
import type { World } from './world.ts'
import { marksIn, startWorld, targetOf } from './world.ts'

const FUNCTION = `CREATE FUNCTION json_object(integer) RETURNS text LANGUAGE sql
  AS $$ SELECT string_agg(email, ',') FROM customers $$`
const VALUES = Array.from({ length: 400 }, (_, i) => `(${i}::text, ${'1 + '.repeat(20)}1)`).join(', ')

const TEXTS = [
  "SELECT system_user || '' FROM (SELECT email AS system_user FROM customers) c",
  'SELECT upper(SYSTEM_USER) FROM (SELECT email AS SYSTEM_USER FROM customers) c',
  'SELECT array_agg(system_user) FROM (SELECT email AS "system_user" FROM customers) c',
  "SELECT (SELECT system_user || '') FROM (SELECT email AS system_user FROM customers) c",
  "SELECT v.x || '' FROM (SELECT email AS system_user FROM customers) c, LATERAL (VALUES (system_user)) v (x)",
  // Long enough for the worker, which leaves out most of what is constant.
  `SELECT v.x || '' FROM (SELECT email AS system_user FROM customers) c, LATERAL (VALUES (system_user, 1), ${VALUES}) v (x, y)`,
  "SELECT string_agg(system_user, ',') FROM (SELECT email AS system_user FROM customers) c WHERE system_user LIKE '%@%'",
  'SELECT json_object(1)',
  'SELECT json_object(company_size) FROM (VALUES (1)) s (company_size)',
]

describe('P-02 never clear: an older server reads another name', () => {
  const later = teardown()
  let world: World
  let direct: Target
  let through: Target

  beforeAll(async () => {
    world = await startWorld({ major: 15 })
    later(() => world.stop())
    await world.server.sql(FUNCTION, [], 'crm')
    direct = targetOf(world.server.dsn({ database: 'crm' }))
    through = targetOf(await world.gateway.dsn('crm-super', 'builder'))
  }, 120_000)

  const shown = async (target: Target, bytes: readonly Buffer[]): Promise<string[]> => {
    const { client } = await RawClient.open(target)
    client.write(...bytes)
    const messages = await client.readUntilReady()
    await client.halfClose(1_000)
    return marksIn(Buffer.concat(messages.map(({ body }) => body)))
  }

  test.each(TEXTS.map((text) => [text.slice(0, 120), text] as const))('%s', async (_name, text) => {
    const extended = [parse('', text), bind('', '', [], 0), describeNamed('P', ''), execute(''), sync()]
    expect(await shown(direct, [query(text)])).not.toEqual([])
    for (const bytes of [[query(text)], extended]) expect(await shown(through, bytes)).toEqual([])
  })

  test('the json_object of the server runs where that of nobody else takes as many arguments', async () => {
    const { client } = await RawClient.open(targetOf(await world.gateway.dsn('crm-super', 'builder')))
    client.write(query("SELECT json_object('{a}', '{b}'), current_user"))
    const messages = await client.readUntilReady()
    expect(messages.map(({ type }) => type).join('')).toBe('TDCZ')
    await client.halfClose(1_000)
  })
})
