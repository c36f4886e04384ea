/**
 * The bytes of a recorded result as what its client saw: columns and rows, texts, errors. Leaves how they are shown or
 * exported to others. Promise: pure; whatever the bytes are there is an answer, and none of them is taken for text that
 * is not. A protocol that is not known here shows bytes.
 */
import { httpParts } from './http.ts'
import type { ResultPart } from './parts.ts'
import { bytesPart } from './parts.ts'
import { postgresParts } from './postgres.ts'

export { inputPart } from './parts.ts'
export type { ResultCell, ResultColumn, ResultPart } from './parts.ts'

const READERS: ReadonlyMap<string, (bytes: Buffer) => Generator<ResultPart>> = new Map([
  ['postgres', postgresParts],
  ['http', httpParts],
])

/** What the client of a protocol saw, in order. `bytes`: as they were kept; they may end anywhere. */
export function* resultParts(protocol: string, bytes: Buffer): Generator<ResultPart> {
  const read = READERS.get(protocol)
  if (read !== undefined) yield* read(bytes)
  else if (bytes.length > 0) yield bytesPart(bytes)
}
