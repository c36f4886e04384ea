import type { ParameterReading } from '../../../core/index.ts'

/** Types whose parameters are shown by name; their numbers never change (pg_type.dat). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [16, 'boolean'],
  [17, 'bytea'],
  [19, 'name'],
  [20, 'bigint'],
  [21, 'smallint'],
  [23, 'integer'],
  [25, 'text'],
  [26, 'oid'],
  [114, 'json'],
  [142, 'xml'],
  [700, 'real'],
  [701, 'double precision'],
  [1005, 'smallint[]'],
  [1007, 'integer[]'],
  [1009, 'text[]'],
  [1015, 'character varying[]'],
  [1016, 'bigint[]'],
  [1042, 'character'],
  [1043, 'character varying'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamp with time zone'],
  [1186, 'interval'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
])

/**
 * How each of `count` parameters is read: by the format that Bind gives to none, all or each of them, and by the type
 * that Parse has declared. Undefined: all are text, and none was declared.
 */
export function readingsOf(
  count: number,
  formats: readonly number[],
  types: readonly number[] = [],
): readonly ParameterReading[] | undefined {
  if (formats.every((format) => format === 0) && types.every((type) => type === 0)) return undefined
  return Array.from({ length: count }, (_, i) => {
    const format = (formats.length === 1 ? formats[0] : formats[i]) ?? 0
    const type = types[i] ?? 0
    const form = format === 0 ? 'text' : 'binary'
    return type === 0 ? form : `${form} ${NAMES.get(type) ?? `type ${type}`}`
  })
}

const NUMBERS: ReadonlyMap<string, number> = new Map([...NAMES].map(([number, name]) => [name, number]))

/** The formats and types of parameters by how they are read, as a client would give them. */
export function formsOf(readings: readonly ParameterReading[] = []): {
  readonly formats: readonly number[]
  readonly types: readonly number[]
} {
  const formats = readings.map((reading) => (reading.startsWith('binary') ? 1 : 0))
  const types = readings.map((reading) => {
    const space = reading.indexOf(' ')
    const name = space < 0 ? '' : reading.slice(space + 1)
    return NUMBERS.get(name) ?? Number(/^type (\d+)$/.exec(name)?.[1] ?? 0)
  })
  return { formats, types }
}

/** `= ANY (array)`, and what may run it. */
const LISTS = /\b(any|some|execute)\b/i
/** `U&'...' UESCAPE '!'`. */
const ESCAPED = /\bu&/i
/** int2vector and oidvector, whose values stand apart by blanks. */
const VECTORS: ReadonlySet<string> = new Set(['text type 22', 'text type 30'])

/** Whether an array in this statement may be one of values that are asked about, one by one. */
export function mayList(text: string): boolean {
  return LISTS.test(text)
}

/**
 * At most how many values more than one there are in arrays that a statement holds as one value: `'{a,b}'`. What stands
 * between two of them is a comma (a semicolon for boxes), written as it is or with a backslash.
 */
export function listedIn(text: string): number {
  if (!mayList(text)) return 0
  // With escapes of its own a comma may look like anything.
  return ESCAPED.test(text) ? text.length : separatorsIn(Buffer.from(text, 'latin1'))
}

/** The same for parameters. */
export function listedAmong(
  parameters: readonly (Uint8Array | null)[],
  readings: readonly ParameterReading[] | undefined,
): number {
  return parameters.reduce((sum, value, i) => {
    if (value === null) return sum
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
    const reading = readings?.[i] ?? 'text'
    if (reading.startsWith('binary')) return sum + elementsIn(bytes)
    return sum + (VECTORS.has(reading) ? separatorsIn(bytes, true) : separatorsOfArray(bytes))
  }, 0)
}

/** An array as text begins with its first brace, or with its bounds: `[2:3]={a,b}`. */
function separatorsOfArray(bytes: Buffer): number {
  return /^\s*[{[]/.test(bytes.toString('latin1', 0, 64)) ? separatorsIn(bytes) : 0
}

function separatorsIn(bytes: Buffer, spaced = false): number {
  let separators = 0
  for (const byte of bytes)
    if (byte === 0x2c || byte === 0x3b || byte === 0x5c || (spaced && byte <= 0x20)) separators++
  return separators
}

/** The header of a binary array: dimensions, flags, type, and of each dimension its length and lower bound. */
function elementsIn(bytes: Buffer): number {
  if (bytes.length < 20) return 0
  const dimensions = bytes.readInt32BE(0)
  if (dimensions < 1 || dimensions > 6 || bytes.length < 12 + 8 * dimensions) return 0
  let elements = 1
  for (let i = 0; i < dimensions; i++) elements *= Math.max(0, bytes.readInt32BE(12 + 8 * i))
  // None takes less than its length; what says otherwise is no array.
  return elements * 4 <= bytes.length ? Math.max(0, elements - 1) : 0
}
