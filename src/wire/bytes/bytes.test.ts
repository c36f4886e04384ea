import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Assembly, decodeUtf8, Reader, showText, Writer } from './index.ts'

const violation = expect.objectContaining({ name: 'GatewayError', code: 'protocol_violation' })

describe('the reader', () => {
  const message = (...bytes: number[]): Reader => new Reader(Buffer.from(bytes))

  test('reads numbers with the highest byte first', () => {
    const reader = message(0xff, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfd, 0xff, 0xff, 0xff, 0xfd)
    expect(reader.uint8()).toBe(255)
    expect(reader.int16()).toBe(-2)
    expect(reader.uint16()).toBe(65534)
    expect(reader.int32()).toBe(-3)
    expect(reader.uint32()).toBe(4294967293)
    expect(reader.remaining).toBe(0)
    reader.done()
  })

  test('never reads past the end of its message, though the buffer goes on', () => {
    const buffer = Buffer.from('abc\0def\0')
    const reads: ((reader: Reader) => unknown)[] = [
      (reader) => reader.int32(),
      (reader) => reader.uint32(),
      (reader) => reader.bytes(4),
      (reader) => reader.bytes(-1),
      (reader) => reader.cstring(),
      (reader) => reader.cstringBytes(),
      (reader) => reader.cstringShown(),
      (reader) => reader.count16(1),
      (reader) => reader.done(),
    ]
    for (const read of reads) expect(() => read(new Reader(buffer, 4, 7))).toThrow(violation)
    const empty = new Reader(buffer, 3, 3)
    for (const read of [() => empty.uint8(), () => empty.int16(), () => empty.uint16()]) {
      expect(read).toThrow(violation)
    }
    expect(empty.rest().length).toBe(0)
    expect(() => new Reader(buffer, 5, 9)).toThrow(RangeError)
    expect(() => new Reader(buffer, 5, 4)).toThrow(RangeError)
  })

  test('stands where it stood when a read has failed', () => {
    const reader = message(1, 2)
    expect(() => reader.int32()).toThrow(violation)
    expect(reader.uint16()).toBe(0x0102)
  })

  test('gives bytes without copying them', () => {
    const buffer = Buffer.from('..abc\0rest')
    const reader = new Reader(buffer, 2)
    const text = reader.cstringBytes()
    buffer[2] = 0x41
    expect(text.toString()).toBe('Abc')
    expect(reader.at).toBe(6)
    expect(reader.rest().toString()).toBe('rest')
  })

  test('believes a count only if its items could be there', () => {
    expect(message(0, 2, 9, 9, 9, 9).count16(2)).toBe(2)
    expect(() => message(0, 3, 9, 9, 9, 9).count16(2)).toThrow(violation)
    expect(() => message(255, 255).count16(1)).toThrow(violation)
    expect(message(0, 0).count16(4)).toBe(0)
  })

  test('wants texts that are compared to be UTF-8, and shows the others', () => {
    expect(message(0xc3, 0xa4, 0).cstring()).toBe('ä')
    expect(message(0xef, 0xbf, 0xbd, 0).cstring()).toBe('\uFFFD')
    expect(() => message(0xe4, 0).cstring()).toThrow(violation)
    // A replacement character beside what is not UTF-8 does not hide it.
    expect(() => message(0xef, 0xbf, 0xbd, 0xe4, 0).cstring()).toThrow(violation)
    expect(message(0xe4, 0).cstringShown()).toBe('\uFFFD')
    expect(message(0).cstring()).toBe('')
    expect(message(0).cstringShown()).toBe('')
  })
})

test('text is exactly its bytes or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const buffer = Buffer.from(bytes)
      let text: string
      try {
        text = decodeUtf8(buffer)
      } catch (error) {
        expect(error).toEqual(violation)
        expect(Buffer.from(showText(buffer))).not.toEqual(buffer)
        return
      }
      expect(Buffer.from(text)).toEqual(buffer)
    }),
  )
})

describe('the writer', () => {
  test('writes what the reader reads, however long it becomes', () => {
    const value = fc.oneof(
      fc.record({ as: fc.constant('uint8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
      fc.record({ as: fc.constant('int16' as const), value: fc.integer({ min: -0x8000, max: 0x7fff }) }),
      fc.record({ as: fc.constant('uint16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
      fc.record({
        as: fc.constant('int32' as const),
        value: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
      }),
      fc.record({ as: fc.constant('uint32' as const), value: fc.integer({ min: 0, max: 0xffffffff }) }),
      fc.record({
        as: fc.constant('cstring' as const),
        value: fc.string({ unit: 'grapheme', maxLength: 400 }).filter((each) => !each.includes('\0')),
      }),
    )
    fc.assert(
      fc.property(fc.array(value), fc.integer({ min: 0, max: 8 }), (values, bytesExpected) => {
        const writer = new Writer(bytesExpected)
        for (const each of values) {
          if (each.as === 'cstring') writer.cstring(each.value)
          else writer[each.as](each.value)
        }
        const length = writer.length
        const written = writer.take()
        expect(written.length).toBe(length)
        const reader = new Reader(written)
        for (const each of values) expect(reader[each.as]()).toBe(each.value)
        reader.done()
      }),
    )
  })

  test('hands over what it has and begins anew', () => {
    const writer = new Writer()
    const first = writer.text('one').take()
    const second = writer.bytes(Buffer.from('two')).text('').take()
    expect([first.toString(), second.toString(), writer.length]).toEqual(['one', 'two', 0])
  })

  test('patches only what was written', () => {
    const writer = new Writer().int32(0).text('abc')
    writer.patchInt32(0, writer.length)
    expect(() => writer.patchInt32(4, 1)).toThrow(RangeError)
    expect(writer.take()).toEqual(Buffer.from('\0\0\0\x07abc'))
  })

  test('refuses a text that would end early', () => {
    const invalid = expect.objectContaining({ code: 'invalid' })
    expect(() => new Writer().cstring('a\0b')).toThrow(invalid)
    expect(() => new Writer().cstring(Buffer.from('a\0b'))).toThrow(invalid)
    expect(new Writer().cstring(Buffer.from('ab')).take()).toEqual(Buffer.from('ab\0'))
  })
})

describe('an assembly', () => {
  test('is complete when everything has come, in any pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 })), (pieces) => {
        const all = Buffer.concat(pieces)
        const assembly = new Assembly(all.length)
        let arrived = 0
        for (const piece of pieces) {
          assembly.append(Buffer.concat([Buffer.from('..'), piece, Buffer.from('..')]), 2, 2 + piece.length)
          arrived += piece.length
          expect(assembly.missing).toBe(all.length - arrived)
          expect(assembly.reserved).toBeLessThanOrEqual(Math.min(all.length, Math.max(1024, arrived * 2)))
        }
        expect(assembly.take()).toEqual(all)
      }),
    )
  })

  test('holds neither more nor less than its size', () => {
    const assembly = new Assembly(2)
    assembly.append(Buffer.from('a'), 0, 1)
    expect(() => assembly.take()).toThrow('not complete')
    expect(() => assembly.append(Buffer.from('bc'), 0, 2)).toThrow(RangeError)
    assembly.append(Buffer.from('bc'), 0, 1)
    expect(assembly.take().toString()).toBe('ab')
  })
})
