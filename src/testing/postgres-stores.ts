import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestServer } from '../../test/support/postgres.ts'
import { startTestServer } from '../../test/support/postgres.ts'
import { eventually } from '../../test/support/wait.ts'
import { Secret, systemClock } from '../core/index.ts'
import { Store } from '../store/index.ts'

/** Stores on one PostgreSQL server. */
export type PostgresStores = {
  readonly server: TestServer
  /** What stores have told of. */
  readonly faults: unknown[]
  /** A database of its own, empty. */
  database(): Promise<string>
  /** A node on this database; `directory` when it is one that was there before. */
  open(database: string, directory?: string): Promise<Store>
  /** One that stays open until the end. */
  openForAll(database: string): Promise<Store>
  directory(): Promise<string>
  /** Closes what a test opened. */
  close(): Promise<void>
  stop(): Promise<void>
}

export async function startPostgresStores(): Promise<PostgresStores> {
  const server = await startTestServer(15)
  const opened: Store[] = []
  const lasting: Store[] = []
  const directories: string[] = []
  const faults: unknown[] = []
  let databases = 0
  const directory = async (): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), 'sluice-node-'))
    directories.push(made)
    return made
  }
  const close = async (): Promise<void> => {
    for (const store of opened.splice(0)) await store.close()
    for (const each of directories.splice(0)) await rm(each, { recursive: true })
    faults.splice(0)
  }
  const openAt = (database: string, dataDirectory: string): Promise<Store> =>
    Store.openShared({
      dataDirectory,
      postgres: { dsn: new Secret(`${server.dsn({ database })}?sslmode=disable`) },
      clock: systemClock,
      random: (length) => randomBytes(length),
      version: 'test',
      report: (error) => faults.push(error),
    })
  return {
    server,
    faults,
    directory,
    close,
    async database() {
      const database = `store_${++databases}`
      await server.sql(`create database ${database}`)
      return database
    },
    async open(database, at) {
      const store = await openAt(database, at ?? (await directory()))
      opened.push(store)
      return store
    },
    async openForAll(database) {
      const store = await openAt(database, await mkdtemp(join(tmpdir(), 'sluice-node-')))
      lasting.push(store)
      return store
    },
    async stop() {
      await close()
      for (const store of lasting) await store.close()
      // The pools have said goodbye; a server that stops before it has heard them complains to nobody's listener.
      await eventually('the connections of the stores to close', async () => {
        const rows = await server.sql("select 1 from pg_stat_activity where datname like 'store_%'")
        return rows.length === 0
      })
      await server.stop()
    },
  }
}
