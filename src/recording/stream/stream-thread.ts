import { Worker } from 'node:worker_threads'
import type { AdminHead, Clock, RecordingKeys, Secret, SecretRef, Timer } from '../../core/index.ts'
import type { FetchSession } from '../reading/reader.ts'
import { errorOf, faultOf } from '../sealer/faults.ts'
import type { Backlog } from '../sealer/sealer.ts'
import { MISSED_ACTION, type Missed, type OutletState } from './outlet.ts'
import { OUTLET_SECRETS, type OutletSecrets, type StreamOutlet } from './settings.ts'
import type { FromStream, StreamWorkerData, ToStream } from './stream-worker.ts'

export type StreamThreadOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  /** The version of this program, for events. */
  readonly program: string
  readonly clock: Clock
  readonly resolveSecret: (ref: SecretRef) => Promise<Secret>
  /** Records what an outlet will never get; throws when it cannot be recorded. */
  readonly record: (head: AdminHead) => void
  /** Brings session files back that were uploaded. */
  readonly fetch?: FetchSession
  readonly onFault: (error: unknown) => void
}

/** After the thread died, and for stopping. */
const RESTART_MS = 5_000
const STOP_MS = 2_000

/**
 * What streams events, in a thread of its own, while there is an outlet. Whatever happens to it, here nothing throws:
 * commands are none of its business. A thread that died is started again.
 */
export class StreamThread {
  readonly #options: StreamThreadOptions
  #outlets: readonly StreamOutlet[] = []
  readonly #states = new Map<string, OutletState>()
  #worker: Worker | undefined
  #ended: PromiseWithResolvers<void> | undefined
  #changing: Promise<void> = Promise.resolve()
  #timer: Timer | undefined

  constructor(options: StreamThreadOptions) {
    this.#options = options
  }

  /** How each outlet is, in the order of the configuration. */
  get states(): readonly OutletState[] {
    return this.#outlets.map(({ settings }) => this.#states.get(settings.name) ?? fresh(settings))
  }

  /** What the outlets still need of the journal; undefined without any. */
  get backlog(): Backlog | undefined {
    if (this.#outlets.length === 0) return undefined
    return {
      through: Math.min(...this.states.map(({ cursor }) => cursor?.sequence ?? 0)),
      bytesMax: Math.max(...this.#outlets.map(({ settings }) => settings.backlog.bytesMax)),
      msMax: Math.max(...this.#outlets.map(({ settings }) => settings.backlog.msMax)),
    }
  }

  /** These outlets from now on; those that are parked try again. */
  adopt(outlets: readonly StreamOutlet[]): void {
    this.#outlets = outlets
    for (const name of this.#states.keys())
      if (!outlets.some(({ settings }) => settings.name === name)) this.#states.delete(name)
    this.#changing = this.#changing.then(async () => {
      await this.#end()
      this.#begin()
    })
  }

  /** What is on its way is sent again at the next start. */
  async stop(): Promise<void> {
    this.#outlets = []
    this.#changing = this.#changing.then(() => this.#end())
    await this.#changing
  }

  #begin(): void {
    if (this.#outlets.length === 0 || this.#worker !== undefined) return
    const { directory, keys, program } = this.#options
    const file = import.meta.url.endsWith('.ts') ? './stream-worker.ts' : './stream-worker.mjs'
    const outlets = this.#outlets
    const settings = outlets.map((each) => each.settings)
    const workerData: StreamWorkerData = { directory, keys, program, outlets: settings }
    const worker = new Worker(new URL(file, import.meta.url), { workerData })
    this.#worker = worker
    // What it knows is on the disk.
    worker.unref()
    worker.on('message', (message: FromStream) => this.#take(worker, outlets, message))
    worker.on('error', (error) => this.#died(worker, error))
    worker.on('exit', () => this.#died(worker, new Error('the thread that streams ended by itself')))
  }

  async #end(): Promise<void> {
    this.#timer?.cancel()
    const worker = this.#worker
    if (worker === undefined) return
    const ended = Promise.withResolvers<void>()
    this.#ended = ended
    worker.ref()
    say(worker, { kind: 'stop' })
    const timer = this.#options.clock.after(STOP_MS, ended.resolve)
    await ended.promise
    timer.cancel()
    this.#worker = undefined
    this.#ended = undefined
    await worker.terminate()
  }

  #take(worker: Worker, outlets: readonly StreamOutlet[], message: FromStream): void {
    switch (message.kind) {
      case 'state':
        // One that was taken away may say its last while it ends.
        if (this.#outlets.some(({ settings }) => settings.name === message.state.name))
          this.#states.set(message.state.name, message.state)
        return
      case 'fault':
        this.#options.onFault(errorOf(message.fault))
        return
      case 'secrets':
        void this.#answer(worker, message.id, () => this.#secretsOf(outlets, message.outlet))
        return
      case 'fetch':
        void this.#answer(worker, message.id, async () => {
          await this.#options.fetch?.(message.session)
          return {}
        })
        return
      case 'record':
        void this.#answer(worker, message.id, async () => {
          this.#options.record(missedHead(message.missed))
          return {}
        })
        return
      case 'stopped':
        this.#ended?.resolve()
    }
  }

  async #answer(worker: Worker, id: number, work: () => Promise<OutletSecrets>): Promise<void> {
    try {
      say(worker, { kind: 'answer', id, answer: { secrets: await work() } })
    } catch (error) {
      say(worker, { kind: 'answer', id, answer: { fault: faultOf(error) } })
    }
  }

  /** Of the outlets that the thread was started with: one that was changed must not get the secrets of what it became. */
  async #secretsOf(outlets: readonly StreamOutlet[], name: string): Promise<OutletSecrets> {
    const refs = outlets.find(({ settings }) => settings.name === name)?.secrets ?? {}
    const values: [string, string][] = []
    for (const each of OUTLET_SECRETS) {
      const ref = refs[each]
      if (ref !== undefined) values.push([each, (await this.#options.resolveSecret(ref)).reveal()])
    }
    return Object.fromEntries(values)
  }

  #died(worker: Worker, error: unknown): void {
    if (worker !== this.#worker) return
    this.#ended?.resolve()
    if (this.#ended !== undefined) return
    this.#worker = undefined
    for (const [name, state] of this.#states)
      this.#states.set(name, { ...state, fault: faultOf(error), faults: state.faults + 1 })
    this.#options.onFault(error)
    this.#timer = this.#options.clock.after(RESTART_MS, () => this.#begin())
  }
}

function say(worker: Worker, message: ToStream): void {
  worker.postMessage(message)
}

function missedHead({ outlet, because, first, last, events }: Missed): AdminHead {
  const details = { because, first, last, ...(events === undefined ? {} : { events }) }
  return { action: MISSED_ACTION, by: 'stream', target: outlet, details }
}

function fresh({ name, to }: StreamOutlet['settings']): OutletState {
  return {
    name,
    kind: to.kind,
    cursor: undefined,
    delivered: 0,
    missed: 0,
    fault: undefined,
    faults: 0,
    parked: false,
  }
}
