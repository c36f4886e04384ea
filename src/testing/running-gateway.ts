import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TOTP } from 'otpauth'
import { Agent, request } from 'undici'
import { OPERATOR_SOCKET } from '../api/client.ts'
import type { RecordingKeys } from '../core/index.ts'
import type { RunningGateway } from '../main.ts'
import { startGateway } from '../main.ts'
import { keysOf } from './recording-keys.ts'

const CONFIG = `listen:
  postgres: { port: 0 }
  http: { port: 0 }
  api: { port: 0 }
identities:
  local:
    - { name: support-agent, kind: agent, groups: [agents], actsFor: [ada] }
    - { name: scraper, kind: agent, groups: [agents] }
    - { name: ada, kind: person, groups: [engineers], roles: [admin, approver] }
    - { name: bob, kind: person, groups: [engineers], roles: [auditor] }
    - { name: oscar, kind: person, roles: [operator] }
    - { name: eve, kind: person }
labels:
  pii.email: { mask: { kind: partial, of: email } }
connections:
  crm:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: 1, user: app, password: "\${store:crm}", sslmode: disable }
    databases: [crm, crm_archive]
    labels: { public.customers.email: pii.email }
  crm-api:
    protocol: http
    upstream: { url: "http://127.0.0.1:1" }
    routes: [{ method: GET, path: /customers, class: read }]
approvals:
  access:
    repair: { who: everyone, on: [crm], emergency: true }
rules:
  - name: repair
    who: { access: [repair] }
    on: [crm]
    permit: { run: [write], unreviewed: [write] }
  - name: read
    who: everyone
    on: all
    permit: { run: [read], unreviewed: [read] }
  - name: ada sees
    who: { identities: ["person:ada"] }
    on: [crm]
    permit: { see: [pii.email] }
`

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** What the body says as JSON. */
  readonly body: Record<string, unknown>
}

export type ApiCall = {
  readonly body?: unknown
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is, in the place of JSON. */
  readonly raw?: string
}

/** A whole gateway in this process, on a data directory of its own, for tests of its control API. */
export type TestApi = {
  readonly gateway: RunningGateway
  readonly place: string
  readonly dataDirectory: string
  /** As a key file has it. */
  readonly masterKey: string
  readonly recordingKeys: RecordingKeys
  readonly configText: string
  readonly faults: readonly unknown[]
  operator(method: string, path: string, call?: ApiCall): Promise<Answer>
  person(method: string, path: string, call?: ApiCall): Promise<Answer>
  /** The streamed body of a GET, for event streams. */
  open(path: string, token: string): Promise<AsyncIterable<Buffer> & { destroy(): void }>
  /** Enrols a person, which takes a code, and gives the next ones: one more is good at once. */
  enrol(name: string): Promise<() => string>
  stop(): Promise<void>
}

const PERIOD_MS = 30_000

/** `changed`: makes another configuration of the usual one. */
export async function startTestApi(changed = (config: string) => config): Promise<TestApi> {
  const configText = changed(CONFIG)
  const place = mkdtempSync(join(tmpdir(), 'sluice-api-'))
  const configFile = join(place, 'sluice.yaml')
  const dataDirectory = join(place, 'data')
  writeFileSync(configFile, configText)
  const faults: unknown[] = []
  const SLUICE_KEY = randomBytes(32).toString('base64')
  const gateway = await startGateway({
    dataDirectory,
    configFile,
    masterKey: {
      environment: { SLUICE_KEY },
      demo: false,
      warn: () => {},
    },
    report: (error) => faults.push(error),
  })
  const socket = new Agent({ connect: { socketPath: join(dataDirectory, OPERATOR_SOCKET) } })
  const authority = readFileSync(join(dataDirectory, 'tls', 'authority.pem'), 'utf8')
  const tls = new Agent({ connect: { ca: authority, servername: 'localhost' } })
  const url = `https://127.0.0.1:${gateway.endpoints.api?.port}`
  const send = async (base: string, dispatcher: Agent, method: string, path: string, call: ApiCall) => {
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
    const answer = await request(base + path, {
      method: method as 'GET',
      dispatcher,
      headers: {
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
        ...call.headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = await answer.body.text()
    const json = String(answer.headers['content-type']).includes('json')
    const parsed = json && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {}
    return { status: answer.statusCode, headers: answer.headers, text, body: parsed }
  }
  return {
    gateway,
    place,
    dataDirectory,
    masterKey: SLUICE_KEY,
    recordingKeys: keysOf(SLUICE_KEY),
    configText,
    faults,
    operator: (method, path, call = {}) => send('http://localhost', socket, method, path, call),
    person: (method, path, call = {}) => send(url, tls, method, path, call),
    async open(path, token) {
      const answer = await request(url + path, {
        dispatcher: tls,
        headers: { authorization: `Bearer ${token}` },
      })
      return answer.body
    },
    async enrol(name) {
      const invited = await send('http://localhost', socket, 'POST', `/v1/people/${name}/invitations`, {})
      const code = invited.body.code
      const begun = await send(url, tls, 'POST', '/v1/enrolments/begin', { body: { code } })
      const device = new TOTP({ secret: String(begun.body.secret) })
      // A code counts once. This half minute's and the next one's are good now, and still in half a minute.
      let step = Math.floor(Date.now() / PERIOD_MS) - 1
      const next = (): string => device.generate({ timestamp: ++step * PERIOD_MS })
      await send(url, tls, 'POST', '/v1/enrolments/confirm', { body: { code, digits: next() } })
      return next
    },
    async stop() {
      await Promise.all([socket.destroy(), tls.destroy()])
      await gateway.stop()
      rmSync(place, { recursive: true, force: true })
    },
  }
}
