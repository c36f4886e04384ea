import type { References } from './references.ts'
import type { Path, Plain } from './tree.ts'

/** Refuses what is to be read from a Vault where the file names none. */
export function refuseWithoutVault(content: Plain, references: References, path: Path = []): void {
  if (typeof content === 'string') {
    if (content.startsWith('${vault:'))
      references.refuse(
        path,
        'expected a Vault that this is read from, got none',
        'say where it is, under "vault"',
      )
    return
  }
  if (typeof content !== 'object' || content === null) return
  const entries: [string | number, Plain][] = Array.isArray(content)
    ? [...content.entries()]
    : Object.entries(content)
  for (const [key, value] of entries) refuseWithoutVault(value, references, [...path, key])
}
