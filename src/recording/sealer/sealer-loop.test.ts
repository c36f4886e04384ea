import { expect, test } from 'vitest'
import { GatewayError } from '../../core/index.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import type { Sealer } from './sealer.ts'
import { SealerLoop, type SealerState } from './sealer-loop.ts'

/** A sealer that does what a test says in each pass. */
function loopOf(passes: (() => boolean)[], size = 0) {
  const clock = new FakeClock()
  const faults: string[] = []
  const states: SealerState[] = []
  const heads: number[] = []
  const opened = { count: 0, closed: 0 }
  let through = 0
  const open = async (): Promise<Sealer> => {
    opened.count++
    return {
      vkey: 'key',
      get sealed() {
        return { through, size: through }
      },
      async pass() {
        const more = passes.shift()?.() ?? false
        through++
        return more
      },
      async close() {
        opened.closed++
      },
    } as unknown as Sealer
  }
  const loop = new SealerLoop({
    open,
    clock,
    size,
    onState: (state) => states.push(state),
    onFault: (error) => faults.push(error instanceof Error ? error.message : String(error)),
    onHead: (sealer) => heads.push(sealer.sealed.size),
  })
  return { clock, faults, states, heads, opened, loop }
}

const fail = (error: Error) => (): never => {
  throw error
}

test('a log that is shorter than it was a moment ago ends the work (P-06)', async () => {
  const { faults, states, opened, loop } = loopOf([], 5)
  await expect(loop.settle()).rejects.toThrow('The log has 0 entries, and had 5 a moment ago')
  expect([states.at(-1)?.stopped, faults.length, opened]).toEqual([true, 1, { count: 1, closed: 1 }])
  await loop.stop()
})

test('passes follow each other at most a second apart, at once when there is more to do', async () => {
  const { clock, heads, loop } = loopOf([() => true, () => true, () => false])
  loop.start()
  clock.advance(0)
  await expect.poll(() => clock.waiting).toBe(1)
  clock.advance(0)
  await expect.poll(() => clock.waiting).toBe(1)
  clock.advance(0)
  await expect.poll(() => heads.length).toBe(3)
  await expect.poll(() => clock.waiting).toBe(1)
  clock.advance(799)
  expect(heads).toHaveLength(3)
  clock.advance(201)
  await expect.poll(() => heads.length).toBe(4)
  await loop.stop()
})

test('woken up, it does not wait', async () => {
  const { clock, heads, loop } = loopOf([])
  loop.start()
  clock.advance(0)
  await expect.poll(() => heads.length).toBe(1)
  await expect.poll(() => clock.waiting).toBe(1)
  loop.wake()
  clock.advance(0)
  // While it is at work.
  loop.wake()
  await expect.poll(() => heads.length).toBe(2)
  await expect.poll(() => clock.waiting).toBe(1)
  clock.advance(0)
  await expect.poll(() => heads.length).toBe(3)
  await loop.stop()
})

test('after a fault of the disk it begins anew, with another sealer', async () => {
  const { clock, faults, states, opened, loop } = loopOf([fail(new Error('EIO'))])
  loop.start()
  clock.advance(0)
  await expect.poll(() => faults).toEqual(['EIO'])
  expect(states.at(-1)).toMatchObject({ stopped: false, fault: { message: 'EIO' } })
  await expect.poll(() => clock.waiting).toBe(1)
  clock.advance(5_000)
  await expect.poll(() => states.at(-1)?.fault).toBe(undefined)
  expect(opened).toEqual({ count: 2, closed: 1 })
  await loop.stop()
})

test('over damage it stops, and says so', async () => {
  const damage = new GatewayError('invalid', 'The recording is damaged: a, byte 1: why.')
  const { clock, faults, states, opened, loop } = loopOf([fail(damage)])
  loop.start()
  clock.advance(0)
  await expect.poll(() => states.length).toBe(1)
  expect(states[0]).toMatchObject({ stopped: true, fault: { code: 'invalid' } })
  clock.advance(60_000)
  await loop.settle()
  expect(opened.count).toBe(1)
  expect(faults).toHaveLength(1)
  await loop.stop()
})

test('what is asked for is done before it resolves, and fails as the work does', async () => {
  const { heads, faults, loop } = loopOf([() => true, () => false, fail(new Error('EIO'))])
  await loop.settle()
  expect(heads).toEqual([1, 2])
  await expect(loop.settle()).rejects.toThrow('EIO')
  expect(faults).toEqual(['EIO'])
  await loop.stop()
})
