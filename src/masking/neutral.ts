import type { CellMasker } from './masker.ts'
import { always, byValue } from './masker.ts'
import type { NeutralName, ValueFormat } from './types.ts'

type Forms = { readonly text: string; readonly binary: Buffer }

const zeros = (text: string, bytes: number): Forms => ({ text, binary: Buffer.alloc(bytes) })

const hex = (text: string, binary: string): Forms => ({
  text,
  binary: Buffer.from(binary.replaceAll(' ', ''), 'hex'),
})

const POINT = '0000000000000000'.repeat(2)

/**
 * Types of which a masked value can say nothing: each has one value that reveals nothing and is shown in place of all. In
 * text and as the type's own receive function reads it (src/backend/utils/adt).
 */
const NEUTRAL = {
  time: zeros('00:00:00', 8),
  timetz: zeros('00:00:00+00', 12),
  interval: zeros('00:00:00', 16),
  macaddr: zeros('00:00:00:00:00:00', 6),
  macaddr8: zeros('00:00:00:00:00:00:00:00', 8),
  varbit: zeros('', 4),
  /** oid and what is written as one: regclass and its like, xid, cid. */
  oid: zeros('0', 4),
  xid8: zeros('0', 8),
  tid: zeros('(0,0)', 6),
  lsn: zeros('0/0', 8),
  snapshot: hex('1:1:', '00000000 0000000000000001 0000000000000001'),
  point: zeros('(0,0)', 16),
  lseg: zeros('[(0,0),(0,0)]', 32),
  box: zeros('(0,0),(0,0)', 32),
  path: hex('((0,0))', `01 00000001 ${POINT}`),
  polygon: hex('((0,0))', `00000001 ${POINT}`),
  line: hex('{0,1,0}', '0000000000000000 3ff0000000000000 0000000000000000'),
  circle: zeros('<(0,0),0>', 24),
  tsvector: { text: "'masked'", binary: Buffer.from('\0\0\0\u0001masked\0\0\0') },
  /** One operand, of no weight, no prefix. */
  tsquery: { text: "'masked'", binary: Buffer.from('\0\0\0\u0001\u0001\0\0masked\0') },
  jsonpath: { text: '$."[masked]"', binary: Buffer.from('\u0001$."[masked]"') },
  /** A vector has to hold something: of type 21 (int2) or 26 (oid), from 0. */
  int2vector: hex('0', '00000001 00000000 00000015 00000001 00000000 00000002 0000'),
  oidvector: hex('0', '00000001 00000000 0000001a 00000001 00000000 00000004 00000000'),
  multirange: zeros('{}', 4),
  range: hex('empty', '01'),
  hstore: { text: '"[masked]"=>NULL', binary: Buffer.from('\0\0\0\u0001\0\0\0\u0008[masked]ÿÿÿÿ', 'latin1') },
} as const satisfies Record<Exclude<NeutralName, 'bit' | 'money'>, Forms>

export function neutralMasker(name: NeutralName, format: ValueFormat): CellMasker {
  if (name === 'bit')
    return byValue(format === 'binary' ? zeroBits : (value) => Buffer.alloc(value.length, '0'))
  if (name === 'money') return format === 'binary' ? always(Buffer.alloc(8)) : byValue(noMoney)
  const { text, binary } = NEUTRAL[name]
  return always(format === 'binary' ? binary : Buffer.from(text))
}

/** A bit(n) has n bits; all of its values are as long. */
function zeroBits(value: Buffer): Buffer | undefined {
  return value.length < 4 ? undefined : Buffer.concat([value.subarray(0, 4), Buffer.alloc(value.length - 4)])
}

/** Nothing, in the currency that the server writes: only it knows which symbol it takes back. */
function noMoney(value: Buffer): Buffer {
  const text = value.toString('utf8').replaceAll(/[-()]/g, '')
  return Buffer.from(text.replace(/\d(?:.*\d)?/s, '0'))
}

/** A text of the configuration as a value of such a type; undefined where it is none, or only the server could say. */
export function neutralConstant(text: string, name: NeutralName, format: ValueFormat): Buffer | undefined {
  const read = CONSTANTS[name]
  const binary = read?.(text)
  return binary === undefined || format === 'binary' ? binary : Buffer.from(text)
}

const CONSTANTS: { readonly [Name in NeutralName]?: (text: string) => Buffer | undefined } = {
  time: (text) => timeOf(/^(\d\d):(\d\d)(?::(\d\d))?$/.exec(text)),
  timetz: (text) => {
    const found = /^(\d\d):(\d\d)(?::(\d\d))?\+00$/.exec(text)
    const time = timeOf(found)
    return time === undefined ? undefined : Buffer.concat([time, Buffer.alloc(4)])
  },
  macaddr: (text) => addressOf(text, 6),
  macaddr8: (text) => addressOf(text, 8),
  oid: (text) => {
    if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffff_ffff) return undefined
    const target = Buffer.alloc(4)
    target.writeUInt32BE(Number(text))
    return target
  },
  lsn: (text) => {
    const found = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/.exec(text)
    if (found === null) return undefined
    return Buffer.from(
      found
        .slice(1)
        .map((half) => half.padStart(8, '0'))
        .join(''),
      'hex',
    )
  },
  varbit: (text) => {
    if (!/^[01]{1,64}$/.test(text)) return undefined
    const target = Buffer.alloc(4 + Math.ceil(text.length / 8))
    target.writeInt32BE(text.length)
    for (const [i, bit] of [...text].entries()) {
      if (bit === '1') target[4 + (i >> 3)] = (target[4 + (i >> 3)] ?? 0) | (0x80 >> (i & 7))
    }
    return target
  },
}

function timeOf(found: RegExpExecArray | null): Buffer | undefined {
  const [, hour = '', minute = '', second = '0'] = found ?? []
  if (found === null || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  const target = Buffer.alloc(8)
  target.writeBigInt64BE(BigInt((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000_000n)
  return target
}

function addressOf(text: string, bytes: number): Buffer | undefined {
  const pairs = text.split(':')
  if (pairs.length !== bytes || !pairs.every((pair) => /^[0-9a-f]{2}$/.test(pair))) return undefined
  return Buffer.from(pairs.join(''), 'hex')
}
