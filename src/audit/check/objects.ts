import { decodeText } from '../../evidence/note/text.ts'
import { strictJson } from './strict-json.ts'

/** JSON in UTF-8. Throws with a reason that has nothing of the text in it, unlike that of `JSON.parse`. */
export function jsonOf(bytes: Uint8Array, what: string): unknown {
  return strictJson(decodeText(bytes, what))
}

/** The same, with these fields and no others. Throws with the reason. */
export function exactly(value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const object = objectOf(value)
  const found = Object.keys(object)
  if (found.length !== names.length || !found.every((each) => names.includes(each)))
    throw new Error('an object has other fields than it may')
  return object
}

/** What JSON gave, as an object. Throws with the reason. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Error('what should be an object is none')
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
