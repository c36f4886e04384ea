import type { ClientConfig } from 'pg'
import { Client } from 'pg'
import { z } from 'zod'
import type { Clock, Timer } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'
import { storeUnavailable } from './postgres-dialect.ts'
import { DATABASE_NOW, takenOver } from './nodes.ts'
import type { Topic } from './postgres-notifications.ts'
import { CHANNEL, TOPICS } from './postgres-notifications.ts'

/** Something that may have changed; without a key, anything of the topic. */
export type Change = { readonly topic: Topic; readonly key?: string }

/** Reads again what a change is about. Rejects when that was not possible: then it is asked again. */
export type Follow = (change: Change) => Promise<void>

/** How far a node is with what others change. */
export type FeedState = {
  /** Every change that was committed before this moment has been seen, by the clock of this node. */
  readonly upToDateAt: number
  /** How far the clock of the database is ahead of this node's, in milliseconds. */
  readonly clockAheadMs: number
}

export type ChangeFeedOptions = {
  readonly connection: ClientConfig
  readonly clock: Clock
  /** Told once of each kind of trouble, and when it is over. */
  readonly report: (error: unknown) => void
  /** Which node looks, and its run. */
  readonly node: string
  readonly run: string
}

const notice = z.object({
  schema: z.string(),
  topic: z.enum(TOPICS),
  revision: z.int(),
  key: z.string().nullable(),
})

const beat = z.object({ schema: z.string(), now: z.number() })
const counted = z.object({ topic: z.string(), revision: z.number() })

const BEAT = `update nodes set seen_at = ${DATABASE_NOW} where node = $1 and run = $2
  returning seen_at as now, current_schema() as schema`

/** So many of one topic are read one by one; of more, the topic is read at once. */
const KEYS_MAX = 100

/**
 * What other nodes change, heard of by notifications and found by a look once a second, which also finds what a
 * notification did not bring. A notification is only a reason to read again; a revision that is not the next one, a
 * reason to read the whole topic.
 */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions
  /** The revision up to which each topic has been seen or is in `#waiting`. */
  readonly #revisions = new Map<Topic, number>()
  /** What is to be read again: keys, or the whole topic. */
  readonly #waiting = new Map<Topic, Set<string> | 'all'>()
  #follow: Follow | undefined
  #following: Promise<boolean> | undefined
  #client: Client | undefined
  #schema = ''
  #upToDateAt: number
  #clockAheadMs = 0
  #trouble: string | undefined
  #timer: Timer | undefined
  #looking: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: ChangeFeedOptions) {
    this.#options = options
    this.#upToDateAt = options.clock.now()
  }

  /** Listens from now on: what is read from the store after this is followed by what changes after it was read. */
  async start(): Promise<void> {
    await this.#look()
    this.#waiting.clear()
    this.#later()
  }

  /** Whoever reads again. What has changed since the start is given to it at once. */
  follow(follow: Follow): void {
    this.#follow = follow
    void this.#catchUp()
  }

  get state(): FeedState {
    return { upToDateAt: this.#upToDateAt, clockAheadMs: this.#clockAheadMs }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    const client = this.#client
    this.#client = undefined
    void client?.end().catch(() => undefined)
    await this.#looking
    await this.#following
  }

  #later(): void {
    if (this.#stopped) return
    this.#timer = this.#options.clock.after(LIMITS.storeLookMs, () => {
      this.#looking = this.#lookAgain()
    })
  }

  async #lookAgain(): Promise<void> {
    const begun = this.#options.clock.now()
    try {
      await this.#look()
      if (this.#follow === undefined || (await this.#catchUp())) {
        this.#upToDateAt = begun
        this.#say(undefined)
      }
    } catch (error) {
      this.#drop()
      this.#say(error)
    }
    this.#later()
  }

  /** Says that this node is there, and compares every revision with what has been seen. */
  async #look(): Promise<void> {
    const { clock, node, run } = this.#options
    const client = this.#client ?? (await this.#connect())
    const begun = clock.now()
    const [row] = (await client.query(BEAT, [node, run])).rows
    if (row === undefined) throw takenOver(node)
    const at = beat.parse(row)
    this.#clockAheadMs = Math.round(at.now - (begun + clock.now()) / 2)
    this.#schema = at.schema
    const { rows } = await client.query('select topic, revision from changes')
    for (const row of rows) {
      const { topic: name, revision } = counted.parse(row)
      const topic = TOPICS.find((each) => each === name)
      if (topic === undefined || this.#revisions.get(topic) === revision) continue
      this.#revisions.set(topic, revision)
      this.#waiting.set(topic, 'all')
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client(this.#options.connection)
    client.on('error', () => this.#drop(client))
    client.on('end', () => this.#drop(client))
    client.on('notification', ({ payload }) => this.#heard(payload))
    try {
      await client.connect()
      // That a node was there need not survive anything.
      await client.query(`set synchronous_commit = off; listen ${CHANNEL}`)
    } catch (error) {
      void client.end().catch(() => undefined)
      throw storeUnavailable(error)
    }
    if (this.#stopped) {
      void client.end().catch(() => undefined)
      throw new GatewayError('shutting_down', 'The store is closed.')
    }
    this.#client = client
    return client
  }

  #drop(client = this.#client): void {
    if (client === undefined || client !== this.#client) return
    this.#client = undefined
    void client.end().catch(() => undefined)
  }

  #heard(payload: string | undefined): void {
    const parsed = notice.safeParse(jsonOf(payload))
    // Somebody else may notify here; what is missed is found by the next look.
    if (!parsed.success || parsed.data.schema !== this.#schema) return
    const { topic, revision, key } = parsed.data
    const known = this.#revisions.get(topic) ?? 0
    if (revision <= known) return
    this.#revisions.set(topic, revision)
    const keys = this.#waiting.get(topic) ?? new Set<string>()
    if (keys === 'all') return
    if (revision === known + 1 && key !== null && keys.size < KEYS_MAX)
      this.#waiting.set(topic, keys.add(key))
    else this.#waiting.set(topic, 'all')
    void this.#catchUp()
  }

  /** Reads again what waits; false when something could not be read, which then waits on. */
  #catchUp(): Promise<boolean> {
    this.#following ??= this.#readWaiting().finally(() => {
      this.#following = undefined
    })
    return this.#following
  }

  async #readWaiting(): Promise<boolean> {
    const follow = this.#follow
    if (follow === undefined) return false
    let isWhole = true
    const failed = new Set<Topic>()
    for (;;) {
      const next = [...this.#waiting].find(([topic]) => !failed.has(topic))
      if (next === undefined) return isWhole
      const [topic, keys] = next
      this.#waiting.delete(topic)
      try {
        if (keys === 'all') await follow({ topic })
        else for (const key of keys) await follow({ topic, key })
      } catch (error) {
        isWhole = false
        failed.add(topic)
        this.#waiting.set(topic, 'all')
        this.#say(error)
      }
    }
  }

  /** Once, until it is something else or over. */
  #say(error: unknown): void {
    const trouble = error === undefined ? undefined : error instanceof Error ? error.message : 'unknown'
    if (trouble === this.#trouble || this.#stopped) return
    this.#trouble = trouble
    this.#options.report(
      error ??
        new GatewayError('store_unavailable', 'The store can be used again, and was followed up to now.'),
    )
  }
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
