import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayError } from '../../core/index.ts'
import type { AuditSource } from '../check/ports.ts'

const PIECE_BYTES = 1024 * 1024
/** Follows no link, and waits for no writer of a pipe: what is no regular file is none of a recording. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * A data directory, or a copy of one: read only. Reads at once and not by way of the thread pool: a verifier has nothing
 * else to do meanwhile, and most files are small.
 */
export function directoryAuditSource(root: string): AuditSource {
  return {
    async read(path) {
      const file = unlessMissing(path, () => openSync(at(root, path), FLAGS))
      if (file === undefined) return undefined
      if (fstatSync(file).isFile()) return pieces(file)
      closeSync(file)
      throw notRegular(path)
    },
    async list(path) {
      const folder = at(root, path)
      const found = unlessMissing(path, () => lstatSync(folder))
      if (found === undefined) return []
      // `log`, `journal` and `sessions` may lie on another disk; nothing in them may.
      if (!found.isDirectory() && (path.includes('/') || !found.isSymbolicLink())) throw notFolder(path)
      return (unlessMissing(path, () => readdirSync(folder)) ?? []).toSorted()
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

function unlessMissing<T>(path: string, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    // A symbolic link, one that goes in circles, a socket.
    if (code === 'ELOOP' || code === 'ENXIO') throw notRegular(path)
    throw error
  }
}

function notRegular(path: string): GatewayError {
  return new GatewayError('invalid', `${path} is no regular file.`, {
    remedy: 'A recording has regular files only, and no links: copy the files themselves.',
  })
}

function notFolder(path: string): GatewayError {
  return new GatewayError('invalid', `${path} is no folder.`, {
    remedy: 'A recording has folders and regular files only, and no links: copy the files themselves.',
  })
}
