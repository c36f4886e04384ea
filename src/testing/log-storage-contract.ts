import { describe, expect, it } from 'vitest'
import type { LogStorage } from '../evidence/index.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const text = (read: Uint8Array | undefined): string | undefined =>
  read === undefined ? undefined : Buffer.from(read).toString()

/** What every storage of a log does; the real one and its twin run through it. */
export function logStorageContract(name: string, open: () => Promise<LogStorage>): void {
  describe(`${name} keeps a log`, () => {
    it('puts a piece once, and never another in its place (P-06)', async () => {
      const storage = await open()
      expect(await storage.read('tile/0/000', 10)).toBeUndefined()
      expect(await storage.putIfAbsent('tile/0/000', bytes('one'))).toBe(true)
      expect(await storage.putIfAbsent('tile/0/000', bytes('two'))).toBe(false)
      expect(text(await storage.read('tile/0/000', 10))).toBe('one')
      const many = Array.from({ length: 8 }, (_, i) => storage.putIfAbsent('tile/0/x001/234', bytes(`${i}`)))
      expect((await Promise.all(many)).filter((put) => put)).toHaveLength(1)
    })

    it('replaces a piece, and keeps what it was handed however that changes', async () => {
      const storage = await open()
      const first = bytes('first')
      await storage.replace('checkpoint', first)
      first.fill(0)
      expect(text(await storage.read('checkpoint', 10))).toBe('first')
      await storage.replace('checkpoint', bytes('2'))
      expect(text(await storage.read('checkpoint', 10))).toBe('2')
    })

    it('keeps parts beside the whole, and removes them alone', async () => {
      const storage = await open()
      await storage.putIfAbsent('tile/0/000.p/1', bytes('a'))
      await storage.putIfAbsent('tile/0/000.p/2', bytes('ab'))
      await storage.putIfAbsent('tile/0/000', bytes('abc'))
      await storage.removeBelow('tile/0/000.p/')
      await storage.removeBelow('tile/0/001.p/')
      expect(await storage.read('tile/0/000.p/1', 10)).toBeUndefined()
      expect(text(await storage.read('tile/0/000', 10))).toBe('abc')
      expect(await storage.putIfAbsent('tile/0/000.p/2', bytes('ab'))).toBe(true)
    })

    it('reads nothing that is longer than it may be', async () => {
      const storage = await open()
      await storage.replace('checkpoint', bytes('12345'))
      await expect(storage.read('checkpoint', 4)).rejects.toThrow(/checkpoint/)
      expect(text(await storage.read('checkpoint', 5))).toBe('12345')
    })
  })
}
