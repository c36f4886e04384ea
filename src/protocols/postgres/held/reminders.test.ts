import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../testing/fake-clock.ts'
import { type Reminded, Reminders } from './reminders.ts'

let clock: FakeClock
let reminders: Reminders
let told: string[]

beforeEach(() => {
  clock = new FakeClock()
  reminders = new Reminders(clock, 12_000, 15_000)
  told = []
})

const waiter = (remind: (leftMs: number) => void): Reminded => ({ due: 0, until: 0, remind })

function start(name: string, patienceMs: number): () => void {
  const waiting = waiter((leftMs) => told.push(`${name} ${leftMs}`))
  reminders.start(patienceMs, waiting)
  return () => reminders.stop(waiting)
}

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

  it('one after the other where thousands began at the same moment, with one timer for all', () => {
    const began = clock.now()
    const at = new Map<number, number[]>()
    for (let i = 0; i < 5_000; i++) {
      const times: number[] = []
      at.set(i, times)
      reminders.start(
        600_000,
        waiter(() => times.push(clock.now() - began)),
      )
    }
    expect(clock.waiting).toBe(1)
    clock.advance(180_000)
    expect(clock.waiting).toBe(1)
    const all = [...at.values()].flat()
    const perGo = Map.groupBy(all, (ms) => ms)
    expect(Math.max(...[...perGo.values()].map((each) => each.length))).toBeLessThanOrEqual(32)
    // The first round is as far behind as it takes to tell them all; after some rounds they are spread.
    const settled = [...at.values()].map((times) => times.filter((ms) => ms > 100_000))
    const apart = settled.flatMap((times) => times.slice(1).map((ms, i) => ms - (times[i] ?? 0)))
    expect(apart.length).toBeGreaterThan(5_000)
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(11_900)
    expect(Math.max(...apart)).toBeLessThanOrEqual(15_100)
    const seconds = Map.groupBy(settled.flat(), (ms) => Math.floor(ms / 1_000))
    expect(Math.max(...[...seconds.values()].map((each) => each.length))).toBeLessThan(700)
  })

  it('all in time, however many they are', () => {
    let count = 0
    for (let i = 0; i < 20_000; i++)
      reminders.start(
        45_000,
        waiter(() => count++),
      )
    clock.advance(26_000)
    expect(count).toBeGreaterThanOrEqual(20_000)
  })

  it('also when one begins or ends while others are told', () => {
    const ends: (() => void)[] = []
    const a = waiter(() => {
      told.push('a')
      for (const end of ends) end()
      start('new', 45_000)
    })
    reminders.start(45_000, a)
    ends.push(() => reminders.stop(a), start('b', 45_000))
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
