import { isGatewayError } from '../../core/index.ts'
import type { VerifierKey } from '../../evidence/note/keys.ts'
import type { Verified } from '../../evidence/note/note.ts'
import { treeHasher } from '../../evidence/tree/hasher.ts'
import { Claims } from './claims.ts'
import { readEntry, sessionPath } from './entry.ts'
import { type Failure, Failures } from './failures.ts'
import { journalBegin } from './journal-begin.ts'
import { draftPaths, type Gap, type JournalFrames, type Kept, lostFrame } from './kept.ts'
import { Ledger, type SessionAccount, type Through } from './ledger.ts'
import { type OtherFiles, otherFiles } from './other-files.ts'
import { logSource } from './pieces.ts'
import type { AuditSource, PayloadOpener, Primitives } from './ports.ts'
import { checkDraft, checkSessionFile, type FileOutcome, type SessionFileParts } from './session-file.ts'
import type { Removal } from './removals.ts'
import { restoredPayload } from './restored.ts'
import type { SegmentTree } from './segment-tree.ts'
import { TreeCheck } from './tree.ts'

export type VerifyOptions = {
  readonly source: AuditSource
  readonly primitives: Primitives
  /** Public keys of the log: the only thing that is believed from the start. */
  readonly keys: readonly VerifierKey[]
  readonly witnesses?: readonly VerifierKey[]
  /** How many of the witnesses must have cosigned; all of them when left out. */
  readonly witnessesNeeded?: number
  /** A signed checkpoint from earlier: the log must begin with it, and files that it covers are not read again. */
  readonly since?: Uint8Array
  /** Only this session. */
  readonly session?: string
  readonly payloads?: PayloadOpener
  /** Reads the journal, for who has recording keys: whether it has the frames of sessions that are not sealed yet. */
  readonly journal?: () => Promise<JournalFrames>
  readonly onProgress?: (progress: Progress) => void
}

export type Progress = {
  readonly entries: number
  readonly of: number
  readonly files: number
  readonly bytes: number
}

/**
 * What is known of a session. `proved`: its file is there and has just the frames that the log has. `committed`: the log
 * has its frames, its file is not sealed yet. `missing`: the same, and some of them are nowhere any more. `earlier`: covered by the checkpoint that was given. `deleted`: the log says
 * who took the file away. Its frames are those from `first` to `last`.
 */
export type SessionVerdict = {
  readonly session: string
  readonly state: 'proved' | 'committed' | 'missing' | 'earlier' | 'deleted' | 'failed'
  readonly frames: number
  readonly first?: number
  readonly last?: number
}

export type Verdict = {
  /** Everything that was asked for is proved, as far as `log.covered` goes. False without a failure: it is not sealed yet. */
  readonly proved: boolean
  readonly log:
    | {
        readonly origin: string
        readonly size: number
        /** Entries that are proved: up to here the witnesses asked for have cosigned, or the log has signed. */
        readonly covered: number
        readonly root: Uint8Array
        readonly keys: readonly VerifierKey[]
        readonly witnesses: readonly Verified[]
      }
    | undefined
  /** All frames of the journal up to here are in the log; what came later is unproven. */
  readonly through: Through | undefined
  readonly sessions: readonly SessionVerdict[]
  /** Frames that the gateway says it lost, and how many sessions lack some of them for good. */
  readonly gaps: readonly { readonly first: number; readonly last: number; readonly sessions: number }[]
  /** What the log says of payloads that were removed from these sessions, oldest first. */
  readonly removals: readonly Removal[]
  /** Administrative entries. */
  readonly admin: number
  /** Sealed files that were read, their bytes, and how many of them no key was at hand for. */
  readonly files: { readonly read: number; readonly bytes: number; readonly locked: number }
  /** Sealed files of sessions that the log does not name yet. */
  readonly unproven: readonly string[]
  /** Files that a recording may have and that say nothing: what a process left that died. The first ones, and how many. */
  readonly ignored: readonly string[]
  readonly ignoredCount: number
  /** The first ones: those of the log, then those of files. */
  readonly failures: readonly Failure[]
  readonly failureCount: number
}

/** Files that are read at once: one is hashed while others are on their way. */
const FILES_AT_ONCE = 4

/** Named one by one; more are counted. */
const IGNORED_MAX = 100

/** Verifies a recording from the keys up. Says what is proved, or where it fails; throws only what reading throws. */
export async function verifyRecording(options: VerifyOptions): Promise<Verdict> {
  return new Verification(options).run()
}

class Verification {
  readonly #options: VerifyOptions
  readonly #failures = new Failures()
  readonly #hasher
  /** Of sessions whose file the log has named. */
  readonly #states = new Map<string, SessionVerdict['state']>()
  /** To be looked at again with all that the log says of them. */
  readonly #again = new Set<string>()
  readonly #removed: { readonly session: string; readonly sequence: number; readonly payload: string }[] = []
  readonly #trees: SegmentTree[] = []
  /** With how many sessions that lost frames in it. */
  readonly #gaps = new Map<Gap, number>()
  readonly #files = { read: 0, bytes: 0, locked: 0 }
  #sinceSize = 0
  #covered = 0
  #entries = 0

  constructor(options: VerifyOptions) {
    this.#options = options
    this.#hasher = treeHasher(options.primitives.sha256)
  }

  async run(): Promise<Verdict> {
    const { source, primitives, keys, session, since } = this.#options
    const log = logSource(source)
    const parts = { source, log, primitives, hasher: this.#hasher, failures: this.#failures }
    const claims = await Claims.read(parts, since)
    if (claims === undefined) return this.#verdict(undefined, undefined)
    const { path, checkpoint } = claims.head
    // Before the files: what leaves the journal meanwhile is in them by then.
    const begin = await journalBegin(source, primitives)
    const journal = await this.#options.journal?.()
    if (!(await claims.isSignedByAny(keys))) {
      this.#failures.add({ code: 'signature', path, why: 'no key that was given has signed it' })
      return this.#verdict(undefined, undefined)
    }
    const { witnesses = [] } = this.#options
    const needed = this.#options.witnessesNeeded ?? witnesses.length
    const witnessed = witnesses.length === 0 ? undefined : await claims.witnessed(witnesses, needed)
    this.#covered = Math.min(witnessed?.claim.checkpoint.size ?? checkpoint.size, checkpoint.size)
    this.#sinceSize = claims.sinceSize
    const first = await this.#pass(
      claims,
      session === undefined ? undefined : new Set([session]),
      session === undefined,
    )
    if (this.#again.size > 0) await this.#pass(claims, new Set(this.#again), false)
    const signers = await claims.verifyHead(keys, first.keys)
    await claims.holdAgainstHead()
    this.#holdRemoved(first)
    await this.#holdRestored(first)
    await this.#holdKept(first, { begin, journal, gaps: first.gaps })
    const others = session === undefined ? await this.#others(claims, first) : undefined
    if (session !== undefined && !first.has(session))
      this.#failures.add({ code: 'unknown', path, session, why: 'the log has no such session' })
    const { origin, size, root } = checkpoint
    const head = { origin, size, covered: this.#covered, root, keys: signers, witnesses: witnessed?.by ?? [] }
    return this.#verdict(head, first, others)
  }

  /** Reads the log once. Files are looked at when the log names them, or, not `atOnce`, when all is known. */
  async #pass(claims: Claims, sessions: ReadonlySet<string> | undefined, atOnce: boolean): Promise<Ledger> {
    const { source } = this.#options
    const { size, root } = claims.head.checkpoint
    const tree = { source: logSource(source), hasher: this.#hasher, size, root, failures: this.#failures }
    const ledger = new Ledger({ failures: this.#failures, sessions })
    const jobs = new Set<Promise<void>>()
    const due = new Set<string>()
    const faults: unknown[] = []
    const start = async (session: string): Promise<void> => {
      if (jobs.size >= FILES_AT_ONCE) await Promise.race(jobs)
      if (faults.length > 0) throw faults[0]
      const job: Promise<void> = this.#check(session, ledger, !atOnce)
        .catch((error: unknown) => void faults.push(error))
        .finally(() => jobs.delete(job))
      jobs.add(job)
    }
    try {
      for await (const { path, first, entries } of new TreeCheck(tree).bundles()) {
        for (const [at, bytes] of entries.entries()) {
          const session = bytes === undefined ? undefined : this.#read(ledger, first + at, path, bytes)
          if (session === undefined) continue
          if (!atOnce) due.add(session)
          else if (this.#states.has(session)) this.#again.add(session)
          else {
            // Until it has been looked at.
            this.#states.set(session, 'failed')
            if (first + at < this.#sinceSize) {
              this.#states.set(session, 'earlier')
              ledger.settle(session)
            } else await start(session)
          }
        }
        this.#entries = Math.max(this.#entries, first + entries.length)
        this.#progress(size)
      }
      for (const session of due) await start(session)
    } finally {
      await Promise.all(jobs)
    }
    if (faults.length > 0) throw faults[0]
    return ledger
  }

  /** One entry; gives the session whose file it says is whole. */
  #read(ledger: Ledger, index: number, path: string, bytes: Uint8Array): string | undefined {
    try {
      const entry = readEntry(bytes)
      ledger.excuse(index, entry)
      return index < this.#covered ? ledger.add(index, path, entry) : undefined
    } catch (error) {
      const why = error instanceof Error ? error.message : 'it cannot be read'
      this.#failures.add({ code: 'unreadable', path, entry: index, why })
      return undefined
    }
  }

  async #check(session: string, ledger: Ledger, isLast: boolean): Promise<void> {
    const outcome = await checkSessionFile(this.#parts(), ledger.expected(session))
    this.#files.read += outcome.state === 'missing' ? 0 : 1
    this.#states.set(session, this.#stateOf(session, outcome, isLast))
    if (!isLast) ledger.settle(session)
  }

  #parts(): SessionFileParts {
    const { source, primitives, payloads } = this.#options
    const onBytes = (count: number): void => {
      this.#files.bytes += count
    }
    return { source, primitives, failures: this.#failures, trees: this.#trees, payloads, onBytes }
  }

  #stateOf(session: string, outcome: FileOutcome, isLast: boolean): SessionVerdict['state'] {
    switch (outcome.state) {
      case 'missing':
        return 'deleted'
      case 'failed':
        return 'failed'
      case 'more': {
        if (!isLast) this.#again.add(session)
        else
          this.#failures.add({
            code: 'frames',
            path: sessionPath(session),
            session,
            sequence: outcome.sequence,
            why: 'the file has frames that the log does not have',
          })
        return 'failed'
      }
      case 'proved':
        if (outcome.locked) this.#files.locked += 1
        this.#removed.push(
          ...outcome.removed.map(({ sequence, payload }) => ({ session, sequence, payload })),
        )
        return 'proved'
    }
  }

  /** What is missing may be so only where the log says it. */
  #holdRemoved(ledger: Ledger): void {
    for (const [session, state] of this.#states) {
      if (state !== 'deleted' || ledger.deleted.has(session)) continue
      this.#states.set(session, 'failed')
      const path = sessionPath(session)
      this.#failures.add({
        code: 'missing',
        path,
        session,
        why: 'the log has its file, and does not say that it was deleted',
      })
    }
    for (const { session, sequence, payload } of this.#removed) {
      if (ledger.isRemoved(session, sequence, payload)) continue
      const why = `${payload} was taken out, and the log does not say so`
      this.#failures.add({ code: 'payload', path: sessionPath(session), session, sequence, why })
    }
  }

  /** What the log says is gone must not be there. Its entry comes behind the file: the few that it is about are read once more. */
  async #holdRestored(ledger: Ledger): Promise<void> {
    const { source, primitives, payloads } = this.#options
    const through = ledger.through?.time ?? 0
    const folders = new Map<string, readonly string[]>()
    for (const [session, removals] of Map.groupBy(ledger.removals, (each) => each.session)) {
      if (this.#states.get(session) !== 'proved') continue
      const folder = sessionPath(session).split('/').slice(0, -1).join('/')
      const beside = folders.get(folder) ?? (await namesIn(source, folder))
      folders.set(folder, beside)
      const parts = { source, primitives, payloads, removals, through, beside }
      const found = await restoredPayload(parts, session)
      if (found === undefined) continue
      this.#states.set(session, 'failed')
      this.#failures.add({ ...found, path: sessionPath(session), session })
    }
  }

  /** Frames of sessions that have no file yet must be in a draft, or in the journal. */
  async #holdKept(ledger: Ledger, kept: Kept): Promise<void> {
    for (const { session, file, last } of ledger.accounts()) {
      if (file !== undefined || last === undefined) continue
      const expected = ledger.expected(session)
      let drafted = 0
      for (const path of draftPaths(session)) {
        const draft = await checkDraft(this.#parts(), expected, path)
        if (draft.state === 'failed') this.#states.set(session, 'failed')
        drafted = Math.max(drafted, draft.last)
      }
      const sequence = lostFrame(expected, drafted, kept)
      if (sequence === undefined || this.#states.has(session)) continue
      this.#states.set(session, ledger.deleted.has(session) ? 'deleted' : 'missing')
      if (ledger.deleted.has(session)) continue
      const why = 'the log has frames of it that are in no file, no draft and no journal any more'
      this.#failures.add({ code: 'missing', path: sessionPath(session), session, sequence, why })
      for (const gap of ledger.gaps) {
        if (!expected.segments.some((each) => each.first <= gap.last && each.last >= gap.first)) continue
        this.#gaps.set(gap, (this.#gaps.get(gap) ?? 0) + 1)
      }
    }
    for (const [{ first, last, entry, path }] of this.#gaps) {
      const why = `frames ${first} to ${last} were lost: the log has what they hash to, and nobody has what was in them`
      this.#failures.add({ code: 'gap', path, entry, sequence: first, why })
    }
  }

  /** Files that nothing proved rests on. */
  async #others(claims: Claims, ledger: Ledger): Promise<OtherFiles> {
    const { source, primitives } = this.#options
    const { checkpoint: head } = claims.head
    return await otherFiles({
      source,
      primitives,
      hasher: this.#hasher,
      head,
      ledger,
      failures: this.#failures,
    })
  }

  #progress(of: number): void {
    const { read, bytes } = this.#files
    this.#options.onProgress?.({ entries: this.#entries, of, files: read, bytes })
  }

  #verdict(log: Verdict['log'], ledger: Ledger | undefined, others?: OtherFiles): Verdict {
    const { unproven = [], ignored = [] } = others ?? {}
    return {
      proved: this.#failures.count === 0 && log !== undefined && !this.#isOpen(),
      log,
      through: ledger?.through,
      sessions: ledger === undefined ? [] : [...ledger.accounts()].map((each) => this.#sessionVerdict(each)),
      gaps: (ledger?.gaps ?? []).map((gap) => ({
        first: gap.first,
        last: gap.last,
        sessions: this.#gaps.get(gap) ?? 0,
      })),
      removals: (ledger?.removals ?? []).filter(({ session }) => ledger?.has(session)),
      admin: ledger?.admin ?? 0,
      files: this.#files,
      unproven,
      ignored: ignored.slice(0, IGNORED_MAX),
      ignoredCount: ignored.length,
      failures: this.#failures.first,
      failureCount: this.#failures.count,
    }
  }

  /** The one session that was asked for has no sealed file yet: then nothing of it was read. */
  #isOpen(): boolean {
    const { session } = this.#options
    return session !== undefined && !this.#states.has(session)
  }

  #sessionVerdict({ session, frames, first, last, file }: SessionAccount): SessionVerdict {
    const state = this.#states.get(session) ?? 'committed'
    if (file !== undefined && state === 'committed') throw new Error('a session file was not looked at')
    return {
      session,
      state,
      frames,
      ...(first === undefined ? {} : { first }),
      ...(last === undefined ? {} : { last }),
    }
  }
}

/** None where nobody can tell. What is no folder is told with the other files. */
async function namesIn(source: AuditSource, folder: string): Promise<readonly string[]> {
  try {
    return (await source.list?.(folder)) ?? []
  } catch (error) {
    if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    return []
  }
}
