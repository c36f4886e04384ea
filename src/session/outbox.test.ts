import { describe, expect, it } from 'vitest'
import { pipePair, turns } from '../testing/pipe-pair.ts'
import { Outbox } from './outbox.ts'

describe('an outbox', () => {
  it('sends what was appended, in order, whatever the pieces and however often its memory is used again', async () => {
    const [near, far] = pipePair()
    const got: Buffer[] = []
    far.onData = (bytes) => got.push(Buffer.from(bytes))
    const outbox = new Outbox()
    const sent: Buffer[] = []
    const source = Buffer.alloc(300 * 1024)
    const sizes = [1, 900, 5_000, 40_000, 70_000, 100_000, 200_000, 12, 64 * 1024, 4_096, 300 * 1024]
    for (let round = 0; round < 40; round++) {
      for (const size of sizes) {
        // The source is one buffer that is used again, as the read buffer of the sockets is.
        source.fill((round * sizes.length + size) & 255, 0, size)
        outbox.append(source, 0, size)
        sent.push(Buffer.from(source.subarray(0, size)))
      }
      source.fill(0xee)
      outbox.drainTo(near)
      // Sometimes the next turn comes before the peer has read, sometimes behind it.
      if (round % 3 === 0) await turns()
    }
    await turns(200)
    expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true)
  })

  it('shows what was appended since a mark until it is drained', () => {
    const outbox = new Outbox()
    outbox.append(Buffer.alloc(50_000, 1), 0, 50_000)
    const mark = outbox.bytes
    outbox.append(Buffer.alloc(30, 2), 0, 30)
    outbox.append(Buffer.alloc(60_000, 3), 0, 60_000)
    const since = outbox.since(mark, 1_000_000)
    expect(since.length).toBe(60_030)
    expect([since[0], since[29], since[30], since.at(-1)]).toEqual([2, 2, 3, 3])
    expect(outbox.since(mark, 31)).toEqual(Buffer.concat([Buffer.alloc(30, 2), Buffer.alloc(1, 3)]))
  })
})
