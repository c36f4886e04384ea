import { describe, expect, it } from 'vitest'
import { saysCurrentOf } from './current-of.ts'

describe('a text says CURRENT OF', () => {
  it.each([
    'UPDATE t SET n = 1 WHERE CURRENT OF c',
    'DELETE FROM t WHERE current\n\tof c',
    'DELETE FROM t WHERE CURRENT--x\nOF c',
    'DELETE FROM t WHERE CURRENT/* a /* b */ OF */ /**/OF c',
    "SELECT 'current /*'; DELETE FROM t WHERE CURRENT OF c",
    `SELECT ${'current '.repeat(17)}`,
  ])('%s', (text) => {
    expect(saysCurrentOf(text)).toBe(true)
  })

  it.each([
    'UPDATE t SET n = 1 WHERE id = 7',
    'UPDATE t SET on_date = current_date WHERE kind_of = 1',
    'UPDATE current SET of = 1',
    'UPDATE t SET n = 1 WHERE current.offset = 1',
    'UPDATE t SET current = 1 /* the value of it */',
  ])('or not: %s', (text) => {
    expect(saysCurrentOf(text)).toBe(false)
  })
})
