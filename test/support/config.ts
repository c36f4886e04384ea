/** Configurations that several suites need, as the text of sluice.yaml. */
import type { TestServer } from './postgres.ts'

/** The environment variable in which a test gateway finds its upstream password. */
export const UPSTREAM_PASSWORD = 'SLUICE_TEST_UPSTREAM_PASSWORD'

/** Whom test credentials are minted for under `allowAll`. */
export const TEST_IDENTITY = 'tester'

export type Upstream = {
  readonly server: Pick<TestServer, 'host' | 'port'>
  readonly user: string
  readonly databases: readonly string[]
}

/**
 * Everything is allowed and nothing is labelled: what is left is the gateway itself, which nobody may be able to tell
 * from the server. The recording is on; it cannot be switched off.
 */
export function allowAll(connections: Readonly<Record<string, Upstream>>, listener = '{ port: 0 }'): string {
  const blocks = Object.entries(connections).map(
    ([name, { server, user, databases }]) => `  ${name}:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [${databases.join(', ')}]
    tagApplicationName: false`,
  )
  return `listen:
  postgres: ${listener}
identities:
  local:
    - { name: ${TEST_IDENTITY}, kind: service }
connections:
${blocks.join('\n')}
rules:
  - name: everything, for the tests that compare
    who: everyone
    on: all
    permit: { run: all, unreviewed: all, see: all, filter: all, unlimited: true }
`
}
