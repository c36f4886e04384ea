import { createHash, type KeyObject } from 'node:crypto'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { LogReader, type LogSource } from '../../evidence/log/reader.ts'
import type { LogStorage } from '../../evidence/log/storage.ts'
import { LogWriter } from '../../evidence/log/writer.ts'
import { openCheckpoint } from '../../evidence/note/checkpoint.ts'
import { formatVerifierKey, type SignerKey, verifierKey } from '../../evidence/note/keys.ts'
import { nodeEd25519 } from '../../evidence/system/ed25519.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { treeHasher } from '../../evidence/tree/hasher.ts'
import { verifyInclusion } from '../../evidence/tree/proofs.ts'
import type { Logged } from '../journal/journal.ts'
import { decodeLogEntry, encodeLogEntry, type FrameRange } from './log-entries.ts'

/** Seeds of Ed25519 keys (32 bytes): the first signs, the others did before. */
export type LogSeeds = readonly [KeyObject, ...KeyObject[]]

export type LogOfGateway = {
  readonly log: LogWriter
  /** The text of the public key that signs now. */
  readonly vkey: string
}

const BUNDLE_ENTRIES = 256

/**
 * Opens the log of a gateway, or begins it. `name`: what it is to be called; a log that is there keeps its name. `node`:
 * which of several gateways of one configuration and one key this is; two logs of one name would be two histories. When the
 * key has changed since its last checkpoint, the change is the last entry under the old key. Throws `conflict` for a log
 * of another name, and what `LogWriter.open` throws.
 */
export async function openLog(
  storage: LogStorage,
  seeds: LogSeeds,
  name: string | undefined,
  node?: string,
): Promise<LogOfGateway> {
  const bytes = await storage.read('checkpoint', LIMITS.noteBytesMax)
  const there = bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8').split('\n', 1)[0]
  const own = node === undefined ? name : `${name ?? nameOf(seeds[0])}/${node}`
  // One that was alone before it joined others has a log of the bare name.
  if (name !== undefined && there !== undefined && name !== there && own !== there) {
    throw new GatewayError('conflict', `The log of this gateway is called ${there}, not ${own ?? name}.`, {
      remedy: `Set recording.log.name to what it was, or move the directory log out of the data directory and begin a new one.`,
    })
  }
  const origin = there ?? own ?? nameOf(seeds[0])
  const [signer, ...earlier] = [
    signerOf(origin, seeds[0]),
    ...seeds.slice(1).map((seed) => signerOf(origin, seed)),
  ]
  const vkey = formatVerifierKey(signer.key)
  const options = { storage, sha256: nodeSha256, ed25519: nodeEd25519, origin }
  if (bytes !== undefined) {
    const before = await signerUnder(bytes, origin, [signer, ...earlier])
    if (before !== undefined && before !== signer) {
      const log = await LogWriter.open({ ...options, signer: before })
      const entry = encodeLogEntry({ kind: 'key', vkey })
      const last = await lastEntry(log.reader())
      if (last === undefined || !entry.equals(last)) await log.append([entry])
      // The last one under the old key: who has only that key comes to the new one by it.
      const { head } = log
      const id = before.key.id.toString(16).padStart(8, '0')
      if (head !== undefined) await storage.putIfAbsent(`checkpoint.${id}`, head.signed)
    }
  }
  const earlierKeys = earlier.map(({ key }) => key)
  const log = await LogWriter.open({ ...options, signer, earlierKeys })
  const text = Buffer.from(`${vkey}\n`)
  const said = await storage.read('key', LIMITS.noteBytesMax)
  if (said === undefined || !text.equals(said)) await storage.replace('key', text)
  return { log, vkey }
}

/** What the end of a log tells the sealer: how far the journal is covered, and which files are whole. */
export type LogEnd = {
  readonly through: number | undefined
  /** Files logged behind what covers the journal up to `first`, by session, the last of each. */
  readonly files: ReadonlyMap<string, FrameRange>
  /** `digestOf` the opens, closes and administrative frames there. */
  readonly parts: ReadonlySet<string>
}

/** By which a public part is found again. */
export function digestOf(part: Uint8Array): string {
  return Buffer.from(nodeSha256(part)).toString('latin1')
}

/** Reads a log from its end, back to the entry that covers all that comes before `first` in the journal. */
export async function readLogEnd(reader: LogReader, first: number): Promise<LogEnd> {
  let through: number | undefined
  const files = new Map<string, FrameRange>()
  const parts = new Set<string>()
  for (let index = Math.ceil(reader.size / BUNDLE_ENTRIES) - 1; index >= 0; index--) {
    for (const bytes of (await reader.entries(index)).reverse()) {
      const entry = decodeLogEntry(bytes)
      if (entry?.kind === 'file' && !files.has(entry.session)) files.set(entry.session, entry)
      if (entry?.kind === 'frame')
        parts.add('part' in entry ? digestOf(entry.part) : Buffer.from(entry.digest).toString('latin1'))
      if (entry?.kind !== 'through') continue
      through ??= entry.sequence
      if (entry.sequence < first) return { through, files, parts }
    }
  }
  return { through, files, parts }
}

/**
 * What the log of a data directory is, by its own checkpoint and without anything being changed; undefined where there is
 * none. Throws for one that none of these keys signed, or that is damaged at its end.
 */
export async function loggedEnd(source: LogSource, seeds: LogSeeds): Promise<Logged | undefined> {
  const bytes = await source.read('checkpoint', LIMITS.noteBytesMax)
  if (bytes === undefined) return undefined
  const origin = Buffer.from(bytes).toString('utf8').split('\n', 1)[0] ?? ''
  const logKeys = seeds.map((seed) => signerOf(origin, seed).key)
  const hasher = treeHasher(nodeSha256)
  const { checkpoint } = await openCheckpoint(nodeEd25519, bytes, { origin, logKeys })
  const { size, root } = checkpoint
  const mark = { size, root: Buffer.from(root).toString('base64') }
  const reader = new LogReader(source, hasher, size)
  for (let bundle = Math.ceil(size / BUNDLE_ENTRIES) - 1; bundle >= 0; bundle--) {
    const entries = await reader.entries(bundle)
    for (const [at, bytes] of [...entries.entries()].reverse()) {
      const entry = decodeLogEntry(bytes)
      if (entry?.kind !== 'through') continue
      const index = bundle * BUNDLE_ENTRIES + at
      const proof = await reader.inclusionProof(index)
      const isSigned = verifyInclusion(hasher, { index, size, leaf: hasher.leaf(bytes), root, proof })
      if (isSigned) return { ...mark, through: entry.sequence }
      throw new GatewayError(
        'invalid',
        `The log is damaged: entry ${index} is not the one that was signed.`,
        {
          remedy: 'Bring it back from a copy.',
        },
      )
    }
  }
  return { ...mark, through: 0 }
}

async function lastEntry(reader: LogReader): Promise<Uint8Array | undefined> {
  return reader.size === 0 ? undefined : await reader.entry(reader.size - 1)
}

async function signerUnder(
  checkpoint: Uint8Array,
  origin: string,
  signers: readonly SignerKey[],
): Promise<SignerKey | undefined> {
  for (const signer of signers) {
    try {
      await openCheckpoint(nodeEd25519, checkpoint, { origin, logKeys: [signer.key] })
      return signer
    } catch {
      // Of another key; when of none of them, opening the log says so.
    }
  }
  return undefined
}

/** Without a name of somebody's choice: one that no two gateways share. */
function nameOf(seed: KeyObject): string {
  const { publicKey } = nodeEd25519.keyPair(seed.export())
  return `sluice/${createHash('sha256').update(publicKey).digest('hex').slice(0, 8)}`
}

function signerOf(name: string, seed: KeyObject): SignerKey {
  const { publicKey, sign } = nodeEd25519.keyPair(seed.export())
  return { key: verifierKey(nodeSha256, name, 'note', publicKey), sign }
}
