import type { MaskingKey, MaskingRule } from '../core/index.ts'
import { assertNever } from '../core/index.ts'
import type { CellMasker } from './masker.ts'
import { byValue, NOTHING } from './masker.ts'
import { neutralMasker } from './neutral.ts'
import { FULL, MASKED } from './text.ts'
import { addressFor, digitsFor, nameFor, token, uuidBytes, uuidFor, uuidText } from './tokens.ts'
import type { ValueFormat, ValueType } from './types.ts'

/** Hashes and pseudonyms, by type. A type that neither can be a value of becomes NULL; without a key, text is hidden whole. */
export function keyedMasker(
  rule: MaskingRule & { kind: 'hash' | 'pseudonym' },
  type: ValueType,
  format: ValueFormat,
): CellMasker {
  const { key } = rule
  if (type.kind === 'neutral') return neutralMasker(type.name, format)
  if (key === undefined) return type.kind === 'text' ? FULL : NOTHING
  const textOf = rule.kind === 'hash' ? hashed(rule.prefix, key) : pseudonym(rule.of, key)
  switch (type.kind) {
    case 'text':
      return byValue((value) => Buffer.from(textOf(value) ?? '[masked]'), MASKED)
    case 'uuid':
      return byValue((value) => {
        const uuid = format === 'binary' ? value : uuidBytes(value.toString('latin1'))
        if (uuid?.length !== 16) return undefined
        const made = uuidFor(key, uuid)
        return format === 'binary' ? made : Buffer.from(uuidText(made))
      })
    case 'bytea':
      if (rule.kind === 'pseudonym') return NOTHING
      return byValue((value) => {
        const bytes = format === 'binary' ? value : byteaBytes(value)
        if (bytes === undefined) return undefined
        const made = Buffer.from(token(key, bytes))
        return format === 'binary' ? made : Buffer.from(`\\x${made.toString('hex')}`)
      })
    case 'json': {
      const version = type.versioned && format === 'binary' ? 1 : 0
      const tooLong = Buffer.from(`${'\u0001'.repeat(version)}"[masked]"`)
      return byValue((value) => {
        const shown = Buffer.from(JSON.stringify(textOf(value.subarray(version)) ?? '[masked]'))
        return version === 0 ? shown : Buffer.concat([Buffer.from([1]), shown])
      }, tooLong)
    }
    default:
      return NOTHING
  }
}

type Maker = (value: Uint8Array) => string | undefined

function hashed(prefix: string, key: MaskingKey): Maker {
  return (value) => prefix + token(key, value)
}

function pseudonym(of: (MaskingRule & { kind: 'pseudonym' })['of'], key: MaskingKey): Maker {
  switch (of) {
    case 'email':
      return (value) => addressFor(key, value)
    case 'name':
      return (value) => nameFor(key, value)
    case 'uuid':
      return (value) => uuidText(uuidFor(key, uuidBytes(Buffer.from(value).toString('latin1')) ?? value))
    case 'phone':
    case 'digits':
      return (value) => {
        // Letters would be kept as they are; what holds some is no number.
        const text = Buffer.from(value).toString('latin1')
        return (of === 'phone' ? PHONE : DIGITS).test(text) ? digitsFor(key, text) : undefined
      }
    default:
      return assertNever(of)
  }
}

const PHONE = /^[\d ()+./-]{1,64}$/
const DIGITS = /^[\d -]{1,64}$/

/** What a bytea in text form holds: hexadecimal (the default) or escaped. */
function byteaBytes(value: Buffer): Buffer | undefined {
  const text = value.toString('latin1')
  if (/^\\x([0-9a-f]{2})*$/.test(text)) return Buffer.from(text.slice(2), 'hex')
  if (!/^([^\\]|\\\\|\\[0-3][0-7]{2})*$/.test(text)) return undefined
  const plain = text.replace(/\\(\\|[0-7]{3})/g, (_all, code: string) =>
    code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
  )
  return Buffer.from(plain, 'latin1')
}
