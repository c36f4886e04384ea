import type { ConnectionName } from './ids.ts'

/** Hosts by which clients name connections, without a port and in lower case. */
export type HostNames = {
  /** `gateway.example`: `NAME.gateway.example` is the connection NAME. */
  readonly below: readonly string[]
  /** Other hosts, each of one connection. */
  readonly names: ReadonlyMap<string, ConnectionName>
}
