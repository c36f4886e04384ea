import { Worker } from 'node:worker_threads'
import { GatewayError, LIMITS } from '../core/index.ts'
import type {
  Outcome,
  Reply as AnyReply,
  Request,
  SqlValue,
  Statement,
  StoreWorkerData,
} from './worker-messages.ts'

/** A statement the database refused. Names tables and columns, never a value. */
export class StatementError extends Error {
  override readonly name = 'StatementError'
  /** SQLite's extended result code (https://www.sqlite.org/rescode.html). */
  readonly code: number | undefined

  constructor(message: string, code: number | undefined) {
    super(message)
    this.code = code
  }
}

type Reply = AnyReply<never>

/** Rows for whoever asked: the query gives them their type, the schema makes it true. */
export type Rows = { readonly rows: never[]; readonly changes: number }

type Waiting = {
  readonly statement: Statement
  readonly resolve: (rows: Rows) => void
  readonly reject: (error: unknown) => void
}

/** One caller's own use of the database: statements one after the other, nobody else's in between. */
export interface Exclusive {
  run(sql: string, parameters?: readonly SqlValue[]): Promise<Rows>
  release(): void
}

/**
 * The database as a port: statements go in, rows come out when they are on the disk.
 *
 * While one batch is with the worker, statements gather; then they go together and share one commit (group commit).
 * A transaction has the database to itself from beginning to end, and takes turns with the batches.
 */
export class SqlitePort {
  readonly #worker: Worker
  readonly #replies = new Map<number, (reply: Reply) => void>()
  readonly #stopped: Promise<void>
  #gathered: Waiting[] = []
  #exclusive: ((exclusive: Exclusive) => void)[] = []
  #busy = false
  #requests = 0
  #fault: GatewayError | undefined
  #closing = false

  /**
   * Opens the file, making it when it is missing. `onFault` hears of a worker that ended by itself: from then on
   * every statement fails, and the process should end.
   */
  constructor(path: string, onFault: (error: GatewayError) => void) {
    const settings: StoreWorkerData = { path, busyMs: LIMITS.storeBusyMs }
    this.#worker = new Worker(new URL('./store-worker.ts', import.meta.url), {
      name: 'sluice-store',
      workerData: settings,
      // Flags of the parent (a test runner's loader) are not for this thread.
      execArgv: [],
    })
    this.#worker.on('message', (reply: Reply) => {
      const settle = this.#replies.get(reply.id)
      this.#replies.delete(reply.id)
      settle?.(reply)
    })
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#stopped = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#stop(cause)
        if (!this.#closing && this.#fault !== undefined) onFault(this.#fault)
        resolve()
      })
    })
  }

  /** Why it stopped, once it has. */
  get fault(): GatewayError | undefined {
    return this.#fault
  }

  /** Runs one statement. Resolves when what it did is committed. */
  async run(sql: string, parameters: readonly SqlValue[] = []): Promise<Rows> {
    return await new Promise<Rows>((resolve, reject) => {
      if (this.#closing || this.#fault !== undefined) return reject(this.#refusal())
      if (this.#gathered.length >= LIMITS.storeQueueMax) {
        return reject(new GatewayError('limit_exceeded', 'The store cannot keep up.', { retry: 'later' }))
      }
      this.#gathered.push({ statement: { sql, parameters }, resolve, reject })
      // In a microtask, so that what one turn asks for goes together.
      queueMicrotask(() => this.#next())
    })
  }

  /** Waits for the database to be this caller's alone. Until `release`, everybody else waits. */
  async exclusive(): Promise<Exclusive> {
    return await new Promise<Exclusive>((resolve, reject) => {
      if (this.#closing || this.#fault !== undefined) return reject(this.#refusal())
      this.#exclusive.push(resolve)
      queueMicrotask(() => this.#next())
    })
  }

  /** Takes nothing new, finishes what was asked for, then closes the file. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true
      this.#next()
    }
    await this.#stopped
  }

  #next(): void {
    if (this.#busy || this.#fault !== undefined) return
    if (this.#gathered.length > 0) {
      void this.#sendGathered()
      return
    }
    const next = this.#exclusive.shift()
    if (next !== undefined) {
      this.#busy = true
      next(this.#grant())
    } else if (this.#closing) {
      this.#busy = true
      void this.#ask('close', [])
    }
  }

  async #sendGathered(): Promise<void> {
    this.#busy = true
    const batch = this.#gathered.splice(0, LIMITS.storeBatchMax)
    const { outcomes } = await this.#ask(
      'together',
      batch.map((each) => each.statement),
    )
    batch.forEach((each, index) => settle(outcomes[index], each))
    this.#busy = false
    // A transaction that waits has its turn before the next batch, or a stream of statements would starve it.
    const next = this.#exclusive.shift()
    if (next === undefined || this.#fault !== undefined) return this.#next()
    this.#busy = true
    next(this.#grant())
  }

  #grant(): Exclusive {
    let released = false
    return {
      run: async (sql, parameters = []) => {
        if (released) throw new Error('a statement came after its transaction had ended')
        const { outcomes } = await this.#ask('raw', [{ sql, parameters }])
        return await new Promise<Rows>((resolve, reject) => {
          settle(outcomes[0], { resolve, reject })
        })
      },
      release: () => {
        if (released) return
        released = true
        this.#busy = false
        this.#next()
      },
    }
  }

  async #ask(kind: Request['kind'], statements: readonly Statement[]): Promise<Reply> {
    const id = ++this.#requests
    if (this.#fault !== undefined) return this.#lost(id, statements)
    return await new Promise<Reply>((resolve) => {
      // After a fault the replies that will never come are answered by `#stop`.
      this.#replies.set(id, (reply) =>
        resolve(reply.outcomes.length === 0 && kind !== 'close' ? this.#lost(id, statements) : reply),
      )
      const request: Request = { id, kind, statements }
      this.#worker.postMessage(request)
    })
  }

  #lost(id: number, statements: readonly Statement[]): Reply {
    return {
      id,
      outcomes: statements.map(() => ({
        kind: 'failed',
        message: 'the store stopped before it answered',
        code: undefined,
      })),
    }
  }

  #stop(cause: unknown): void {
    this.#fault = this.#closing
      ? new GatewayError('shutting_down', 'The store is closed.', { cause })
      : new GatewayError('internal', 'The store has stopped.', { cause })
    for (const [id, settle] of this.#replies) settle({ id, outcomes: [] })
    this.#replies.clear()
    for (const each of this.#gathered) each.reject(this.#fault)
    this.#gathered = []
    // Whoever waits for a turn gets it, and then hears at its first statement that the store has stopped.
    for (const grant of this.#exclusive) grant(this.#grant())
    this.#exclusive = []
  }

  #refusal(): GatewayError {
    return this.#fault ?? new GatewayError('shutting_down', 'The store is closing.', { retry: 'later' })
  }
}

function settle(outcome: Outcome<never> | undefined, to: Pick<Waiting, 'resolve' | 'reject'>): void {
  if (outcome === undefined) to.reject(new Error('the store gave no answer to a statement'))
  else if (outcome.kind === 'failed') to.reject(new StatementError(outcome.message, outcome.code))
  else to.resolve(outcome)
}
