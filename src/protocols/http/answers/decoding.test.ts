import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { codingsOf, decoded } from './decoding.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}

async function lengthOf(bytes: Uint8Array, coding: string): Promise<number> {
  let length = 0
  for await (const piece of decoded(pieces(bytes, 4096), codingsOf(coding) ?? [])) length += piece.length
  return length
}

describe('a body with codings', () => {
  it('is unpacked piece by piece', async () => {
    const body = Buffer.from('unpacked '.repeat(1000))
    expect(await lengthOf(gzipSync(body), 'gzip')).toBe(body.length)
    expect(await lengthOf(brotliCompressSync(gzipSync(body)), 'GZIP, identity, br')).toBe(body.length)
    expect(await lengthOf(body, 'identity')).toBe(body.length)
    expect(await lengthOf(Buffer.alloc(0), 'gzip')).toBe(0)
  })

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('is refused soon when it is a bomb (P-03): %s', async (coding, pack) => {
    const bomb = pack(Buffer.alloc(24 * LIMITS.httpDecodedFreeBytes))
    let length = 0
    const read = async (): Promise<void> => {
      for await (const piece of decoded(pieces(bomb, 512), [coding])) length += piece.length
    }
    await expect(read()).rejects.toMatchObject({ code: 'limit_exceeded' })
    // What has come may have been read ahead of what was unpacked, so the bound is that of all of it.
    const bound = Math.max(LIMITS.httpDecodedFreeBytes, LIMITS.httpDecodedRatioMax * bomb.length)
    expect(length).toBeLessThanOrEqual(bound)
    expect(length).toBeLessThan(12 * LIMITS.httpDecodedFreeBytes)
  })

  it('is refused when it is not packed so, or not to its end (P-03)', async () => {
    const packed = gzipSync('some text that is packed')
    await expect(lengthOf(packed, 'br')).rejects.toMatchObject({ code: 'protocol_violation' })
    await expect(lengthOf(packed.subarray(0, -6), 'gzip')).rejects.toMatchObject({
      code: 'protocol_violation',
    })
  })

  it('passes on what went wrong at its source', async () => {
    async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
      yield await Promise.resolve(gzipSync('x').subarray(0, 5))
      throw new TypeError('lost')
    }
    const read = async (): Promise<void> => {
      for await (const _ of decoded(broken(), ['gzip']));
    }
    await expect(read()).rejects.toThrow('lost')
  })

  it.each(['x-mine', 'gzip, compress', 'gzip, gzip, gzip'])(
    'is not read at all when it says %s',
    (coding) => {
      expect(codingsOf(coding)).toBeUndefined()
    },
  )
})
