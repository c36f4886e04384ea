import { LIMITS } from '../core/index.ts'

/** What two readers might read as two things, or nobody should have to. */
export type StrictJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: string }

/**
 * Reads JSON (RFC 8259) that everybody reads alike: no name twice in an object, whatever escapes it is written with, and at
 * most `LIMITS.jsonDepthMax` levels.
 */
export function readStrictJson(text: string): StrictJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // What is wrong with it may quote it.
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error
    return { ok: false, why: 'it is not JSON' }
  }
  const fault = faultOf(text)
  return fault === undefined ? { ok: true, value } : { ok: false, why: fault }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Of a text that is JSON. */
function faultOf(text: string): string | undefined {
  /** Around the place in hand: the names so far of an object, undefined of an array. */
  const open: (Set<string> | undefined)[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const from = at++
        for (; text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++
        const names = open.at(-1)
        if (!isName || names === undefined) break
        const name = String(JSON.parse(text.slice(from, at + 1)))
        if (names.has(name)) return 'it has a name twice in one object'
        names.add(name)
        isName = false
        break
      }
      case 0x7b:
        open.push(new Set())
        isName = true
        break
      case 0x5b:
        open.push(undefined)
        isName = false
        break
      case 0x7d:
      case 0x5d:
        open.pop()
        isName = false
        break
      case 0x2c:
        isName = open.at(-1) !== undefined
        break
      default:
    }
    if (open.length > LIMITS.jsonDepthMax) return 'it is nested too deeply'
  }
  return undefined
}
