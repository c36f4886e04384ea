import { expect, it } from 'vitest'
import type { IdentityChain } from '../../../core/index.ts'
import { LIMITS } from '../../../core/index.ts'
import { Shares } from './shares.ts'

const chainOf = (name: string): IdentityChain => [{ kind: 'agent', name, issuer: 'local', groups: [] }]

it('one identity gets half of the connections of an upstream, and the others the rest', () => {
  expect(LIMITS.httpRequestsPerIdentityMax * 2).toBeLessThanOrEqual(LIMITS.httpUpstreamConnectionsMax)
  const shares = new Shares()
  const leave = Array.from({ length: LIMITS.httpRequestsPerIdentityMax }, () => shares.enter(chainOf('bot')))
  expect(() => shares.enter(chainOf('bot'))).toThrow('too many of your requests')
  shares.enter(chainOf('other'))()
  leave[0]?.()
  shares.enter(chainOf('bot'))
  expect(() => shares.enter(chainOf('bot'))).toThrow('too many of your requests')
})
