import type { BucketUnit } from '../core/index.ts'
import type { CellMasker } from './masker.ts'
import { byValue } from './masker.ts'
import type { ValueFormat } from './types.ts'

/**
 * Dates and times as the begin of a unit. Text is read in ISO form only (DateStyle ISO, the default); a value written
 * in another style, before our era, or without end becomes NULL. Times with a zone are rounded in UTC and written in
 * it: the offset of a zone would tell summer from winter.
 */
export function beginOfUnit(
  type: { readonly kind: 'date' | 'timestamp'; readonly zoned?: boolean },
  unit: BucketUnit,
  format: ValueFormat,
): CellMasker {
  if (format === 'text') return byValue((value) => textBegin(value.toString('latin1'), type, unit))
  return byValue(type.kind === 'date' ? (value) => dateBegin(value, unit) : (value) => timeBegin(value, unit))
}

const DAY_MS = 86_400_000
const EPOCH_MS = Date.UTC(2000, 0, 1)
const DATE = /^(\d{4,6})-(\d\d)-(\d\d)$/
const TIMESTAMP = /^(\d{4,6})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?([+-]\d\d(?::?\d\d){0,2})?$/

function textBegin(
  text: string,
  type: { readonly kind: 'date' | 'timestamp'; readonly zoned?: boolean },
  unit: BucketUnit,
): Buffer | undefined {
  const found = (type.kind === 'date' ? DATE : TIMESTAMP).exec(text)
  if (found === null) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', zone] = found
  if ((zone !== undefined) !== (type.zoned === true)) return undefined
  const local = utc(Number(year), Number(month) - 1, Number(day))
  const clock = (Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1000
  const begin = beginOf(local + clock - (zone === undefined ? 0 : offsetMs(zone)), unit)
  if (begin === undefined) return undefined
  const date = dateText(begin)
  if (type.kind === 'date') return Buffer.from(date)
  return Buffer.from(type.zoned === true ? `${date} 00:00:00+00` : `${date} 00:00:00`)
}

function offsetMs(zone: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = (zone.slice(1).match(/\d\d/g) ?? []).map(Number)
  return (zone.startsWith('-') ? -1000 : 1000) * (hours * 3600 + minutes * 60 + seconds)
}

/** Days since 2000-01-01 as 32 bits; the two ends of the range are the infinities. */
function dateBegin(value: Buffer, unit: BucketUnit): Buffer | undefined {
  if (value.length !== 4) return undefined
  const begin = beginOf(EPOCH_MS + value.readInt32BE() * DAY_MS, unit)
  if (begin === undefined) return undefined
  const target = Buffer.alloc(4)
  target.writeInt32BE(Math.round((begin - EPOCH_MS) / DAY_MS))
  return target
}

/** Microseconds since 2000-01-01 as 64 bits. */
function timeBegin(value: Buffer, unit: BucketUnit): Buffer | undefined {
  if (value.length !== 8) return undefined
  const micros = value.readBigInt64BE()
  const millis = micros / 1000n - (micros % 1000n < 0n ? 1n : 0n)
  const begin = beginOf(EPOCH_MS + Number(millis), unit)
  if (begin === undefined) return undefined
  const target = Buffer.alloc(8)
  target.writeBigInt64BE(BigInt(begin - EPOCH_MS) * 1000n)
  return target
}

/** The begin of the unit that a moment lies in; undefined outside the years 1 to 99999. */
function beginOf(ms: number, unit: BucketUnit): number | undefined {
  const date = new Date(ms)
  const year = date.getUTCFullYear()
  // A moment that JavaScript cannot name has no year.
  if (!(year >= 1 && year <= 99_999)) return undefined
  const month = date.getUTCMonth()
  switch (unit) {
    case 'day':
      return utc(year, month, date.getUTCDate())
    case 'month':
      return utc(year, month, 1)
    case 'quarter':
      return utc(year, month - (month % 3), 1)
    case 'year':
      return utc(year, 0, 1)
    case 'decade':
      return utc(Math.max(year - (year % 10), 1), 0, 1)
  }
}

/** As Date.UTC, which takes years below 100 for those of the last century. */
function utc(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month, day)
}

function dateText(ms: number): string {
  const date = new Date(ms)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${String(date.getUTCFullYear()).padStart(4, '0')}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`
}

/** The binary form of a date or time written in ISO form; undefined when it is none. */
export function binaryDate(
  text: string,
  type: { readonly kind: 'date' | 'timestamp'; readonly zoned?: boolean },
): Buffer | undefined {
  const found = (type.kind === 'date' ? DATE : TIMESTAMP).exec(text)
  if (found === null || (found[7] !== undefined) !== (type.zoned === true)) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', zone] = found
  const local = utc(Number(year), Number(month) - 1, Number(day))
  const back = new Date(local)
  if (back.getUTCMonth() !== Number(month) - 1 || back.getUTCDate() !== Number(day) || Number(year) < 1) {
    return undefined
  }
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59 || text.includes('.')) return undefined
  if (type.kind === 'date') {
    const target = Buffer.alloc(4)
    target.writeInt32BE(Math.round((local - EPOCH_MS) / DAY_MS))
    return target
  }
  const clock = (Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1000
  const ms = local + clock - (zone === undefined ? 0 : offsetMs(zone)) - EPOCH_MS
  const target = Buffer.alloc(8)
  target.writeBigInt64BE(BigInt(ms) * 1000n)
  return target
}
