import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely'
import { PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { ClientConfig, PoolClient } from 'pg'
import { DatabaseError, Pool, types } from 'pg'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { StoreTarget } from './store-dsn.ts'

/** The oid of the type bigint. */
const INT8 = 20

/** How a connection is made: by which name the server knows it, and how long one statement may take. */
export type ConnectionSettings = { readonly application: string; readonly statementMs: number }

/** The settings of every connection to the store: nothing waits for ever, and a bigint is a number. */
export function connectionOptions(
  { options }: StoreTarget,
  { application, statementMs }: ConnectionSettings,
): ClientConfig {
  return {
    ...options,
    application_name: application,
    options: '-c default_transaction_isolation=read\\ committed',
    connectionTimeoutMillis: LIMITS.storeConnectMs,
    // The server gives up first: what was given up did not happen.
    statement_timeout: statementMs,
    query_timeout: statementMs + 1_000,
    keepAlive: true,
    types: {
      getTypeParser: (id: number, format?: 'text' | 'binary') =>
        id === INT8 ? Number : types.getTypeParser(id, format),
    },
  }
}

/**
 * Kysely's dialect of PostgreSQL over a pool, of which no connection is used again once it broke, and whose errors say
 * whether it was the statement (as they are) or the server (`store_unavailable`).
 */
export function postgresDialect(target: StoreTarget, settings: ConnectionSettings): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PoolDriver(target, settings),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

class PoolDriver implements Driver {
  readonly #pool: Pool

  constructor(target: StoreTarget, settings: ConnectionSettings) {
    this.#pool = new Pool({ ...connectionOptions(target, settings), max: LIMITS.storeConnectionsMax })
    // A connection that is lost while nobody waits for it is replaced by the next that is asked for; one that is lost
    // under a query tells the query.
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  async init(): Promise<void> {
    // The pool connects when it is asked for a connection.
  }

  async acquireConnection(): Promise<StoreConnection> {
    try {
      return new StoreConnection(await this.#pool.connect())
    } catch (error) {
      throw storeUnavailable(error)
    }
  }

  async beginTransaction(connection: StoreConnection): Promise<void> {
    await connection.run('begin')
  }

  async commitTransaction(connection: StoreConnection): Promise<void> {
    // A transaction in which something failed ends like this without an error.
    if ((await connection.run('commit')).command === 'ROLLBACK')
      throw new Error('the store rolled a transaction back that was to be committed')
  }

  async rollbackTransaction(connection: StoreConnection): Promise<void> {
    await connection.run('rollback')
  }

  async releaseConnection(connection: StoreConnection): Promise<void> {
    connection.release()
  }

  async destroy(): Promise<void> {
    await this.#pool.end()
  }
}

class StoreConnection implements DatabaseConnection {
  readonly #client: PoolClient
  #broken = false

  constructor(client: PoolClient) {
    this.#client = client
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, rowCount } = await this.run(query.sql, query.parameters)
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
  }

  async run(sql: string, parameters: readonly unknown[] = []) {
    try {
      return await this.#client.query<never>(sql, [...parameters])
    } catch (error) {
      const told = storeError(error)
      this.#broken ||= told !== error
      throw told
    }
  }

  release(): void {
    this.#client.release(this.#broken)
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the store does not stream: ask for pages')
  }
}

/** SQLSTATEs about the server and not the statement: away, full, canceled, a standby, damaged. */
const OF_THE_SERVER = /^(?:08|53|57|58|XX|25006)/

/** `store_unavailable` for what says nothing about the statement; everything else as it is. */
export function storeError(error: unknown): unknown {
  if (error instanceof DatabaseError && !OF_THE_SERVER.test(error.code ?? '')) return error
  return storeUnavailable(error)
}

export function storeUnavailable(error: unknown): GatewayError {
  return new GatewayError(
    'store_unavailable',
    `Wait: the store of the gateway cannot be used (${whyOf(error)}).`,
    {
      remedy: 'Tell the operator of the gateway if it goes on.',
      retry: 'later',
      cause: error,
    },
  )
}

/** A code, in which nothing can stand that is nobody's business. */
function whyOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'no answer'
}
