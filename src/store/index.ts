import { join } from 'node:path'
import { Kysely, sql } from 'kysely'
import { GatewayError } from '../core/index.ts'
import { ApprovalRepository } from './approval-repository.ts'
import { BlockRepository } from './block-repository.ts'
import { BudgetRepository } from './budget-repository.ts'
import { ConfigurationRepository } from './configuration-repository.ts'
import { CredentialRepository } from './credential-repository.ts'
import { portDialect } from './dialect.ts'
import type { JoinOptions } from './join.ts'
import { migrate } from './migrations.ts'
import { NotificationRepository } from './notification-repository.ts'
import { PeopleRepository } from './people-repository.ts'
import type { Tables } from './schema.ts'
import { SealedSecretRepository } from './sealed-secret-repository.ts'
import { SessionIndexRepository } from './session-index-repository.ts'
import type { SharedStore } from './shared-store.ts'
import { SqlitePort } from './sqlite-port.ts'

export type { ActivatedConfiguration, Activation } from './configuration-repository.ts'
export { claimDataDirectory } from './data-directory.ts'
export type { DataDirectory } from './data-directory.ts'
export type { Change as StoreChange } from './change-feed.ts'
export type { SharedStore } from './shared-store.ts'

/**
 * The gateway's own database: what must outlive the process, behind the ports that the domains declare.
 *
 * Leaves to others what the rows mean, and everything on the path of a command, which reads from memory. Promise: a
 * promise that resolved is on the disk: it survives the process being killed, and the power going.
 */
export class Store {
  readonly credentials: CredentialRepository
  readonly sealedSecrets: SealedSecretRepository
  readonly approvals: ApprovalRepository
  readonly sessions: SessionIndexRepository
  readonly configurations: ConfigurationRepository
  readonly people: PeopleRepository
  readonly blocks: BlockRepository
  readonly budgets: BudgetRepository
  readonly notifications: NotificationRepository
  /** What is to be done with other gateways on this store; undefined where there are none. */
  readonly shared: SharedStore | undefined
  readonly #close: () => Promise<unknown>

  private constructor(
    db: Kysely<Tables>,
    scrub: () => Promise<void>,
    close: () => Promise<unknown>,
    shared?: SharedStore,
  ) {
    this.#close = close
    this.shared = shared
    this.credentials = new CredentialRepository(db)
    this.sealedSecrets = new SealedSecretRepository(db)
    this.approvals = new ApprovalRepository(db, scrub)
    this.sessions = new SessionIndexRepository(db, shared?.node)
    this.configurations = new ConfigurationRepository(db)
    this.people = new PeopleRepository(db)
    this.blocks = new BlockRepository(db)
    this.budgets = new BudgetRepository(db)
    this.notifications = new NotificationRepository(db)
  }

  /**
   * Opens `store.sqlite` in a data directory that was claimed before, and brings its tables up to date. `onFault`
   * hears of a store that stopped by itself: the gateway cannot go on without one. Throws `internal` for a file that
   * cannot be opened, `conflict` for one that a newer version wrote.
   */
  static async open(dataDirectory: string, onFault: (error: GatewayError) => void): Promise<Store> {
    const path = join(dataDirectory, 'store.sqlite')
    let opening = true
    const port = new SqlitePort(path, (error) => {
      if (!opening) onFault(error)
    })
    const db = new Kysely<Tables>({ dialect: portDialect(port) })
    try {
      await migrate(db)
    } catch (error) {
      const { fault } = port
      await port.close()
      throw fault === undefined ? error : cannotOpen(path, fault.cause)
    }
    opening = false
    const scrub = async (): Promise<void> => {
      const own = await port.exclusive()
      try {
        // What the pages were before stands in the log until then.
        await own.run('PRAGMA wal_checkpoint(TRUNCATE)')
      } finally {
        own.release()
      }
    }
    return new Store(db, scrub, async () => {
      await db.destroy()
      await port.close()
    })
  }

  /**
   * Opens a store in PostgreSQL, brings its tables up to date, and joins the gateways that use it under the name that
   * lies in the data directory. Throws `store_unavailable`, `conflict` for a store that a newer version wrote or a name
   * that another gateway runs under, `invalid` for a DSN that cannot be used and a store that would lose commits.
   */
  static async openShared(options: JoinOptions): Promise<Store> {
    // Loaded here, because a gateway that is alone starts faster without the driver.
    const { joinStore } = await import('./join.ts')
    const { db, close, shared } = await joinStore(options)
    // Of the table; what archives and replicas keep is theirs.
    const scrub = async (): Promise<void> => void (await sql`VACUUM approvals`.execute(db))
    return new Store(db, scrub, close, shared)
  }

  /** Finishes what was asked for and closes the file, or the connections. */
  async close(): Promise<void> {
    // What was asked for in this turn is still on its way through kysely's promises.
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    await this.#close()
  }
}

function cannotOpen(path: string, cause: unknown): GatewayError {
  const why = cause instanceof Error ? cause.message : 'the reason is unknown'
  return new GatewayError('internal', `The store ${path} cannot be opened: ${why}.`, {
    remedy: 'Check that the file is readable, whole and on a disk with room, or restore it from a copy.',
    cause,
  })
}
