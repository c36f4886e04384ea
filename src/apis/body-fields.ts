import { LIMITS } from '../core/index.ts'
import { readStrictJson } from './strict-json.ts'

/** How a body is written, as far as its fields can be told. */
export type BodyForm = 'json' | 'form' | 'other'

/**
 * The fields of a body. `isRead`: they are all there is; false where the body could not be read, or has more than is told, and
 * then nothing is said of any.
 */
export type BodyFields = {
  readonly isRead: boolean
  /** `customer.email`, `items[].id`; in forms as they are written. Sorted, no duplicates. */
  readonly names: readonly string[]
  /** `role=admin`: of each text, number, true, false and null that is no longer than `LIMITS.bodyFieldCharsMax`. Sorted. */
  readonly values: readonly string[]
}

const UNREAD: BodyFields = { isRead: false, names: [], values: [] }
const NONE: BodyFields = { isRead: true, names: [], values: [] }

export function fieldsOfBody(form: BodyForm, body: Uint8Array): BodyFields {
  if (body.length === 0) return NONE
  const text = textOf(body)
  if (text === undefined) return UNREAD
  switch (form) {
    case 'json': {
      const read = readStrictJson(text)
      return read.ok ? collected((add) => walk(read.value, '', add)) : UNREAD
    }
    case 'form':
      return collected((add) => [...new URLSearchParams(text)].every(([name, value]) => add(name, value)))
    case 'other':
      return UNREAD
  }
}

/** The text of UTF-8, without a byte order mark; undefined: it is not UTF-8. */
export function textOf(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return undefined
  }
}

/** Takes a field, with its value where it has one of its own; false: there are too many, or its name is too long to be told. */
type Add = (name: string, value: string | undefined) => boolean

function collected(walkAll: (add: Add) => boolean): BodyFields {
  const names = new Set<string>()
  const values = new Set<string>()
  const isWhole = walkAll((name, value) => {
    if (name.length > LIMITS.bodyFieldNameCharsMax) return false
    names.add(name)
    if (value !== undefined && value.length <= LIMITS.bodyFieldCharsMax) values.add(`${name}=${value}`)
    return names.size <= LIMITS.bodyFieldsMax && values.size <= LIMITS.bodyFieldsMax
  })
  return isWhole ? { isRead: true, names: [...names].sort(), values: [...values].sort() } : UNREAD
}

function walk(value: unknown, path: string, add: Add): boolean {
  if (Array.isArray(value)) return value.every((each) => walk(each, `${path}[]`, add))
  if (typeof value !== 'object' || value === null) {
    // A body that is one value has no field.
    return path === '' || add(path, String(value))
  }
  return Object.entries(value).every(([name, each]) => {
    const inner = path === '' ? name : `${path}.${name}`
    return add(inner, undefined) && walk(each, inner, add)
  })
}
