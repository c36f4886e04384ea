import { expect, test } from 'vitest'
import { listedAmong, listedIn, readingsOf } from './readings.ts'

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

function binaryArray(...values: readonly number[]): Buffer {
  const words = [1, 0, 23, values.length, 1, ...values.flatMap((value) => [4, value])]
  return Buffer.concat(
    words.map((word) => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(word)
      return bytes
    }),
  )
}

test('values in an array count, whatever it is written in, and others do not', () => {
  const among = (value: string | Buffer, reading?: string) =>
    listedAmong([Buffer.from(value)], reading === undefined ? undefined : [reading])
  expect(among('{a,b,c}')).toBe(2)
  expect(among(' [2:4]={a,b,c}', 'text')).toBe(2)
  expect(among('a, b, c')).toBe(0)
  expect(among(binaryArray(7, 8, 9), 'binary')).toBe(2)
  expect(among(binaryArray(7, 8, 9), 'binary integer[]')).toBe(2)
  expect(among('a long text, and no array', 'binary')).toBe(0)
  expect(among('1 2 3', 'text type 22')).toBe(2)
  expect(listedAmong([null, Buffer.from('{1,2}')], undefined)).toBe(1)
  expect(listedIn("SELECT id FROM t WHERE a = ANY ('{a,b,c}')")).toBe(2)
  expect(listedIn("SELECT id FROM t WHERE a = ANY (E'{a\\x2cb}')")).toBe(1)
  expect(listedIn("EXECUTE p ('{a,b}')")).toBe(1)
  expect(listedIn("SELECT id, a FROM t WHERE a = 'x,y'")).toBe(0)
  const hidden = "SELECT id FROM t WHERE a = ANY (U&'{a!002cb}' UESCAPE '!')"
  expect(listedIn(hidden)).toBe(hidden.length)
})
