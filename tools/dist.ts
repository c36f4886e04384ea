/**
 * Whether `dist/` is what the source says. Used by everything that may run either; it builds nothing itself.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout, without a slash at its end. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '')
export const DIST = join(ROOT, 'dist')
export const ENTRY = join(DIST, 'sluice.mjs')

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY
}

/** The newest change below a folder. Folders count too: a file that is gone has changed its folder. */
function newestBelow(folder: string): number {
  let newest = modifiedAt(folder)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    newest = Math.max(newest, entry.isDirectory() ? newestBelow(path) : modifiedAt(path))
  }
  return newest
}

/** True if `dist/sluice.mjs` was written after the last change of anything it is made of. */
export function distIsCurrent(): boolean {
  const builtAt = modifiedAt(ENTRY)
  if (builtAt === Number.NEGATIVE_INFINITY) return false
  const inputs = [join(ROOT, 'package-lock.json'), join(ROOT, 'tools', 'build.ts')].map(modifiedAt)
  return Math.max(newestBelow(join(ROOT, 'src')), ...inputs) < builtAt
}
