import { describe, expect, it } from 'vitest'
import { LIMITS } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { Renewal } from './renewal.ts'

const LIFE_MS = 60_000

/** An issuer that counts, and answers when told. */
function issuer() {
  const clock = new FakeClock()
  const asked: { give: (lifeMs?: number) => void; fail: () => void }[] = []
  let n = 0
  const renewal = new Renewal(
    clock,
    () =>
      new Promise<{ value: string; lifeMs: number }>((resolve, reject) => {
        const value = `token ${++n}`
        asked.push({
          give: (lifeMs = LIFE_MS) => resolve({ value, lifeMs }),
          fail: () => reject(new Error(`no ${value}`)),
        })
      }),
  )
  return { clock, asked, renewal }
}

describe('a token', () => {
  it('is asked for once, however many want it', async () => {
    const { asked, renewal } = issuer()
    const all = Array.from({ length: 50 }, () => renewal.current())
    expect(asked).toHaveLength(1)
    asked[0]?.give()
    expect(new Set(await Promise.all(all))).toEqual(new Set(['token 1']))
    expect(await renewal.current()).toBe('token 1')
    expect(asked).toHaveLength(1)
  })

  it('is renewed at three quarters of its life, while the old one serves', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.give()
    await first
    clock.advance(LIFE_MS * 0.75 - 1)
    await renewal.current()
    expect(asked).toHaveLength(1)
    clock.advance(1)
    expect(await Promise.all([renewal.current(), renewal.current()])).toEqual(['token 1', 'token 1'])
    expect(asked).toHaveLength(2)
    asked[1]?.give()
    await Promise.resolve()
    await new Promise(setImmediate)
    expect(await renewal.current()).toBe('token 2')
  })

  it('serves to its end when the renewal fails, and is asked for again after some seconds', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.give()
    await first
    clock.advance(LIFE_MS * 0.8)
    expect(await renewal.current()).toBe('token 1')
    asked[1]?.fail()
    await new Promise(setImmediate)
    expect(await renewal.current()).toBe('token 1')
    expect(asked).toHaveLength(2)
    clock.advance(LIMITS.upstreamTokenRetryMs)
    expect(await renewal.current()).toBe('token 1')
    expect(asked).toHaveLength(3)
    clock.advance(LIFE_MS)
    const waiting = renewal.current()
    asked[2]?.give()
    expect(await waiting).toBe('token 3')
  })

  it('that cannot be had is not asked for with every request', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.fail()
    await expect(first).rejects.toThrow('no token 1')
    await expect(renewal.current()).rejects.toThrow('no token 1')
    expect(asked).toHaveLength(1)
    clock.advance(LIMITS.upstreamTokenRetryMs)
    const second = renewal.current()
    asked[1]?.give()
    expect(await second).toBe('token 2')
  })

  it('that an upstream does not take is renewed once for all that were told so', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.give()
    await first
    // Seconds old: not the token's fault.
    expect(await renewal.another('token 1')).toBe(false)
    clock.advance(LIMITS.upstreamTokenRetryMs)
    const told = [renewal.another('token 1'), renewal.another('token 1')]
    expect(asked).toHaveLength(2)
    asked[1]?.give()
    expect(await Promise.all(told)).toEqual([true, true])
    // Who comes later with the old one gets the new one.
    expect(await renewal.another('token 1')).toBe(true)
    expect(asked).toHaveLength(2)
  })

  it('that an upstream did not take is used on while there is no other', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.give()
    await first
    clock.advance(LIMITS.upstreamTokenRetryMs)
    const told = renewal.another('token 1')
    asked[1]?.fail()
    await expect(told).rejects.toThrow('no token 2')
    // One request that may not be made, and an issuer that is down, stop nobody else.
    expect(await renewal.current()).toBe('token 1')
  })

  it('is not believed to live longer than a day', async () => {
    const { clock, asked, renewal } = issuer()
    const first = renewal.current()
    asked[0]?.give(10 * LIMITS.upstreamTokenMsMax)
    await first
    clock.advance(LIMITS.upstreamTokenMsMax)
    void renewal.current()
    expect(asked).toHaveLength(2)
  })
})
