import { z } from 'zod'
import type { SecretRef } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import { nearest } from './nearest.ts'

/**
 * The kinds of value that settings are made of. A message reads `expected ...; write ...`: what was expected, and after
 * the semicolon what to do about it.
 */

const SOURCES = ['env', 'file', 'store', 'command', 'vault'] as const

const REFERENCE_HINT =
  'write "${store:NAME}", "${env:NAME}", "${file:PATH}", "${command:...}" or "${vault:PATH#FIELD}"'

const REFERENCE_PATTERN = '^\\$\\{(env|file|store|command|vault):.+\\}$'
const OUTSIDE_HINT = 'write "${env:NAME}", "${file:PATH}" or "${command:...}"'
const OUTSIDE_PATTERN = '^\\$\\{(env|file|command):.+\\}$'

export type SecretReferenceOptions = {
  /** Whether the value itself may stand in the file: only for what is no secret, such as a certificate. */
  readonly literal?: boolean
  /** Whether it is needed to reach the store, and so cannot be kept there. */
  readonly outside?: boolean
}

/**
 * A reference to a secret, or to a file's content, as a `SecretRef`. What is written is never repeated in a message:
 * it may be the secret itself.
 */
export function secretReference(options: SecretReferenceOptions = {}) {
  const { literal = false, outside = false } = options
  const hint = outside ? OUTSIDE_HINT : REFERENCE_HINT
  const pattern = outside ? OUTSIDE_PATTERN : REFERENCE_PATTERN
  const schema = z.string({ error: () => `expected a reference to a secret; ${hint}` })
  return schema.meta(literal ? {} : { pattern }).transform((text, context): SecretRef => {
    const parsed = parseReference(text, literal, outside)
    if (parsed.ok) return parsed.ref
    context.addIssue({ code: 'custom', message: `${parsed.expected}; ${parsed.fix}` })
    return z.NEVER
  })
}

type ParsedReference =
  | { readonly ok: true; readonly ref: SecretRef }
  | { readonly ok: false; readonly expected: string; readonly fix: string }

function parseReference(text: string, literal: boolean, outside: boolean): ParsedReference {
  const hint = outside ? OUTSIDE_HINT : REFERENCE_HINT
  if (!text.startsWith('${')) {
    if (literal && text.trim() !== '') return { ok: true, ref: { kind: 'literal', value: new Secret(text) } }
    const fix = outside
      ? 'keep it in a file or a variable and write "${file:PATH}" or "${env:NAME}"'
      : 'keep it with "sluice secrets set NAME" and write "${store:NAME}"'
    return { ok: false, expected: 'expected a reference to a secret, got the value itself', fix }
  }
  const match = /^\$\{([a-zA-Z]*):([^\0]*)\}$/s.exec(text)
  const [, source = '', rest = ''] = match ?? []
  if (match === null || rest.trim() === '') {
    return { ok: false, expected: 'expected a whole reference', fix: hint }
  }
  switch (source) {
    case 'env':
      if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(rest)) return { ok: true, ref: { kind: 'env', name: rest } }
      return {
        ok: false,
        expected: 'expected the name of an environment variable',
        fix: 'use letters, digits and _',
      }
    case 'store':
      if (outside)
        return {
          ok: false,
          expected: 'expected a reference that does not lead into the store itself',
          fix: hint,
        }
      if (SECRET_NAME.test(rest)) return { ok: true, ref: { kind: 'store', name: rest } }
      return {
        ok: false,
        expected: 'expected the name of a stored secret',
        fix: 'use up to 128 letters, digits, dots, - and _',
      }
    case 'file':
      return { ok: true, ref: { kind: 'file', path: rest } }
    case 'vault':
      return vaultReference(rest, outside, hint)
    case 'command':
      return { ok: true, ref: { kind: 'command', command: rest } }
    default: {
      const near = nearest(source, SOURCES)
      const fix = near === undefined ? hint : `write "\${${near}:..."`
      return {
        ok: false,
        expected: `expected ${SOURCES.join(', ')} before the colon, got "${shorten(source)}"`,
        fix,
      }
    }
  }
}

/** What is asked for at the API of Vault, and a field of the answer. */
function vaultReference(rest: string, outside: boolean, hint: string): ParsedReference {
  if (outside) {
    return { ok: false, expected: 'expected a reference that does not lead into Vault', fix: hint }
  }
  const [, path, field] = VAULT_PLACE.exec(rest) ?? []
  if (path !== undefined && field !== undefined && path.length <= 512 && !path.includes('..'))
    return { ok: true, ref: { kind: 'vault', path, field } }
  return {
    ok: false,
    expected: 'expected a path of Vault and a field',
    fix: 'write it like "${vault:secret/data/crm#password}"',
  }
}

const VAULT_PLACE = /^((?!v1\/)[A-Za-z0-9_][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_.@-]+)+)#([A-Za-z0-9_.-]{1,128})$/

/** Text on one line, or a reference to it, as a `SecretRef`: a name that belongs to a password that is made anew. */
export function lineOrReference(what: string, max = 256) {
  return z
    .string({ error: (issue) => `expected ${what}, got ${shown(issue.input)}; write it as text, in quotes` })
    .min(1)
    .max(max)
    .transform((text, context): SecretRef => {
      if (text.startsWith('${')) {
        const parsed = parseReference(text, false, false)
        if (parsed.ok) return parsed.ref
        context.addIssue({ code: 'custom', message: `${parsed.expected}; ${parsed.fix}` })
        return z.NEVER
      }
      if (!/\p{Cc}/u.test(text) && !text.includes('${')) return { kind: 'literal', value: new Secret(text) }
      context.addIssue({
        code: 'custom',
        message: `expected ${what} on one line, or a whole reference; remove control characters`,
      })
      return z.NEVER
    })
}

const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** A duration such as `45s` or `15m`, as milliseconds between `min` and `max`. */
export function duration(range: { readonly min: number; readonly max: number }) {
  return quantity(DURATION_UNITS, '45s', 'a duration', range)
}

/** A size such as `10MiB`, as bytes between `min` and `max`. */
export function size(range: { readonly min: number; readonly max: number }) {
  return quantity(SIZE_UNITS, '10MiB', 'a size', range)
}

function quantity(
  units: Readonly<Record<string, number>>,
  example: string,
  what: string,
  range: { readonly min: number; readonly max: number },
) {
  const names = Object.keys(units)
  const hint = `write a number and a unit (${names.join(', ')}), such as ${example}`
  const show = (value: number) => showQuantity(value, units)
  return z
    .string({ error: (issue) => `expected ${what} such as ${example}, got ${shown(issue.input)}; ${hint}` })
    .meta({ pattern: `^[0-9]+(${names.join('|')})$` })
    .transform((text, context) => {
      const [, digits, unit = ''] = /^([0-9]{1,15})([A-Za-z]+)$/.exec(text) ?? []
      const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
      if (digits === undefined || factor === undefined) {
        const near = digits === undefined ? undefined : nearest(unit, names)
        const fix = near === undefined || digits === undefined ? hint : `write ${digits}${near}`
        const message = `expected ${what} such as ${example}, got ${shown(text)}; ${fix}`
        context.addIssue({ code: 'custom', message })
        return z.NEVER
      }
      const value = Number(digits) * factor
      if (value < range.min || value > range.max) {
        const message = `expected ${what} from ${show(range.min)} to ${show(range.max)}, got ${shown(text)}; write at ${value < range.min ? `least ${show(range.min)}` : `most ${show(range.max)}`}`
        context.addIssue({ code: 'custom', message })
        return z.NEVER
      }
      return value
    })
}

/** In the largest unit that divides it. */
function showQuantity(value: number, units: Readonly<Record<string, number>>): string {
  let best = String(value)
  if (value === 0) return best
  for (const [unit, factor] of Object.entries(units))
    if (value % factor === 0) best = `${value / factor}${unit}`
  return best
}

/** Text that is no reference and holds no line break or NUL. */
export function line(what: string, max = 256) {
  return z
    .string({ error: (issue) => `expected ${what}, got ${shown(issue.input)}; write it as text, in quotes` })
    .min(1)
    .max(max)
    .refine((text) => !/\p{Cc}/u.test(text), `expected ${what} on one line; remove control characters`)
    .refine((text) => !text.includes('${'), `expected ${what}, got a reference; write the value itself`)
}

/** A value as a message may show it: short, on one line, and never what looks like a password. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value !== 'string') return `a ${typeof value}`
  if (value.includes('@') || value.includes('://') || value.length > 40)
    return `text of ${value.length} characters`
  return JSON.stringify(value)
}

export function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 37)}...`
}
