import { styleText } from 'node:util'
import type { Command } from 'commander'
import { GatewayError } from '../core/index.ts'
import { safeText } from '../recording/index.ts'
import type { Common } from './context.ts'
import { print, UsageError } from './context.ts'
import type { MintOptions } from './credentials.ts'
import { dsnOf, giveBack, isToken, mint, mintCommand, urlOf } from './credentials.ts'
import type { SqlNotice } from './sql-error.ts'
import { noticeOf, noticeText, SqlError } from './sql-error.ts'
import { table } from './table.ts'

type QueryOptions = MintOptions & { readonly body?: string }

const CONNECT_MS = 30_000

/** `sluice query`: one statement or request with a credential of its own, for where there is no psql or curl. */
export function addQueryCommand(program: Command): void {
  mintCommand(
    program,
    'query',
    'send SQL, or a request such as "GET /customers/1", and print what comes back',
  )
    .argument('<text>', 'SQL, or METHOD /path')
    .option('--body <text>', 'the body of a request, as JSON')
    .action(async (connection: string, text: string, options: QueryOptions) => {
      const made = await mint(connection, undefined, options)
      try {
        if (isToken(made)) await sendRequest(urlOf(made), made.secret, text, options)
        else await sendSql(dsnOf(made), text, options)
      } finally {
        await giveBack(made, options)
      }
    })
}

async function sendSql(dsn: string, text: string, options: Common): Promise<void> {
  // Loaded here, because every other command starts faster without it.
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionString: dsn,
    application_name: 'sluice query',
    connectionTimeoutMillis: CONNECT_MS,
    // Values as the server wrote them: what is shown is what came.
    types: { getTypeParser: () => (value: string) => value },
  })
  const notices: SqlNotice[] = []
  client.on('notice', (message) => {
    const notice = noticeOf(message)
    notices.push(notice)
    // At once: it may be what somebody has to answer before anything else comes.
    if (options.json !== true) process.stderr.write(`${noticeText(notice)}\n`)
  })
  // An error that ends the connection also rejects the query; without a listener it would end this process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    const answer: unknown = await client.query({ text, rowMode: 'array' })
    const results = (Array.isArray(answer) ? answer : [answer]).map(resultOf)
    print(options, { results, notices }, () => results.map(resultText).join('\n\n'))
  } catch (error) {
    if (error instanceof pg.DatabaseError) throw new SqlError(noticeOf(error), notices)
    throw new GatewayError('upstream_unreachable', 'The line to the gateway was cut.', { cause: error })
  } finally {
    await client.end().catch(() => undefined)
  }
}

type Result = {
  readonly command: string
  readonly rowCount: number | null
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
}

function resultOf(answer: unknown): Result {
  const of = typeof answer === 'object' && answer !== null ? answer : {}
  const fields: unknown[] = 'fields' in of && Array.isArray(of.fields) ? of.fields : []
  const rows: unknown[] = 'rows' in of && Array.isArray(of.rows) ? of.rows : []
  return {
    command: 'command' in of && typeof of.command === 'string' ? of.command : '',
    rowCount: 'rowCount' in of && typeof of.rowCount === 'number' ? of.rowCount : null,
    columns: fields.map((field) =>
      typeof field === 'object' && field !== null && 'name' in field ? String(field.name) : '',
    ),
    rows: rows.map((row) =>
      (Array.isArray(row) ? row : []).map((value: unknown) => (typeof value === 'string' ? value : null)),
    ),
  }
}

function resultText(result: Result): string {
  if (result.columns.length === 0)
    return `${result.command}${result.rowCount === null ? '' : ` ${result.rowCount}`}`
  const numeric = result.columns.map(
    (_, index) =>
      result.rows.some((row) => row[index] != null) &&
      result.rows.every((row) => row[index] == null || /^-?\d+(\.\d+)?$/.test(row[index] ?? '')),
  )
  const shown = table(
    result.columns.map((title, index) => ({ title, right: numeric[index] === true })),
    result.rows.map((row) => row.map((value) => value ?? 'NULL')),
  )
  const count = result.rows.length
  return `${shown}\n(${count} row${count === 1 ? '' : 's'})`
}

async function sendRequest(base: string, token: string, text: string, options: QueryOptions): Promise<void> {
  const [, method, path] = /^\s*([A-Za-z]+)\s+(\/\S*)\s*$/.exec(text) ?? []
  if (method === undefined || path === undefined) {
    throw new UsageError(
      'This connection takes requests: write a method and a path, as in "GET /customers/1".',
    )
  }
  // Loaded here, because what goes to a database starts faster without it.
  const { request } = await import('undici')
  const answer = await request(base + path, {
    method: method.toUpperCase(),
    headers: {
      authorization: `Bearer ${token}`,
      'user-agent': 'sluice query',
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(options.body === undefined ? {} : { body: options.body }),
    headersTimeout: 0,
  }).catch((cause: unknown) => {
    throw new GatewayError('upstream_unreachable', 'The gateway does not answer.', { cause })
  })
  const body = await answer.body.text()
  const masked = answer.headers['sluice-masked']
  if (answer.statusCode >= 400) process.exitCode = 1
  print(options, { status: answer.statusCode, masked: masked ?? null, body: jsonOr(body) }, () =>
    [
      styleText(answer.statusCode < 400 ? 'green' : 'red', `HTTP ${answer.statusCode}`),
      ...(masked === undefined ? [] : [`Sluice-Masked: ${safeText(String(masked))}`]),
      '',
      pretty(body),
    ].join('\n'),
  )
}

function jsonOr(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    // Not JSON: shown as it came.
    return body
  }
}

function pretty(body: string): string {
  const read = jsonOr(body)
  return safeText(typeof read === 'string' ? read : JSON.stringify(read, undefined, 2))
}
