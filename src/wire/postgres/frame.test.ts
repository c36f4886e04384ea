import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FrameMode, FrameSink } from './frame.ts'
import { Framer, HEADER_BYTES } from './frame.ts'

/** The body of the longest message a server may send. */
const LONGEST_BYTES = 1024 * 1024 * 1024 - 5

const LIMITS = { bodyBytesMax: 1 << 20, wholeBytesMax: 1 << 20 }

function frame(type: string, body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(type, 0, 'latin1')
  header.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

/** What a sink saw, joined over pieces, so that it does not depend on how the stream was cut. */
type Seen = { mode: FrameMode; type: string; body: string }

/** `W`, `S`, `P`, `D` as a type choose the mode that begins with that letter. */
const MODES: Readonly<Record<string, FrameMode>> = { W: 'whole', S: 'stream', P: 'pass', D: 'drop' }

class Recorder implements FrameSink {
  readonly seen: Seen[] = []
  readonly headers: string[] = []
  readonly chunkOf: Buffer[] = []
  passed = ''
  #piece = ''

  header(type: number, bodyBytes: number): FrameMode {
    const letter = String.fromCharCode(type)
    this.headers.push(`${letter}${bodyBytes}`)
    return MODES[letter] ?? 'pass'
  }
  whole(type: number, buffer: Buffer, start: number, end: number): void {
    this.chunkOf.push(buffer)
    expect(buffer[start - HEADER_BYTES]).toBe(type)
    expect(buffer.readInt32BE(start - 4)).toBe(end - start + 4)
    this.seen.push({
      mode: 'whole',
      type: String.fromCharCode(type),
      body: buffer.toString('latin1', start, end),
    })
  }
  piece(type: number, buffer: Buffer, start: number, end: number, bytesLeft: number): void {
    this.#piece += buffer.toString('latin1', start, end)
    if (bytesLeft > 0) return
    this.seen.push({ mode: 'stream', type: String.fromCharCode(type), body: this.#piece })
    this.#piece = ''
  }
  pass(buffer: Buffer, start: number, end: number): void {
    expect(end).toBeGreaterThan(start)
    this.passed += buffer.toString('latin1', start, end)
  }
}

function feed(framer: Framer, sink: FrameSink, bytes: Buffer, cuts: readonly number[]): void {
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    const chunk = Buffer.from(bytes.subarray(from, cut))
    expect(framer.push(chunk, sink)).toBe(chunk.length)
    // A shared read buffer is overwritten as soon as the call has returned.
    chunk.fill(0xee)
    from = cut
  }
}

const STREAM = [
  frame('W', 'first'),
  frame('P', 'relayed'),
  frame('P', ''),
  frame('S', 'streamed'),
  frame('S', ''),
  frame('D', 'dropped'),
  frame('P', 'again'),
  frame('W', ''),
  frame('D', ''),
  frame('W', Buffer.alloc(300, 'w')),
]
const HEADERS = ['W5', 'P7', 'P0', 'S8', 'S0', 'D7', 'P5', 'W0', 'D0', 'W300']
const SEEN: Seen[] = [
  { mode: 'whole', type: 'W', body: 'first' },
  { mode: 'stream', type: 'S', body: 'streamed' },
  { mode: 'stream', type: 'S', body: '' },
  { mode: 'whole', type: 'W', body: '' },
  { mode: 'whole', type: 'W', body: 'w'.repeat(300) },
]
const PASSED = Buffer.concat([STREAM[1]!, STREAM[2]!, STREAM[6]!]).toString('latin1')

function check(cuts: readonly number[]): void {
  const framer = new Framer(LIMITS)
  const sink = new Recorder()
  feed(framer, sink, Buffer.concat(STREAM), cuts)
  expect(sink.headers).toEqual(HEADERS)
  expect(sink.seen).toEqual(SEEN)
  expect(sink.passed).toBe(PASSED)
  expect(framer.atBoundary).toBe(true)
  expect(framer.heldBytes).toBe(0)
}

describe('messages arrive the same however the stream is cut', () => {
  const size = Buffer.concat(STREAM).length

  test('in one chunk', () => check([]))

  test('cut at every byte', () => {
    for (let cut = 1; cut < size; cut++) check([cut])
  })

  test('one byte at a time', () => check(Array.from({ length: size - 1 }, (_, i) => i + 1)))

  test('cut at random', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: size - 1 }), { maxLength: 20 }), (cuts) =>
        check(cuts.sort((a, b) => a - b)),
      ),
    )
  })

  test('random messages, random cuts', () => {
    const message = fc.tuple(fc.constantFrom('W', 'S', 'P', 'D'), fc.uint8Array({ maxLength: 40 }))
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
        (messages, at) => {
          const bytes = Buffer.concat(messages.map(([type, body]) => frame(type, body)))
          const cuts = at.map((each) => Math.floor(each * bytes.length)).sort((a, b) => a - b)
          const sink = new Recorder()
          feed(new Framer(LIMITS), sink, bytes, cuts)
          const text = (body: Uint8Array): string => Buffer.from(body).toString('latin1')
          expect(sink.seen).toEqual(
            messages
              .filter(([type]) => type === 'W' || type === 'S')
              .map(([type, body]) => ({ mode: MODES[type], type, body: text(body) })),
          )
          expect(sink.passed).toBe(
            messages
              .filter(([type]) => type === 'P')
              .map(([type, body]) => frame(type, body).toString('latin1'))
              .join(''),
          )
        },
      ),
    )
  })
})

test('a message inside the chunk is not copied, one that is cut gets memory of its own', () => {
  const sink = new Recorder()
  const framer = new Framer(LIMITS)
  const chunk = Buffer.concat([frame('W', 'inside'), frame('W', 'cut here').subarray(0, 7)])
  framer.push(chunk, sink)
  const rest = frame('W', 'cut here').subarray(7)
  framer.push(rest, sink)
  expect(sink.chunkOf[0]).toBe(chunk)
  expect(sink.chunkOf[1]).not.toBe(rest)
  expect(sink.seen.map((each) => each.body)).toEqual(['inside', 'cut here'])
})

test('adjacent messages are relayed as one run', () => {
  const sink = new Recorder()
  let runs = 0
  sink.pass = () => void runs++
  new Framer(LIMITS).push(Buffer.concat(Array.from({ length: 1000 }, () => frame('P', 'row'))), sink)
  expect(runs).toBe(1)
  expect(sink.headers.length).toBe(1000)
})

test('bytes to relay come before the next message that is looked at', () => {
  const order: string[] = []
  const sink: FrameSink = {
    header: (type) => MODES[String.fromCharCode(type)] ?? 'pass',
    whole: () => void order.push('whole'),
    piece: () => void order.push('piece'),
    pass: (_buffer, start, end) => void order.push(`pass ${end - start}`),
  }
  new Framer(LIMITS).push(
    Buffer.concat([
      frame('P', 'a'),
      frame('W', 'b'),
      frame('P', 'c'),
      frame('D', 'd'),
      frame('P', 'e'),
      frame('S', 'f'),
    ]),
    sink,
  )
  expect(order).toEqual(['pass 6', 'whole', 'pass 6', 'pass 6', 'piece'])
})

describe('stopping', () => {
  test('leaves everything behind the message in hand to the caller', () => {
    const framer = new Framer(LIMITS)
    const sink = new Recorder()
    const whole = sink.whole.bind(sink)
    sink.whole = (...all) => {
      whole(...all)
      framer.stop()
    }
    const chunk = Buffer.concat([frame('P', 'a'), frame('W', 'held'), frame('P', 'b'), frame('W', 'later')])
    const taken = framer.push(chunk, sink)
    expect(taken).toBe(frame('P', 'a').length + frame('W', 'held').length)
    expect(sink.headers).toEqual(['P1', 'W4'])
    expect(framer.atBoundary).toBe(true)
    expect(framer.push(chunk.subarray(taken), sink)).toBe(chunk.length - taken)
    expect(sink.headers).toEqual(['P1', 'W4', 'P1', 'W5'])
  })

  test('before a message leaves all of it to the caller, wherever the stream is cut', () => {
    const bytes = Buffer.concat([frame('P', 'abc'), frame('W', 'later'), frame('P', 'ghi')])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const framer = new Framer(LIMITS)
      const sink = new Recorder()
      const header = sink.header.bind(sink)
      let patience = 3
      sink.header = (type, bodyBytes) => {
        if (type === 0x57 && patience-- > 0) return 'leave'
        return header(type, bodyBytes)
      }
      let rest: Buffer = bytes.subarray(0, cut)
      const push = (chunk: Buffer): void => {
        rest = chunk.subarray(framer.push(chunk, sink))
      }
      push(rest)
      push(Buffer.concat([rest, bytes.subarray(cut)]))
      for (let i = 0; i < 3; i++) {
        if (patience >= 0) {
          expect(framer.atBoundary).toBe(true)
          expect(sink.passed).toBe(frame('P', 'abc').toString('latin1'))
        }
        push(rest)
      }
      expect(rest.length).toBe(0)
      expect(sink.headers.filter((each) => each === 'W5')).toEqual(['W5'])
      expect(sink.passed).toBe(
        `${frame('P', 'abc').toString('latin1')}${frame('P', 'ghi').toString('latin1')}`,
      )
    }
  })

  test('at a message that is cut takes what is there of it', () => {
    const framer = new Framer(LIMITS)
    const sink = new Recorder()
    const header = sink.header.bind(sink)
    sink.header = (type, bodyBytes) => {
      framer.stop()
      return header(type, bodyBytes)
    }
    const bytes = Buffer.concat([frame('P', 'abc'), frame('P', 'def'), frame('P', 'ghi')])
    expect(framer.push(bytes.subarray(0, 6), sink)).toBe(6)
    expect(framer.push(bytes.subarray(6), sink)).toBe(10)
    expect(framer.push(bytes.subarray(16), sink)).toBe(8)
    expect(sink.passed).toBe(bytes.toString('latin1'))
  })
})

describe('a length is checked before it is believed', () => {
  for (const length of [0, 3, -1, -2147483648, LIMITS.bodyBytesMax + 5, 2147483647]) {
    test(`length ${length}`, () => {
      const header = Buffer.from('W\0\0\0\0')
      header.writeInt32BE(length, 1)
      for (let cut = 0; cut < HEADER_BYTES; cut++) {
        const framer = new Framer(LIMITS)
        const sink = new Recorder()
        const push = (): void => {
          if (cut > 0) framer.push(header.subarray(0, cut), sink)
          framer.push(header.subarray(cut), sink)
        }
        expect(push).toThrow(expect.objectContaining({ code: 'protocol_violation' }))
        expect(sink.headers).toEqual([])
        expect(() => framer.push(frame('W', ''), sink)).toThrow('nor after it has failed')
      }
    })
  }

  test('the longest that is allowed passes', () => {
    const sink = new Recorder()
    new Framer({ bodyBytesMax: 10, wholeBytesMax: 10 }).push(frame('W', '0123456789'), sink)
    expect(sink.seen[0]?.body).toBe('0123456789')
  })

  test('a whole message has a limit of its own, complete or cut', () => {
    const limits = { bodyBytesMax: 100, wholeBytesMax: 10 }
    const long = frame('W', Buffer.alloc(11))
    for (const cut of [long.length, 7, 5, 3]) {
      const framer = new Framer(limits)
      const push = (): void => {
        framer.push(long.subarray(0, cut), new Recorder())
        framer.push(long.subarray(cut), new Recorder())
      }
      expect(push).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
    }
    const sink = new Recorder()
    new Framer(limits).push(Buffer.concat([frame('S', Buffer.alloc(11)), frame('P', Buffer.alloc(11))]), sink)
    expect(sink.headers).toEqual(['S11', 'P11'])
  })

  test('limits may change between messages', () => {
    const framer = new Framer({ bodyBytesMax: 10, wholeBytesMax: 10 })
    framer.limit({ bodyBytesMax: 20, wholeBytesMax: 20 })
    const sink = new Recorder()
    framer.push(frame('W', Buffer.alloc(15)), sink)
    expect(sink.seen.length).toBe(1)
  })
})

test('a sink that throws leaves the framer unusable, and so does a sink that pushes', () => {
  const framer = new Framer(LIMITS)
  const sink = new Recorder()
  sink.whole = () => void framer.push(frame('P', ''), sink)
  expect(() => framer.push(frame('W', ''), sink)).toThrow('not used from its own sink')
  expect(() => framer.push(frame('P', ''), sink)).toThrow('nor after it has failed')
  expect(framer.atBoundary).toBe(false)
})

test('memory follows what arrives, not what is announced', () => {
  const framer = new Framer({ bodyBytesMax: 1 << 30, wholeBytesMax: 1 << 30 })
  const sink = new Recorder()
  const header = Buffer.from('W\0\0\0\0')
  header.writeInt32BE(1 << 30, 1)
  framer.push(header, sink)
  expect(framer.heldBytes).toBeLessThanOrEqual(1024)
  let arrived = 5
  for (let i = 0; i < 200; i++) {
    framer.push(Buffer.alloc(1000), sink)
    arrived += 1000
    expect(framer.heldBytes).toBeLessThanOrEqual(Math.max(1024, 2 * arrived))
  }
})

test('the longest message there is flows through without being kept', () => {
  for (const letter of ['S', 'P', 'D']) {
    const framer = new Framer({ bodyBytesMax: LONGEST_BYTES, wholeBytesMax: 1024 })
    let seen = 0
    let last = -1
    const sink: FrameSink = {
      header: (type) => MODES[String.fromCharCode(type)] ?? 'pass',
      whole: () => expect.unreachable(),
      piece: (_type, _buffer, start, end, bytesLeft) => {
        seen += end - start
        last = bytesLeft
      },
      pass: (_buffer, start, end) => {
        seen += end - start
      },
    }
    const header = Buffer.from(`${letter}\0\0\0\0`)
    header.writeInt32BE(LONGEST_BYTES + 4, 1)
    framer.push(header, sink)
    const chunk = Buffer.alloc(64 * 1024)
    for (let left = LONGEST_BYTES; left > 0; left -= chunk.length) {
      framer.push(chunk.subarray(0, Math.min(left, chunk.length)), sink)
      expect(framer.heldBytes).toBe(0)
    }
    expect(framer.atBoundary).toBe(true)
    expect(seen).toBe(letter === 'D' ? 0 : letter === 'P' ? LONGEST_BYTES + HEADER_BYTES : LONGEST_BYTES)
    expect(last).toBe(letter === 'S' ? 0 : -1)
  }
})

test('hoop 3.9: collecting a message byte by byte stays linear', () => {
  const time = (bodyBytes: number): number => {
    const framer = new Framer({ bodyBytesMax: 1 << 24, wholeBytesMax: 1 << 24 })
    const sink = new Recorder()
    const bytes = frame('W', Buffer.alloc(bodyBytes, 'x'))
    const begun = process.cpuUsage().user
    for (let at = 0; at < bytes.length; at++) framer.push(bytes.subarray(at, at + 1), sink)
    expect(sink.seen[0]?.body.length).toBe(bodyBytes)
    return process.cpuUsage().user - begun
  }
  time(100_000)
  const small = Math.min(time(100_000), time(100_000))
  const large = Math.min(time(800_000), time(800_000))
  // Eight times the bytes: 8 if linear, 64 if quadratic.
  expect(large / small).toBeLessThan(32)
})

test('random bytes never hang and never get past the limit', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 10 }), (chunks) => {
      const framer = new Framer({ bodyBytesMax: 1000, wholeBytesMax: 500 })
      const sink = new Recorder()
      try {
        for (const chunk of chunks) framer.push(Buffer.from(chunk), sink)
      } catch (error) {
        expect(error).toMatchObject({ name: 'GatewayError' })
      }
      for (const header of sink.headers) expect(Number(header.slice(1))).toBeLessThanOrEqual(1000)
    }),
  )
})
