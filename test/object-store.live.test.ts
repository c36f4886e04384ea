/** A real gateway with an object store, from the command line, as administrators and auditors see it. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { S3_BUCKET, S3_KEYS, S3Server } from '../src/testing/s3-server.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { eventually } from './support/wait.ts'

let store: S3Server
let upstream: Server
let gateway: TestGateway
let place: string
let keys: Record<string, string>

beforeAll(async () => {
  store = await S3Server.open()
  upstream = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ id: 1, name: 'canary of the result' }))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  place = `s3://${S3_BUCKET}/gateway-1`
  keys = { AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey }
  const port = (upstream.address() as AddressInfo).port
  gateway = await startGateway({
    env: { S3_ID: S3_KEYS.accessKeyId, S3_SECRET: S3_KEYS.secretAccessKey },
    config: `listen:
  http: { port: 0 }
identities:
  local:
    - { name: agent, kind: agent }
connections:
  crm-api:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}" }
    routes: [{ method: GET, path: "/customers/{id}", class: read }]
rules:
  - { name: everything, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
recording:
  store:
    url: ${place}
    endpoint: ${store.endpoint}
    accessKey: "\${env:S3_ID}"
    secretKey: "\${env:S3_SECRET}"
    spool: 64MiB
`,
  })
}, 120_000)
afterAll(async () => {
  await gateway.stop()
  await store.close()
  upstream.closeAllConnections()
  upstream.close()
})

async function said(args: readonly string[], code = 0, env: Record<string, string> = {}): Promise<string> {
  const done = await gateway.cli(args, { env })
  expect(done, args.join(' ')).toMatchObject({ code })
  return done.stdout
}

const query = (): Promise<string> => said(['query', 'crm-api', 'GET /customers/1', '--as', 'agent'])
const sessionFiles = (): string[] =>
  [...store.objects.keys()].filter((key) => /^gateway-1\/sessions\/.*\.slr$/.test(key))
const verify = (code: number, flags: readonly string[] = []): Promise<string> => {
  const key = readFileSync(join(gateway.dataDirectory, 'log', 'key'), 'utf8').trim()
  return said(['audit', 'verify', place, '--endpoint', store.endpoint, '--key', key, ...flags], code, keys)
}
const status = async (): Promise<{ store: Record<string, unknown> }> =>
  JSON.parse(await said(['status', '--json']))

test('recordings go up, are read from there, and prove themselves; a store that is away stops nobody (P-06)', async () => {
  expect(await query()).toContain('canary of the result')
  // Sessions end with the gateway.
  gateway = await gateway.restart()
  await eventually('the session in the store', () => sessionFiles().length > 0, 60_000)
  const [key = ''] = sessionFiles()
  const session = key.slice(-30, -4)
  await eventually('the log in the store', () => store.objects.has('gateway-1/log/checkpoint'), 60_000)
  const first = await eventually(
    'a proof of it',
    async () => (await verify(0)).includes(session) && verify(0),
    60_000,
  )
  expect(first).toMatch(/^proved\n/)
  expect(
    JSON.stringify([...store.objects.values()].map(({ bytes }) => bytes.toString('latin1'))),
  ).not.toContain('canary')

  // As when the spool has let it go.
  const folder = join(gateway.dataDirectory, 'sessions')
  rmSync(join(folder, key.split('/')[2] ?? '', `${session}.slr`))
  for (const args of [
    ['show', session],
    ['replay', session, '--speed', '1000'],
    ['export', session, '--format', 'asciicast'],
    ['ls', '--text', '/customers/1'],
  ]) {
    expect(await said(['sessions', ...args])).toContain(args[0] === 'ls' ? session : '/customers/1')
    rmSync(join(folder, key.split('/')[2] ?? '', `${session}.slr`))
  }
  expect(await said(['sessions', 'export', session, '--format', 'jsonl'])).toContain('"kind":"close"')
  expect(await said(['status'])).toMatch(/object store +s3:\/\/recordings\/gateway-1\/ at http/)
  expect((await gateway.cli(['doctor'])).stdout).toContain('takes what is sealed')

  // Away: the gateway serves and records, and says so.
  const before = new Map(store.objects)
  const checkpoint = join(gateway.dataDirectory, 'log', 'checkpoint')
  store.fault = () => ({ status: 503, code: 'SlowDown' })
  expect(await query()).toContain('canary of the result')
  gateway = await gateway.restart()
  await eventually('the fault', async () => (await status()).store.fault !== undefined, 60_000)
  await eventually('what waits', async () => (await status()).store.waitingFiles === 1, 60_000)
  expect((await gateway.cli(['doctor'])).stdout).toContain('503 SlowDown')
  expect(await query()).toContain('canary of the result')
  store.fault = () => undefined
  await eventually('both sessions', () => sessionFiles().length >= 2, 60_000)
  const ids = (): string[] => sessionFiles().map((each) => each.slice(-30, -4))
  await eventually(
    'a proof of both',
    async () => {
      const text = await verify(0)
      return ids().every((id) => text.includes(id))
    },
    60_000,
  )

  // Put back: known by whoever has a later checkpoint.
  store.objects.clear()
  for (const [name, object] of before) store.objects.set(name, object)
  expect(await verify(1, ['--since', checkpoint])).toContain('rolled-back')
  expect(readdirSync(folder).length).toBeGreaterThan(0)
  expect(gateway.stderr()).not.toContain(S3_KEYS.secretAccessKey)
}, 300_000)
