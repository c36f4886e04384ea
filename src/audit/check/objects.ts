import { decodeText } from '../../evidence/note/text.ts'

/** JSON in UTF-8. Throws with a reason that has nothing of the text in it, unlike that of `JSON.parse`. */
export function jsonOf(bytes: Uint8Array, what: string): unknown {
  const text = decodeText(bytes, what)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${what} is not JSON`)
  }
}

/** What JSON gave, as an object. Throws with the reason. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Error('what should be an object is none')
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
