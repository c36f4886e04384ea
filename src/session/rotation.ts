import type { Connection, Secret, SecretRef } from '../core/index.ts'
import type { ProbePorts } from './probe-ports.ts'

/** How a protocol replaces what a connection logs in with at its upstream. */
export type Rotation = {
  /** Where it is kept; undefined: this connection logs in with none. */
  secretOf(connection: Connection): SecretRef | undefined
  /** Who it is at which upstream: equal for connections that log in as the same. */
  accountOf(connection: Connection): string
  /** Whether the upstream takes it. Throws GatewayError `upstream_unreachable` where that cannot be told. */
  takes(ports: ProbePorts, connection: Connection, secret: Secret): Promise<boolean>
  /**
   * From now on the upstream takes `next` in place of `now`. Throws GatewayError with `now` in force as before. What breaks off in the
   * middle leaves one of the two in force: `takes` says which.
   */
  replace(ports: ProbePorts, connection: Connection, now: Secret, next: Secret): Promise<void>
}
