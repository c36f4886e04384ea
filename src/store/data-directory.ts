import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '../core/index.ts'

/** SQLite's result code for a lock that somebody else holds. */
const SQLITE_BUSY = 5

/** Held here, because a lock that nobody refers to would be collected as garbage, and let go. */
const held = new Set<DatabaseSync>()

export type DataDirectory = {
  readonly path: string
  /** Lets another gateway have it. Not needed at the end of the process: the system lets go by itself. */
  release(): void
}

/**
 * Takes a data directory for this process alone, making it (for its owner only) when it is missing. Two gateways on
 * one directory would each believe the other's journal and credentials to be damage. The lock is one of the operating
 * system's, on a file that SQLite opens: it ends with the process, however that ends, so there is no stale lock to
 * remove. Throws `conflict`, naming the process that has it.
 */
export function claimDataDirectory(path: string): DataDirectory {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const owner = join(path, 'gateway.pid')
  const lock = new DatabaseSync(join(path, 'gateway.lock'), { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (!isBusy(error)) throw error
    throw new GatewayError('conflict', `The data directory ${path} is in use by ${describeOwner(owner)}.`, {
      remedy: 'Stop that gateway first, or start this one with another --data directory.',
      cause: error,
    })
  }
  writeFileSync(owner, `${process.pid}\n`)
  held.add(lock)
  return {
    path,
    release: () => {
      if (held.delete(lock)) lock.close()
    },
  }
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    // The low byte is the primary code (https://www.sqlite.org/rescode.html#pve).
    (error.errcode & 0xff) === SQLITE_BUSY
  )
}

function describeOwner(path: string): string {
  try {
    return `another gateway (process ${readFileSync(path, 'utf8').trim()})`
  } catch (error) {
    // It is between taking the lock and writing its number.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'another gateway'
    throw error
  }
}
