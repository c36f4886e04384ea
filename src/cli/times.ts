import { UsageError } from './context.ts'

const UNITS: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 7 * 86_400_000],
])

/** A date (its first moment, UTC) or a time of ISO 8601; without a zone it is UTC, and not this machine's. */
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?(Z|[+-]\d{2}:?\d{2})?$/

/** `2h` (ago), `2026-11-27`, `2026-11-27T10:00Z` in milliseconds since 1970. Throws UsageError. */
export function parseTime(text: string, now = Date.now()): number {
  const [, digits, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? []
  const factor = UNITS.get(unit ?? '')
  if (digits !== undefined && factor !== undefined) return Math.max(0, now - Number(digits) * factor)
  const [whole, zone] = ISO.exec(text) ?? []
  const time =
    whole === undefined
      ? Number.NaN
      : Date.parse(whole.length > 10 && zone === undefined ? `${whole}Z` : whole)
  if (Number.isNaN(time) || time < 0) {
    throw new UsageError(
      `Write a time such as 2h or 7d (ago), 2026-11-27 or 2026-11-27T10:00Z, not ${JSON.stringify(text)}.`,
    )
  }
  return time
}

/** The same for a query, where it is given. */
export function timeText(text: string | undefined): string | undefined {
  return text === undefined ? undefined : String(parseTime(text))
}
