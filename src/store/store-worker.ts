import type { StatementSync } from 'node:sqlite'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Outcome, Reply, Request, Statement, StoreWorkerData } from './worker-messages.ts'

/**
 * The one thread that has the database file. SQLite's calls block, and a commit waits for the disk: here, that holds
 * up nobody else. Statements that came together are committed together, and answered only when that is on the disk.
 */

/** Prepared statements kept; the repositories have fewer than a hundred. */
const PREPARED_MAX = 500

if (parentPort === null) throw new Error('the store worker runs as a worker')
const port = parentPort
const settings: StoreWorkerData = workerData

const database = new DatabaseSync(settings.path, {
  timeout: settings.busyMs,
  enableForeignKeyConstraints: true,
  enableDoubleQuotedStringLiterals: false,
  allowExtension: false,
})
database.exec('PRAGMA journal_mode = WAL')
// NORMAL loses commits at a power cut: measured. FULL syncs the log at every commit.
database.exec('PRAGMA synchronous = FULL')
database.exec('PRAGMA trusted_schema = OFF')
// What is deleted or replaced is overwritten: texts that were erased would stay in free pages.
database.exec('PRAGMA secure_delete = ON')

const prepared = new Map<string, StatementSync>()

function prepare(sql: string): StatementSync {
  const known = prepared.get(sql)
  if (known !== undefined) return known
  const statement = database.prepare(sql)
  if (prepared.size >= PREPARED_MAX) prepared.clear()
  prepared.set(sql, statement)
  return statement
}

function run({ sql, parameters }: Statement): Outcome<unknown> {
  try {
    const statement = prepare(sql)
    if (statement.columns().length > 0) {
      return { kind: 'rows', rows: statement.all(...parameters), changes: 0 }
    }
    return { kind: 'rows', rows: [], changes: Number(statement.run(...parameters).changes) }
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): Outcome<unknown> {
  const message = error instanceof Error ? error.message : String(error)
  const code =
    error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
      ? error.errcode
      : undefined
  return { kind: 'failed', message, code }
}

function together(statements: readonly Statement[]): readonly Outcome<unknown>[] {
  const outcomes: Outcome<unknown>[] = []
  try {
    database.exec('BEGIN')
    for (const statement of statements) {
      const outcome = run(statement)
      // A full or failing disk makes SQLite roll back everything; what went before in this batch is undone as well.
      if (outcome.kind === 'failed' && !database.isTransaction) return statements.map(() => outcome)
      outcomes.push(outcome)
    }
    database.exec('COMMIT')
    return outcomes
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    return statements.map(() => failed(error))
  }
}

function answer(request: Request): readonly Outcome<unknown>[] {
  switch (request.kind) {
    case 'together':
      return together(request.statements)
    case 'raw':
      return request.statements.map(run)
    case 'close':
      prepared.clear()
      database.close()
      return []
  }
}

port.on('message', (request: Request) => {
  const reply: Reply<unknown> = { id: request.id, outcomes: answer(request) }
  port.postMessage(reply)
  if (request.kind === 'close') port.close()
})
