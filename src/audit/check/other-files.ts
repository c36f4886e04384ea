import { isGatewayError, LIMITS } from '../../core/index.ts'
import { parseCheckpoint } from '../../evidence/note/checkpoint.ts'
import { parseNote } from '../../evidence/note/note.ts'
import { LogReader } from '../../evidence/log/reader.ts'
import { sameBytes, type TreeHasher } from '../../evidence/tree/hasher.ts'
import { TILE_WIDTH } from '../../evidence/log/layout.ts'
import type { Checkpoint } from '../../evidence/note/checkpoint.ts'
import { isSessionId, openedAt, sessionPath } from './entry.ts'
import type { Failures } from './failures.ts'
import { firstOf, journalNumber } from './journal-begin.ts'
import type { Ledger } from './ledger.ts'
import { LOG_PREFIX, logSource, readWhole } from './pieces.ts'
import type { AuditSource, Primitives } from './ports.ts'

export type OtherFilesParts = {
  readonly source: AuditSource
  readonly primitives: Pick<Primitives, 'crc32'>
  readonly hasher: TreeHasher
  readonly head: Checkpoint
  readonly ledger: Ledger
  readonly failures: Failures
}

/** Files that are read for nothing that is proved. */
export type OtherFiles = {
  /** Sessions with a sealed file that are too new for the log. */
  readonly unproven: readonly string[]
  /** What a process may have left that died, and nobody reads. In order. */
  readonly ignored: readonly string[]
}

/** A session has its id before its first entry is in the journal: a login may lie between. */
const OPENING_MS = 60_000

const LOG_NAMES = /^(checkpoint(\.cosigned)?|key|staged|tile|\.drafts)$/
const KEPT_CHECKPOINT = /^checkpoint\.([0-9a-f]{8})$/
/** A log of 2^53 entries has tiles of so many levels. */
const TILE_FOLDERS = /^(entries|[0-6])$/
/** More groups of three digits no number of a tile has. */
const GROUPS_MAX = 6

/**
 * Every file below `log`, `journal` and `sessions` that nothing proved rests on: a failure where a recording has no such
 * file, and said otherwise. Nothing in a source that lists nothing.
 */
export async function otherFiles(parts: OtherFilesParts): Promise<OtherFiles> {
  const files = new Others(parts)
  await files.log()
  await files.journal()
  await files.sessions()
  return files
}

class Others implements OtherFiles {
  readonly #parts: OtherFilesParts
  readonly unproven: string[] = []
  readonly ignored: string[] = []

  constructor(parts: OtherFilesParts) {
    this.#parts = parts
  }

  async log(): Promise<void> {
    for (const name of (await this.#names('log')) ?? []) {
      const [, id] = KEPT_CHECKPOINT.exec(name) ?? []
      if (id !== undefined) await this.#keptCheckpoint(name, id)
      else if (!LOG_NAMES.test(name)) this.#strange(`log/${name}`)
    }
    for (const name of (await this.#below('log/staged')) ?? []) this.#strange(`log/staged/${name}`)
    for (const name of (await this.#names('log/.drafts')) ?? [])
      if (/^\d+-\d+$/.test(name)) this.ignored.push(`log/.drafts/${name}`)
      else this.#strange(`log/.drafts/${name}`)
    for (const name of (await this.#names('log/tile')) ?? []) {
      if (!TILE_FOLDERS.test(name)) {
        this.#strange(`log/tile/${name}`)
        continue
      }
      const hashes = Math.floor(this.#parts.head.size / TILE_WIDTH ** (name === 'entries' ? 0 : Number(name)))
      await this.#tiles(`log/tile/${name}`, hashes, '')
    }
  }

  /** Beyond the head there may be what was about to be signed, or what was copied later. */
  async #tiles(folder: string, hashes: number, digits: string): Promise<void> {
    const isFirst = digits === ''
    for (const name of (await this.#names(folder)) ?? []) {
      const path = `${folder}/${name}`
      const [, further, last, part] = /^(?:x(\d{3})|(\d{3})(\.p)?)$/.exec(name) ?? []
      if (further !== undefined && digits.length < 3 * GROUPS_MAX && !(isFirst && further === '000')) {
        await this.#tiles(path, hashes, digits + further)
        continue
      }
      if (last === undefined) {
        this.#strange(path)
        continue
      }
      const from = Number(digits + last) * TILE_WIDTH
      if (part === undefined) {
        if (from + TILE_WIDTH > hashes) this.ignored.push(path)
        continue
      }
      for (const width of (await this.#names(path)) ?? []) {
        if (!/^[1-9]\d{0,2}$/.test(width) || Number(width) >= TILE_WIDTH) this.#strange(`${path}/${width}`)
        else if (from + Number(width) > hashes) this.ignored.push(`${path}/${width}`)
      }
    }
  }

  /** The last checkpoint of a key that another took the place of: it ends with the entry that announces the other. */
  async #keptCheckpoint(name: string, id: string): Promise<void> {
    const { source, ledger, head, hasher } = this.#parts
    const path = `${LOG_PREFIX}${name}`
    try {
      const bytes = await readWhole(source, path, LIMITS.noteBytesMax)
      if (bytes === undefined) return
      const note = parseNote(bytes)
      const { origin, size, root } = parseCheckpoint(note.text)
      const isOfKey = note.signatures.some(
        (each) => each.name === origin && each.id.toString(16).padStart(8, '0') === id,
      )
      if (isOfKey && origin === head.origin && size > head.size) {
        this.ignored.push(path)
        return
      }
      const isKept = isOfKey && origin === head.origin && ledger.announcements.has(size - 1)
      if (isKept && sameBytes(await new LogReader(logSource(source), hasher, size).root(), root)) return
    } catch (error) {
      if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    }
    this.#strange(path, 'it is not the last checkpoint of a key that the log has changed for another')
  }

  async journal(): Promise<void> {
    const { source, primitives, failures } = this.#parts
    const names = (await this.#names('journal')) ?? []
    const files: { readonly path: string; readonly number: number }[] = []
    for (const name of names) {
      const path = `journal/${name}`
      const [, file = '', cut] = /^(\d+\.slj)(\.cut-\d+)?$/.exec(name) ?? []
      const number = journalNumber(file)
      if (number === undefined) this.#strange(path)
      else if (cut !== undefined) this.ignored.push(path)
      else files.push({ path, number })
    }
    let last = 0
    const inOrder = files.sort((a, b) => a.number - b.number)
    for (const [at, { path, number }] of inOrder.entries()) {
      const first = await firstOf(source, primitives, path, number)
      // Gone meanwhile.
      if (first === undefined) continue
      // What was being begun when the process died.
      if (first === 'cut' && at === inOrder.length - 1) this.ignored.push(path)
      else if (typeof first !== 'number')
        failures.add({ code: 'damaged', path, offset: 0, why: 'it does not begin as a file of the journal' })
      else if (first < last)
        failures.add({ code: 'damaged', path, offset: 16, why: 'it begins before the file in front of it' })
      else last = first
    }
  }

  async sessions(): Promise<void> {
    const { ledger, failures } = this.#parts
    const tooNew = (ledger.through?.time ?? 0) - OPENING_MS
    for (const day of (await this.#names('sessions')) ?? []) {
      if (!/^\d{4}-\d\d-\d\d$/.test(day)) {
        this.#strange(`sessions/${day}`)
        continue
      }
      for (const name of (await this.#names(`sessions/${day}`)) ?? []) {
        const path = `sessions/${day}/${name}`
        const [, session = '', suffix = ''] = /^([0-9A-Z]+)\.(slr|slr\.new|part|part\.new)$/.exec(name) ?? []
        if (!isSessionId(session) || sessionPath(session).split('/')[1] !== day) this.#strange(path)
        else if (!ledger.has(session) && openedAt(session) < tooNew)
          failures.add({ code: 'unknown', path, session, why: 'the log has no such session' })
        else if (suffix === 'slr') {
          if (!ledger.has(session)) this.unproven.push(session)
        } else if (suffix !== 'part' || ledger.isSealed(session)) this.ignored.push(path)
      }
    }
  }

  /** What is in a folder; what is none is no part of a recording. */
  async #names(folder: string): Promise<readonly string[] | undefined> {
    const { source } = this.#parts
    try {
      return await source.list?.(folder)
    } catch (error) {
      if (!isGatewayError(error) || error.code !== 'invalid') throw error
      this.#strange(folder, error.message)
      return undefined
    }
  }

  /** What is in what should be a file. */
  async #below(file: string): Promise<readonly string[] | undefined> {
    try {
      return await this.#parts.source.list?.(file)
    } catch (error) {
      if (!isGatewayError(error) || error.code !== 'invalid') throw error
      return undefined
    }
  }

  #strange(path: string, why = 'nothing of a recording has this name here'): void {
    this.#parts.failures.add({ code: 'unknown', path, why })
  }
}
