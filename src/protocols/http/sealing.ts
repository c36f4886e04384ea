import type { LabelName, SealedCommand } from '../../core/index.ts'

/** Shorter ones stand in every answer. */
const ECHO_CHARACTERS_MIN = 3
/** Values of a body that are looked for in the answer; of one with more, any answer counts as giving some back. */
const ECHOES_MAX = 1_000

/**
 * What is recorded of a request on a route whose fields have labels: its body may hold values for any of them, so it is sealed
 * as a whole under all. Undefined where there is no body, or no label. The target stays as it is: it says which thing was
 * asked for, and rules read it.
 */
export function sealedRequest(
  text: string,
  body: Uint8Array,
  labels: readonly LabelName[],
): SealedCommand | undefined {
  if (body.length === 0 || labels.length === 0) return undefined
  const base64 = (Buffer.isBuffer(body) ? body : Buffer.from(body)).toString('base64')
  const sorted = [...labels].sort()
  // A mark that stands there already would be taken for that of the body.
  if (text.includes('[sealed ')) {
    const sealed = [{ labels: sorted, numbers: [1, 2], values: [text, base64] }]
    return { text: '[sealed 1]', parameters: ['[sealed 2]'], sealed, echoes: 'unknown' }
  }
  const sealed = [{ labels: sorted, numbers: [1], values: [base64] }]
  return { text, parameters: ['[sealed 1]'], sealed, echoes: echoesOf(body) }
}

/** Texts and numbers of a JSON body, each as it is and as JSON writes it. */
function echoesOf(body: Uint8Array): readonly string[] | 'unknown' {
  let root: unknown
  try {
    root = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return 'unknown'
  }
  const echoes = new Set<string>()
  const waiting: unknown[] = [root]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value === 'object' && value !== null) {
      for (const each of Object.values(value)) waiting.push(each)
      continue
    }
    const plain = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
    if (plain.length >= ECHO_CHARACTERS_MIN) {
      echoes.add(plain)
      echoes.add(JSON.stringify(plain).slice(1, -1))
    }
    if (echoes.size > ECHOES_MAX) return 'unknown'
  }
  return [...echoes]
}
