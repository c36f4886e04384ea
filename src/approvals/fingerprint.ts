import { createHash } from 'node:crypto'
import type { ConnectionName, IdentityChain } from '../core/index.ts'

export type FingerprintParts = {
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  /**
   * Everything else that gives the same text another meaning: the database, the search path, the role in force.
   * Order counts.
   */
  readonly context: readonly string[]
  /**
   * The canonical statement or request, whole. As bytes where they need not be UTF-8: decoding would make different
   * commands the same.
   */
  readonly text: string | Uint8Array
  readonly parameters: readonly (Uint8Array | null)[]
  readonly policyVersion: string
}

/**
 * What an approval is bound to, as SHA-256 in hexadecimal. Each part goes in with its kind and length, so that no two
 * different commands share a fingerprint by moving bytes from one part to its neighbour.
 */
export function fingerprintOf(parts: FingerprintParts): string {
  const hash = createHash('sha256')
  const add = (kind: string, value: string | Uint8Array): void => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    hash.update(`${kind}${bytes.length}:`).update(bytes)
  }
  for (const identity of parts.chain) {
    add('k', identity.kind)
    add('n', identity.name)
    add('i', identity.issuer)
  }
  add('c', parts.connection)
  for (const each of parts.context) add('x', each)
  add('t', parts.text)
  for (const value of parts.parameters) {
    if (value === null) add('0', '')
    else add('p', value)
  }
  add('v', parts.policyVersion)
  return hash.digest('hex')
}
