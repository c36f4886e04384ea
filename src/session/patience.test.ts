import { expect, it } from 'vitest'
import { patienceOf } from './patience.ts'

it.each([
  ['psql', 'psql', true],
  ['PSQL', 'psql', true],
  ['psql 18', 'psql', false],
  ['psql', 'psql*', true],
  ['psql 18', 'psql*', true],
  ['my psql', 'psql*', false],
  ['my psql', '*psql', true],
  ['', '*', true],
  ['', '', true],
  ['a', '', false],
  ['aba', 'ab*ba', false],
  ['abba', 'ab*ba', true],
  ['ab-x-y-ba', 'ab*x*y*ba', true],
  ['ab-y-x-ba', 'ab*x*y*ba', false],
  ['axb', 'a*xb*b', false],
  ['a.c', 'abc', false],
])('%s is a program like %s: %s', (program, pattern, isLike) => {
  const patienceFor = [
    { program: pattern, ms: 2 },
    { program: '*', ms: 3 },
  ]
  expect(patienceOf({ patienceMs: 1, patienceFor }, program)).toBe(isLike ? 2 : 3)
})

it('is not slowed down by a pattern of many stars', async () => {
  const pattern = `${'a*'.repeat(60)}b`
  const connection = { patienceMs: 1, patienceFor: [{ program: pattern, ms: 2 }] }
  const began = performance.now()
  expect(patienceOf(connection, 'a'.repeat(10_000))).toBe(1)
  expect(performance.now() - began).toBeLessThan(200)
})
