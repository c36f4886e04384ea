/**
 * How the bytes of a parameter are read: `text` or `binary`, and behind a space the type that the client has declared
 * for it, if any: `text`, `binary integer`. Numbers in binary are in network byte order.
 */
export type ParameterReading = string

/**
 * Control characters, and those that change direction, join, or show as nothing: whoever reads must see that they are
 * there. Spaces that are not the space, and unassigned, private and half characters too: no two terminals agree on them.
 */
export const HIDDEN_CHARACTERS =
  /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]|(?! )\p{Zs}|\u034f|[\ufe00-\ufe0f]/gu

const BYTES_OF: ReadonlyMap<string, number> = new Map([
  ['smallint', 2],
  ['integer', 4],
  ['oid', 4],
  ['bigint', 8],
])

const TEXTS: ReadonlySet<string> = new Set(['text', 'character', 'character varying', 'name', 'json', 'xml'])

/**
 * One parameter in one line, in which everything shows and no two values look alike. What is read as text is a JSON
 * string, `"4 \"x\"\n"`; what is read as something else is in hexadecimal with its length, and with the number that it
 * is: `\x0000002a (4 bytes, 42)`. Behind either stands the type that was declared: `"42" as integer`.
 */
export function parameterText(value: Uint8Array, reading: ParameterReading = 'text'): string {
  const space = reading.indexOf(' ')
  const type = space < 0 ? undefined : reading.slice(space + 1)
  const isText = (space < 0 ? reading : reading.slice(0, space)) === 'text'
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const text = isText ? textOf(bytes) : undefined
  const shown =
    text === undefined ? hex(bytes, isText ? ['text, but not UTF-8'] : meaning(bytes, type)) : shownJson(text)
  return type === undefined ? shown : `${shown} as ${type}`
}

/** As `parameterText`, and NULL. */
export function parameterLine(value: Uint8Array | null, reading?: ParameterReading): string {
  return value === null ? 'NULL' : parameterText(value, reading)
}

function hex(bytes: Buffer, meanings: readonly string[]): string {
  const length = `${bytes.length} byte${bytes.length === 1 ? '' : 's'}`
  return `\\x${bytes.toString('hex')} (${[length, ...meanings].join(', ')})`
}

function meaning(bytes: Buffer, type: string | undefined): string[] {
  // Many drivers leave the type to the server: what it would be, if it were a number.
  if (type === undefined) {
    const number = numberOf(bytes)
    return number === undefined ? [] : [`${number} if it is a whole number`]
  }
  if (type === 'boolean' && bytes.length === 1) return [bytes[0] === 0 ? 'false' : 'true']
  if (BYTES_OF.get(type) === bytes.length) {
    return [type === 'oid' ? String(bytes.readUInt32BE(0)) : String(numberOf(bytes))]
  }
  const text = TEXTS.has(type) ? textOf(bytes) : undefined
  return text === undefined ? [] : [shownJson(text)]
}

function numberOf(bytes: Buffer): bigint | number | undefined {
  switch (bytes.length) {
    case 2:
      return bytes.readInt16BE(0)
    case 4:
      return bytes.readInt32BE(0)
    case 8:
      return bytes.readBigInt64BE(0)
    default:
      return undefined
  }
}

/** Undefined: not UTF-8. */
function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}

/** JSON in which nothing can move a cursor or hide: what would not show is escaped as JSON escapes it. */
export function shownJson(value: unknown): string {
  return JSON.stringify(value).replace(HIDDEN_CHARACTERS, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
