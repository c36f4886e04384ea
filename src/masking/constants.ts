import { binaryDate } from './dates.ts'
import { binaryInet, readInet } from './network.ts'
import { neutralConstant } from './neutral.ts'
import { numericBytes } from './numbers.ts'
import { uuidBytes } from './tokens.ts'
import type { ValueFormat, ValueType } from './types.ts'

/**
 * A text of the configuration as a value of a type, in its format; undefined where it is none, or where only the
 * server could say so: then NULL is shown. Forms that every server reads alike, and nothing else: no `today`, no `1e3`.
 */
export function constantOf(text: string, type: ValueType, format: ValueFormat): Uint8Array | undefined {
  const asText = (valid: boolean) => (valid ? Buffer.from(text) : undefined)
  switch (type.kind) {
    case 'text':
      return asText(true)
    case 'char':
      return asText(/^[\x20-\x7e]$/.test(text))
    case 'enum':
      return asText(type.labels.includes(text))
    case 'boolean': {
      const truth = { t: true, true: true, f: false, false: false }[text]
      if (truth === undefined) return undefined
      return format === 'binary' ? Buffer.from([truth ? 1 : 0]) : Buffer.from(truth ? 't' : 'f')
    }
    case 'integer':
      return integer(text, type.bytes, format)
    case 'float': {
      if (!/^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return undefined
      if (format === 'text') return Buffer.from(text)
      const target = Buffer.alloc(type.bytes)
      if (type.bytes === 4) target.writeFloatBE(Number(text))
      else target.writeDoubleBE(Number(text))
      return target
    }
    case 'numeric':
      if (!/^-?\d{1,40}$/.test(text)) return undefined
      return format === 'text' ? Buffer.from(text) : numericBytes(BigInt(text))
    case 'date':
    case 'timestamp': {
      const bytes = binaryDate(text, type)
      return format === 'binary' ? bytes : asText(bytes !== undefined)
    }
    case 'uuid': {
      const bytes = uuidBytes(text)
      return format === 'binary' ? bytes : asText(bytes !== undefined)
    }
    case 'inet': {
      const inet = readInet(text)
      // A cidr has no bits to the right of its prefix: only a whole address surely has none.
      if (inet === undefined || (type.cidr && inet.bits !== 8 * inet.bytes.length)) return undefined
      return format === 'binary' ? binaryInet(inet, type.cidr) : Buffer.from(text)
    }
    case 'bytea':
      return format === 'binary' ? Buffer.from(text) : Buffer.from(`\\x${Buffer.from(text).toString('hex')}`)
    case 'json':
      return jsonBytes(isJson(text) ? text : JSON.stringify(text), type.versioned, format)
    case 'xml':
      return asText(/^[^<>&\0-\x1f]*$/.test(text))
    case 'neutral':
      return neutralConstant(text, type.name, format)
    default:
      return undefined
  }
}

export function jsonBytes(text: string, versioned: boolean, format: ValueFormat): Buffer {
  return Buffer.from(versioned && format === 'binary' ? `\u0001${text}` : text)
}

function integer(text: string, bytes: 2 | 4 | 8, format: ValueFormat): Buffer | undefined {
  if (!/^-?\d{1,20}$/.test(text)) return undefined
  const number = BigInt(text)
  if (BigInt.asIntN(8 * bytes, number) !== number) return undefined
  if (format === 'text') return Buffer.from(String(number))
  const target = Buffer.alloc(8)
  target.writeBigInt64BE(number)
  return target.subarray(8 - bytes)
}

/** JSON that jsonb takes as well: no NUL, no half of a surrogate pair, no number out of its range. */
function isJson(text: string): boolean {
  if (/\\u(0000|d[89a-f])/i.test(text) || /[eE]/.test(text.replace(/"(?:[^"\\]|\\.)*"|true|false/g, '')))
    return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
