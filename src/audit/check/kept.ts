import { sessionPath } from './entry.ts'
import type { ExpectedFile } from './session-file.ts'

/** Frames that the gateway says it lost: the log has them, the journal has not. `entry`: where the log says so. */
export type Gap = {
  readonly first: number
  readonly last: number
  readonly entry: number
  readonly path: string
}

/** Frames of sessions that the journal was found to hold, by who can read it; in order. */
export type JournalFrames = ReadonlyMap<string, readonly number[]>

/** Where the frames may be that are in no whole file. */
export type Kept = {
  /** The first frame of the journal, by its plain headers; undefined: nobody can tell. */
  readonly begin: number | undefined
  /** The same for certain, with the key of the recording. */
  readonly journal: JournalFrames | undefined
  readonly gaps: readonly Gap[]
}

/** Where a draft of the session lies, and where its file does, which may have been sealed since. */
export function draftPaths(session: string): readonly string[] {
  const path = sessionPath(session)
  return [path, path.replace(/slr$/, 'part')]
}

/**
 * The first frame of a session without a file that is lost: neither in its draft, which goes up to `drafted`, nor in the
 * journal. Undefined where none is.
 */
export function lostFrame(
  { session, segments }: ExpectedFile,
  drafted: number,
  kept: Kept,
): number | undefined {
  const { begin, journal, gaps } = kept
  const held = journal?.get(session) ?? []
  for (const { first, last, frames } of segments) {
    if (last <= drafted) continue
    const from = Math.max(first, drafted + 1)
    if (journal !== undefined) {
      const found = held.filter((each) => each >= from && each <= last)
      // Of one that the draft has a part of, the last frame is as much as can be told.
      const isWhole = from === first ? found.length === frames : found.at(-1) === last
      if (!isWhole) return from
      continue
    }
    if (begin === undefined) continue
    const gap = gaps.find((each) => each.first <= last && each.last >= from)
    if (from < begin || gap !== undefined) return from
  }
  return undefined
}
