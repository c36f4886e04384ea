import type { Kysely } from 'kysely'
import type { FeedState, Follow } from './change-feed.ts'
import { ChangeFeed } from './change-feed.ts'
import type { Clock } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { NodeState, ThisNode } from './nodes.ts'
import { Nodes } from './nodes.ts'
import { connectionOptions } from './postgres-dialect.ts'
import type { Tables } from './schema.ts'
import type { StoreTarget } from './store-dsn.ts'

export type SharedStoreOptions = {
  readonly target: StoreTarget
  readonly db: Kysely<Tables>
  readonly self: ThisNode
  readonly clock: Clock
  readonly report: (error: unknown) => void
}

/** What this gateway has to do with others on the same store. */
export class SharedStore {
  readonly #options: SharedStoreOptions
  readonly #nodes: Nodes
  readonly #feed: ChangeFeed

  private constructor(options: SharedStoreOptions) {
    this.#options = options
    this.#nodes = new Nodes(options.db)
    const { target, self, clock, report } = options
    const connection = connectionOptions(target, {
      application: `sluice ${self.node} changes`,
      statementMs: LIMITS.storeLookAnswerMs,
    })
    this.#feed = new ChangeFeed({ connection, clock, report, node: self.node, run: self.run })
  }

  /** Joins the others, and listens from then on. Throws `conflict` when another gateway has the name. */
  static async join(options: SharedStoreOptions): Promise<SharedStore> {
    const shared = new SharedStore(options)
    await shared.#nodes.join(options.self, options.clock.now())
    try {
      await shared.#feed.start()
    } catch (error) {
      await shared.leave()
      throw error
    }
    return shared
  }

  get node(): string {
    return this.#options.self.node
  }

  get state(): FeedState {
    return this.#feed.state
  }

  /** Whoever reads again what others change. */
  follow(follow: Follow): void {
    this.#feed.follow(follow)
  }

  async announce(address: string): Promise<void> {
    await this.#nodes.announce(this.#options.self, address)
  }

  async nodes(): Promise<readonly NodeState[]> {
    return await this.#nodes.all()
  }

  /** Stops listening and gives the name free, if the store is there. */
  async leave(): Promise<void> {
    await this.#feed.stop()
    await this.#nodes.leave(this.#options.self).catch(this.#options.report)
  }

  /** Why no session may be opened now; undefined when one may. */
  refusal(): GatewayError | undefined {
    const { behindMs } = this
    return behindMs > LIMITS.storeBehindMs ? behind(behindMs) : undefined
  }

  /** Why live sessions have to end now. */
  ending(): GatewayError | undefined {
    const { behindMs } = this
    return behindMs > LIMITS.storeAwayMs ? behind(behindMs) : undefined
  }

  /** A clock that was put back says nothing of how long it is; the next look does. */
  get behindMs(): number {
    return Math.abs(this.#options.clock.now() - this.state.upToDateAt)
  }
}

function behind(ms: number): GatewayError {
  return new GatewayError(
    'store_unavailable',
    'Wait: the gateway cannot see what was revoked, because its store is away.',
    {
      remedy: 'Connect again in a moment. Tell the operator of the gateway if it goes on.',
      retry: 'later',
      facts: { behindMs: ms },
    },
  )
}
