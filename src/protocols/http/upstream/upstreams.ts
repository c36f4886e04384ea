import type { Connection } from '../../../core/index.ts'
import type { CredentialPorts } from '../../../upstream-credentials/index.ts'
import { RouteTable } from '../route-table.ts'
import type { HttpSettings } from '../settings.ts'
import { Shares } from './shares.ts'
import { HttpUpstream } from './upstream.ts'

/** An upstream with the routes of its connection, made once per version of its configuration. */
export class KnownUpstream extends HttpUpstream {
  readonly routes: RouteTable
  readonly shares = new Shares()

  constructor(connection: Connection<HttpSettings>, ports: CredentialPorts) {
    super(connection, ports)
    this.routes = new RouteTable(connection)
  }
}

/** The pools of all connections. A connection configured anew gets a new one; the old one ends when it is idle. */
export class Upstreams {
  readonly #ports: CredentialPorts
  readonly #known = new Map<string, { connection: Connection<HttpSettings>; upstream: KnownUpstream }>()

  constructor(ports: CredentialPorts) {
    this.#ports = ports
  }

  of(connection: Connection<HttpSettings>): KnownUpstream {
    const known = this.#known.get(connection.name)
    if (known?.connection === connection) return known.upstream
    if (known !== undefined) void known.upstream.retire()
    const upstream = new KnownUpstream(connection, this.#ports)
    this.#known.set(connection.name, { connection, upstream })
    return upstream
  }

  async close(): Promise<void> {
    await Promise.all([...this.#known.values()].map(({ upstream }) => upstream.close()))
  }
}
