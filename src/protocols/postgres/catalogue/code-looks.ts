import type { Clock, Connection } from '../../../core/index.ts'
import type { Session } from '../../../session/index.ts'
import type { PostgresSettings } from '../settings.ts'
import type { UpstreamPorts } from '../startup/upstream.ts'
import { openUpstream, UpstreamClient } from '../startup/upstream.ts'
import { QUIET_QUERY, quietOf } from './quiet-code.ts'

type Quiet = ReturnType<typeof quietOf>
type Look = { readonly quiet: Quiet; readonly at: number }

/** For so long what was seen counts as what is there: as definitions are looked at elsewhere. */
const SEEN_MS = 2_000
const LOOK_MS = 10_000

/** Looks at the code of users in a database when somebody is about to be asked about a command: never before. */
export class CodeLooks {
  readonly #ports: UpstreamPorts & { readonly clock: Clock }
  /** Of each connection as it is configured, by database. */
  readonly #seen = new WeakMap<Connection, Map<string, Look>>()

  constructor(ports: UpstreamPorts & { readonly clock: Clock }) {
    this.#ports = ports
  }

  /** Recorded as the gateway's own command in this session. Undefined: it could not be looked. */
  async look(
    session: Session,
    connection: Connection<PostgresSettings>,
    database: string,
  ): Promise<Quiet | undefined> {
    let all = this.#seen.get(connection)
    if (all === undefined) this.#seen.set(connection, (all = new Map()))
    const known = all.get(database)
    const { clock } = this.#ports
    if (known !== undefined && clock.now() - known.at < SEEN_MS) return known.quiet
    all.delete(database)
    const at = clock.now()
    let quiet: Quiet | undefined
    try {
      await session.own('code', QUIET_QUERY, async () => {
        quiet = await this.#read(connection, database)
        return quiet === undefined ? 'unknown' : 'seen'
      })
    } catch {
      // The recording is not to be had: whoever waits is told so by what it does next.
      return undefined
    }
    if (quiet !== undefined) all.set(database, { quiet, at })
    return quiet
  }

  async #read(connection: Connection<PostgresSettings>, database: string): Promise<Quiet | undefined> {
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
        return quietOf(await client.query(QUIET_QUERY))
      } finally {
        timer.cancel()
        client.close()
      }
    } catch {
      return undefined
    }
  }
}
