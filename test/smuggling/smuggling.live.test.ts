/**
 * Requests that two readers could read in two ways, sent raw to the gateway with nginx, HAProxy and Apache behind it (acceptance 2): what
 * each of these takes for a request is what the gateway has judged and recorded, no more, no less and no other.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { dial, pause, send } from '../abuse/bytes.ts'
import { journalOf } from '../abuse/evidence.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Vector } from './corpus.ts'
import { bytesOf, VECTORS } from './corpus.ts'
import type { Passed, ServerName, UpstreamServer } from './servers.ts'
import { SERVER_NAMES, startServer } from './servers.ts'

/** At once: those that leave a request unfinished wait for nothing but time. */
const AT_ONCE = 24
const QUIET_MS = 300
/** Where nothing has come at all, the gateway may not have had its turn yet. */
const SILENT_MS = 800
const MS_MAX = 20_000

const ROUTES = [
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS'].map((method) => `{ method: ${method}, path: /out, class: read }`),
  ...['POST', 'PUT'].map((method) => `{ method: ${method}, path: /in, class: write }`),
  // There are such routes, and the rules permit none of them.
  ...['GET', 'POST', 'DELETE'].map((method) => `{ method: ${method}, path: /canary, class: administer }`),
]

const connection = (name: ServerName, port: number): string => `  ${name}:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:UPSTREAM_TOKEN}" }
    routes:
${ROUTES.map((each) => `      - ${each}\n`).join('')}`

const configuration = (servers: Readonly<Record<ServerName, UpstreamServer>>): string => `listen:
  http: { address: 127.0.0.1, port: 0 }
identities:
  local:
    - { name: agent, kind: agent }
connections:
${SERVER_NAMES.map((name) => connection(name, servers[name].port)).join('')}
rules:
  - { name: in and out, who: everyone, on: all, permit: { run: [read, write], unreviewed: all, unlimited: true } }
`

describe('the corpus of smuggled requests', () => {
  const later = teardown()
  const servers = {} as Record<ServerName, UpstreamServer>
  const tokens = {} as Record<ServerName, string>
  let gateway: TestGateway

  beforeAll(async () => {
    for (const name of SERVER_NAMES) {
      servers[name] = await startServer(name)
      later(() => servers[name].stop())
    }
    gateway = await startGateway({
      config: configuration(servers),
      env: { UPSTREAM_TOKEN: 'the-upstream-token' },
    })
    later(() => gateway.stop())
    for (const name of SERVER_NAMES) tokens[name] = await gateway.token(name, 'agent')
  })

  /** Until the line is closed, or nothing more has come for a while of what is to come. */
  async function play(name: ServerName, vector: Vector): Promise<void> {
    const socket = await dial(gateway.ports['http'] ?? 0)
    let answered = ''
    let quiet: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      const last = setTimeout(resolve, MS_MAX)
      const heard = (): void => {
        clearTimeout(quiet)
        const served = answered.match(/HTTP\/1\.1 200 /g)?.length ?? 0
        if (served >= vector.reaches.length)
          quiet = setTimeout(resolve, answered === '' ? SILENT_MS : QUIET_MS)
      }
      socket.on('data', (bytes) => {
        answered += bytes.toString('latin1')
        heard()
      })
      socket.once('end', () => socket.end())
      socket.once('close', () => {
        clearTimeout(last)
        resolve()
      })
      socket.write(bytesOf(vector, name, tokens[name]))
      heard()
    })
    clearTimeout(quiet)
    socket.destroy()
  }

  test('has its cases, each with an id of its own', () => {
    expect(VECTORS.length).toBeGreaterThanOrEqual(150)
    expect(new Set(VECTORS.map(({ id }) => id)).size).toBe(VECTORS.length)
  })

  test.each(SERVER_NAMES)(
    'C-03: brings %s no request that was not judged and recorded (P-03, P-04)',
    async (name) => {
      const server = servers[name]
      const left = [...VECTORS]
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          for (let next = left.pop(); next !== undefined; next = left.pop()) await play(name, next)
        }),
      )
      const expected = VECTORS.flatMap(({ reaches }) => reaches).toSorted()
      const recorded = await settled(gateway, name, expected.length)
      const done = recorded.filter(({ isDone }) => isDone)
      const logged = (await longLog(server, done.length)).map((line) => line.replace(/ HTTP\/1\.1$/, ''))
      const broken = new Set(recorded.filter(({ isDone }) => !isDone).map(({ line }) => line))
      // Of a body that breaks off a server has a part, or nothing yet; it passes nothing on as a request.
      expect(logged.filter((line) => !broken.has(line)).toSorted()).toEqual(
        done.map(({ line }) => line).toSorted(),
      )
      expect(new Set(logged).size).toBe(logged.length)
      expect(textsOf(server.passed)).toEqual(textsOf(done))
      expect(textsOf(done)).toEqual(expected)
      expect(logged.filter((line) => /^\S+ \/canary/.test(line))).toEqual([])
    },
  )

  test.each(SERVER_NAMES)(
    'would be seen at %s: what is smuggled there stands in both lists',
    async (name) => {
      const server = servers[name]
      const before = (await server.logged()).length
      await send(
        server.port,
        [Buffer.from('GET /canary?direct HTTP/1.1\r\nHost: x\r\n\r\nG\x00T /canary\r\n\r\n')],
        {
          end: false,
          msMax: QUIET_MS,
        },
      )
      const logged = await longLog(server, before + 2)
      expect(logged.filter((line) => line.startsWith('GET /canary?direct HTTP/1.1'))).toHaveLength(1)
      // What it could not read is in its log as well.
      expect(logged.length).toBe(before + 2)
      expect(server.passed.at(-1)).toEqual({ line: 'GET /canary?direct', body: '' })
    },
  )

  test('leaves the gateway as it was', async () => {
    expect(gateway.stderr()).toBe('')
    const socket = await dial(gateway.ports['http'] ?? 0)
    socket.destroy()
  })
})

/** An outcome is recorded behind the answer: as soon as there are so many, or when no more come. */
async function settled(
  gateway: TestGateway,
  connection: ServerName,
  count: number,
): Promise<readonly Recorded[]> {
  const until = Date.now() + 5_000
  for (;;) {
    const recorded = await permitted(gateway, connection)
    if (recorded.filter(({ isDone }) => isDone).length >= count || Date.now() > until) return recorded
    await pause(50)
  }
}

/** A server writes its line behind its answer. */
function longLog(server: UpstreamServer, lines: number): Promise<readonly string[]> {
  return eventually(`${lines} lines in the log`, async () => {
    const logged = await server.logged()
    return logged.length >= lines && logged
  })
}

function textsOf(requests: readonly Passed[]): string[] {
  return requests.map(({ line, body }) => (body === '' ? line : `${line} ${body}`)).toSorted()
}

/** Parameters of a command are in base64. */
function bytesIn(parameters: readonly (string | null)[] | undefined): string {
  return (parameters ?? []).map((each) => Buffer.from(each ?? '', 'base64').toString('latin1')).join('')
}

type Recorded = { readonly line: string; body: string; isDone: boolean }

/** What the recording says was permitted on a connection, with the bodies that went along, and whether it came to an answer. */
async function permitted(gateway: TestGateway, connection: ServerName): Promise<readonly Recorded[]> {
  const found = new Map<string, Recorded>()
  const sessions = new Set<unknown>()
  for (const { session, entry } of await journalOf(gateway)) {
    if (entry.kind === 'open' && entry.head.connection === connection) sessions.add(session)
    if (!sessions.has(session)) continue
    if (entry.kind === 'intent' && entry.head.decision === 'allow') {
      const { n, text, parameters } = entry.head
      found.set(`${session} ${n}`, { line: text, body: bytesIn(parameters), isDone: false })
    }
    if (entry.kind !== 'input' && entry.kind !== 'outcome') continue
    const known = found.get(`${session} ${entry.head.n}`)
    if (known === undefined) continue
    if (entry.kind === 'input') known.body += Buffer.from(entry.body ?? []).toString('latin1')
    else known.isDone = entry.head.outcome === 'ok'
  }
  return [...found.values()]
}
