/**
 * Why something is not proved. `docs/audit.md` says what each means to a person.
 *
 * - `missing`: a file that the log or its size asks for is not there
 * - `damaged`: a file is not of its form: cut off, a checksum, an impossible length
 * - `signature`: no key that was given signed it, or a signature is not that key's
 * - `witnesses`: fewer of the witnesses asked for have cosigned than needed
 * - `rolled-back`: the log is shorter than one that was signed already
 * - `forked`: the log does not begin with one that was signed already
 * - `root`: the entries do not come to what was signed
 * - `tile`: a tile is not what the tree above it says
 * - `entry`: an entry is not the one that was signed
 * - `unreadable`: an entry says nothing that this verifier knows
 * - `order`: an entry may not stand where it does: twice, overlapping, or before what it needs
 * - `frames`: a session file has other frames than the log says
 * - `foreign`: a file is not that of the session whose name it has
 * - `unknown`: a session of which the log says nothing
 * - `gap`: the gateway says that frames were lost, and there are sessions that lost some
 * - `payload`: a payload is not the one that was committed to, or was taken out and the log does not say so
 */
export type FailureCode =
  | 'missing'
  | 'damaged'
  | 'signature'
  | 'witnesses'
  | 'rolled-back'
  | 'forked'
  | 'root'
  | 'tile'
  | 'entry'
  | 'unreadable'
  | 'order'
  | 'frames'
  | 'foreign'
  | 'unknown'
  | 'gap'
  | 'payload'

/** A place where the proof fails. Says nothing of what was recorded. */
export type Failure = {
  readonly code: FailureCode
  /** The file, below the data directory. */
  readonly path: string
  readonly why: string
  /** Number of the log's entry, from 0. */
  readonly entry?: number
  readonly session?: string
  readonly sequence?: number
  /** In the file, in bytes. */
  readonly offset?: number
}

/** More are counted, not kept: by then the first ones say what happened. */
const KEPT_MAX = 100

/** The failures found so far, each place once: those of the log, and then those of files, by path. */
export class Failures {
  readonly #kept = new Map<string, Failure>()
  #count = 0

  get count(): number {
    return this.#count
  }

  get first(): readonly Failure[] {
    const all = [...this.#kept.values()]
    const [files, log] = [all.filter(isOfFile), all.filter((each) => !isOfFile(each))]
    // Files are read at once: what is found first there is chance.
    return [...log, ...files.toSorted((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path)))]
  }

  add(failure: Failure): void {
    const { code, path, entry, session, sequence } = failure
    const place = JSON.stringify([code, path, entry, session, sequence])
    if (this.#kept.has(place)) return
    this.#count += 1
    if (this.#kept.size < KEPT_MAX) this.#kept.set(place, failure)
  }
}

function isOfFile({ path }: Failure): boolean {
  return path.startsWith('sessions/')
}
