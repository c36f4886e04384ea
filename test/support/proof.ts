/**
 * For tests that repeat: small counts in `npm test`, full counts in `npm run prove`, where what was counted is written
 * to `docs/proofs/`. A test file that imports this is a proof; `tools/prove.ts` finds it by that.
 */
import { appendFileSync } from 'node:fs'
import { fewer } from './fewer.ts'

function wholeNumber(name: string): number | undefined {
  const text = process.env[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`${name} must be a whole number, not ${text}`)
  return value
}

/** True under `npm run prove`. */
export const proving: boolean = process.env['SLUICE_PROVE'] === '1'

/** How often to repeat: `small` in `npm test`, `full` in `npm run prove`; SLUICE_COUNT overrides both. */
export function times(counts: { readonly small: number; readonly full: number }): number {
  return wholeNumber('SLUICE_COUNT') ?? (proving ? counts.full : fewer(counts.small))
}

/**
 * The seed of all randomness in a proof: SLUICE_SEED, so that a failure can be repeated, else a fresh one. Print it
 * in a failure's message, or hand it to fast-check, which does.
 */
export const seed: number = wholeNumber('SLUICE_SEED') ?? Math.floor(Math.random() * 0x7fffffff)

/** Adds to one count of the proof, such as `tally('kills', 50)`. Without `npm run prove` it does nothing. */
export function tally(name: string, count: number): void {
  append({ name, count })
}

/** Adds a line to one of the proof's lists, such as which statement it was. Without `npm run prove` it does nothing. */
export function note(name: string, text: string): void {
  append({ name, text })
}

function append(line: Readonly<Record<string, string | number>>): void {
  const file = process.env['SLUICE_PROOF_FILE']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`)
}

/** A generator of numbers in [0, 1) that repeats for the same seed (mulberry32, public domain, Tommy Ettinger). */
export function randomFrom(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
