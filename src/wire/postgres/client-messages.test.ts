import * as fc from 'fast-check'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { encodeClient, passwordBody, saslInitialBody } from './client-encode.ts'
import type { ClientMessage } from './client-messages.ts'
import { CLIENT_TYPES, decodeClient, decodePassword, decodeSaslInitial } from './client-messages.ts'
import { Framer, HEADER_BYTES } from './frame.ts'
import { fewer } from '../../../test/support/fewer.ts'

const violation = expect.objectContaining({ name: 'GatewayError', code: 'protocol_violation' })

function decode(frame: Buffer): ClientMessage {
  expect(frame.readInt32BE(1)).toBe(frame.length - 1)
  return decodeClient(frame[0]!, frame, HEADER_BYTES)
}

/** Every message in a stream, through the framer, cut where told. */
function decodeStream(bytes: Buffer, cuts: readonly number[] = []): ClientMessage[] {
  const messages: ClientMessage[] = []
  const framer = new Framer({ bodyBytesMax: 1 << 20, wholeBytesMax: 1 << 20 })
  const sink = {
    header: () => 'whole' as const,
    whole: (type: number, buffer: Buffer, start: number, end: number) =>
      void messages.push(decodeClient(type, Buffer.from(buffer.subarray(start, end)))),
    piece: () => {},
    pass: () => {},
  }
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    framer.push(bytes.subarray(from, cut), sink)
    from = cut
  }
  expect(framer.atBoundary).toBe(true)
  return messages
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const bytes = (text: string): Buffer => Buffer.from(text)

/** Bytes as the documentation of the protocol lays them out, and what they say. */
const VECTORS: readonly [name: string, frame: Buffer, message: ClientMessage][] = [
  ['Query', hex('51 0000000d 53454c4543542031 00'), { kind: 'query', sql: bytes('SELECT 1') }],
  ['empty Query', hex('51 00000005 00'), { kind: 'query', sql: bytes('') }],
  [
    'Parse',
    hex('50 00000017 7331 00 53454c454354202431 00 0001 00000017'),
    { kind: 'parse', statement: 's1', sql: bytes('SELECT $1'), parameterTypes: [23] },
  ],
  [
    'Parse without types',
    hex('50 00000008 00 00 0000'),
    { kind: 'parse', statement: '', sql: bytes(''), parameterTypes: [] },
  ],
  [
    'Bind',
    hex('42 00000023 70 00 7331 00 0002 0000 0001 0003 00000002 6869 ffffffff 00000000 0001 0001'),
    {
      kind: 'bind',
      portal: 'p',
      statement: 's1',
      parameterFormats: [0, 1],
      values: [bytes('hi'), null, bytes('')],
      resultFormats: [1],
    },
  ],
  [
    'empty Bind',
    hex('42 0000000c 00 00 0000 0000 0000'),
    { kind: 'bind', portal: '', statement: '', parameterFormats: [], values: [], resultFormats: [] },
  ],
  [
    'Describe of a statement',
    hex('44 00000008 53 7331 00'),
    { kind: 'describe', what: 'statement', name: 's1' },
  ],
  ['Describe of a portal', hex('44 00000006 50 00'), { kind: 'describe', what: 'portal', name: '' }],
  ['Execute', hex('45 0000000a 70 00 00000064'), { kind: 'execute', portal: 'p', rowsMax: 100 }],
  [
    'Execute for all rows, oddly',
    hex('45 00000009 00 ffffffff'),
    { kind: 'execute', portal: '', rowsMax: -1 },
  ],
  ['Close of a statement', hex('43 00000008 53 7331 00'), { kind: 'close', what: 'statement', name: 's1' }],
  ['Close of a portal', hex('43 00000007 50 70 00'), { kind: 'close', what: 'portal', name: 'p' }],
  ['Sync', hex('53 00000004'), { kind: 'sync' }],
  ['Flush', hex('48 00000004'), { kind: 'flush' }],
  ['Terminate', hex('58 00000004'), { kind: 'terminate' }],
  ['CopyData', hex('64 00000006 0009'), { kind: 'copyData', data: hex('0009') }],
  ['CopyDone', hex('63 00000004'), { kind: 'copyDone' }],
  ['CopyFail', hex('66 00000008 6e6f21 00'), { kind: 'copyFail', reason: 'no!' }],
  ['PasswordMessage', hex('70 00000008 616263 00'), { kind: 'password', body: hex('61626300') }],
  [
    'FunctionCall',
    hex('46 0000000e 00000001 0000 0000 0000'),
    { kind: 'functionCall', body: hex('00000001000000000000') },
  ],
]

describe('every message of a client', () => {
  for (const [name, frame, message] of VECTORS) {
    test(`${name} is read`, () => expect(decode(frame)).toEqual(message))
    test(`${name} is written`, () => expect(encodeClient(message)).toEqual(frame))
    test(`${name} cut at every byte of the stream`, () => {
      for (let cut = 1; cut < frame.length; cut++) expect(decodeStream(frame, [cut])).toEqual([message])
    })
    test(`${name} is refused with a body cut short, and with one too long`, () => {
      // CopyData, passwords and function calls are bytes: any length is a message.
      if (['copyData', 'password', 'functionCall'].includes(message.kind)) return
      for (let end = HEADER_BYTES; end < frame.length; end++) {
        expect(() => decodeClient(frame[0]!, frame, HEADER_BYTES, end)).toThrow(violation)
      }
      expect(() => decodeClient(frame[0]!, Buffer.concat([frame, bytes('\0')]), HEADER_BYTES)).toThrow(
        violation,
      )
    })
  }

  test('each glued to its neighbour', () => {
    const stream = Buffer.concat(VECTORS.map(([, frame]) => frame))
    const messages = VECTORS.map(([, , message]) => message)
    expect(decodeStream(stream)).toEqual(messages)
    expect(encodeClient(...messages)).toEqual(stream)
    for (let cut = 1; cut < stream.length; cut++) expect(decodeStream(stream, [cut])).toEqual(messages)
  })

  test('has a vector here', () => {
    expect(new Set(VECTORS.map(([, , message]) => message.kind))).toEqual(new Set(Object.keys(CLIENT_TYPES)))
  })
})

const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
const formats = fc.array(fc.integer({ min: -0x8000, max: 0x7fff }), { maxLength: 5 })
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((each) => !each.includes('\0'))
const blob = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))
const sql = blob.map((each) => Buffer.from(each.map((byte) => byte || 1)))
const named = fc.constantFrom('statement' as const, 'portal' as const)

/** Any message a client may send. */
const anyMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({ kind: fc.constant('query' as const), sql }),
  fc.record({
    kind: fc.constant('parse' as const),
    statement: text,
    sql,
    parameterTypes: fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant('bind' as const),
    portal: text,
    statement: text,
    parameterFormats: formats,
    values: fc.array(fc.option(blob), { maxLength: 5 }),
    resultFormats: formats,
  }),
  fc.record({ kind: fc.constantFrom('describe' as const, 'close' as const), what: named, name: text }),
  fc.record({ kind: fc.constant('execute' as const), portal: text, rowsMax: int32 }),
  fc.record({ kind: fc.constantFrom('sync', 'flush', 'terminate', 'copyDone') }),
  fc.record({ kind: fc.constant('copyData' as const), data: blob }),
  fc.record({ kind: fc.constant('copyFail' as const), reason: text }),
  fc.record({ kind: fc.constantFrom('password' as const, 'functionCall' as const), body: blob }),
)

test('a name counts with its first 63 bytes, as it does at the server', () => {
  const named = (name: string) =>
    decodeClient(CLIENT_TYPES.execute, Buffer.concat([Buffer.from(name), Buffer.alloc(5)]))
  const long = 'n'.repeat(63)
  expect(named(long)).toMatchObject({ portal: long })
  expect(named(`${long}x`)).toMatchObject({ portal: long })
  expect(named(`${'\u00e9'.repeat(31)}x`)).toMatchObject({ portal: `${'\u00e9'.repeat(31)}x` })
  expect(() => named(`${'\u00e9'.repeat(31)}xy`)).toThrow(
    expect.objectContaining({ code: 'protocol_violation' }),
  )
})

test('what is written is read back, in any company, cut anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(1000)),
      (messages, at) => {
        const stream = encodeClient(...messages)
        const cuts = at.map((each) => each % (stream.length + 1)).sort((a, b) => a - b)
        expect(decodeStream(stream, cuts)).toEqual(messages)
      },
    ),
  )
})

test('random bodies are a message or an error, and what is read is written the same', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(CLIENT_TYPES)),
      fc.uint8Array({ maxLength: 60 }),
      (type, body) => {
        const buffer = Buffer.from(body)
        let message: ClientMessage
        try {
          message = decodeClient(type, buffer)
        } catch (error) {
          expect(error).toEqual(violation)
          return
        }
        if (message.kind === 'copyFail') return // shown text, not exact
        expect(encodeClient(message).subarray(HEADER_BYTES)).toEqual(buffer)
      },
    ),
    { numRuns: fewer(2000) },
  )
})

test('a changed byte never reads past the body', () => {
  const frames = VECTORS.map(([, frame]) => frame)
  fc.assert(
    fc.property(
      fc.constantFrom(...frames),
      fc.nat(100),
      fc.integer({ min: 0, max: 255 }),
      (frame, at, value) => {
        const body = Buffer.from(frame.subarray(HEADER_BYTES))
        if (body.length === 0) return
        body[at % body.length] = value
        // What lies behind the body must not be taken for a part of it.
        const buffer = Buffer.concat([body, Buffer.alloc(70_000)])
        try {
          decodeClient(frame[0]!, buffer, 0, body.length)
        } catch (error) {
          expect(error).toEqual(violation)
        }
      },
    ),
    { numRuns: fewer(2000) },
  )
})

describe('what is refused', () => {
  test.each([
    ['an unknown type', 0x21, ''],
    ['a server message', 0x54, '0000'],
    ['a Describe of something else', CLIENT_TYPES.describe, '4100'],
    ['a Close of something else', CLIENT_TYPES.close, '0000'],
    ['a statement name that is not UTF-8', CLIENT_TYPES.describe, '53e400'],
    ['a portal name that is not UTF-8', CLIENT_TYPES.execute, 'e40000000000'],
    ['a value of negative length', CLIENT_TYPES.bind, '0000 0000 0001 fffffffe 0000'],
    ['a value longer than the message', CLIENT_TYPES.bind, '0000 0000 0001 7fffffff 0000'],
    ['more values than the message holds', CLIENT_TYPES.bind, '0000 0000 ffff 0000'],
    ['more types than the message holds', CLIENT_TYPES.parse, '0000 ffff'],
    ['a second statement behind the first one’s end', CLIENT_TYPES.query, '41 00 42 00'],
  ])('%s', (_name, type, body) => {
    expect(() => decodeClient(type, hex(body))).toThrow(violation)
  })
})

describe('the encoder of node-postgres is understood', () => {
  test.each<[string, Buffer, ClientMessage]>([
    ['query', serialize.query('SELECT ä'), { kind: 'query', sql: bytes('SELECT ä') }],
    [
      'parse',
      serialize.parse({ name: 'n', text: 'SELECT $1', types: [25] }),
      { kind: 'parse', statement: 'n', sql: bytes('SELECT $1'), parameterTypes: [25] },
    ],
    [
      'bind',
      serialize.bind({ portal: 'p', statement: 'n', values: ['x', null, bytes('y')] }),
      {
        kind: 'bind',
        portal: 'p',
        statement: 'n',
        parameterFormats: [0, 0, 1],
        values: [bytes('x'), null, bytes('y')],
        resultFormats: [0],
      },
    ],
    ['execute', serialize.execute({ portal: 'p', rows: 5 }), { kind: 'execute', portal: 'p', rowsMax: 5 }],
    [
      'describe',
      serialize.describe({ type: 'S', name: 'n' }),
      { kind: 'describe', what: 'statement', name: 'n' },
    ],
    ['close', serialize.close({ type: 'P', name: 'p' }), { kind: 'close', what: 'portal', name: 'p' }],
    ['flush', serialize.flush(), { kind: 'flush' }],
    ['sync', serialize.sync(), { kind: 'sync' }],
    ['end', serialize.end(), { kind: 'terminate' }],
    ['copyData', serialize.copyData(bytes('1\t2')), { kind: 'copyData', data: bytes('1\t2') }],
    ['copyDone', serialize.copyDone(), { kind: 'copyDone' }],
    ['copyFail', serialize.copyFail('no'), { kind: 'copyFail', reason: 'no' }],
    ['password', serialize.password('pw'), { kind: 'password', body: passwordBody('pw') }],
  ])('%s', (_name, frame, message) => {
    expect(decode(Buffer.from(frame))).toEqual(message)
    expect(encodeClient(message)).toEqual(Buffer.from(frame))
  })

  test('SASL', () => {
    const initial = decode(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=,r=x'))
    expect(initial).toEqual({ kind: 'password', body: saslInitialBody('SCRAM-SHA-256', bytes('n,,n=,r=x')) })
  })
})

describe('bodies of the password message', () => {
  test('a password', () => {
    expect(decodePassword(passwordBody('ä b')).toString()).toBe('ä b')
    expect(() => decodePassword(bytes('abc'))).toThrow(violation)
    expect(() => decodePassword(bytes('abc\0d\0'))).toThrow(violation)
  })

  test('the beginning of SASL', () => {
    expect(decodeSaslInitial(saslInitialBody('M', bytes('data')))).toEqual({
      mechanism: 'M',
      data: bytes('data'),
    })
    expect(decodeSaslInitial(hex('4d00 ffffffff'))).toEqual({ mechanism: 'M', data: undefined })
    for (const broken of ['4d', '4d00', '4d00 00000005 00', '4d00 00000000 00', '4d00 fffffffe']) {
      expect(() => decodeSaslInitial(hex(broken))).toThrow(violation)
    }
  })
})

test('a text with a zero byte is not written', () => {
  const invalid = expect.objectContaining({ code: 'invalid' })
  expect(() => encodeClient({ kind: 'query', sql: bytes('a\0b') })).toThrow(invalid)
  expect(() => encodeClient({ kind: 'execute', portal: 'a\0b', rowsMax: 0 })).toThrow(invalid)
})
