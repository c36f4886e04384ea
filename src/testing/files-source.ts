import type { AuditSource } from '../audit/index.ts'
import type { Files } from './recorded-log.ts'

/** Files in memory, read in pieces of a length that fits nothing. */
export function filesSource(files: Files, pieceBytes = 60_013): AuditSource {
  return {
    async read(path) {
      const bytes = files.get(path)
      return bytes === undefined ? undefined : pieces(bytes, pieceBytes)
    },
    async list(folder) {
      const below = [...files.keys()].filter((path) => path.startsWith(`${folder}/`))
      return [...new Set(below.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))].toSorted()
    },
  }
}

async function* pieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  // Copied, as a disk does: whoever reads may change what it was given.
  for (let at = 0; at < bytes.length; at += length) yield bytes.slice(at, at + length)
}
