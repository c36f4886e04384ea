/**
 * An agent works with the sample company through the driver it knows: protected columns come back masked, what its
 * rules forbid is refused in the driver's own error, with reason and remedy, and the connection goes on.
 */
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { makeCompany } from '../../src/sample/index.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { CLIENT_NAMES, runClient } from './clients.ts'
import type { Company } from './company.ts'
import { AGENT, startCompany } from './company.ts'

type Refusal = { code: string; message: string; detail?: string; hint?: string }
type Seen = {
  masked: [number, string, string][]
  prepared: [number, string, string][]
  refused: Refusal
  filtered: Refusal
  inside: Refusal
  after: Refusal
  usable: number
}

describe('the sample company through its rules', () => {
  const later = teardown()
  let company: Company
  const [first, second] = makeCompany().customers

  beforeAll(async () => {
    company = await startCompany(15)
    later(() => company.stop())
  })

  test.each(CLIENT_NAMES)('P-02, P-09: %s', async (name) => {
    const dsn = await company.gateway.dsn('crm', AGENT)
    const { guarded } = await runClient(name, dsn, ['guarded'])
    const seen = guarded as Seen

    const masked = [first, second].map((each) => [
      each?.id,
      `${each?.email.slice(0, 1)}***${each?.email.slice(each.email.indexOf('@'))}`,
      expect.stringMatching(new RegExp(`^\\*+${each?.phone?.slice(-2)}$`)),
    ])
    expect(seen.masked).toEqual(masked)
    expect(seen.prepared).toEqual([masked[0], masked[1], masked[0]])
    for (const refusal of [seen.refused, seen.filtered, seen.inside]) {
      expect(refusal.code).toBe('SL001')
      expect(refusal.message.length).toBeLessThan(200)
      expect(`${refusal.detail}`).toMatch(/^Request [0-9A-Z]{26}\.\d+\.$/)
      expect(`${refusal.hint}`).not.toBe('')
    }
    expect(seen.filtered.message).toMatch(/email|pii\.email/)
    expect(seen.after.code).toBe('25P02')
    expect(seen.usable).toBe(1)

    const text = JSON.stringify(guarded)
    for (const clear of [first?.email, first?.phone, second?.email, second?.phone, company.rolePassword]) {
      expect(text).not.toContain(clear)
    }
  })

  test('a list of thousands of values is not one question: salaries cannot be asked out bit by bit', async () => {
    const dsn = await company.gateway.dsn('crm', AGENT)
    const among = (amounts: readonly number[]) =>
      `SELECT id FROM employees WHERE salary IN (${amounts.join(', ')})`
    const possible = Array.from({ length: 4_096 }, (_, i) => 40_000 + i * 25)
    const bits = [...Array(12).keys()].map((bit) => among(possible.filter((_, i) => (i >> bit) & 1)))
    const ordinary = await psql(dsn, `${among([52_000, 60_000])};`)
    expect(ordinary).toMatchObject({ code: 0, stderr: '' })
    const array = (amounts: readonly number[]) =>
      `SELECT id FROM employees WHERE salary = ANY ('{${amounts.join(',')}}')`
    bits[0] = array(possible)
    bits[1] = `SELECT id FROM employees WHERE salary = ANY (ARRAY[${possible.join(',')}])`
    bits[2] = `PREPARE p (numeric[]) AS SELECT id FROM employees WHERE salary = ANY ($1)`
    bits[3] = `EXECUTE p ('{${possible.join(',')}}')`
    const client = new Client({ connectionString: dsn })
    await client.connect()
    const given = client.query('SELECT id FROM employees WHERE salary = ANY ($1)', [possible])
    await expect(given).rejects.toMatchObject({ code: 'SL005' })
    await client.end()
    const asked = await psql(dsn, `${bits.join(';\n')};`, ['-v', 'VERBOSITY=verbose'])
    expect(asked.stderr.match(/ERROR: {2}SL005: /g)).toHaveLength(11)
    expect(asked.stdout).toBe('PREPARE\n')
    // What was refused was not asked, and does not count.
    expect((await psql(dsn, `${among([52_000])};`)).stderr).toBe('')
  })

  test('none of the refused statements reached the server', async () => {
    const logged = await company.server.statementsLogged()
    expect(logged.some(({ text }) => /FROM customers/.test(text))).toBe(true)
    expect(logged.filter(({ text }) => /DROP TABLE|LIKE/.test(text) && !/pg_catalog/.test(text))).toEqual([])
    expect(company.gateway.stderr()).toBe('')
  })
})
