/** A media type with its parameters: RFC 9110 section 8.3.1. Names in lower case. */
export type MediaType = { readonly type: string; readonly parameters: ReadonlyMap<string, string> }

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const TYPE = new RegExp(`^\\s*(${TOKEN}/${TOKEN})\\s*(?:;|$)`)
const PARAMETER = new RegExp(
  `\\s*(${TOKEN})=(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")\\s*(?:;|$)|\\s*;|\\s+$`,
  'y',
)

/** Undefined: not a media type, or one with a parameter twice, which two readers may take for different ones. */
export function parseMediaType(text: string): MediaType | undefined {
  const head = TYPE.exec(text)
  if (head?.[1] === undefined) return undefined
  const parameters = new Map<string, string>()
  PARAMETER.lastIndex = head[0].length
  while (PARAMETER.lastIndex < text.length) {
    const found = PARAMETER.exec(text)
    if (found === null) return undefined
    const [, name, plain, quoted] = found
    if (name === undefined) continue
    if (parameters.has(name.toLowerCase())) return undefined
    parameters.set(name.toLowerCase(), plain ?? (quoted ?? '').replaceAll(/\\(.)/g, '$1'))
  }
  return { type: head[1].toLowerCase(), parameters }
}
