/**
 * Holds a data directory against its log: every entry is one that is known, segments follow each other, the files of
 * sessions have exactly the frames of their segments, and every frame of the journal is covered. For tests: what a
 * verifier does, by way of the readers alone.
 */
import { readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { RecordingKeys } from '../core/index.ts'
import {
  CompactRange,
  directorySource,
  LogReader,
  type LogStorage,
  nodeEd25519,
  nodeSha256,
  openCheckpoint,
  parseVerifierKey,
  treeHasher,
} from '../evidence/index.ts'
import { readJournal } from '../recording/index.ts'
import { decodePublicPart } from '../recording/sealed/public-part.ts'
import { readSealed } from '../recording/sealed/session-reader.ts'
import { decodeLogEntry, type LogEntry } from '../recording/sealer/log-entries.ts'

const hasher = treeHasher(nodeSha256)

export type CheckedLog = {
  readonly size: number
  readonly entries: readonly LogEntry[]
  readonly through: number
  /** Sequence numbers of frames in whole files, by session. */
  readonly files: ReadonlyMap<string, readonly number[]>
}

export async function checkLog(
  data: string,
  keys: RecordingKeys,
  options: { readonly earlier?: readonly string[]; readonly storage?: Pick<LogStorage, 'read'> } = {},
): Promise<CheckedLog> {
  const source = options.storage ?? directorySource(join(data, 'log'))
  const vkey = Buffer.from((await source.read('key', 1000)) ?? [])
    .toString('utf8')
    .trim()
  const logKeys = [vkey, ...(options.earlier ?? [])].map((each) => parseVerifierKey(nodeSha256, each))
  const bytes = await source.read('checkpoint', 100_000)
  if (bytes === undefined) throw new Error('the log has no checkpoint')
  const { checkpoint } = await openCheckpoint(nodeEd25519, bytes, { origin: logKeys[0]?.name ?? '', logKeys })
  const reader = new LogReader(source, hasher, checkpoint.size)
  expect(Buffer.from(await reader.root()).equals(checkpoint.root)).toBe(true)
  const entries: LogEntry[] = []
  const tree = new CompactRange(hasher)
  for (let index = 0; index * 256 < checkpoint.size; index++) {
    for (const each of await reader.entries(index)) {
      tree.append(hasher.leaf(each))
      const entry = decodeLogEntry(each)
      if (entry === undefined) throw new Error('an entry of the log is of no known kind')
      entries.push(entry)
    }
  }
  expect(Buffer.from(tree.root()).equals(checkpoint.root)).toBe(true)

  const segments = new Map<string, Extract<LogEntry, { kind: 'segment' }>[]>()
  const files = new Map<string, Extract<LogEntry, { kind: 'file' }>>()
  const parts = new Set<string>()
  let through = 0
  for (const entry of entries) {
    if (entry.kind === 'segment') {
      const all = segments.get(entry.session) ?? []
      segments.set(entry.session, all)
      expect(entry.first).toBeGreaterThan(all.at(-1)?.last ?? 0)
      expect(entry.last).toBeGreaterThanOrEqual(entry.first)
      all.push(entry)
    }
    if (entry.kind === 'file') files.set(entry.session, entry)
    if (entry.kind === 'frame' && 'part' in entry) {
      const { sequence } = decodePublicPart(Buffer.from(entry.part))
      // Covered by what was said before would be twice.
      expect(sequence).toBeGreaterThan(through)
      expect(parts.has(`${sequence}`)).toBe(false)
      parts.add(`${sequence}`)
    }
    if (entry.kind === 'through') {
      expect(entry.sequence).toBeGreaterThan(through)
      through = entry.sequence
    }
  }

  const found = new Map<string, number[]>()
  for (const path of filesOf(data)) {
    const session = path.slice(-30, -4)
    const handle = await open(path, 'r')
    const leaves: { sequence: number; leaf: Uint8Array }[] = []
    let closed = false
    for await (const { bytes: part, part: read } of readSealed(path, keys, handle, false)) {
      leaves.push({ sequence: read.sequence, leaf: hasher.leaf(part) })
      closed ||= read.kind === 'close'
      if (read.kind === 'open' || read.kind === 'close') expect(parts.has(`${read.sequence}`)).toBe(true)
    }
    expect(closed).toBe(true)
    const said = files.get(session)
    if (said !== undefined) {
      expect(leaves).toHaveLength(said.frames)
      expect([leaves[0]?.sequence, leaves.at(-1)?.sequence]).toEqual([said.first, said.last])
    }
    let at = 0
    for (const { first, last, frames, root } of segments.get(session) ?? []) {
      const range = new CompactRange(hasher)
      const of = leaves.slice(at, at + frames)
      expect([of[0]?.sequence, of.at(-1)?.sequence]).toEqual([first, last])
      for (const { leaf } of of) range.append(leaf)
      expect(Buffer.from(range.root()).equals(root)).toBe(true)
      at += frames
    }
    if (said !== undefined) expect(at).toBe(leaves.length)
    found.set(
      session,
      leaves.map(({ sequence }) => sequence),
    )
  }

  // What the journal still has is in segments up to where the log covers it, and nothing else is.
  const inJournal = new Map<string, number>()
  for await (const { sequence, session } of readJournal(data, keys)) {
    if (session === undefined || sequence > through) continue
    const of = segments.get(session)?.find(({ first, last }) => first <= sequence && sequence <= last)
    expect(of).toBeDefined()
    inJournal.set(session, sequence)
    const file = found.get(session)
    if (file !== undefined && files.has(session)) expect(file.includes(sequence)).toBe(true)
  }
  return { size: checkpoint.size, entries, through, files: found }
}

/** Whole session files. */
function filesOf(data: string): string[] {
  return readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.slr'))
    .map((name) => join(data, name))
}
