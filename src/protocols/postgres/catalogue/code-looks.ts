import type { Clock, Connection } from '../../../core/index.ts'
import type { Session } from '../../../session/index.ts'
import type { PostgresSettings } from '../settings.ts'
import type { UpstreamPorts } from '../startup/upstream.ts'
import { openUpstream, UpstreamClient } from '../startup/upstream.ts'
import { QUIET_QUERY, quietOf } from './quiet-code.ts'

type Quiet = ReturnType<typeof quietOf>
/** What code of users does that runs without being named. */
export type SeenCode = {
  /** Nothing of it could change settings. */
  readonly quiet: Quiet
  /** Nothing of it could change more than the rows that the server has counted when the command has run. */
  readonly counted: Quiet
  /** There is nothing of it that could run, whatever it does, while what reads or writes these is only planned: named as read. */
  readonly planned: Quiet
}
type Look = { readonly seen: Promise<SeenCode | undefined>; readonly at: number }

/** For so long what was seen counts as what is there: as definitions are looked at elsewhere. */
const SEEN_MS = 2_000
const LOOK_MS = 10_000

/**
 * What removes rows past every count, what no rollback undoes, and what has triggers wait until after it; dynamic SQL, and languages that nobody reads, count as
 * that anyway. Words in comments count: what is refused by them is only an approval for a number of rows.
 */
const UNCOUNTED =
  /\btruncate\b|\bconstraints\b|\b(?:create|drop|alter)\s+(?:(?:or\s+replace|global|local|temp|temporary|unlogged|foreign|materialized)\s+)*(?:table|view|schema|index|sequence|function|trigger|rule|extension|database|type|domain)\b|\brefresh\s+materialized\b|\blo_\w+|\blowrite\b|\bsetval\b/i

const ANY = /(?:)/

/** Looks at the code of users in a database when somebody is about to be asked about a command: never before. */
export class CodeLooks {
  readonly #ports: UpstreamPorts & { readonly clock: Clock }
  /** Of each connection as it is configured, by database. */
  readonly #seen = new WeakMap<Connection, Map<string, Look>>()

  constructor(ports: UpstreamPorts & { readonly clock: Clock }) {
    this.#ports = ports
  }

  /**
   * Recorded as the gateway's own command in this session; who asks meanwhile, or just afterwards, is told the same. Undefined: it could
   * not be looked.
   */
  look(
    session: Session,
    connection: Connection<PostgresSettings>,
    database: string,
  ): Promise<SeenCode | undefined> {
    let all = this.#seen.get(connection)
    if (all === undefined) this.#seen.set(connection, (all = new Map()))
    const looks = all
    const known = looks.get(database)
    const at = this.#ports.clock.now()
    if (known !== undefined && at - known.at < SEEN_MS) return known.seen
    const seen = this.#look(session, connection, database)
    const look = { seen, at }
    looks.set(database, look)
    void seen.then((found) => {
      if (found === undefined && looks.get(database) === look) looks.delete(database)
    })
    return seen
  }

  async #look(
    session: Session,
    connection: Connection<PostgresSettings>,
    database: string,
  ): Promise<SeenCode | undefined> {
    let read: Promise<SeenCode | undefined> | undefined
    try {
      await session.own('code', QUIET_QUERY, async () => {
        read = this.#read(connection, database)
        return (await read) === undefined ? 'unknown' : 'seen'
      })
    } catch {
      // The recording is not to be had, or the session has ended: it is told so by what it does next.
    }
    return await read
  }

  async #read(connection: Connection<PostgresSettings>, database: string): Promise<SeenCode | undefined> {
    const parameters = new Map([
      ['application_name', 'sluice definitions'],
      ['client_encoding', 'UTF8'],
      ['standard_conforming_strings', 'on'],
      ['default_transaction_read_only', 'on'],
      ['statement_timeout', String(LOOK_MS)],
    ])
    try {
      const open = await openUpstream(this.#ports, connection.settings, database, parameters, 0)
      const client = new UpstreamClient(open)
      const timer = this.#ports.clock.after(LOOK_MS, () => open.pipe.destroy())
      try {
        const rows = await client.query(QUIET_QUERY)
        return { quiet: quietOf(rows), counted: quietOf(rows, UNCOUNTED), planned: quietOf(rows, ANY) }
      } finally {
        timer.cancel()
        client.close()
      }
    } catch {
      return undefined
    }
  }
}
