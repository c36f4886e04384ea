import type { ResultPart } from './parts.ts'
import { bytesPart, likelyTextOf } from './parts.ts'

/** The body of an answer: text, or bytes when it is none. */
export function* httpParts(bytes: Buffer): Generator<ResultPart> {
  if (bytes.length === 0) return
  const text = likelyTextOf(bytes)
  yield text === undefined ? bytesPart(bytes) : { kind: 'text', text }
}
