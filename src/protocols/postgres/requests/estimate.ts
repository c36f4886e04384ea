import type { Clock, Connection } from '../../../core/index.ts'
import type { PostgresSettings } from '../settings.ts'
import type { BoundParameters, UpstreamPorts } from '../startup/upstream.ts'
import { openUpstream, UpstreamClient } from '../startup/upstream.ts'

/** What a planner is asked about. */
export type Planned = { readonly text: string; readonly parameters: BoundParameters }

const EXPLAIN = 'EXPLAIN (FORMAT JSON) '

/** What is sent upstream, for the recording. */
export function explained({ text }: Planned): string {
  return `${EXPLAIN}${text}`
}

/**
 * How many rows the server's planner expects a statement to return or change; undefined: it cannot be told. Asked on a
 * session of its own, in which nothing can be written, since planning may call functions. It knows nothing of temporary
 * and uncommitted objects, nor of statements that SQL has prepared: those are unknown, as is what it needs longer for than `withinMs`.
 */
export async function estimateRows(
  ports: UpstreamPorts & { readonly clock: Pick<Clock, 'after'> },
  connection: Connection<PostgresSettings>,
  database: string,
  searchPath: readonly string[] | undefined,
  planned: Planned,
  withinMs: number,
): Promise<number | undefined> {
  const parameters = new Map([
    ['application_name', 'sluice estimate'],
    ['client_encoding', 'UTF8'],
    ['standard_conforming_strings', 'on'],
    ['default_transaction_read_only', 'on'],
    ['statement_timeout', String(withinMs)],
  ])
  if (searchPath !== undefined) {
    parameters.set('search_path', searchPath.map((each) => `"${each.replaceAll('"', '""')}"`).join(', '))
  }
  try {
    const open = await openUpstream(ports, connection.settings, database, parameters, 0)
    const client = new UpstreamClient(open)
    const timer = ports.clock.after(withinMs, () => open.pipe.destroy())
    try {
      const rows = await client.prepared(explained(planned), planned.parameters)
      return rowsOf(rows.map(([line]) => line ?? '').join('\n'))
    } finally {
      timer.cancel()
      client.close()
    }
  } catch {
    // What the server says may quote the statement: the estimate is unknown, and that is all.
    return undefined
  }
}

/** Of a plan as JSON: what its topmost node gives, or what those below change. */
export function rowsOf(json: string): number | undefined {
  const plans: unknown = JSON.parse(json)
  const top = Array.isArray(plans) && plans.length === 1 ? field(plans[0], 'Plan') : undefined
  const own = field(top, 'Plan Rows')
  if (typeof own !== 'number') return undefined
  const below = field(top, 'Plans')
  if (field(top, 'Node Type') !== 'ModifyTable' || !Array.isArray(below)) return Math.ceil(own)
  let changed = 0
  for (const each of below) {
    const rows = field(each, 'Plan Rows')
    if (typeof rows !== 'number') return undefined
    changed += rows
  }
  return Math.ceil(Math.max(own, changed))
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
