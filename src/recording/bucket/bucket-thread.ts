import { Worker } from 'node:worker_threads'
import {
  type Clock,
  GatewayError,
  type RecordingKeys,
  type Secret,
  type SecretRef,
  type SessionId,
  type Timer,
} from '../../core/index.ts'
import { errorOf, faultOf } from '../sealer/faults.ts'
import { type AccessKeys, placeOf, type RecordingStore } from './settings.ts'
import type { FromBucket, BucketWorkerData, ToBucket } from './bucket-worker.ts'
import { NOTHING_DONE } from './uploader.ts'
import type { StoreState } from './uploader-loop.ts'

export type BucketThreadOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly clock: Clock
  readonly resolveSecret: (ref: SecretRef) => Promise<Secret>
  readonly onFault: (error: unknown) => void
}

/** How the store is, and which one it is. */
export type StoreReport = StoreState & { readonly place: string; readonly spoolBytesMax: number }

/** After the thread died. */
const RESTART_MS = 5_000

const FRESH: StoreState = { ...NOTHING_DONE, fault: undefined, faults: 0 }

/**
 * What speaks with the object store, in a thread of its own, while one is configured. Whatever happens to it, here nothing
 * throws but what somebody waits for: commands are none of its business. A thread that died is started again.
 */
export class BucketThread {
  readonly #options: BucketThreadOptions
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>()
  #store: RecordingStore | undefined
  #state = FRESH
  #worker: Worker | undefined
  #timer: Timer | undefined
  #nextId = 1

  constructor(options: BucketThreadOptions) {
    this.#options = options
  }

  /** Undefined without a store. */
  get report(): StoreReport | undefined {
    if (this.#store === undefined) return undefined
    const { settings } = this.#store
    return { ...this.#state, place: placeOf(settings), spoolBytesMax: settings.spoolBytesMax }
  }

  get isConfigured(): boolean {
    return this.#store !== undefined
  }

  /** This store from now on; one that has not changed goes on. */
  async adopt(store: RecordingStore | undefined): Promise<void> {
    if (JSON.stringify(store) === JSON.stringify(this.#store)) return
    this.#store = store
    this.#state = FRESH
    await this.#end()
    this.#begin()
  }

  /** Brings the file of a session back to the data directory. Throws what fetching throws. */
  async fetch(session: SessionId): Promise<void> {
    if (this.#store === undefined) {
      throw new GatewayError(
        'recording_unavailable',
        `The recording of session ${session} is in an object store, and none is configured.`,
        {
          remedy:
            'Set recording.store as it was, or copy the sessions back from the bucket into the data directory.',
        },
      )
    }
    await this.#ask((id) => ({ kind: 'fetch', id, session }))
  }

  /** Uploads all that is sealed now. Rejects with what went wrong. */
  async settle(): Promise<void> {
    if (this.#store !== undefined) await this.#ask((id) => ({ kind: 'settle', id }))
  }

  /** What is on its way is done again at the next start: nobody waits for a network. */
  async stop(): Promise<void> {
    this.#store = undefined
    await this.#end()
  }

  #begin(): void {
    if (this.#store === undefined || this.#worker !== undefined) return
    const { directory, keys } = this.#options
    const { settings, secrets } = this.#store
    const hasKeys = secrets.accessKey !== undefined
    const file = import.meta.url.endsWith('.ts') ? './bucket-worker.ts' : './bucket-worker.mjs'
    const workerData: BucketWorkerData = { directory, keys, settings, hasKeys }
    const worker = new Worker(new URL(file, import.meta.url), { workerData })
    this.#worker = worker
    // What it knows is on the disk.
    worker.unref()
    worker.on('message', (message: FromBucket) => this.#take(worker, message))
    worker.on('error', (error) => this.#died(worker, error))
    worker.on('exit', () => this.#died(worker, new Error('the thread that uploads ended by itself')))
  }

  async #end(): Promise<void> {
    this.#timer?.cancel()
    const worker = this.#worker
    this.#worker = undefined
    this.#fail(
      new GatewayError('shutting_down', 'The object store was changed meanwhile.', { retry: 'later' }),
    )
    await worker?.terminate()
  }

  #ask(message: (id: number) => ToBucket): Promise<void> {
    const worker = this.#worker
    if (worker === undefined)
      return Promise.reject(
        new GatewayError('recording_unavailable', 'The object store cannot be asked at the moment.', {
          retry: 'later',
        }),
      )
    const id = this.#nextId++
    const waiting = Promise.withResolvers<void>()
    this.#waiting.set(id, waiting)
    worker.ref()
    worker.postMessage(message(id))
    return waiting.promise.finally(() => {
      if (this.#waiting.size === 0) worker.unref()
    })
  }

  #take(worker: Worker, message: FromBucket): void {
    if (worker !== this.#worker) return
    switch (message.kind) {
      case 'state':
        this.#state = message.state
        return
      case 'fault':
        this.#options.onFault(errorOf(message.fault))
        return
      case 'keys':
        void this.#answer(worker, message.id)
        return
      case 'done': {
        const waiting = this.#waiting.get(message.id)
        this.#waiting.delete(message.id)
        if (message.fault === undefined) waiting?.resolve()
        else waiting?.reject(errorOf(message.fault))
      }
    }
  }

  async #answer(worker: Worker, id: number): Promise<void> {
    const say = (message: ToBucket): void => worker.postMessage(message)
    try {
      say({ kind: 'keys', id, answer: await this.#keys() })
    } catch (error) {
      say({ kind: 'keys', id, answer: faultOf(error) })
    }
  }

  async #keys(): Promise<AccessKeys> {
    const { resolveSecret } = this.#options
    const { accessKey, secretKey } = this.#store?.secrets ?? {}
    if (accessKey === undefined || secretKey === undefined) throw new Error('no keys are configured')
    return {
      accessKeyId: (await resolveSecret(accessKey)).reveal(),
      secretAccessKey: (await resolveSecret(secretKey)).reveal(),
    }
  }

  #died(worker: Worker, error: unknown): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    this.#fail(
      new GatewayError('recording_unavailable', 'The thread that asks the object store has ended.', {
        retry: 'later',
      }),
    )
    this.#state = { ...this.#state, fault: faultOf(error), faults: this.#state.faults + 1 }
    this.#options.onFault(error)
    this.#timer = this.#options.clock.after(RESTART_MS, () => this.#begin())
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}
