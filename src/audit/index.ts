/**
 * The auditor's side: verifies a recording from public keys up, makes evidence files of parts of it and verifies those. What
 * decides (`check`, `proof`) is pure, with reading, SHA-256, Ed25519, CRC-32 and zstd handed in, so that it runs in a
 * browser as well; `system` is this machine. Reads formats by their pages in `docs/formats/`, not with the code that
 * wrote them. Promise: what it calls proved follows from the keys that were given; whatever it cannot tell is failure.
 */
export { type AdminEntry, type AdminOptions, adminEntries } from './check/admin.ts'
export type { Failure, FailureCode } from './check/failures.ts'
export type { AuditSource, PayloadOpener, Primitives } from './check/ports.ts'
export {
  type Progress,
  type SessionVerdict,
  type Verdict,
  verifyRecording,
  type VerifyOptions,
} from './check/verify.ts'
export { formatEvidence, parseEvidence } from './proof/evidence.ts'
export { proveFrames } from './proof/prove.ts'
export { type EvidenceVerdict, verifyEvidence } from './proof/verify-evidence.ts'
export { directoryAuditSource } from './system/directory-source.ts'
export { evidenceEntries } from './system/evidence-entries.ts'
export { journalFrames } from './system/journal.ts'
export { payloadOpener, payloadReader } from './system/payloads.ts'
export { nodePrimitives } from './system/primitives.ts'
export { urlAuditSource } from './system/url-source.ts'
