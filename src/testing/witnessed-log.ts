import {
  formatSignerKey,
  LogWriter,
  nodeEd25519,
  nodeSha256,
  parseSignerKey,
  type SignerKey,
} from '../evidence/index.ts'
import { MemoryLogStorage } from './memory-log-storage.ts'

/** A key of a log or a witness, the same for the same seed. */
export function keyOf(name: string, seed: number, type: 'note' | 'cosignature' = 'note'): SignerKey {
  const text = formatSignerKey(nodeSha256, nodeEd25519, name, new Uint8Array(32).fill(seed))
  return parseSignerKey(nodeSha256, nodeEd25519, text, type)
}

/** A log in memory with entries that say which they are; `fork` makes others of them. */
export async function openLog(
  signer: SignerKey,
  fork = '',
): Promise<{
  readonly writer: LogWriter
  /** Appends so many, and gives the signed checkpoint. */
  grow(count: number): Promise<Uint8Array>
}> {
  const storage = new MemoryLogStorage()
  const origin = signer.key.name
  const writer = await LogWriter.open({ storage, sha256: nodeSha256, ed25519: nodeEd25519, origin, signer })
  return {
    writer,
    async grow(count) {
      const from = writer.head?.size ?? 0
      const entries = Array.from({ length: count }, (_, i) => Buffer.from(`${fork}${from + i}`))
      return (await writer.append(entries)).signed
    },
  }
}
