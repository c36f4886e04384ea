import { describe, expect, it } from 'vitest'
import { postgres } from './index.ts'

describe('patterns of labels', () => {
  it.each([
    'public.customers.email',
    '*.*."e: mail"',
    'public.customers.profile: contact.email',
    'crm.public."my table".profile:  items[]."card no".**',
  ])('%s is one', (pattern) => {
    expect(postgres.labelFault?.(pattern, {})).toBeUndefined()
  })

  it.each([
    ['customers.email', /schema\.table\.column/, /public\.customers\.email/],
    ['public.customers.profile:contact', /schema\.table\.column/, /public\.customers\.email/],
    ['customers.profile: contact.email', /schema\.table\.column/, /public\.customers\.email/],
    [
      'public.customers.profile: contact..email',
      /expected a name.* at character 9/,
      /profile: contact\.email/,
    ],
    ['public.customers.profile: [0].email', /not a path into JSON/, /profile: contact\.email/],
  ])('%s is none', (pattern, expected, fix) => {
    const fault = postgres.labelFault?.(pattern, {})
    expect(fault?.expected).toMatch(expected)
    expect(fault?.fix).toMatch(fix)
  })
})
