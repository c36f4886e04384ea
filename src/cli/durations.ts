import { GatewayError } from '../core/index.ts'

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** `15m`, `45s`, `2h` as milliseconds. Throws GatewayError `invalid`. */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? []
  const factor = UNITS.get(unit ?? '')
  if (digits === undefined || factor === undefined) {
    throw new GatewayError('invalid', `Write a duration such as 15m, 45s or 2h, not ${JSON.stringify(text)}.`)
  }
  return Number(digits) * factor
}
