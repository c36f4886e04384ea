import { describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { mayHoldValues, withoutValues } from './withheld.ts'

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

describe('errors and notices in labelled reach (P-02)', () => {
  it('keep names and lose values', () => {
    const shown = withoutValues({
      severity: 'ERROR',
      code: '23514',
      message: 'new row for relation "customers" violates check constraint "customers_plan_check"',
      detail: 'Failing row contains (7, Ada, ada@example.com).',
      where: 'SQL statement "..."',
      internalQuery: "SELECT 'ada@example.com'",
      hint: 'ada@example.com',
      constraint: 'customers_plan_check',
    })
    expect(shown.message).toContain('customers_plan_check')
    expect(shown.constraint).toBe('customers_plan_check')
    expect(JSON.stringify(shown)).not.toContain('ada')
    expect(shown).not.toHaveProperty('where')
  })

  it.each(['22P02', 'P0001', '00000', 'XX000', '38000', '42704'])('lose a message of %s', (code) => {
    expect(
      withoutValues({ severity: 'ERROR', code, message: 'not a number: "ada@example.com"' }).message,
    ).toBe(`The server reports SQLSTATE ${code}.`)
  })

  it('keep what was found while the statement was read', () => {
    const shown = withoutValues({ severity: 'ERROR', code: '42703', message: 'no column "x"', position: '8' })
    expect(shown).toMatchObject({ message: 'no column "x"', position: '8' })
  })

  it('are those of a statement in reach, of one that settles a transaction, and of one that names a table in reach', () => {
    expect(mayHoldValues({ facts, text: 'UPDATE customers SET plan = 1' }, false)).toBe(true)
    expect(mayHoldValues({ facts: outside, text: 'UPDATE notes SET a = 1' }, false)).toBe(false)
    expect(mayHoldValues({ facts: outside, text: 'DELETE FROM notes' }, true)).toBe(true)
    expect(mayHoldValues({ facts: outside, text: ' commit' }, false)).toBe(true)
    expect(mayHoldValues({ facts: { ...facts, attributes: { parsed: false } }, text: 'x' }, false)).toBe(true)
    expect(mayHoldValues(undefined, false)).toBe(false)
  })
})
