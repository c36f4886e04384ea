import { Worker } from 'node:worker_threads'
import type { KeyObject } from 'node:crypto'
import type { Clock, RecordingKeys, SessionId, Timer } from '../../core/index.ts'
import type { Rewriter } from '../erasure/eraser.ts'
import type { Removal, Thinned } from '../erasure/rewrite.ts'
import { errorOf } from './faults.ts'
import type { Backlog } from './sealer.ts'
import type { SealerState } from './sealer-loop.ts'
import type { Found, FromSealer, SealerWorkerData, ToSealer } from './sealer-worker.ts'
import type { LogSettings } from './settings.ts'

export type SealerThreadOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  /** Seeds of Ed25519 keys: the first signs, the others did before. */
  readonly seeds: readonly [KeyObject, ...KeyObject[]]
  readonly settings: LogSettings
  /** Which of several gateways of one configuration this is. */
  readonly node?: string | undefined
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

/** How the sealer is, as far as is known here. */
export type SealerStatus = SealerState & {
  /** Faults since the start. */
  readonly faults: number
  /** Of the last round: witnesses that cosigned, and that did not. */
  readonly witnesses: { readonly cosigned: readonly string[]; readonly failed: readonly string[] }
}

type Question = ToSealer extends infer Each
  ? Each extends { readonly id: number }
    ? Omit<Each, 'id'>
    : never
  : never

/** After the thread died. */
const RESTART_MS = 5_000

/**
 * The sealer in a thread of its own. Whatever happens to it, here nothing throws but `settle`: commands are none of its
 * business. A thread that died is started again.
 */
export class SealerThread implements Rewriter {
  readonly #options: SealerThreadOptions
  readonly #waiting = new Map<number, PromiseWithResolvers<Found>>()
  #worker: Worker | undefined
  #settings: LogSettings
  #timer: Timer | undefined
  #nextId = 1
  #indexed = 0
  #backlog: Backlog | undefined
  #stopped = false
  #status: SealerStatus = {
    through: 0,
    size: 0,
    vkey: undefined,
    fault: undefined,
    stopped: false,
    faults: 0,
    witnesses: { cosigned: [], failed: [] },
  }

  constructor(options: SealerThreadOptions) {
    this.#options = options
    this.#settings = options.settings
  }

  get status(): SealerStatus {
    return this.#status
  }

  start(): void {
    const { directory, keys, seeds, node } = this.#options
    const file = import.meta.url.endsWith('.ts') ? './sealer-worker.ts' : './sealer-worker.mjs'
    const workerData: SealerWorkerData = {
      directory,
      keys,
      seeds,
      settings: this.#settings,
      node,
      backlog: this.#backlog,
      size: this.#status.size,
    }
    const worker = new Worker(new URL(file, import.meta.url), { workerData })
    this.#worker = worker
    // It does not keep the process: whoever wants its work done stops it first.
    worker.unref()
    worker.on('message', (message: FromSealer) => this.#take(message))
    worker.on('error', (error) => this.#died(worker, error))
    worker.on('exit', () => this.#died(worker, new Error('the sealer ended by itself')))
    this.#say({ kind: 'indexed', sequence: this.#indexed })
  }

  /** Up to this frame the list of sessions needs the journal no more. */
  indexed(sequence: number): void {
    if (sequence === this.#indexed) return
    this.#indexed = sequence
    this.#say({ kind: 'indexed', sequence })
  }

  /** What outlets still need of the journal. */
  backlog(backlog: Backlog | undefined): void {
    const now = this.#backlog
    if (
      now?.through === backlog?.through &&
      now?.bytesMax === backlog?.bytesMax &&
      now?.msMax === backlog?.msMax
    )
      return
    this.#backlog = backlog
    this.#say({ kind: 'backlog', backlog })
  }

  /** There is something to seal: does not wait for the next look. */
  wake(): void {
    this.#say({ kind: 'wake' })
  }

  adopt(settings: LogSettings): void {
    this.#settings = settings
    this.#say({ kind: 'adopt', settings })
  }

  /** Seals all that is in the journal now. Rejects with what went wrong. */
  async settle(): Promise<void> {
    await this.#ask({ kind: 'settle' })
  }

  async concerns(session: SessionId, removal: Removal): Promise<boolean> {
    return (await this.#ask({ kind: 'concerns', session, removal })).concerns === true
  }

  async thin(session: SessionId, removal: Removal): Promise<Thinned | undefined> {
    return (await this.#ask({ kind: 'thin', session, removal })).thinned
  }

  async putInPlace(session: SessionId, thinned: Thinned): Promise<void> {
    await this.#ask({ kind: 'put', session, thinned })
  }

  /** Seals what there is for at most `ms`, then ends: the thread may be ended anywhere. */
  async stop(ms: number): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    const worker = this.#worker
    if (worker === undefined) return
    const late = Promise.withResolvers<void>()
    const timer = this.#options.clock.after(ms, () => late.resolve())
    const done = this.settle()
      .then(() => this.#ask({ kind: 'stop' }))
      .catch(this.#options.onFault)
    await Promise.race([done, late.promise])
    timer.cancel()
    this.#worker = undefined
    await worker.terminate()
  }

  #ask(question: Question): Promise<Found> {
    const worker = this.#worker
    if (worker === undefined) return Promise.reject(new Error('the sealer does not run'))
    const id = this.#nextId++
    const waiting = Promise.withResolvers<Found>()
    this.#waiting.set(id, waiting)
    worker.ref()
    this.#say({ ...question, id })
    return waiting.promise.finally(() => {
      if (this.#waiting.size === 0) worker.unref()
    })
  }

  #say(message: ToSealer): void {
    this.#worker?.postMessage(message)
  }

  #take(message: FromSealer): void {
    switch (message.kind) {
      case 'state':
        this.#status = { ...this.#status, ...message.state }
        return
      case 'witnessed':
        this.#status = { ...this.#status, witnesses: message }
        return
      case 'fault':
        this.#status = { ...this.#status, faults: this.#status.faults + 1 }
        this.#options.onFault(errorOf(message.fault))
        return
      case 'done': {
        const waiting = this.#waiting.get(message.id)
        this.#waiting.delete(message.id)
        if (message.fault === undefined) waiting?.resolve(message.found ?? {})
        else waiting?.reject(errorOf(message.fault))
      }
    }
  }

  #died(worker: Worker, error: unknown): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    for (const waiting of this.#waiting.values()) waiting.reject(new Error('the sealer has ended'))
    this.#waiting.clear()
    if (this.#stopped) return
    const message = error instanceof Error ? error.message : String(error)
    this.#status = {
      ...this.#status,
      faults: this.#status.faults + 1,
      fault: { code: undefined, message, remedy: undefined },
    }
    this.#options.onFault(error)
    this.#timer = this.#options.clock.after(RESTART_MS, () => this.start())
  }
}
