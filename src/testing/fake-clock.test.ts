import { expect, test } from 'vitest'
import { FakeClock } from './fake-clock.ts'

test('time stands still until it is moved, and timers run at their own moment, in order', () => {
  const clock = new FakeClock(1_000)
  const ran: [string, number][] = []
  const note = (name: string) => () => void ran.push([name, clock.now()])
  clock.after(20, note('late'))
  clock.after(10, note('early'))
  const canceled = clock.after(15, note('never'))
  clock.after(5, () => {
    clock.after(2, note('from a timer'))
    canceled.cancel()
  })
  expect(clock.now()).toBe(1_000)
  clock.advance(19)
  expect(ran).toEqual([
    ['from a timer', 1_007],
    ['early', 1_010],
  ])
  expect(clock.now()).toBe(1_019)
  expect(clock.waiting).toBe(1)
  clock.advance(1)
  expect(ran.at(-1)).toEqual(['late', 1_020])
})
