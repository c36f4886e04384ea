/**
 * Evidence: the log of a gateway as a Merkle tree that anybody can hold to its word, the signatures under it, and the
 * witnesses that keep it from having two. Leaves what an entry says to others: here it is bytes. What decides (`tree`,
 * `note`, `log`, `witness`) is pure, with SHA-256, Ed25519 and storage handed in, so that it runs in a browser as well;
 * `system` is this machine. Promise: what is proved is proved by public keys alone, and absence of proof is failure.
 */
export { LogReader } from './log/reader.ts'
export type { LogStorage } from './log/storage.ts'
export { type LogHead, LogWriter, type LogWriterOptions } from './log/writer.ts'
export { openCheckpoint } from './note/checkpoint.ts'
export { cosign } from './note/cosignature.ts'
export {
  formatSignerKey,
  formatVerifierKey,
  parseSignerKey,
  parseVerifierKey,
  type SignerKey,
  type VerifierKey,
} from './note/keys.ts'
export type { Ed25519 } from './note/ed25519.ts'
export { formatNote, parseNote } from './note/note.ts'
export { DirectoryStorage, directorySource } from './system/directory-storage.ts'
export { nodeEd25519 } from './system/ed25519.ts'
export { nodeSha256 } from './system/sha256.ts'
export { witnessPost } from './system/witness-post.ts'
export { startWitnessServer } from './system/witness-server.ts'
export { WitnessState } from './system/witness-state.ts'
export { CompactRange } from './tree/compact-range.ts'
export { type Hash, type Sha256, type TreeHasher, treeHasher } from './tree/hasher.ts'
export { verifyConsistency, verifyInclusion } from './tree/proofs.ts'
export { collectCosignatures, WitnessClient } from './witness/client.ts'
export { Witness, type Witnessed, type WitnessStorage } from './witness/witness.ts'
