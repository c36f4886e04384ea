import { join } from 'node:path'
import type { SessionId } from '../../core/index.ts'

/**
 * Where recordings lie under the data directory: `journal/NNNNNNNN.slj`, what a repair cut off beside it, and
 * `sessions/<day>/<session id>.slr`.
 */
export function journalDirectory(data: string): string {
  return join(data, 'journal')
}

export function sessionsDirectory(data: string): string {
  return join(data, 'sessions')
}

export function journalFileName(number: number): string {
  return `${String(number).padStart(8, '0')}.slj`
}

/** The numbers of the journal files among these names, ascending. */
export function journalNumbers(names: readonly string[]): number[] {
  const numbers: number[] = []
  for (const name of names) if (/^\d{8,15}\.slj$/.test(name)) numbers.push(Number.parseInt(name, 10))
  return numbers.sort((a, b) => a - b)
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Whether a text can be a session id; only such a one may become part of a path. */
export function isSessionId(text: string): text is SessionId {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text)
}

/** When a session was opened, in milliseconds since 1970: its id says so. */
export function openedAt(session: SessionId): number {
  let ms = 0
  for (const character of session.slice(0, 10)) ms = ms * 32 + CROCKFORD.indexOf(character)
  return ms
}

/** The UTC day a session was opened, `2026-01-31`. */
export function dayOf(session: SessionId): string {
  return new Date(openedAt(session)).toISOString().slice(0, 10)
}

/** The file of a sealed session. Throws for what is not a session id. */
export function sessionFile(data: string, session: SessionId): string {
  if (!isSessionId(session)) throw new Error('not a session id')
  return join(sessionsDirectory(data), dayOf(session), `${session}.slr`)
}

/** The same file in an object store, below its prefix. */
export function sessionName(session: SessionId): string {
  if (!isSessionId(session)) throw new Error('not a session id')
  return `sessions/${dayOf(session)}/${session}.slr`
}

/** What is known of session files that were uploaded, below the data directory, by day. */
export function uploadsDirectory(data: string): string {
  return join(data, 'uploads')
}

/** Where the file of a session is put together, beside its place. */
export function draftFile(file: string): string {
  return file.replace(/slr$/, 'part')
}

/** Where a file is written anew that loses payloads, beside its place. */
export function thinnedFile(file: string): string {
  return `${file}.new`
}

/** Erasures that were asked for and are not done yet. */
export function erasuresDirectory(data: string): string {
  return join(data, 'erasures')
}

/** What commands were judged by, each under its address. */
export function snapshotsDirectory(data: string): string {
  return join(data, 'snapshots')
}

/** `address` is checked to be one. */
export function snapshotFile(data: string, address: string): string {
  return join(snapshotsDirectory(data), `${address}.sls`)
}

/** The log of the gateway, below the data directory. */
export function logDirectory(data: string): string {
  return join(data, 'log')
}

/** Where outlets are with what is recorded, below the data directory. */
export function streamDirectory(data: string): string {
  return join(data, 'stream')
}
