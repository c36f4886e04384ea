import { loadMasterKeys, logSeeds, type MasterKeys, recordingKeys } from '../connections/index.ts'
import type { RecordingKeys } from '../core/index.ts'
import {
  formatSignerKey,
  nodeEd25519,
  nodeSha256,
  parseSignerKey,
  type SignerKey,
} from '../evidence/index.ts'

/** What a master key makes of an auditor: the keys that open payloads, and the log's own. */
export type AuditKeys = { readonly recording: RecordingKeys; logSigner(name?: string): SignerKey }

/** Reads master keys for reading a recording, wherever they lie. Throws `invalid` as starting the gateway does. */
export async function loadAuditKeys(from: {
  readonly keyFile: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly dataDirectory: string
  readonly warn: (message: string) => void
}): Promise<AuditKeys> {
  const { keyFile, environment, dataDirectory, warn } = from
  const keys = await loadMasterKeys({
    environment: keyFile === undefined ? environment : {},
    ...(keyFile === undefined ? {} : { keyFile }),
    dataDirectory,
    // Where the key lies is the gateway's affair; here it is only read.
    demo: true,
    warn,
  })
  return { recording: recordingKeys(keys), logSigner: (name) => logSigner(keys, name) }
}

/** The key that signs the log now. `name`: `sluice/` and 8 digits of the SHA-256 of the public key when left out. */
function logSigner(keys: MasterKeys, name?: string): SignerKey {
  const seed = logSeeds(keys)[0].export()
  const digest = Buffer.from(nodeSha256(nodeEd25519.keyPair(seed).publicKey)).toString('hex')
  const text = formatSignerKey(nodeSha256, nodeEd25519, name ?? `sluice/${digest.slice(0, 8)}`, seed)
  return parseSignerKey(nodeSha256, nodeEd25519, text, 'note')
}
