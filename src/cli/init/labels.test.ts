import { describe, expect, it } from 'vitest'
import { patternOf, proposeLabels } from './labels.ts'

function labelOf(table: string, column: string, type = 'text'): string | undefined {
  return proposeLabels([{ schema: 'public', table, column, type }])[0]?.label
}

describe('labels by column name', () => {
  it.each([
    ['customers', 'email', 'pii.email'],
    ['customers', 'contactEmail', 'pii.email'],
    ['orders', 'billing_email_address', 'pii.email'],
    ['customers', 'phone', 'pii.phone'],
    ['customers', 'mobile_number', 'pii.phone'],
    ['accounts', 'iban', 'finance.iban'],
    ['payments', 'card_number', 'finance.card'],
    ['payments', 'creditCard', 'finance.card'],
    ['people', 'ssn', 'pii.national_id'],
    ['people', 'FirstName', 'pii.name'],
    ['people', 'last_name', 'pii.name'],
    ['customers', 'name', 'pii.name'],
    ['users', 'date_of_birth', 'pii.birth'],
    ['users', 'street', 'pii.address'],
    ['users', 'postcode', 'pii.address'],
    ['users', 'address_line_2', 'pii.address'],
    ['users', 'password_hash', 'secret'],
    ['users', 'reset_token', 'secret'],
    ['integrations', 'api_key', 'secret'],
    ['oauth', 'client_secret', 'secret'],
    ['logins', 'ip_address', 'pii.ip'],
    ['employees', 'salary', 'finance.salary'],
  ])('%s.%s is %s', (table, column, label) => {
    expect(labelOf(table, column)).toBe(label)
  })

  it.each([
    ['products', 'name'],
    ['customers', 'id'],
    ['customers', 'email_verified_at'],
    ['customers', 'email_verified', 'boolean'],
    ['customers', 'has_password'],
    ['customers', 'phone_type'],
    ['orders', 'customer_id'],
    ['settings', 'key'],
    ['shipping', 'keyboard'],
    ['scans', 'panel'],
    ['trips', 'shipment'],
    ['cities', 'zipper'],
    ['pins', 'token_count'],
  ])('%s.%s is nothing', (table, column, type = 'text') => {
    expect(labelOf(table, column, type)).toBeUndefined()
  })

  it('writes what has dots, stars or blanks in double quotes', () => {
    const column = { schema: 'public', table: 'odd.table', column: 'a "b" *', type: 'text' }
    expect(patternOf(column)).toBe('public."odd.table"."a ""b"" *"')
  })
})
