import { describe, expect, it } from 'vitest'
import { API, CRM, forbid, observed, permit, policyOf, RUN } from '../testing/policies.ts'

const METHOD = 'context.method == "GET"'

describe('whether rules ask for a fact', () => {
  it('is said for the connections that they are about', () => {
    const policy = policyOf([permit(RUN), forbid({ on: [API], run: ['read'], when: METHOD })])
    expect([policy.asks(API, 'method'), policy.asks(CRM, 'method'), policy.asks(API, 'size')]).toEqual([
      true,
      false,
      false,
    ])
    // Again, from memory.
    expect(policy.asks(API, 'method')).toBe(true)
    expect(policyOf([permit(RUN)]).asks(API, 'method')).toBe(false)
  })

  it('counts those that only observe, and raw Cedar that reads all there is', () => {
    expect(policyOf([observed({ on: [API], run: ['read'], when: METHOD })]).asks(API, 'method')).toBe(true)
    const cedar = 'forbid (principal, action, resource) when { context == context };'
    expect(policyOf([permit(RUN)], cedar).asks(CRM, 'outward')).toBe(true)
  })
})

it('the masks of a connection are those of all labels', () => {
  expect(policyOf([permit(RUN)]).masks(CRM)).toEqual([
    { rule: { kind: 'partial', of: 'email' }, key: undefined },
    { rule: { kind: 'null' }, key: undefined },
  ])
})
