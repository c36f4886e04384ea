import { beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { Patience } from './patience.ts'
import { Several } from './several.ts'

let clock: FakeClock
let patience: Patience
let over: string[]
beforeEach(() => {
  clock = new FakeClock()
  patience = new Patience(clock)
  over = []
})

function add(name: string, ms: number): () => void {
  const timed = { until: clock.now() + ms, over: () => over.push(name) }
  patience.add(timed)
  return () => patience.remove(timed)
}

test('each is over at its time, whenever it came, by one timer', () => {
  for (const [name, ms] of [
    ['c', 300],
    ['a', 100],
    ['d', 300],
    ['b', 200],
  ] as const)
    add(name, ms)
  expect(clock.waiting).toBe(1)
  clock.advance(99)
  expect(over).toEqual([])
  clock.advance(1)
  expect(over).toEqual(['a'])
  clock.advance(200)
  expect(over).toEqual(['a', 'b', 'c', 'd'])
  expect(clock.waiting).toBe(0)
})

test('what was taken back is not, and leaves no timer', () => {
  const ends = [add('a', 100), add('b', 100), add('c', 100)]
  ends[1]?.()
  ends[1]?.()
  clock.advance(100)
  expect(over).toEqual(['a', 'c'])
  add('d', 100)()
  expect(clock.waiting).toBe(0)
})

test('a clock that is set back keeps nobody beyond the timer', () => {
  add('a', 100)
  const { now } = clock
  clock.now = () => now.call(clock) - 3_600_000
  clock.advance(100)
  expect(over).toEqual(['a'])
})

test('several values of a key, and one, and none', () => {
  const several = new Several<string, string>()
  several.remove('k', 'a')
  for (const value of ['a', 'a', 'b', 'c', 'b']) several.add('k', value)
  expect([[...several.of('k')], several.count('k'), several.count('other')]).toEqual([['a', 'b', 'c'], 3, 0])
  for (const value of ['b', 'a', 'x']) several.remove('k', value)
  expect([...several.of('k')]).toEqual(['c'])
  several.remove('k', 'c')
  expect([[...several.of('k')], several.count('k')]).toEqual([[], 0])
})
