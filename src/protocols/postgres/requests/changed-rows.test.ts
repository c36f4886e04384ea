import { describe, expect, test } from 'vitest'
import { changedTables, changesText, rowsIn } from './changed-rows.ts'

const COUNTS = [null, 'on', 'false', '0', '0', '0']
const row = (oid: string, name: string, ...numbers: string[]) => [oid, 'public', name, ...numbers]

describe('what a transaction has changed', () => {
  test('is what was counted less what was counted before', () => {
    const before = [COUNTS, row('1', 'a', '5', '0', '0')]
    const after = [COUNTS, row('1', 'a', '6', '2', '0'), row('2', 'b', '0', '0', '7')]
    const changed = changedTables(before, after) ?? []
    expect(rowsIn(changed)).toBe(10)
    expect(changesText(changed)).toBe('public.b 7 deleted; public.a 1 inserted, 2 updated')
  })

  test('is nothing where nothing was counted more', () => {
    expect(
      changedTables([COUNTS, row('1', 'a', '5', '0', '0')], [COUNTS, row('1', 'a', '5', '0', '0')]),
    ).toEqual([])
  })

  test.each([
    ['the server does not count', [[null, 'off', 'false', '0', '0', '0']]],
    ['the server says nothing of it', []],
    ['there are foreign tables', [[null, 'on', 'true', '0', '0', '0']]],
    ['a number is none', [COUNTS, row('1', 'a', 'x', '0', '0')]],
    ['a number is too large to be exact', [COUNTS, row('1', 'a', '9007199254740993', '0', '0')]],
    ['a row was left out', [COUNTS, ['']]],
    ['a count went back', [COUNTS, row('1', 'a', '1', '0', '0')]],
    ['a table has gone', [COUNTS]],
    [
      'a lock was taken that no change of rows takes',
      [[null, 'on', 'false', '1', '0', '0'], row('1', 'a', '3', '0', '0')],
    ],
    [
      'tables of the server itself changed',
      [[null, 'on', 'false', '0', '2', '0'], row('1', 'a', '3', '0', '0')],
    ],
  ])('is not known where %s', (_name, after) => {
    expect(changedTables([COUNTS, row('1', 'a', '2', '0', '0')], after)).toBeUndefined()
  })

  test('foreign tables do not matter where it is known that none is touched', () => {
    const foreign = [null, 'on', 'true', '0', '0', '0']
    expect(changedTables([foreign], [foreign, row('1', 'a', '1', '0', '0')], true)).toHaveLength(1)
  })
})
