import { expect, it } from 'vitest'
import { strictJson } from './strict-json.ts'

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

it('reads what every reader takes for the same', () => {
  for (const text of [
    '{}',
    ' [1, -2.5e3, "a\\"b\\\\", {"a": {"a": "a"}, "b": [{"a": 1}, {"a": 2}]}, null, true] ',
    '"\\ud83d\\ude00"',
    '{"a:b":"{\\"a:b\\":1,","c":"\\\\"}',
    deep(64),
    `[${'1'.repeat(32)}]`,
  ])
    expect(strictJson(text)).toEqual(JSON.parse(text))
})

it.each([
  ['{"a":1,"a":1}', 'a name twice'],
  ['{"b":{"a":1,"b":2,"\\u0061":1}}', 'a name twice'],
  ['{"a":1,"b":[{}],"a":1}', 'a name twice'],
  ['"\\ud83d"', 'no Unicode'],
  ['{"\\ude00":1}', 'no Unicode'],
  [deep(65), 'too deep'],
  ['{"a":'.repeat(65) + '1' + '}'.repeat(65), 'too deep'],
  [`[${'1'.repeat(33)}]`, 'too long'],
  [`[-0.${'1'.repeat(40)}]`, 'too long'],
  ['NaN', 'not JSON'],
  ['[Infinity]', 'not JSON'],
  ['\ufeff{}', 'not JSON'],
  ['{} {}', 'not JSON'],
  ['', 'not JSON'],
])('refuses %s', (text, why) => {
  expect(() => strictJson(text)).toThrow(why)
})
