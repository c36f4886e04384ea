import * as fc from 'fast-check'
import { parse } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { PassThrough } from 'node:stream'
import { Framer, HEADER_BYTES } from './frame.ts'
import { encodeError, encodeNotice, encodeServer } from './server-encode.ts'
import type { ErrorFields } from './error-fields.ts'
import type { ServerMessage } from './server-messages.ts'
import { decodeServer, eachCell, rowsOfTag, SERVER_TYPES } from './server-messages.ts'
import { fewer } from '../../../test/support/fewer.ts'

const violation = expect.objectContaining({ name: 'GatewayError', code: 'protocol_violation' })
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const bytes = (text: string): Buffer => Buffer.from(text)

function decode(frame: Buffer): ServerMessage {
  expect(frame.readInt32BE(1)).toBe(frame.length - 1)
  return decodeServer(frame[0]!, frame, HEADER_BYTES)
}

function decodeStream(stream: Buffer, cuts: readonly number[] = []): ServerMessage[] {
  const messages: ServerMessage[] = []
  const framer = new Framer({ bodyBytesMax: 1 << 20, wholeBytesMax: 1 << 20 })
  const sink = {
    header: () => 'whole' as const,
    whole: (type: number, buffer: Buffer, start: number, end: number) =>
      void messages.push(decodeServer(type, Buffer.from(buffer.subarray(start, end)))),
    piece: () => {},
    pass: () => {},
  }
  let from = 0
  for (const cut of [...cuts, stream.length]) {
    framer.push(stream.subarray(from, cut), sink)
    from = cut
  }
  expect(framer.atBoundary).toBe(true)
  return messages
}

const ERROR: ErrorFields = {
  severity: 'ERROR',
  severityShown: 'FEHLER',
  code: '23505',
  message: 'duplicate key',
  detail: 'Key (id)=(1) already exists.',
  hint: 'Use another one.',
  position: '8',
  internalPosition: '3',
  internalQuery: 'SELECT 1',
  where: 'PL/pgSQL function',
  schema: 'public',
  table: 'pets',
  column: 'id',
  dataType: 'int4',
  constraint: 'pets_pkey',
  file: 'nbtinsert.c',
  line: '666',
  routine: '_bt_check_unique',
}

const VECTORS: readonly [name: string, frame: Buffer, message: ServerMessage][] = [
  ['AuthenticationOk', hex('52 00000008 00000000'), { kind: 'authenticationOk' }],
  [
    'AuthenticationCleartextPassword',
    hex('52 00000008 00000003'),
    { kind: 'authenticationCleartextPassword' },
  ],
  [
    'AuthenticationMD5Password',
    hex('52 0000000c 00000005 01020304'),
    { kind: 'authenticationMd5Password', salt: hex('01020304') },
  ],
  [
    'AuthenticationSASL',
    hex('52 0000000d 0000000a 4100 4200 00'),
    { kind: 'authenticationSasl', mechanisms: ['A', 'B'] },
  ],
  [
    'AuthenticationSASLContinue',
    hex('52 0000000a 0000000b 723d'),
    { kind: 'authenticationSaslContinue', data: bytes('r=') },
  ],
  [
    'AuthenticationSASLFinal',
    hex('52 0000000a 0000000c 763d'),
    { kind: 'authenticationSaslFinal', data: bytes('v=') },
  ],
  ['AuthenticationSSPI', hex('52 00000008 00000009'), { kind: 'authenticationUnsupported', method: 9 }],
  [
    'NegotiateProtocolVersion',
    hex('76 00000013 00030002 00000001 5f70715f2e78 00'),
    { kind: 'negotiateProtocolVersion', minor: 2, options: ['_pq_.x'] },
  ],
  [
    'BackendKeyData',
    hex('4b 0000000c 000004d2 deadbeef'),
    { kind: 'backendKeyData', processId: 1234, key: hex('deadbeef') },
  ],
  [
    'BackendKeyData of protocol 3.2',
    Buffer.concat([hex('4b 00000108 000004d2'), Buffer.alloc(256, 7)]),
    { kind: 'backendKeyData', processId: 1234, key: Buffer.alloc(256, 7) },
  ],
  ['ParameterStatus', hex('53 00000008 6100 6200'), { kind: 'parameterStatus', name: 'a', value: 'b' }],
  ['ReadyForQuery, idle', hex('5a 00000005 49'), { kind: 'readyForQuery', status: 'idle' }],
  [
    'ReadyForQuery, in a transaction',
    hex('5a 00000005 54'),
    { kind: 'readyForQuery', status: 'transaction' },
  ],
  ['ReadyForQuery, in a failed one', hex('5a 00000005 45'), { kind: 'readyForQuery', status: 'failed' }],
  [
    'RowDescription',
    hex('54 0000001b 0001 696400 00004001 0002 00000017 0004 ffffffff 0001'),
    {
      kind: 'rowDescription',
      fields: [{ name: 'id', tableOid: 16385, attnum: 2, typeOid: 23, typlen: 4, typmod: -1, format: 1 }],
    },
  ],
  ['RowDescription without columns', hex('54 00000006 0000'), { kind: 'rowDescription', fields: [] }],
  [
    'DataRow',
    hex('44 00000014 0003 00000002 6869 ffffffff 00000000'),
    { kind: 'dataRow', cells: [bytes('hi'), null, bytes('')] },
  ],
  ['DataRow without columns', hex('44 00000006 0000'), { kind: 'dataRow', cells: [] }],
  ['CommandComplete', hex('43 0000000d 53454c4543542035 00'), { kind: 'commandComplete', tag: 'SELECT 5' }],
  [
    'ErrorResponse',
    Buffer.concat([
      hex('45 000000c4'),
      bytes('SFEHLER\0VERROR\0C23505\0Mduplicate key\0DKey (id)=(1) already exists.\0HUse another one.\0'),
      bytes('WPL/pgSQL function\0spublic\0tpets\0cid\0dint4\0npets_pkey\0P8\0p3\0qSELECT 1\0'),
      bytes('Fnbtinsert.c\0L666\0R_bt_check_unique\0\0'),
    ]),
    { kind: 'errorResponse', fields: ERROR },
  ],
  [
    'NoticeResponse',
    Buffer.concat([hex('4e 00000023'), bytes('SNOTICE\0VNOTICE\0C00000\0Mhello\0\0')]),
    {
      kind: 'noticeResponse',
      fields: { severity: 'NOTICE', severityShown: 'NOTICE', code: '00000', message: 'hello' },
    },
  ],
  ['EmptyQueryResponse', hex('49 00000004'), { kind: 'emptyQueryResponse' }],
  ['ParseComplete', hex('31 00000004'), { kind: 'parseComplete' }],
  ['BindComplete', hex('32 00000004'), { kind: 'bindComplete' }],
  ['CloseComplete', hex('33 00000004'), { kind: 'closeComplete' }],
  ['NoData', hex('6e 00000004'), { kind: 'noData' }],
  ['PortalSuspended', hex('73 00000004'), { kind: 'portalSuspended' }],
  [
    'ParameterDescription',
    hex('74 0000000e 0002 00000017 ffffffff'),
    { kind: 'parameterDescription', types: [23, 0xffffffff] },
  ],
  [
    'CopyInResponse',
    hex('47 0000000b 00 0002 0000 0000'),
    { kind: 'copyInResponse', format: 0, columnFormats: [0, 0] },
  ],
  [
    'CopyOutResponse',
    hex('48 00000009 01 0001 0001'),
    { kind: 'copyOutResponse', format: 1, columnFormats: [1] },
  ],
  [
    'CopyBothResponse',
    hex('57 00000007 00 0000'),
    { kind: 'copyBothResponse', format: 0, columnFormats: [] },
  ],
  ['CopyData', hex('64 00000006 0a0a'), { kind: 'copyData', data: hex('0a0a') }],
  ['CopyDone', hex('63 00000004'), { kind: 'copyDone' }],
  [
    'NotificationResponse',
    hex('41 0000000d 0000002a 6300 686900'),
    { kind: 'notificationResponse', processId: 42, channel: 'c', payload: 'hi' },
  ],
  [
    'FunctionCallResponse',
    hex('56 00000009 00000001 61'),
    { kind: 'functionCallResponse', value: bytes('a') },
  ],
  [
    'FunctionCallResponse with NULL',
    hex('56 00000008 ffffffff'),
    { kind: 'functionCallResponse', value: null },
  ],
]

/** Messages whose tail is bytes: a shorter or longer body is another message, not a broken one. */
const OPEN_ENDED = new Set([
  'authenticationSaslContinue',
  'authenticationSaslFinal',
  'backendKeyData',
  'copyData',
])

describe('every message of a server', () => {
  for (const [name, frame, message] of VECTORS) {
    test(`${name} is read`, () => expect(decode(frame)).toEqual(message))
    test(`${name} is written`, () => expect(encodeServer(message)).toEqual(frame))
    test(`${name} cut at every byte of the stream`, () => {
      for (let cut = 1; cut < frame.length; cut++) expect(decodeStream(frame, [cut])).toEqual([message])
    })
    test(`${name} is refused with a body cut short, and with one too long`, () => {
      if (OPEN_ENDED.has(message.kind)) return
      for (let end = HEADER_BYTES; end < frame.length; end++) {
        expect(() => decodeServer(frame[0]!, frame, HEADER_BYTES, end)).toThrow(violation)
      }
      if (message.kind === 'authenticationUnsupported') return
      expect(() => decodeServer(frame[0]!, Buffer.concat([frame, bytes('\0')]), HEADER_BYTES)).toThrow(
        violation,
      )
    })
  }

  test('each glued to its neighbour', () => {
    const stream = Buffer.concat(VECTORS.map(([, frame]) => frame))
    const messages = VECTORS.map(([, , message]) => message)
    expect(decodeStream(stream)).toEqual(messages)
    expect(encodeServer(...messages)).toEqual(stream)
    for (let cut = 1; cut < stream.length; cut++) expect(decodeStream(stream, [cut])).toEqual(messages)
  })

  test('has a vector here', () => {
    expect(new Set(VECTORS.map(([, , message]) => message.kind))).toEqual(new Set(Object.keys(SERVER_TYPES)))
  })
})

const int16 = fc.integer({ min: -0x8000, max: 0x7fff })
const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
const oid = fc.integer({ min: 0, max: 0xffffffff })
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((each) => !each.includes('\0'))
const blob = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))
const field = fc.record({
  name: text,
  tableOid: oid,
  attnum: int16,
  typeOid: oid,
  typlen: int16,
  typmod: int32,
  format: fc.constantFrom(0, 1),
})
const errorFields: fc.Arbitrary<ErrorFields> = fc
  .record(Object.fromEntries(Object.keys(ERROR).map((each) => [each, text])), {
    requiredKeys: ['severity', 'severityShown', 'message'],
  })
  // Plain objects, as the decoder makes them.
  .map((fields) => ({ ...fields }))

/** What an independent client makes of it: see `oracle`. */
const anyKnown: fc.Arbitrary<ServerMessage> = fc.oneof(
  fc.record({ kind: fc.constant('rowDescription' as const), fields: fc.array(field, { maxLength: 5 }) }),
  fc.record({
    kind: fc.constant('dataRow' as const),
    cells: fc.array(fc.option(text.map(bytes)), { maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('commandComplete' as const), tag: text }),
  fc.record({
    kind: fc.constantFrom('errorResponse' as const, 'noticeResponse' as const),
    fields: errorFields,
  }),
  fc.record({ kind: fc.constant('parameterStatus' as const), name: text, value: text }),
  fc.record({
    kind: fc.constant('readyForQuery' as const),
    status: fc.constantFrom('idle' as const, 'transaction' as const, 'failed' as const),
  }),
  fc.record({
    kind: fc.constant('backendKeyData' as const),
    processId: int32,
    key: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((each) => Buffer.from(each)),
  }),
  fc.record({
    kind: fc.constant('parameterDescription' as const),
    types: fc.array(fc.integer({ min: 0, max: 0x7fffffff }), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constantFrom('copyInResponse' as const, 'copyOutResponse' as const),
    format: fc.constantFrom(0, 1),
    columnFormats: fc.array(fc.constantFrom(0, 1), { maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('copyData' as const), data: blob }),
  fc.record({
    kind: fc.constant('notificationResponse' as const),
    processId: int32,
    channel: text,
    payload: text,
  }),
  fc.record({
    kind: fc.constantFrom('parseComplete', 'bindComplete', 'closeComplete', 'noData', 'portalSuspended'),
  }),
  fc.record({ kind: fc.constantFrom('copyDone', 'emptyQueryResponse', 'authenticationOk') }),
  fc.record({ kind: fc.constant('authenticationCleartextPassword' as const) }),
  fc.record({
    kind: fc.constant('authenticationMd5Password' as const),
    salt: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((each) => Buffer.from(each)),
  }),
  fc.record({
    kind: fc.constant('authenticationSasl' as const),
    mechanisms: fc.array(
      text.filter((each) => each !== ''),
      { maxLength: 3 },
    ),
  }),
)

const anyMessage: fc.Arbitrary<ServerMessage> = fc.oneof(
  { weight: 4, arbitrary: anyKnown },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({
        kind: fc.constant('dataRow' as const),
        cells: fc.array(fc.option(blob), { maxLength: 5 }),
      }),
      fc.record({
        kind: fc.constantFrom('authenticationSaslContinue' as const, 'authenticationSaslFinal' as const),
        data: blob,
      }),
      fc.record({
        kind: fc.constant('negotiateProtocolVersion' as const),
        minor: fc.integer({ min: 0, max: 0xffff }),
        options: fc.array(text, { maxLength: 3 }),
      }),
      fc.record({ kind: fc.constant('functionCallResponse' as const), value: fc.option(blob) }),
    ),
  },
)

test('what is written is read back, in any company, cut anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(1000)),
      (messages, at) => {
        const stream = encodeServer(...messages)
        const cuts = at.map((each) => each % (stream.length + 1)).sort((a, b) => a - b)
        expect(decodeStream(stream, cuts)).toEqual(messages)
      },
    ),
  )
})

/** The messages as the parser of node-postgres reads them, in our words. */
async function oracle(stream: Buffer): Promise<unknown[]> {
  const seen: unknown[] = []
  const source = new PassThrough()
  const finished = parse(source, (message) => void seen.push(translate(message)))
  source.end(stream)
  await finished
  return seen
}

function translate(message: any): unknown {
  switch (message.name) {
    case 'rowDescription':
      return {
        kind: 'rowDescription',
        fields: message.fields.map((each: any) => ({
          name: each.name,
          tableOid: each.tableID >>> 0,
          attnum: each.columnID,
          typeOid: each.dataTypeID >>> 0,
          typlen: each.dataTypeSize,
          typmod: each.dataTypeModifier,
          format: each.format === 'binary' ? 1 : 0,
        })),
      }
    case 'dataRow':
      return {
        kind: 'dataRow',
        cells: message.fields.map((each: any) => (each === null ? null : bytes(each))),
      }
    case 'commandComplete':
      return { kind: 'commandComplete', tag: message.text }
    case 'error':
    case 'notice': {
      const fields: Record<string, string> = {}
      for (const name of Object.keys(ERROR)) if (message[name] !== undefined) fields[name] = message[name]
      return { kind: message.name === 'error' ? 'errorResponse' : 'noticeResponse', fields }
    }
    case 'parameterStatus':
      return { kind: 'parameterStatus', name: message.parameterName, value: message.parameterValue }
    case 'readyForQuery':
      return {
        kind: 'readyForQuery',
        status: { I: 'idle', T: 'transaction', E: 'failed' }[message.status as 'I'],
      }
    case 'backendKeyData': {
      const key = Buffer.alloc(4)
      key.writeInt32BE(message.secretKey)
      return { kind: 'backendKeyData', processId: message.processID, key }
    }
    case 'parameterDescription':
      return { kind: 'parameterDescription', types: message.dataTypeIDs }
    case 'copyInResponse':
    case 'copyOutResponse':
      return { kind: message.name, format: message.binary ? 1 : 0, columnFormats: message.columnTypes }
    case 'copyData':
      return { kind: 'copyData', data: Buffer.from(message.chunk) }
    case 'notification':
      return {
        kind: 'notificationResponse',
        processId: message.processId,
        channel: message.channel,
        payload: message.payload,
      }
    case 'emptyQuery':
      return { kind: 'emptyQueryResponse' }
    case 'authenticationMD5Password':
      return { kind: 'authenticationMd5Password', salt: Buffer.from(message.salt) }
    case 'authenticationSASL':
      return { kind: 'authenticationSasl', mechanisms: message.mechanisms }
    default:
      return { kind: message.name }
  }
}

test('node-postgres reads what we write as we read it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyKnown, { minLength: 1, maxLength: 8 }), async (messages) => {
      const known = messages.map((message) => {
        if (message.kind !== 'errorResponse' && message.kind !== 'noticeResponse') return message
        // It takes the severity from the S field and knows no V.
        const { severity: _severity, severityShown, ...fields } = message.fields
        return { ...message, fields: { ...fields, severity: severityShown } }
      })
      expect(await oracle(encodeServer(...messages))).toEqual(known)
    }),
    { numRuns: 300 },
  )
})

test('random bodies are a message or an error', () => {
  const types = [...new Set(Object.values(SERVER_TYPES))]
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 60 }), (type, body) => {
      try {
        decodeServer(type, Buffer.from(body))
      } catch (error) {
        expect(error).toEqual(violation)
      }
    }),
    { numRuns: fewer(2000) },
  )
})

test('a changed byte never reads past the body', () => {
  const frames = VECTORS.map(([, frame]) => frame)
  fc.assert(
    fc.property(
      fc.constantFrom(...frames),
      fc.nat(300),
      fc.integer({ min: 0, max: 255 }),
      (frame, at, value) => {
        const body = Buffer.from(frame.subarray(HEADER_BYTES))
        if (body.length === 0) return
        body[at % body.length] = value
        const buffer = Buffer.concat([body, Buffer.alloc(70_000)])
        try {
          decodeServer(frame[0]!, buffer, 0, body.length)
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
    ['a client message', 0x51, '00'],
    ['a transaction status nobody defined', SERVER_TYPES.readyForQuery, '41'],
    ['a short cancel key', SERVER_TYPES.backendKeyData, '00000001 010203'],
    ['a long cancel key', SERVER_TYPES.backendKeyData, `00000001 ${'00'.repeat(257)}`],
    ['a cell of negative length', SERVER_TYPES.dataRow, '0001 fffffffe'],
    ['a cell longer than the row', SERVER_TYPES.dataRow, '0001 7fffffff'],
    ['more cells than the row holds', SERVER_TYPES.dataRow, 'ffff'],
    ['more columns than the description holds', SERVER_TYPES.rowDescription, 'ffff'],
    ['more options than the message holds', SERVER_TYPES.negotiateProtocolVersion, '00030000 ffffffff'],
    ['fields without an end', SERVER_TYPES.errorResponse, '5300'],
  ])('%s', (_name, type, body) => {
    expect(() => decodeServer(type, hex(body))).toThrow(violation)
  })
})

describe('errors and notices of our own', () => {
  test('are what a client expects', async () => {
    const [error] = await oracle(
      encodeError({
        severity: 'ERROR',
        code: 'SL001',
        message: 'No rule allows this.',
        hint: 'Ask for access.',
      }),
    )
    expect(error).toEqual({
      kind: 'errorResponse',
      fields: { severity: 'ERROR', code: 'SL001', message: 'No rule allows this.', hint: 'Ask for access.' },
    })
    const [notice] = await oracle(encodeNotice({ severity: 'NOTICE', code: 'SL002', message: 'Waiting.' }))
    expect(notice).toMatchObject({ kind: 'noticeResponse', fields: { severity: 'NOTICE' } })
  })

  test('survive a zero byte in a text', () => {
    const frame = encodeError({ severity: 'ERROR', code: 'SL001', message: 'a\0b' })
    expect(decode(frame)).toMatchObject({ fields: { message: 'a\uFFFDb' } })
  })

  test('field types that nobody knows are skipped', () => {
    expect(decodeServer(SERVER_TYPES.errorResponse, bytes('CSL001\0zwhat\0Mtext\0\0'))).toEqual({
      kind: 'errorResponse',
      fields: { code: 'SL001', message: 'text' },
    })
  })
})

describe('walking the cells of a row', () => {
  const cellsOf = (body: Buffer, start = 0, end = body.length): (string | null)[] => {
    const cells: (string | null)[] = []
    const count = eachCell(body, start, end, (index, from, to) => {
      expect(index).toBe(cells.length)
      cells.push(from === -1 && to === -1 ? null : body.toString('latin1', from, to))
    })
    expect(count).toBe(cells.length)
    return cells
  }

  test('sees what decoding sees, inside a larger buffer too', () => {
    fc.assert(
      fc.property(fc.array(fc.option(blob), { maxLength: 8 }), (cells) => {
        const frame = encodeServer({ kind: 'dataRow', cells })
        const buffer = Buffer.concat([frame, Buffer.alloc(20)])
        expect(cellsOf(buffer, HEADER_BYTES, frame.length)).toEqual(
          cells.map((each) => each?.toString('latin1') ?? null),
        )
      }),
    )
  })

  test('refuses rows that do not add up, without reading past them', () => {
    for (const body of [
      '',
      '00',
      '0001',
      '0001 000000',
      '0001 00000001',
      '0001 fffffffe',
      '0000 00',
      '0001 7fffffff 00',
    ]) {
      const row = hex(body)
      const buffer = Buffer.concat([row, Buffer.alloc(20)])
      expect(() => cellsOf(buffer, 0, row.length)).toThrow(violation)
    }
  })
})

test.each([
  ['SELECT 5', 5],
  ['INSERT 0 12', 12],
  ['UPDATE 0', 0],
  ['COPY 123456789012', 123456789012],
  ['BEGIN', undefined],
  ['CREATE TABLE', undefined],
  ['5', undefined],
  ['', undefined],
  ['SELECT -1', undefined],
  ['SELECT 99999999999999999999', undefined],
])('rows of the tag %j', (tag, count) => {
  expect(rowsOfTag(tag)).toBe(count)
})
