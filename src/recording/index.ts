/**
 * The recording: every command, decision and result of every session, in the order in which they happened. Writes the
 * journal, repairs it after a crash, seals it behind itself into the log and into a file for each session, reads all of
 * them, lists sessions. Leaves what is worth recording, and what must be masked before it gets here, to the session;
 * needs nothing but `core` and `evidence`, so that it works offline. Promise: what was flushed is there after the process died, whole frames only, and a reader
 * says where anything else begins.
 */
export { type FileSystem, systemFiles } from './files/file-system.ts'
export type {
  FactKind,
  Findings,
  SeenColumn,
  SeenFilter,
  SeenTable,
  SessionFact,
  SessionFilter,
  SessionIndex,
  SessionSummary,
  Sighting,
  SightingFilter,
  SightingPlace,
  Viewer,
} from './list/index-port.ts'
export { ANY } from './list/index-port.ts'
export { catchUpIndex, Indexer, type IndexerOptions, listSessions } from './indexer.ts'
export { commandEvent, type OcsfEvent, type OpenCommand } from './events/ocsf.ts'
export { FileJournal, type JournalObserver, type JournalOptions, openJournal } from './journal/journal.ts'
export {
  type ReadOptions,
  type RecordedEntry,
  readJournal,
  readSession,
  type TornTail,
} from './reading/reader.ts'
export { keyUse } from './reading/key-use.ts'
export { SnapshotStore, type SnapshotOptions, readSnapshot } from './snapshots/snapshot-store.ts'
export { sessionsBetween } from './reading/sessions.ts'
export {
  openRecording,
  type OutletReport,
  type Recording,
  type RecordingOptions,
  type SealerReport,
} from './recording.ts'
export type { Bucket } from './bucket/bucket.ts'
export type { StoreReport } from './bucket/bucket-thread.ts'
export { openS3 } from './bucket/s3.ts'
export type { SearchPage } from './reading/search.ts'
export { type Followed, Tail } from './reading/tail.ts'
export { safe, safeText } from '../core/index.ts'
export { formatEntry, withMarks } from './reading/show-entry.ts'
export type { ErasureInput, ErasureReport } from './erasure/eraser.ts'
export { PAYLOAD_KINDS, type PayloadKind } from './erasure/scope.ts'
export { FieldOpener } from './fields/show-fields.ts'
export { labelKey } from './fields/label-keys.ts'
