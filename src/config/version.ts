import { createHash } from 'node:crypto'
import type { ConfigVersion } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { Plain } from './tree.ts'

/**
 * `cfg_` and 64 bits of the SHA-256 of the content with sorted keys: spacing, comments and order do not count. The files that it names
 * count as they are.
 */
export function configVersion(content: Plain, files: ReadonlyMap<string, string> = new Map()): ConfigVersion {
  const hash = createHash('sha256').update(canonical(content))
  for (const [path, text] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`\n${JSON.stringify(path)}: ${createHash('sha256').update(text).digest('hex')}`)
  const digest = hash.digest('hex')
  return brand<ConfigVersion>(`cfg_${digest.slice(0, 16)}`)
}

function canonical(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`
}
