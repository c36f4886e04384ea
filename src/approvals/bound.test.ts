import { describe, expect, test } from 'vitest'
import type { Approval } from './approval.ts'
import { agreedEffect, checkEffect } from './bound.ts'

const approval = (more: object): Approval =>
  ({ ticket: 'T-00000000', answers: [], countable: { can: true }, ...more }) as unknown as Approval
const yes = (rows: number, tolerance = 0) => ({ verdict: 'approve', effect: { rows, tolerance } })

describe('an approval for a number of rows', () => {
  test.each([
    [[yes(12)], { least: 12, most: 12 }],
    [[yes(12, 2)], { least: 10, most: 14 }],
    [[yes(1, 5)], { least: 0, most: 6 }],
    [[yes(12, 2), yes(15, 2)], { least: 13, most: 14 }],
    [[yes(12), { verdict: 'approve' }], { least: 12, most: 12 }],
    [[{ verdict: 'approve' }], undefined],
  ])('%j is for %j', (answers, bound) => {
    expect(agreedEffect(approval({ answers }))).toEqual(bound)
  })

  test('of people who do not agree is for no number', () => {
    const bound = agreedEffect(approval({ answers: [yes(1), yes(2)] }))
    expect(bound).toEqual({ least: 1, most: 0 })
  })

  test.each([
    ['who disagrees', { answers: [yes(3)] }, { rows: 4, tolerance: 0 }, 'conflict'],
    [
      'what nobody can count',
      { countable: { can: false, why: 'it is a test' } },
      { rows: 4, tolerance: 0 },
      'denied',
    ],
    [
      'what nobody has said that it can be counted',
      { countable: undefined },
      { rows: 4, tolerance: 0 },
      'denied',
    ],
    ['no number', {}, { rows: -1, tolerance: 0 }, 'invalid'],
    ['half a row', {}, { rows: 1.5, tolerance: 0 }, 'invalid'],
    ['no number where one is required', { effectRequired: true }, undefined, 'invalid'],
    [
      'where one is required and cannot be had',
      { effectRequired: true, countable: undefined },
      undefined,
      'denied',
    ],
  ])('refuses %s', (_name, of, effect, code) => {
    expect(() => checkEffect(approval(of), effect)).toThrow(expect.objectContaining({ code }))
  })

  test('takes none where none is required, and one that fits', () => {
    checkEffect(approval({}), undefined)
    checkEffect(approval({ effectRequired: true, answers: [yes(3, 1)] }), { rows: 4, tolerance: 0 })
  })
})
