import { describe, expect, it } from 'vitest'
import { brand } from '../../../core/index.ts'
import { buildCatalogue, catalogueQueries } from './catalogue.ts'

type Rows = (string | null)[][]

/** Answers in the order of the queries, found by what each query asks. */
function answers(more: Record<string, Rows> = {}): Rows[] {
  const given: Record<string, Rows> = {
    current_setting: [['crm', '"$user", public']],
    'c.relkind,': [['16385', 'public', 'customers', 'r', 't', 'f']],
    'a.atttypid': [
      ['16385', '1', 'id', '23'],
      ['16385', '3', 'email', '25'],
    ],
    ...more,
  }
  return catalogueQueries.map(
    (text) => Object.entries(given).find(([part]) => text.includes(part))?.[1] ?? [],
  )
}

const LABELS = [{ pattern: 'public.customers.email', label: brand<never>('pii.email') }]

describe('a catalogue', () => {
  it('is made of the text the server sends', () => {
    const catalogue = buildCatalogue(answers(), LABELS, 7)
    expect(catalogue).toMatchObject({ epoch: 7, database: 'crm', labels: ['pii.email'] })
    expect(catalogue.relations.get(16385)).toEqual({
      oid: 16385,
      schema: 'public',
      name: 'customers',
      kind: 'r',
      hasTriggers: true,
      hasRules: false,
      columns: [
        { name: 'id', attribute: 1, type: 23 },
        { name: 'email', attribute: 3, type: 25, label: 'pii.email' },
      ],
    })
  })

  it.each<[string, Record<string, Rows>]>([
    ['a NULL where there is none', { 'a.atttypid': [['16385', '1', null, '23']] }],
    ['something that is no number', { 'a.atttypid': [['16385', 'one', 'id', '23']] }],
    ['a relation of another kind', { 'c.relkind,': [['16385', 'public', 'customers', 'x', 't', 'f']] }],
    ['no database', { current_setting: [] }],
  ])('is not made of answers with %s', (_what, more) => {
    expect(() => buildCatalogue(answers(more), [], 1)).toThrow()
  })

  it('is not made of fewer answers than questions', () => {
    expect(() => buildCatalogue(answers().slice(1), [], 1)).toThrow('every query')
  })
})
