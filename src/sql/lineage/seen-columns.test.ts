import { afterAll, beforeAll, expect, it } from 'vitest'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import { analyse } from '../analyse.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

const catalogue = sampleCatalogue()

async function seen(text: string): Promise<string[]> {
  const facts = analyse(await parser.parse(text), { catalogue, searchPath: ['public'] })
  return (facts.columns ?? []).map(({ column, label }) => `${column} ${label}`)
}

const EMAIL = 'public.customers.email pii.email'
const CONTACTS = ['public.events.contact_email pii.email', 'public.events_2024.contact_email pii.email']

it.each<[string, readonly string[]]>([
  ['SELECT id, plan FROM customers', []],
  ['SELECT email FROM customers', [EMAIL]],
  ['SELECT * FROM customers', [EMAIL, 'public.customers.phone pii.phone']],
  ['SELECT c.e FROM (SELECT email AS e FROM customers) c, events', [EMAIL]],
  ['SELECT c.id FROM customers c JOIN events e ON e.id = c.id', []],
  ['UPDATE customers SET plan = NULL RETURNING email', [EMAIL]],
  ['COPY customers (email) TO STDOUT', [EMAIL]],
  // Computed: any column with the label of what is read.
  ['SELECT upper(email) FROM customers', [EMAIL]],
  ['SELECT upper(c.email) FROM customers c, events e', [EMAIL, ...CONTACTS]],
  ['SELECT email FROM customers UNION SELECT contact_email FROM events', [EMAIL, ...CONTACTS]],
  ['SELECT 1; SELECT email FROM customers', [EMAIL]],
  ['PREPARE p AS SELECT email FROM customers; EXECUTE p', [EMAIL]],
])('%s hands out %j', async (text, columns) => {
  expect(await seen(text)).toEqual(columns)
})

it('names what shows through a view by the tables behind it, and all there is where nothing is known', async () => {
  const views = new Views((text) => statementOf(parser.parseNow(text)))
  const facts = analyse(await parser.parse('SELECT email FROM customer_list'), {
    catalogue,
    searchPath: ['public'],
    views,
  })
  expect(facts.columns).toEqual([{ column: 'public.customers.email', label: 'pii.email' }])
  expect(await seen('this is no SQL')).toEqual(catalogue.labels.map((label) => `* ${label}`))
})
