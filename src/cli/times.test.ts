import { expect, it } from 'vitest'
import { UsageError } from './context.ts'
import { parseTime } from './times.ts'

const NOW = Date.UTC(2026, 10, 27, 12)

it.each([
  ['30s', NOW - 30_000],
  ['2h', NOW - 7_200_000],
  ['7d', NOW - 7 * 86_400_000],
  ['1w', NOW - 7 * 86_400_000],
  ['2026-11-27', Date.UTC(2026, 10, 27)],
  ['2026-11-27T10:00', Date.UTC(2026, 10, 27, 10)],
  ['2026-11-27 10:00:05.5Z', Date.UTC(2026, 10, 27, 10, 0, 5, 500)],
  ['2026-11-27T10:00+02:00', Date.UTC(2026, 10, 27, 8)],
])('%s is that moment, in whatever zone this machine is', (text, time) => {
  expect(parseTime(text, NOW)).toBe(time)
})

it.each(['', 'yesterday', '2', '2y', '-2h', '2026-13-01', '27.11.2026', '10:00', '1969-12-31'])(
  '%j is none',
  (text) => {
    expect(() => parseTime(text, NOW)).toThrow(UsageError)
  },
)
