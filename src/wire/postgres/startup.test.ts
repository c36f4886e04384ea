import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../core/limits.ts'
import type { Startup, StartupPacket } from './startup.ts'
import {
  encodeCancelRequest,
  encodeGssEncryptionRequest,
  encodeSslRequest,
  encodeStartup,
  negotiate,
  StartupReader,
} from './startup.ts'

/** A packet from its code and the rest, with the right length in front. */
function packet(code: number, rest: Uint8Array | string): Buffer {
  const body = Buffer.from(rest)
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length, 0)
  head.writeUInt32BE(code, 4)
  return Buffer.concat([head, body])
}

const V3 = 3 << 16

function read(bytes: Buffer): { packet: StartupPacket; rest: string } | undefined {
  const taken = new StartupReader().push(bytes)
  return taken && { packet: taken.packet, rest: taken.rest.toString('latin1') }
}

function startup(bytes: Buffer): Startup {
  const taken = read(bytes)?.packet
  if (taken?.kind !== 'startup') throw new Error('not a start-up message')
  return taken
}

function code(wanted: string): unknown {
  return expect.objectContaining({ name: 'GatewayError', code: wanted })
}

const VECTORS: readonly [name: string, bytes: Buffer, packet: StartupPacket][] = [
  ['SSLRequest', Buffer.from('0000000804d2162f', 'hex'), { kind: 'sslRequest' }],
  ['GSSENCRequest', Buffer.from('0000000804d21630', 'hex'), { kind: 'gssEncryptionRequest' }],
  [
    'CancelRequest',
    Buffer.from('0000001004d2162e0000abcd01020304', 'hex'),
    { kind: 'cancelRequest', processId: 0xabcd, key: Buffer.from([1, 2, 3, 4]) },
  ],
  [
    'CancelRequest of protocol 3.2',
    encodeCancelRequest(-7, Buffer.alloc(256, 9)),
    { kind: 'cancelRequest', processId: -7, key: Buffer.alloc(256, 9) },
  ],
  [
    'StartupMessage as psql sends it',
    packet(V3, 'user\0c_abc\0database\0crm\0application_name\0psql\0client_encoding\0UTF8\0\0'),
    {
      kind: 'startup',
      minor: 0,
      user: 'c_abc',
      database: 'crm',
      replication: false,
      protocolOptions: [],
      parameters: new Map([
        ['application_name', 'psql'],
        ['client_encoding', 'UTF8'],
      ]),
    },
  ],
  [
    'StartupMessage with everything',
    packet(V3 + 2, 'user\0ä\0_pq_.x\x001\0replication\0database\0options\0-c a=b\0database\0\0empty\0\0\0'),
    {
      kind: 'startup',
      minor: 2,
      user: 'ä',
      database: '',
      replication: true,
      protocolOptions: ['_pq_.x'],
      parameters: new Map([
        ['options', '-c a=b'],
        ['empty', ''],
      ]),
    },
  ],
]

describe('every packet a client may begin with', () => {
  for (const [name, bytes, wanted] of VECTORS) {
    test(`${name}: whole`, () => expect(read(bytes)).toEqual({ packet: wanted, rest: '' }))

    test(`${name}: glued to what follows`, () => {
      expect(read(Buffer.concat([bytes, Buffer.from('next')]))).toEqual({ packet: wanted, rest: 'next' })
    })

    test(`${name}: cut at every byte, in a buffer that is used again`, () => {
      for (let cut = 1; cut < bytes.length; cut++) {
        const reader = new StartupReader()
        const first = Buffer.from(bytes.subarray(0, cut))
        expect(reader.push(first)).toBeUndefined()
        first.fill(0xee)
        const second = Buffer.from(bytes.subarray(cut))
        const taken = reader.push(second)
        second.fill(0xee)
        expect(taken?.packet).toEqual(wanted)
      }
    })

    test(`${name}: one byte at a time`, () => {
      const reader = new StartupReader()
      const answers = [...bytes].map((byte) => reader.push(Buffer.from([byte])))
      expect(answers.pop()?.packet).toEqual(wanted)
      expect(answers.every((each) => each === undefined)).toBe(true)
    })

    test(`${name}: truncated inside`, () => {
      // The length is honest, the content is short.
      for (let size = 8; size < bytes.length; size++) {
        const short = Buffer.from(bytes.subarray(0, size))
        short.writeInt32BE(size, 0)
        if (wanted.kind === 'cancelRequest' && size >= 16) continue
        expect(() => read(short)).toThrow(code('protocol_violation'))
      }
    })
  }

  test('a TLS handshake, recognised by its first byte and handed over untouched', () => {
    const hello = Buffer.from('16030102000100', 'hex')
    expect(read(hello)).toEqual({ packet: { kind: 'directTls' }, rest: hello.toString('latin1') })
    expect(read(hello.subarray(0, 1))?.packet).toEqual({ kind: 'directTls' })
  })

  test('encoders write what is read', () => {
    expect(read(encodeSslRequest())?.packet).toEqual({ kind: 'sslRequest' })
    expect(read(encodeGssEncryptionRequest())?.packet).toEqual({ kind: 'gssEncryptionRequest' })
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^[a-z]{1,8}$/),
          fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0')),
        ),
        fc.integer({ min: 0, max: 0xffff }),
        (parameters, minor) => {
          const named = { ...parameters, user: 'ada' }
          const taken = startup(encodeStartup(Object.entries(named), minor))
          expect(taken.minor).toBe(minor)
          const { user, database, replication, ...others } = named as Record<string, string>
          expect(taken.user).toBe(user)
          expect(taken.database).toBe(database ?? '')
          expect(taken.replication).toBe(
            replication !== undefined && !/^(f.*|n|no|off?|0)$/i.test(replication),
          )
          expect(Object.fromEntries(taken.parameters)).toEqual(others)
        },
      ),
    )
  })
})

describe('what is refused', () => {
  const cases: readonly [name: string, bytes: Buffer, code: string][] = [
    ['protocol 2', packet(2 << 16, 'ada\0'), 'unsupported'],
    ['protocol 1', packet(1 << 16, ''), 'unsupported'],
    ['protocol 4', packet(4 << 16, 'user\0ada\0\0'), 'unsupported'],
    ['an unknown special code', packet(80877105, ''), 'unsupported'],
    ['no user', packet(V3, 'database\0crm\0\0'), 'unauthenticated'],
    ['an empty user', packet(V3, 'user\0\0database\0crm\0\0'), 'unauthenticated'],
    ['no parameters', packet(V3, '\0'), 'unauthenticated'],
    ['no terminator', packet(V3, 'user\0ada\0'), 'protocol_violation'],
    ['no terminator of a value', packet(V3, 'user\0ada'), 'protocol_violation'],
    ['a name without a value', packet(V3, 'user\0\0database\0'), 'protocol_violation'],
    ['something behind the terminator', packet(V3, 'user\0ada\0\0x'), 'protocol_violation'],
    ['the user twice', packet(V3, 'user\0ada\0user\0eve\0\0'), 'protocol_violation'],
    ['a setting twice', packet(V3, 'user\0ada\0options\0a\0options\0b\0\0'), 'protocol_violation'],
    ['a user that is not UTF-8', packet(V3, Buffer.from('user\0\xe4\0\0', 'latin1')), 'protocol_violation'],
    ['an SSLRequest that is too long', packet(80877103, 'x'), 'protocol_violation'],
    ['a GSSENCRequest that is too long', packet(80877104, 'x'), 'protocol_violation'],
    ['a short cancel key', packet(80877102, Buffer.alloc(7)), 'protocol_violation'],
    ['a long cancel key', packet(80877102, Buffer.alloc(4 + 257)), 'protocol_violation'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'protocol_violation'],
  ]
  test.each(cases)('%s', (_name, bytes, wanted) => {
    expect(() => read(bytes)).toThrow(code(wanted))
    const reader = new StartupReader()
    expect(() => {
      for (const byte of bytes) reader.push(Buffer.from([byte]))
    }).toThrow(code(wanted))
  })

  test.each([-2147483648, -1, 0, 4, 7, LIMITS.startupBytesMax + 5, 0x7fffffff])('length %i', (length) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(length)
    expect(() => read(bytes)).toThrow(code('protocol_violation'))
  })

  test('nothing of the longest packet PostgreSQL accepts', () => {
    const value = 'x'.repeat(LIMITS.startupBytesMax - 4 - 'user\0ada\0options\0\0\0'.length)
    const bytes = packet(V3, `user\0ada\0options\0${value}\0\0`)
    expect(bytes.length).toBe(LIMITS.startupBytesMax + 4)
    expect(startup(bytes).parameters.get('options')).toBe(value)
  })

  test('random bytes end in a packet, an error or a wait', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        for (const bytes of [Buffer.from(body), packet(V3, body)]) {
          try {
            read(bytes)
          } catch (error) {
            expect(error).toMatchObject({ name: 'GatewayError' })
          }
        }
      }),
    )
  })
})

describe('replication is asked for', () => {
  test.each(['true', 'on', '1', 'yes', 'database', 'nonsense', ''])('by %j', (value) => {
    expect(startup(packet(V3, `user\0ada\0replication\0${value}\0\0`)).replication).toBe(true)
  })
  test.each(['false', 'f', 'FAL', 'off', 'of', 'no', 'N', '0'])('not by %j', (value) => {
    expect(startup(packet(V3, `user\0ada\0replication\0${value}\0\0`)).replication).toBe(false)
  })
})

describe('negotiation', () => {
  const asking = (minor: number, ...options: string[]): Startup =>
    startup(encodeStartup([['user', 'ada'], ...options.map((each) => [each, ''] as const)], minor))

  test('speaks what both know, and tells only where it must', () => {
    expect(negotiate(asking(0))).toEqual({ minor: 0, mustTell: false })
    expect(negotiate(asking(2))).toEqual({ minor: 2, mustTell: false })
    expect(negotiate(asking(2), 0)).toEqual({ minor: 0, mustTell: true })
    // Clients that test whether servers negotiate ask for a version that will never exist.
    expect(negotiate(asking(9999))).toEqual({ minor: 2, mustTell: true })
    expect(negotiate(asking(0, '_pq_.test'))).toEqual({ minor: 0, mustTell: true })
  })
})
