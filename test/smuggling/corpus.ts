/** The cases as they lie in `vectors/`: requests that two readers could take for different ones, rebuilt from what is published. */
import { readdirSync, readFileSync } from 'node:fs'
import { z } from 'zod'

const FOLDER = new URL('vectors/', import.meta.url)

const vector = z.strictObject({
  id: z.string().regex(/^[\w.-]+$/),
  /** Where it is from: the number of a bug in the list of the HTTP Garden, a section of an RFC, or what it plays with. */
  source: z.string().min(1),
  /** One sign a byte. `{C}` is `/c/NAME` of the connection, `{A}` the line with its token, `{9*x}` nine times what is behind the star. */
  bytes: z.string(),
  /** What may reach an upstream of it, and does: method, target, and the body if there is one. */
  reaches: z.array(z.string()),
})

export type Vector = z.output<typeof vector>

export const VECTORS: readonly Vector[] = readdirSync(FOLDER)
  .toSorted()
  .flatMap((name) => z.array(vector).parse(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))))

export function bytesOf({ bytes }: Vector, connection: string, token: string): Buffer {
  const text = bytes
    .replaceAll('{C}', `/c/${connection}`)
    .replaceAll('{A}', `Authorization: Bearer ${token}\r\n`)
    .replaceAll(/\{(\d+)\*([^}]+)\}/g, (_, times: string, what: string) => what.repeat(Number(times)))
  return Buffer.from(text, 'latin1')
}
