import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely'
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { Exclusive, SqlitePort } from './sqlite-port.ts'
import type { SqlValue } from './worker-messages.ts'

/**
 * Kysely's SQLite dialect over the port. Kysely's own lets one statement through at a time, since it takes the
 * database for one connection; here many may be under way, and those that meet share a commit.
 */
export function portDialect(port: SqlitePort): Dialect {
  return {
    createAdapter: () => new PortAdapter(),
    createDriver: () => new PortDriver(port),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class PortAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }

  /** SQLite's definitions do take part in transactions, so a migration happens as a whole or not at all. */
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class PortDriver implements Driver {
  readonly #port: SqlitePort

  constructor(port: SqlitePort) {
    this.#port = port
  }

  async init(): Promise<void> {
    // The worker opens the file by itself.
  }

  async acquireConnection(): Promise<PortConnection> {
    return new PortConnection(this.#port)
  }

  async beginTransaction(connection: PortConnection): Promise<void> {
    await connection.begin()
  }

  async commitTransaction(connection: PortConnection): Promise<void> {
    await connection.end('COMMIT')
  }

  async rollbackTransaction(connection: PortConnection): Promise<void> {
    await connection.end('ROLLBACK')
  }

  async releaseConnection(connection: PortConnection): Promise<void> {
    await connection.end('ROLLBACK')
  }

  async destroy(): Promise<void> {
    await this.#port.close()
  }
}

class PortConnection implements DatabaseConnection {
  readonly #port: SqlitePort
  #exclusive: Exclusive | undefined

  constructor(port: SqlitePort) {
    this.#port = port
  }

  async begin(): Promise<void> {
    const exclusive = await this.#port.exclusive()
    try {
      await exclusive.run('BEGIN IMMEDIATE')
    } catch (error) {
      exclusive.release()
      throw error
    }
    this.#exclusive = exclusive
  }

  /** Ends the transaction, if there is one. A commit that fails leaves it to the rollback that kysely sends next. */
  async end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    const exclusive = this.#exclusive
    if (exclusive === undefined) return
    try {
      await exclusive.run(how)
    } catch (error) {
      if (how === 'COMMIT') throw error
      // SQLite has rolled back by itself (a full disk); the fault that made it do so is on its way to the caller.
      if (!(error instanceof Error && error.message.includes('no transaction is active'))) throw error
    } finally {
      if (how === 'ROLLBACK') this.#release()
    }
    this.#release()
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await (this.#exclusive ?? this.#port).run(
      query.sql,
      query.parameters.map(sqlValue),
    )
    return { rows, numAffectedRows: BigInt(changes) }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the store does not stream: ask for pages')
  }

  #release(): void {
    this.#exclusive?.release()
    this.#exclusive = undefined
  }
}

function sqlValue(value: unknown): SqlValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value
    default:
      if (value === null || value instanceof Uint8Array) return value
      throw new Error(`a value of type ${typeof value} has no place in the store`)
  }
}
