import { expect, test } from 'vitest'
import { readingsOf } from './readings.ts'

test.each([
  ['no formats', [], undefined, undefined],
  ['text for all', [0], [0, 0], undefined],
  ['text for each', [0, 0], [], undefined],
  ['binary for all', [1], undefined, ['binary', 'binary']],
  ['one of each', [1, 0], [], ['binary', 'text']],
  ['declared types', [], [23], ['text integer', 'text']],
  ['a type of a user', [0, 1], [0, 16400], ['text', 'binary type 16400']],
])('%s: each parameter is read in one way', (_what, formats, types, readings) => {
  expect(readingsOf(2, formats, types)).toEqual(readings)
})
