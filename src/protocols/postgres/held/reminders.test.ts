import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../testing/fake-clock.ts'
import { Reminders } from './reminders.ts'

let clock: FakeClock
let reminders: Reminders
let told: string[]

beforeEach(() => {
  clock = new FakeClock()
  reminders = new Reminders(clock, 12_000)
  told = []
})

const start = (name: string, patienceMs: number) =>
  reminders.start(patienceMs, (leftMs) => told.push(`${name} ${leftMs}`))

describe('who waits is told so', () => {
  it('after every interval that ends before its patience does', () => {
    start('a', 45_000)
    clock.advance(5_000)
    start('b', 24_000)
    start('c', 12_000)
    clock.advance(60_000)
    expect(told).toEqual(['a 33000', 'b 12000', 'a 21000', 'a 9000'])
    expect(clock.waiting).toBe(0)
  })

  it('until it is over, and then there is no timer', () => {
    const stop = start('a', 45_000)
    const other = start('b', 45_000)
    clock.advance(12_000)
    expect(told).toEqual(['a 33000', 'b 33000'])
    stop()
    clock.advance(12_000)
    expect(told.slice(2)).toEqual(['b 21000'])
    other()
    other()
    expect(clock.waiting).toBe(0)
    clock.advance(60_000)
    expect(told).toHaveLength(3)
  })

  it('with one timer for all, and not all of them in one go', () => {
    const atOnce: number[] = []
    let now = 0
    for (let i = 0; i < 5_000; i++) {
      reminders.start(45_000, () => {
        if (clock.now() !== now) atOnce.push(0)
        now = clock.now()
        atOnce[atOnce.length - 1] = (atOnce.at(-1) ?? 0) + 1
      })
    }
    expect(clock.waiting).toBe(1)
    // Each timer that fires is a turn of its own, so that time has to pass for the next one: here it does not.
    const fired = countTimers(clock)
    clock.advance(12_000)
    expect(atOnce).toEqual([5_000])
    expect(fired()).toBeGreaterThan(50)
    expect(clock.waiting).toBe(1)
  })

  it('also when one begins or ends while others are told', () => {
    const ends: (() => void)[] = []
    ends.push(
      reminders.start(45_000, () => {
        told.push('a')
        for (const end of ends) end()
        start('new', 45_000)
      }),
      start('b', 45_000),
    )
    clock.advance(12_000)
    expect(told).toEqual(['a'])
    expect(clock.waiting).toBe(1)
    clock.advance(12_000)
    expect(told).toEqual(['a', 'new 33000'])
  })

  it('again within an interval after the clock was set back', () => {
    start('a', 45_000)
    const { now } = clock
    let back = 0
    clock.now = () => now.call(clock) - back
    back = 3_600_000
    clock.advance(12_000)
    expect(told).toEqual([])
    clock.advance(3_600_000)
    expect(told.length).toBeGreaterThan(0)
  })
})

/** How many timers are made from now on. */
function countTimers(of: FakeClock): () => number {
  let made = 0
  const { after } = of
  of.after = (ms, run) => {
    made++
    return after.call(of, ms, run)
  }
  return () => made
}
