import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Ranges, removalOf } from './removals.ts'

const range = fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => ({ first: a, last: b }))

test('a number is in ranges when one of them has it, whatever their order and however they overlap', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (given) => {
      const ranges = new Ranges()
      for (const each of given) ranges.add({ first: each.first, last: Math.max(each.first, each.last) })
      for (let n = 0; n <= 61; n++) {
        const isIn = given.some(({ first, last }) => first <= n && n <= Math.max(first, last))
        expect(ranges.has(n)).toBe(isIn)
      }
    }),
  )
})

test('an entry that names nothing says of nothing that it was removed', () => {
  const of = (details: object) => removalOf('S', 'person:eve', 0, { ...details })
  expect(of({ payload: 'body', frames: '3,9-12', reason: 'x' })).toMatchObject({
    payload: 'body',
    frames: [
      { first: 3, last: 3 },
      { first: 9, last: 12 },
    ],
    reason: 'x',
  })
  expect(of({ payload: 'body', sequence: 7 })?.frames).toEqual([{ first: 7, last: 7 }])
  for (const details of [
    {},
    { payload: 'body' },
    { sequence: 7 },
    { payload: 7, frames: '1' },
    ...['', ',', '1,', '1-', '-1', '1--2', ' 1', '1.5', '1e3', '\u0661', '12345678901234567'].map(
      (frames) => ({
        payload: 'body',
        frames,
      }),
    ),
  ])
    expect(of(details), JSON.stringify(details)).toBeUndefined()
})
