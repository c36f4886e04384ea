import { describe, expect, it } from 'vitest'
import type { Facts } from '../../../core/index.ts'
import { sampleCatalogue } from '../../../testing/sample-catalogue.ts'
import {
  mayBeSaidInText,
  mayHoldValues,
  noticeWithoutValues,
  OwnSettings,
  withoutValues,
} from './withheld.ts'

const facts: Facts = {
  class: 'write',
  statements: [{ class: 'write' }],
  reads: [],
  writes: ['public.customers'],
  calls: [],
  labels: [],
  touches: [],
  filters: [],
  stores: [],
  unbounded: false,
  writesEverything: false,
  redefines: false,
  attributes: { parsed: true, reach: true },
}
const outside = { ...facts, attributes: { parsed: true, reach: false } }

const catalogue = sampleCatalogue({ constraints: [{ relation: 20001, name: 'customers_plan_check' }] })
const MARK = 'ada@example.com'

describe('errors and notices in labelled reach (P-02)', () => {
  it('lose also what is found in the text, where types with code of users are in play', () => {
    const fields = { code: '22023', message: MARK, position: '9' }
    const of = { text: '', facts: { ...facts, attributes: { ...facts.attributes, ownTypes: true } } }
    expect(withoutValues(fields, catalogue).message).toBe(MARK)
    expect(mayBeSaidInText({ text: '', facts })).toBe(false)
    expect(mayBeSaidInText(of)).toBe(true)
    expect(JSON.stringify(withoutValues(fields, catalogue, mayBeSaidInText(of)))).not.toContain(MARK)
    expect(JSON.stringify(noticeWithoutValues(fields, catalogue, true))).not.toContain(MARK)
  })

  it('keep names that the catalogue knows, and lose values', () => {
    const shown = withoutValues(
      {
        severity: 'ERROR',
        code: '23514',
        message: 'new row for relation "customers" violates check constraint "customers_plan_check"',
        detail: 'Failing row contains (7, Ada, ada@example.com).',
        where: 'SQL statement "..."',
        internalQuery: "SELECT 'ada@example.com'",
        hint: MARK,
        schema: 'public',
        table: 'customers',
        constraint: 'customers_plan_check',
      },
      catalogue,
    )
    expect(shown.message).toBe(
      'new row for relation "customers" violates check constraint "customers_plan_check"',
    )
    expect(shown).toMatchObject({ table: 'customers', constraint: 'customers_plan_check' })
    expect(JSON.stringify(shown)).not.toContain('ada')
    expect(shown).not.toHaveProperty('where')
  })

  it.each([
    '22P02',
    'P0001',
    '23505',
    '23514',
    '55000',
    '55P03',
    '40001',
    '42501',
    '0A000',
    'XX000',
    'ADA01',
    '42704',
  ])('of %s lose what a function or trigger may have chosen: message, names and SQLSTATE', (code) => {
    const fields = { table: MARK, schema: MARK, column: MARK, constraint: MARK, dataType: MARK }
    for (const each of [fields, { ...fields, schema: 'public', table: 'customers' }]) {
      const shown = withoutValues({ severity: 'ERROR', code, message: MARK, ...each }, catalogue)
      expect(JSON.stringify(shown)).not.toContain(MARK)
      expect(shown.code).toBe(code === 'ADA01' ? 'P0001' : code)
      expect(shown.message).not.toBe('')
    }
  })

  it('keep what was found while the statement was read', () => {
    const shown = withoutValues(
      { severity: 'ERROR', code: '42703', message: 'no column "x"', position: '8' },
      catalogue,
    )
    expect(shown).toMatchObject({ message: 'no column "x"', position: '8' })
  })

  it('are dropped when a function or trigger wrote them, and told in other words when the server did', () => {
    for (const code of ['00000', '01000', 'P0001', 'ADA02'])
      expect(noticeWithoutValues({ severity: 'NOTICE', code, message: MARK }, catalogue)).toBeUndefined()
    const told = noticeWithoutValues({ severity: 'NOTICE', code: '42P07', message: MARK }, catalogue)
    expect(told).toMatchObject({ severity: 'NOTICE', code: '42P07' })
    expect(JSON.stringify(told)).not.toContain(MARK)
  })

  it('settings with a value that the client has not written are not reported', () => {
    const own = new OwnSettings(new Map([['application_name', 'begun']]))
    expect(own.isOwn('application_name', MARK, ['UPDATE customers SET plan = 1'])).toBe(false)
    expect(own.isOwn('application_name', 'begun', ['ROLLBACK'])).toBe(true)
    expect(own.isOwn('application_name', 'mine', ["SET application_name TO 'Mine'"])).toBe(true)
    expect(own.isOwn('application_name', 'mine', ['RESET ALL'])).toBe(true)
    expect(own.isOwn('TimeZone', MARK, [])).toBe(false)
    expect(own.isOwn('in_hot_standby', 'on', [])).toBe(true)
  })

  it('are those of a statement in reach, of one that settles a transaction, and of one that names a table in reach', () => {
    expect(mayHoldValues({ facts, text: 'UPDATE customers SET plan = 1' }, false)).toBe(true)
    expect(mayHoldValues({ facts: outside, text: 'UPDATE notes SET a = 1' }, false)).toBe(false)
    expect(mayHoldValues({ facts: outside, text: 'DELETE FROM notes' }, true)).toBe(true)
    const deferred = { ...outside, attributes: { ...outside.attributes, deferred: true } }
    expect(mayHoldValues({ facts: deferred, text: 'COMMIT' }, false)).toBe(true)
    expect(mayHoldValues({ facts: { ...facts, attributes: { parsed: false } }, text: 'x' }, false)).toBe(true)
    expect(mayHoldValues(undefined, false)).toBe(false)
  })
})
