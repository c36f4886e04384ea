import type { Clock, SessionId, Timer } from '../../core/index.ts'
import { type Fault, faultOf } from '../sealer/faults.ts'
import { retryDelayMs } from '../stream/sender.ts'
import { NOTHING_DONE, type Uploader, type UploaderState } from './uploader.ts'

/** What is known of the uploader from outside. */
export type StoreState = UploaderState & {
  /** The last fault, until a pass succeeds. */
  readonly fault: Fault | undefined
  readonly faults: number
}

export type UploaderLoopOptions = {
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  /** `tell`: how it is, whenever that changes. */
  readonly open: (tell: (state: UploaderState) => void) => Promise<Uploader>
  readonly onState: (state: StoreState) => void
  readonly onFault: (error: unknown) => void
}

/** From the end of one pass to the next. */
const INTERVAL_MS = 2_000

/** Runs the uploader: a pass now and then, one at a time, later and later after faults. What is fetched waits for no pass. */
export class UploaderLoop {
  readonly #options: UploaderLoopOptions
  #opened: Promise<Uploader> | undefined
  #turn: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #failed = 0
  #fault: Fault | undefined
  #faults = 0

  constructor(options: UploaderLoopOptions) {
    this.#options = options
  }

  start(): void {
    this.#schedule(0)
  }

  /** All that can be done now, the log included. Rejects with what went wrong. */
  settle(): Promise<void> {
    return this.#pass(true)
  }

  async fetch(session: SessionId): Promise<void> {
    await (await this.#open()).fetch(session)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #schedule(ms: number): void {
    const { clock, random } = this.#options
    this.#timer = clock.after(ms, () => {
      this.#pass(false).then(
        () => this.#schedule(INTERVAL_MS),
        (error: unknown) => this.#schedule(retryDelayMs(error, this.#failed, random())),
      )
    })
  }

  #pass(isLast: boolean): Promise<void> {
    const done = this.#turn.then(async () => {
      let uploader: Uploader | undefined
      try {
        uploader = await this.#open()
        await uploader.pass(isLast)
        this.#failed = 0
        this.#fault = undefined
      } catch (error) {
        this.#failed++
        this.#faults++
        const fault = faultOf(error)
        // The same one again is no news.
        if (fault.message !== this.#fault?.message) this.#options.onFault(error)
        this.#fault = fault
        throw error
      } finally {
        this.#tell(uploader?.state ?? NOTHING_DONE)
      }
    })
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #open(): Promise<Uploader> {
    this.#opened ??= this.#options.open((state) => this.#tell(state))
    try {
      return await this.#opened
    } catch (error) {
      this.#opened = undefined
      throw error
    }
  }

  #tell(state: UploaderState): void {
    this.#options.onState({ ...state, fault: this.#fault, faults: this.#faults })
  }
}
