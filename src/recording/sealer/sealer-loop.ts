import { type Clock, GatewayError, type Timer } from '../../core/index.ts'
import { faultOf, isLasting, type Fault } from './faults.ts'
import type { Sealer } from './sealer.ts'

/** What is known of the sealer from outside. */
export type SealerState = {
  /** The last frame that a checkpoint covers. */
  readonly through: number
  /** Entries of the log; 0 before its first checkpoint is known. */
  readonly size: number
  /** The text of the public key that signs; undefined until the log is open. */
  readonly vkey: string | undefined
  /** The last fault, until a pass succeeds. */
  readonly fault: Fault | undefined
  /** Whether it has stopped for good, over damage. */
  readonly stopped: boolean
}

export type SealerLoopOptions = {
  readonly open: () => Promise<Sealer>
  readonly clock: Clock
  /** Entries that the log is known to have had. */
  readonly size: number
  readonly onState: (state: SealerState) => void
  readonly onFault: (error: unknown) => void
  /** Told of the log behind each pass that changed it. */
  readonly onHead: (sealer: Sealer) => void
}

/** From the beginning of one pass to that of the next when nobody wakes it, and how long one may work on files. */
const INTERVAL_MS = 800
/** After a fault. */
const RETRY_MS = 5_000

/**
 * Runs the sealer: a pass now and then, one at a time. After a fault it begins anew with another sealer; over damage it
 * stops, since going on behind it would make a log with holes that nobody sees.
 */
export class SealerLoop {
  readonly #options: SealerLoopOptions
  #sealer: Sealer | undefined
  #timer: Timer | undefined
  #turn: Promise<void> = Promise.resolve()
  #state: SealerState = { through: 0, size: 0, vkey: undefined, fault: undefined, stopped: false }
  #ended = false
  #awake = false

  constructor(options: SealerLoopOptions) {
    this.#options = options
    this.#state = { ...this.#state, size: options.size }
  }

  start(): void {
    this.#schedule(0)
  }

  /** The next pass comes at once, or as soon as the one that is at work has ended. */
  wake(): void {
    // After a fault there is a reason to wait.
    if (this.#state.fault !== undefined) return
    if (this.#timer === undefined) this.#awake = true
    else this.#schedule(0)
  }

  /** All that can be done now. Rejects with what went wrong. */
  settle(): Promise<void> {
    return this.#inTurn(async () => {
      const sealer = await this.#opened()
      while (await sealer.pass()) this.#tell(sealer)
      this.#tell(sealer)
    })
  }

  /** Does something between two passes. Rejects with what went wrong, which is no fault of the sealing. */
  between(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Ends the timer, and resolves when nothing is being worked on. */
  async stop(): Promise<void> {
    this.#ended = true
    this.#timer?.cancel()
    await this.#turn
    await this.#sealer?.close()
  }

  #schedule(ms: number): void {
    if (this.#ended) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined
      const began = this.#options.clock.now()
      const pass = this.#inTurn(async () => {
        const sealer = await this.#opened()
        const more = await sealer.pass(began + INTERVAL_MS)
        this.#tell(sealer)
        const isDue = more || this.#awake
        this.#awake = false
        this.#schedule(isDue ? 0 : Math.max(0, began + INTERVAL_MS - this.#options.clock.now()))
      })
      pass.catch(() => this.#schedule(RETRY_MS))
    })
  }

  async #opened(): Promise<Sealer> {
    if (this.#sealer !== undefined) return this.#sealer
    const sealer = await this.#options.open()
    const { size } = sealer.sealed
    if (size < this.#state.size) {
      await sealer.close()
      throw new GatewayError(
        'conflict',
        `The log has ${size} entries, and had ${this.#state.size} a moment ago: nothing is sealed any more.`,
        {
          remedy:
            'It was taken away, or put back from a copy. Bring it back as it was, and restart the gateway.',
        },
      )
    }
    this.#sealer = sealer
    return sealer
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(async () => {
      if (this.#ended) return
      try {
        await work()
      } catch (error) {
        await this.#failed(error)
        throw error
      }
    })
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #failed(error: unknown): Promise<void> {
    const sealer = this.#sealer
    this.#sealer = undefined
    const stopped = isLasting(error)
    if (stopped) {
      this.#ended = true
      this.#timer?.cancel()
    }
    this.#state = { ...this.#state, fault: faultOf(error), stopped }
    this.#options.onState(this.#state)
    this.#options.onFault(error)
    await sealer?.close().catch(this.#options.onFault)
  }

  #tell(sealer: Sealer): void {
    const { through, size } = sealer.sealed
    const before = this.#state
    if (
      before.through === through &&
      before.size === size &&
      before.fault === undefined &&
      before.vkey === sealer.vkey
    )
      return
    this.#state = { through, size, vkey: sealer.vkey, fault: undefined, stopped: false }
    this.#options.onState(this.#state)
    this.#options.onHead(sealer)
  }
}
