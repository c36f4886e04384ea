import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bundlePath, decodeBundle, decodeTile, encodeBundle, encodeTile, tilePath } from './layout.ts'

describe('the paths of a log', () => {
  // The examples of c2sp.org/tlog-tiles.
  it.each([
    [tilePath(0, 0), 'tile/0/000'],
    [tilePath(0, 1234067), 'tile/0/x001/x234/067'],
    [tilePath(0, 273, 112), 'tile/0/273.p/112'],
    [tilePath(1, 1, 17), 'tile/1/001.p/17'],
    [tilePath(2, 0, 1), 'tile/2/000.p/1'],
    [tilePath(3, 999), 'tile/3/999'],
    [tilePath(3, 1000, 255), 'tile/3/x001/000.p/255'],
    [bundlePath(1000), 'tile/entries/x001/000'],
    [bundlePath(12, 3), 'tile/entries/012.p/3'],
  ])('are %s', (path, expected) => {
    expect(path).toBe(expected)
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('name no tile %d', (index) => {
    expect(() => tilePath(0, index)).toThrow('whole number')
  })

  it.each([0, 257, 1.5])('name no tile of %d hashes', (width) => {
    expect(() => tilePath(0, 0, width)).toThrow('1 to 256')
  })
})

describe('a bundle of entries', () => {
  it('is read as it was written, and refused wherever it is cut off', () => {
    expect(encodeBundle([new Uint8Array(0), new Uint8Array([7])])).toEqual(new Uint8Array([0, 0, 0, 1, 7]))
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 }), (entries) => {
        const bytes = encodeBundle(entries)
        expect(decodeBundle(bytes)).toEqual(entries.map((entry) => new Uint8Array(entry)))
        const ends = new Set(entries.map((_, i) => encodeBundle(entries.slice(0, i)).length))
        for (let cut = 0; cut < bytes.length; cut++) {
          if (ends.has(cut)) continue
          expect(() => decodeBundle(bytes.subarray(0, cut))).toThrow('cut off')
        }
      }),
      { numRuns: 30 },
    )
  })

  it('takes entries up to what 16 bits count', () => {
    const largest = new Uint8Array(65_535).fill(1)
    expect(decodeBundle(encodeBundle([largest]))).toEqual([largest])
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow('65,535')
  })
})

describe('a tile', () => {
  it('may be wider than what is asked of it, and not narrower', () => {
    const hashes = [1, 2, 3].map((each) => new Uint8Array(32).fill(each))
    const bytes = encodeTile(hashes)
    expect(decodeTile(bytes, 2)).toEqual(hashes.slice(0, 2))
    expect(() => decodeTile(bytes, 4)).toThrow('cut off')
    expect(() => decodeTile(bytes.subarray(1), 2)).toThrow('cut off')
  })
})
