import type { CellMasker } from './masker.ts'
import { byValue } from './masker.ts'
import type { ValueFormat, ValueType } from './types.ts'

/**
 * Numbers as the multiple of `size` below them, in text and in the binary forms of PostgreSQL. What is no number, what
 * would leave its type, and what is so large that a bucket of this size hides nothing of it, becomes NULL.
 */
export function bucketOfNumber(
  type: ValueType & { kind: 'integer' | 'float' | 'numeric' },
  size: number,
  format: ValueFormat,
): CellMasker {
  const width = BigInt(size)
  switch (type.kind) {
    case 'integer': {
      const bits = 8 * type.bytes
      return byValue((value) => {
        const number = format === 'text' ? integerOf(value.toString('latin1')) : signed(value, type.bytes)
        if (number === undefined) return undefined
        const floor = floorTo(number, width)
        if (BigInt.asIntN(bits, floor) !== floor) return undefined
        return format === 'text' ? Buffer.from(String(floor)) : signedBytes(floor, type.bytes)
      })
    }
    case 'float':
      return byValue((value) => {
        const number = format === 'text' ? floatOf(value.toString('latin1')) : float(value, type.bytes)
        // From here on the numbers between which a float can choose are wider apart than the bucket.
        const exact = type.bytes === 4 ? 2 ** 24 : Number.MAX_SAFE_INTEGER
        if (number === undefined || !(Math.abs(number) < exact)) return undefined
        const floor = Math.floor(number / size) * size
        return format === 'text' ? Buffer.from(String(floor)) : floatBytes(floor, type.bytes)
      })
    case 'numeric':
      return byValue((value) => {
        const number = format === 'text' ? integerBelow(value.toString('latin1')) : numeric(value)
        if (number === undefined) return undefined
        const floor = floorTo(number, width)
        return format === 'text' ? Buffer.from(String(floor)) : numericBytes(floor)
      })
  }
}

function floorTo(number: bigint, width: bigint): bigint {
  const rest = ((number % width) + width) % width
  return number - rest
}

/** More digits than any measured amount has. */
const DIGITS_MAX = 60

function integerOf(text: string): bigint | undefined {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined
}

/** The integer at or below a decimal number as the server writes it: `-0.5` is -1. */
function integerBelow(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,60})(?:\.(\d{1,16383}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '0', fraction = ''] = match
  if (sign === '') return BigInt(whole)
  return /[1-9]/.test(fraction) ? -BigInt(whole) - 1n : -BigInt(whole)
}

function floatOf(text: string): number | undefined {
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? Number(text) : undefined
}

function signed(value: Buffer, bytes: number): bigint | undefined {
  if (value.length !== bytes) return undefined
  return bytes === 8 ? value.readBigInt64BE() : BigInt(value.readIntBE(0, bytes))
}

function signedBytes(number: bigint, bytes: number): Buffer {
  const target = Buffer.alloc(bytes)
  if (bytes === 8) target.writeBigInt64BE(number)
  else target.writeIntBE(Number(number), 0, bytes)
  return target
}

function float(value: Buffer, bytes: number): number | undefined {
  if (value.length !== bytes) return undefined
  return bytes === 4 ? value.readFloatBE() : value.readDoubleBE()
}

function floatBytes(number: number, bytes: number): Buffer {
  const target = Buffer.alloc(bytes)
  if (bytes === 4) target.writeFloatBE(number)
  else target.writeDoubleBE(number)
  return target
}

/** Digits to the base of 10000, the exponent of the first, a sign, and how many decimals are shown. */
const HEAD_BYTES = 8
const NEGATIVE = 0x4000
const BASE = 10_000n

/** The integer at or below a binary numeric. */
function numeric(value: Buffer): bigint | undefined {
  if (value.length < HEAD_BYTES) return undefined
  const count = value.readUInt16BE(0)
  const weight = value.readInt16BE(2)
  const sign = value.readUInt16BE(4)
  if (value.length !== HEAD_BYTES + 2 * count || (sign !== 0 && sign !== NEGATIVE)) return undefined
  if (weight >= DIGITS_MAX / 4) return undefined
  let whole = 0n
  let hasFraction = false
  for (let i = 0; i <= Math.max(weight, count - 1); i++) {
    const digit = i < count ? value.readUInt16BE(HEAD_BYTES + 2 * i) : 0
    if (i <= weight) whole = whole * BASE + BigInt(digit)
    else hasFraction ||= digit !== 0
  }
  if (sign === 0) return whole
  return hasFraction ? -whole - 1n : -whole
}

export function numericBytes(number: bigint): Buffer {
  const digits: number[] = []
  for (let rest = number < 0n ? -number : number; rest > 0n; rest /= BASE) digits.unshift(Number(rest % BASE))
  const target = Buffer.alloc(HEAD_BYTES + 2 * digits.length)
  target.writeUInt16BE(digits.length, 0)
  target.writeInt16BE(Math.max(digits.length - 1, 0), 2)
  target.writeUInt16BE(number < 0n ? NEGATIVE : 0, 4)
  for (const [i, digit] of digits.entries()) target.writeUInt16BE(digit, HEAD_BYTES + 2 * i)
  return target
}
