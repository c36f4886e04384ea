import { GatewayError, LIMITS } from '../core/index.ts'

/** One step of a path from a JSON value to one inside it. */
export type Step =
  /** The member of that name. */
  | { readonly kind: 'key'; readonly name: string }
  /** Any element of an array: `[]`. */
  | { readonly kind: 'element' }
  /** Any member or element: `*`. */
  | { readonly kind: 'any' }
  /** Any number of steps, none included: `**`. */
  | { readonly kind: 'deep' }

/**
 * Reads a path: `[].email`, `customer.contact.email`, `items[].card`, `customers.*.email`, `**.email`. A name with
 * other characters than letters, digits, `_`, `-` and `$` is quoted as in JSON: `customer."e.mail"`.
 * Throws GatewayError `invalid` that says at which character the path stops making sense.
 */
export function parseJsonPath(text: string): readonly Step[] {
  const steps: Step[] = []
  let at = 0
  while (at < text.length) {
    const rest = text.slice(at)
    const brackets = /^\[(\*?)\]/.exec(rest)
    if (brackets !== null) {
      steps.push({ kind: 'element' })
      at += brackets[0].length
      continue
    }
    if (steps.length > 0) {
      if (text[at] !== '.') throw notAPath(text, at, 'expected . or []')
      at++
    }
    const name = /^(?:(\*\*)|(\*)|([\p{L}\p{N}_$-]+)|("(?:[^"\\]|\\.)*"))/u.exec(text.slice(at))
    if (name === null) throw notAPath(text, at, 'expected a name, *, ** or []')
    const [all, deep, any, plain, quoted] = name
    if (deep !== undefined) steps.push({ kind: 'deep' })
    else if (any !== undefined) steps.push({ kind: 'any' })
    else steps.push({ kind: 'key', name: plain ?? unquote(text, at, quoted ?? '') })
    at += all.length
  }
  if (steps.length === 0) throw notAPath(text, 0, 'expected a name, *, ** or []')
  if (steps.length > LIMITS.jsonPathStepsMax)
    throw notAPath(text, 0, `more than ${LIMITS.jsonPathStepsMax} steps`)
  return steps
}

function unquote(text: string, at: number, quoted: string): string {
  try {
    const name: unknown = JSON.parse(quoted)
    if (typeof name === 'string') return name
  } catch (cause) {
    throw notAPath(text, at, 'the quoted name is not a JSON string', cause)
  }
  throw notAPath(text, at, 'the quoted name is not a JSON string')
}

function notAPath(text: string, at: number, why: string, cause?: unknown): GatewayError {
  return new GatewayError('invalid', `"${text}" is not a path into JSON: ${why} at character ${at + 1}.`, {
    remedy: 'Write it like customer.contact.email, items[].card or **.email.',
    cause,
    facts: { character: at + 1 },
  })
}
