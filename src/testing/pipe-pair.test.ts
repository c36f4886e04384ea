import { describe, expect, test } from 'vitest'
import type { MemoryPipe, PipePairOptions } from './pipe-pair.ts'
import { pipePair, turns } from './pipe-pair.ts'

/** Everything that happens to a pipe, in order. */
function watch(pipe: MemoryPipe): string[] {
  const seen: string[] = []
  pipe.onData = (bytes) => void seen.push(bytes.toString())
  pipe.onEnd = () => void seen.push('end')
  pipe.onClose = (error) => void seen.push(`close ${error?.message ?? 'clean'}`)
  pipe.onDrain = () => void seen.push('drain')
  return seen
}

function watched(options?: PipePairOptions) {
  const [left, right] = pipePair(options)
  return { left, right, onLeft: watch(left), onRight: watch(right) }
}

describe('a pipe pair', () => {
  test('carries bytes both ways, later and in order', async () => {
    const { left, right, onLeft, onRight } = watched()
    left.write(Buffer.from('a'))
    left.write(Buffer.from('b'))
    right.write(Buffer.from('c'))
    expect(onRight).toEqual([])
    await turns()
    expect(onRight).toEqual(['a', 'b'])
    expect(onLeft).toEqual(['c'])
  })

  test('takes the bytes back after the call, as a shared read buffer does', async () => {
    const [left, right] = pipePair()
    let kept: Buffer | undefined
    right.onData = (bytes) => {
      kept = bytes
    }
    left.write(Buffer.from('abc'))
    await turns()
    expect(kept).toEqual(Buffer.alloc(3, 0xee))
  })

  test('cuts as finely as asked', async () => {
    const { left, onRight } = watched({ chunkBytes: 1 })
    left.write(Buffer.from('abc'))
    await turns()
    expect(onRight).toEqual(['a', 'b', 'c'])
  })

  test('says no while the reader pauses, and drains after it', async () => {
    const { left, right, onLeft, onRight } = watched({ highWaterBytes: 4 })
    right.pause()
    expect(left.write(Buffer.from('abc'))).toBe(true)
    expect(left.write(Buffer.from('de'))).toBe(false)
    await turns()
    expect(left.queuedBytes).toBe(5)
    expect(onRight).toEqual([])
    right.resume()
    await turns()
    expect(onRight).toEqual(['abc', 'de'])
    expect(onLeft).toEqual(['drain'])
    expect(left.queuedBytes).toBe(0)
  })

  test('ends each direction by itself, and closes when both have', async () => {
    const { left, right, onLeft, onRight } = watched()
    left.end(Buffer.from('bye'))
    await turns()
    expect(onRight).toEqual(['bye', 'end'])
    right.write(Buffer.from('still here'))
    await turns()
    expect(onLeft).toEqual(['still here'])
    right.end()
    await turns()
    expect(onLeft).toEqual(['still here', 'end', 'close clean'])
    expect(onRight).toEqual(['bye', 'end', 'close clean'])
  })

  test('tells who destroys it why, and the other that it ended', async () => {
    const { left, right, onLeft, onRight } = watched()
    left.destroy(new Error('enough'))
    await turns()
    expect(onLeft).toEqual(['close enough'])
    expect(onRight).toEqual(['end'])
    expect(right.write(Buffer.from('x'))).toBe(false)
    await turns()
    expect(onRight).toEqual(['end', 'close write EPIPE'])
  })

  test('delivers nothing to a pipe that was destroyed', async () => {
    const { left, right, onRight } = watched()
    left.write(Buffer.from('late'))
    right.destroy()
    await turns()
    expect(onRight).toEqual(['close clean'])
  })
})
