import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayError } from '../core/index.ts'

/**
 * A directory of ours that any Unix user may enter but only we may write: where things go that the server's own user
 * must reach when the wanted place (under /root, say) is closed to it. Never one that somebody else prepared.
 */
export async function publicPlace(): Promise<string> {
  const uid = process.getuid?.() ?? 0
  const places =
    uid === 0
      ? ['/var/lib/sluice', join(tmpdir(), 'sluice-0')]
      : [cachePlace(), join(tmpdir(), `sluice-${uid}`)]
  let cause: unknown
  for (const place of places) {
    try {
      await mkdir(place, { recursive: true, mode: 0o755 })
      const facts = await lstat(place)
      if (!facts.isDirectory() || facts.uid !== uid) throw new Error(`${place} belongs to somebody else`)
      await chmod(place, 0o755)
      return place
    } catch (error) {
      cause = error
    }
  }
  throw new GatewayError('internal', `None of ${places.join(', ')} can be used for the sample database.`, {
    cause,
  })
}

function cachePlace(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sluice')
}

/** A short name that stands for a path, so that two checkouts do not share one place. */
export function nameOfPath(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12)
}
