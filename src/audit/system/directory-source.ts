import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditSource } from '../check/ports.ts'

const PIECE_BYTES = 1024 * 1024

/**
 * A data directory, or a copy of one: read only. Reads at once and not by way of the thread pool: a verifier has nothing
 * else to do meanwhile, and most files are small.
 */
export function directoryAuditSource(root: string): AuditSource {
  return {
    async read(path) {
      const file = unlessMissing(() => openSync(at(root, path), 'r'))
      return file === undefined ? undefined : pieces(file)
    },
    async list(path) {
      return (unlessMissing(() => readdirSync(at(root, path))) ?? []).toSorted()
    },
  }
}

async function* pieces(file: number): AsyncGenerator<Uint8Array> {
  try {
    const { size } = fstatSync(file)
    const length = Math.min(Math.max(size, 1), PIECE_BYTES)
    for (let offset = 0; ; ) {
      const bytes = Buffer.allocUnsafeSlow(length)
      const read = readSync(file, bytes, 0, length, offset)
      if (read > 0) yield bytes.subarray(0, read)
      offset += read
      if (read === 0 || offset >= size) return
    }
  } finally {
    closeSync(file)
  }
}

function at(root: string, path: string): string {
  return join(root, ...path.split('/'))
}

function unlessMissing<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
