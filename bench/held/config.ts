/** What the benchmark of held sessions runs Sluice with: reads at once, writes after a look. */
import { DATABASE, ROLE } from '../postgres/data.ts'
import { PORTS } from '../postgres/sluice.ts'

/** Requests that one identity may have open (docs/decisions/0010): so many sessions wait for each, on one of their own. */
export const EACH = 50

export const agentName = (n: number): string => `agent-${n}`

/** Who approves. */
export const APPROVER = 'ada'

/** The connection `held` leads to a server that only speaks the protocol; `bench` to a real one, for the others. */
export function configOf(agents: number): string {
  const named = Array.from({ length: agents }, (_, n) => `    - { name: ${agentName(n)}, kind: agent }`)
  const loopback = `host: 127.0.0.1, user: ${ROLE}, sslmode: disable`
  return `listen:
  postgres: { address: 127.0.0.1, port: 0, tls: { certificate: "\${file:tls/server.pem}", key: "\${file:tls/server-key.pem}" } }
  api: { port: 0 }
identities:
  local:
    - { name: bench-agent, kind: agent }
    - { name: ${APPROVER}, kind: person, roles: [approver] }
${named.join('\n')}
connections:
  bench:
    protocol: postgres
    upstream: { ${loopback}, port: ${PORTS.database}, password: "\${env:BENCH_UPSTREAM_PASSWORD}" }
    databases: [${DATABASE}]
  held:
    protocol: postgres
    upstream: { ${loopback}, port: ${PORTS.fake} }
    databases: [${DATABASE}]
    sessionsPerIdentity: 10000
    patience: 10m
rules:
  - { name: reads at once and writes after a look, who: everyone, on: all, permit: { run: all, unreviewed: [read], unlimited: true } }
`
}
