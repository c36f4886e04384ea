import type { Clock } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import type { RecordedEvent } from '../events/assembler.ts'
import { type Fault, faultOf } from '../sealer/faults.ts'
import { BEGINNING, type Cursor, type CursorFile, UNKNOWN_TIME } from './cursor.ts'
import { JournalReplaced, type Read } from './follower.ts'
import { isLate, isRefusal, retryDelayMs, type Sender } from './sender.ts'
import type { OutletSecrets, OutletSettings } from './settings.ts'

/** How an outlet is, as it is told outside. */
export type OutletState = {
  readonly name: string
  readonly kind: OutletSettings['to']['kind']
  /** The last frame that it is done with, and when that was made; undefined before it is known. */
  readonly cursor: Cursor | undefined
  /** Events delivered, and events that it will never get, since the start. */
  readonly delivered: number
  readonly missed: number
  /** The last fault, until something is delivered. */
  readonly fault: Fault | undefined
  readonly faults: number
  /** Refused: tried again only now and then. */
  readonly parked: boolean
}

/** What an outlet will not get. `because`: `backlog`: the journal let go of it; `replaced`: the journal is another; `rejected`. */
export type Missed = {
  readonly outlet: string
  readonly because: 'backlog' | 'replaced' | 'rejected'
  /** Sequence numbers. */
  readonly first: number
  readonly last: number
  /** Events, where they were counted. */
  readonly events: number | undefined
}

/** The administrative entry that tells of it. */
export const MISSED_ACTION = 'stream.missed'

/** Reads what is new; another one is opened after it threw. */
export type Following = {
  read(): Promise<Read>
  sync(): Promise<void>
  close(): Promise<void>
}

export type OutletPorts = {
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly cursor: Pick<CursorFile, 'read' | 'write'>
  readonly follow: (cursor: Cursor) => Following
  readonly sender: Sender
  /** Looked up for each attempt: what was rotated is used at once. */
  readonly secrets: () => Promise<OutletSecrets>
  /** Resolves once it is recorded. */
  readonly record: (missed: Missed) => Promise<void>
  readonly onState: (state: OutletState) => void
  readonly onFault: (error: unknown) => void
}

/** The journal has a MAC for what is new about once a second. */
const LOOK_MS = 500
/** Where nothing is to be told, the cursor is written at most this often. */
const CURSOR_MS = 5_000
/** So many batches were taken in time: then a larger one is tried. */
const LARGER_AFTER = 20

/**
 * Sends what is recorded to one receiver, in order. Only when a batch was taken, the cursor goes on, and is on the disk
 * before the next is sent: killed anywhere, the next one begins with what was not taken, and sends at most a batch twice.
 */
export class Outlet {
  readonly #settings: OutletSettings
  readonly #ports: OutletPorts
  readonly #stopping = new AbortController()
  #endWait: () => void = () => undefined
  #running: Promise<void> = Promise.resolve()
  #state: OutletState
  #told: string | undefined
  #writtenAt = 0
  /** Of a batch: fewer for a receiver that does not take as many in time. */
  #eventsMax: number = LIMITS.streamBatchEventsMax
  #inTime = 0
  #isUnwritten = false

  constructor(settings: OutletSettings, ports: OutletPorts) {
    this.#settings = settings
    this.#ports = ports
    this.#state = {
      name: settings.name,
      kind: settings.to.kind,
      cursor: undefined,
      delivered: 0,
      missed: 0,
      fault: undefined,
      faults: 0,
      parked: false,
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when nothing is being done any more. What is on its way is called off. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#endWait()
    await this.#running
    await this.#ports.sender.close()
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  async #run(): Promise<void> {
    for (let attempt = 1; !this.#isStopping; attempt++) {
      let following: Following | undefined
      try {
        const cursor = this.#state.cursor ?? (await this.#readCursor())
        this.#tell({ cursor })
        following = this.#ports.follow(cursor)
        await this.#follow(following, () => {
          attempt = 0
        })
      } catch (error) {
        if (error instanceof JournalReplaced) await this.#replaced().catch((e: unknown) => this.#fault(e))
        else this.#fault(error)
      } finally {
        await following?.close().catch(this.#ports.onFault)
      }
      if (!this.#isStopping)
        await this.#wait(retryDelayMs(undefined, Math.max(1, attempt), this.#ports.random()))
    }
  }

  /** Where nobody can read how far it was, it was nowhere: better twice than never. */
  async #readCursor(): Promise<Cursor> {
    try {
      return await this.#ports.cursor.read()
    } catch (error) {
      this.#fault(error)
      return BEGINNING
    }
  }

  /** `onRead`: all that there was could be read, twice: whoever follows the journal may see damage only then. */
  async #follow(following: Following, onRead: () => void): Promise<void> {
    let whole = 0
    while (!this.#isStopping) {
      const { events, through, gap, more } = await following.read()
      if (!more && ++whole > 1) {
        onRead()
        // It was one of reading: nothing else comes back from delivering.
        if (this.#state.fault !== undefined) this.#tell({ fault: undefined })
      }
      if (gap !== undefined) {
        await this.#miss({ because: 'backlog', ...gap, events: undefined })
        await this.#advance({ sequence: gap.last, time: UNKNOWN_TIME }, true)
      }
      if (events.length > 0) await following.sync()
      for (let left = events; left.length > 0; ) {
        const { batch, cursor } = batchOf(left, through, this.#eventsMax)
        const isTaken = await this.#deliver(batch)
        if (this.#isStopping) return
        if (!isTaken) continue
        left = left.slice(batch.length)
        if (cursor !== undefined) await this.#advance(cursor, true)
      }
      await this.#advance(through, false)
      if (!more) await this.#wait(events.length > 0 ? this.#ports.sender.lingerMs : LOOK_MS)
    }
  }

  /** Whether the receiver has it: it is tried until then, until a smaller one is to be tried, or until this is to stop. */
  async #deliver(batch: readonly RecordedEvent[]): Promise<boolean> {
    const { signal } = this.#stopping
    for (let attempt = 1; !this.#isStopping; attempt++) {
      try {
        const { rejected } = await this.#ports.sender.send(batch, await this.#ports.secrets(), signal)
        const [first, last] = [batch[0], batch.at(-1)]
        if (rejected > 0 && first !== undefined && last !== undefined) {
          const range = { first: first.sequence, last: last.sequence }
          await this.#miss({ because: 'rejected', ...range, events: rejected }, batch.every(tellsOfMissed))
        }
        this.#told = undefined
        const delivered = this.#state.delivered + batch.length - rejected
        this.#tell({ delivered, fault: undefined, parked: false })
        if (++this.#inTime >= LARGER_AFTER) this.#ofAtMost(this.#eventsMax * 2)
        return true
      } catch (error) {
        if (this.#isStopping) return false
        this.#fault(error)
        await this.#wait(retryDelayMs(error, attempt, this.#ports.random()))
        if (!isLate(error) || batch.length === 1) continue
        this.#ofAtMost(batch.length >> 1)
        return false
      }
    }
    return false
  }

  #ofAtMost(events: number): void {
    this.#eventsMax = Math.min(events, LIMITS.streamBatchEventsMax)
    this.#inTime = 0
  }

  /** What was told already is in another journal: all that this one has is told. */
  async #replaced(): Promise<void> {
    const { sequence } = this.#state.cursor ?? BEGINNING
    await this.#miss({ because: 'replaced', first: 1, last: sequence, events: undefined })
    await this.#advance(BEGINNING, true)
  }

  /** `isEcho`: all that was missed is that something was. To record this, too, would never come to an end. */
  async #miss(missed: Omit<Missed, 'outlet'>, isEcho = false): Promise<void> {
    if (!isEcho) await this.#ports.record({ outlet: this.#settings.name, ...missed })
    const count = missed.events ?? missed.last - missed.first + 1
    this.#tell({ missed: this.#state.missed + count })
  }

  async #advance(cursor: Cursor, isDelivered: boolean): Promise<void> {
    if (cursor.sequence === this.#state.cursor?.sequence) return
    const now = this.#ports.clock.now()
    if (!isDelivered && now < this.#writtenAt + CURSOR_MS) return
    this.#writtenAt = now
    try {
      await this.#ports.cursor.write(cursor)
    } catch (error) {
      // What was taken is not sent again for it, unless this process ends before it can be written.
      if (!this.#isUnwritten) this.#fault(error)
      this.#isUnwritten = true
      return
    }
    this.#isUnwritten = false
    this.#tell({ cursor })
  }

  #fault(error: unknown): void {
    const fault = faultOf(error)
    this.#tell({ fault, faults: this.#state.faults + 1, parked: isRefusal(error) })
    if (this.#told === fault.message) return
    this.#told = fault.message
    this.#ports.onFault(error)
  }

  #tell(change: Partial<OutletState>): void {
    this.#state = { ...this.#state, ...change }
    this.#ports.onState(this.#state)
  }

  /** So long, or until it is to stop. */
  async #wait(ms: number): Promise<void> {
    if (this.#isStopping) return
    const over = Promise.withResolvers<void>()
    this.#endWait = () => over.resolve()
    const timer = this.#ports.clock.after(ms, over.resolve)
    await over.promise
    timer.cancel()
  }
}

function tellsOfMissed({ what, facts }: RecordedEvent): boolean {
  return what === 'admin' && facts['action'] === MISSED_ACTION
}

type Batch = {
  readonly batch: readonly RecordedEvent[]
  /** Where the outlet is behind it; undefined: a frame whose events are not all in it is not done. */
  readonly cursor: Cursor | undefined
}

/** What fits into one request. */
function batchOf(events: readonly RecordedEvent[], through: Cursor, eventsMax: number): Batch {
  let [count, bytes] = [0, 0]
  for (const { json } of events) {
    bytes += Buffer.byteLength(json)
    // One that is larger than a batch may be goes by itself.
    if (count > 0 && (count >= eventsMax || bytes > LIMITS.streamBatchBytesMax)) break
    count++
  }
  const batch = events.slice(0, count)
  const [last, next] = [batch.at(-1), events[count]]
  if (last === undefined || next === undefined) return { batch, cursor: through }
  const isWhole = last.sequence !== next.sequence
  return { batch, cursor: isWhole ? { sequence: last.sequence, time: last.frameTime } : undefined }
}
