import { expect, it } from 'vitest'
import { LIMITS } from '../core/index.ts'
import type { Judgement } from './judgements.ts'
import { JudgementCache } from './judgements.ts'

const FACTS = {
  class: 'read',
  statements: [],
  reads: [],
  writes: [],
  calls: [],
  labels: [],
  touches: [],
  filters: [],
  stores: [],
  unbounded: false,
  writesEverything: false,
  redefines: false,
  attributes: {},
} as const
const NO_REASON = { message: '', remedy: '', retry: 'never' } as const
const ONE: Judgement = {
  facts: FACTS,
  decision: { kind: 'deny', reason: NO_REASON, rules: [], observed: [], policyVersion: '', volatile: false },
} as unknown as Judgement

it('keeps a bounded number of judgements, whichever session asks, and however long (P-10)', () => {
  const cache = new JudgementCache()
  const held = cache.scope('one that a session holds on to')
  cache.keep(held, 'first', ONE)
  for (let i = 0; i < 2 * LIMITS.decisionsCachedMax; i++) cache.keep(cache.scope('busy'), `${i}`, ONE)
  expect(held.judgements.size).toBe(0)
  expect(held.dropped).toBe(true)
  for (let i = 0; i < 2 * LIMITS.decisionsCachedMax; i++) cache.keep(held, `${i}`, ONE)
  expect(held.judgements.size).toBe(0)
  expect(cache.scope('busy').judgements.size).toBeLessThanOrEqual(LIMITS.decisionsCachedMax)
  expect(cache.scope('busy').judgements.size).toBeGreaterThan(LIMITS.decisionsCachedMax - 10)
})

it('keeps a bounded number of scopes, also of those in which nothing was kept (P-10)', () => {
  const cache = new JudgementCache()
  const first = cache.scope('0')
  for (let i = 1; i <= LIMITS.decisionsCachedMax; i++) cache.scope(`${i}`)
  expect(first.dropped).toBe(true)
  expect(cache.scope('0')).not.toBe(first)
})

it('forgets everything when the policy changes', () => {
  const cache = new JudgementCache()
  const scope = cache.scope('one')
  cache.keep(scope, 'key', ONE)
  cache.clear()
  expect(scope).toMatchObject({ dropped: true })
  expect(cache.scope('one').judgements.get('key')).toBeUndefined()
})
