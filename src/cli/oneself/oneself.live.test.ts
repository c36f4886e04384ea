/** Coming as oneself: the program as people and jobs run it, a whole gateway, and a real OpenID provider. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLI } from '../../../test/support/gateway.ts'
import type { TestProvider } from '../../testing/oidc-provider.ts'
import { AGENT_CLIENT, AUDIENCE, DEVICE_CLIENT, startTestProvider } from '../../testing/oidc-provider.ts'
import type { TestApi } from '../../testing/running-gateway.ts'
import { startTestApi } from '../../testing/running-gateway.ts'

let provider: TestProvider
let api: TestApi
/** Where no gateway is: a machine of somebody who comes from elsewhere. */
let home: string
let file: string

beforeAll(async () => {
  provider = await startTestProvider({
    claims: (client) => (client === AGENT_CLIENT ? { sluice_kind: 'agent' } : {}),
  })
  const issuer = `{ url: "${provider.issuer}", audience: "${AUDIENCE}", kind: person, algorithms: [ES256], login: { client: ${DEVICE_CLIENT}, scopes: [openid, offline_access, api] } }`
  api = await startTestApi((config) =>
    config.replace('identities:\n', `identities:\n  issuers: [${issuer}]\n`),
  )
  home = join(api.place, 'home')
  file = join(home, 'sluice', 'login.json')
})

afterAll(async () => {
  await api.stop()
  await provider.stop()
})

type Done = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function sluice(
  args: readonly string[],
  env: Record<string, string> = {},
  heard: (stderr: string) => void = () => undefined,
): Promise<Done> {
  const child = spawn(process.execPath, [CLI, ...args, '--data', join(api.place, 'no-gateway-here')], {
    env: { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: home, TMPDIR: api.place, ...env },
  })
  const done = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (done.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    done.stderr += text
    heard(done.stderr)
  })
  child.stdin.end()
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...done })))
}

const authority = () => join(api.dataDirectory, 'tls', 'authority.pem')
const gateway = () => `https://127.0.0.1:${api.gateway.endpoints.api?.port}`

async function logIn(): Promise<Done> {
  let confirmed: Promise<void> | undefined
  const done = await sluice(['login', '--gateway', gateway(), '--authority', authority()], {}, (stderr) => {
    const [, address] = /or open (\S+) and/.exec(stderr) ?? []
    if (address !== undefined) confirmed ??= provider.confirmDevice(address, 'grace')
  })
  await confirmed
  return done
}

const kept = (): Record<string, unknown> => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
const held = () => api.gateway.parts.credentials.list()

describe('a person', () => {
  it('without a login is told of it, and nothing is asked', async () => {
    const done = await sluice(['dsn', 'crm'])
    expect(done).toMatchObject({ code: 2, stdout: '' })
    expect(done.stderr).toContain('log in first: sluice login')
  })

  it('logs in with a browser, and the login is kept for its owner alone', async () => {
    const done = await logIn()
    expect(done.stderr).toMatch(/^Open http:\/\/127\.0\.0\.1:\d+\/device in a browser and type [A-Z-]+\n/)
    expect(done.code, done.stderr).toBe(0)
    expect(done.stdout).toMatch(`You are person:grace (${provider.issuer}) at ${gateway()}.`)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(home, 'sluice')).mode & 0o777).toBe(0o700)
    for (const token of [kept().accessToken, kept().refreshToken]) {
      expect(token).toEqual(expect.stringMatching(/.{20}/))
      expect(done.stdout + done.stderr).not.toContain(token)
    }
  })

  it('gets a DSN and a token of the own identity without the operator socket', async () => {
    const dsn = await sluice(['dsn', 'crm'])
    expect(dsn.stdout, dsn.stderr).toMatch(
      /^postgresql:\/\/c_[0-9a-z]{16}:slu_[\w-]{43}@127\.0\.0\.1:\d+\/crm\n$/,
    )
    const token = await sluice(['token', 'crm-api', '--ttl', '2m'])
    expect(token.stdout).toMatch(/^slu_c_[0-9a-z]{16}_[\w-]{43}\n$/)
    expect(
      held().map(({ chain, mintedBy }) => [chain.map(({ name, kind }) => `${kind}:${name}`), mintedBy]),
    ).toEqual([
      [['person:grace'], 'token exchange'],
      [['person:grace'], 'token exchange'],
    ])
    expect((await sluice(['dsn', 'crm', '--for', 'ada'])).code).toBe(2)
  })

  it('runs a program with a credential that is given back at the end', async () => {
    const before = held().length
    const done = await sluice(['run', 'crm', '--', 'sh', '-c', 'echo "$PGUSER $PGDATABASE"'])
    expect(done.stdout, done.stderr).toMatch(/^c_[0-9a-z]{16} crm\n$/)
    expect(held()).toHaveLength(before)
    const query = await sluice(['query', 'crm-api', 'GET /customers'])
    // The upstream of this gateway is not there: its answer shows that the request came so far.
    expect(query.stdout).toContain('HTTP 502')
    expect(held()).toHaveLength(before)
  })

  it('does not give back what is somebody else\u2019s, nor learn whether it is there', async () => {
    const others = await api.operator('POST', '/v1/operator/credentials', {
      body: { connection: 'crm', as: 'scraper' },
    })
    const token = String(kept().accessToken)
    for (const id of [String(others.body.id), 'c_nothing']) {
      const answer = await api.person('DELETE', `/v1/credentials/${id}`, { token })
      expect(answer).toMatchObject({ status: 404, body: { detail: 'There is no such live credential.' } })
    }
    expect(held().some(({ id }) => id === others.body.id)).toBe(true)
  })

  it('has the login renewed once, however many commands need it', async () => {
    const old = kept()
    writeFileSync(file, JSON.stringify({ ...old, expiresAt: 0 }))
    const before = provider.requests('/token')
    const done = await Promise.all([1, 2, 3].map(() => sluice(['token', 'crm-api'])))
    expect(done.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ])
    expect(provider.requests('/token') - before).toBe(1)
    expect(kept().accessToken).not.toBe(old.accessToken)
    expect(kept().refreshToken).not.toBe(old.refreshToken)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(existsSync(join(home, 'sluice', 'login.lock'))).toBe(false)
  })

  it('is not served from a file that others may read', async () => {
    chmodSync(file, 0o640)
    const done = await sluice(['dsn', 'crm'])
    chmodSync(file, 0o600)
    expect(done).toMatchObject({ code: 1, stdout: '' })
    expect(done.stderr).toContain('others may read it')
  })

  it('logs out: the file is gone, and the issuer takes the refresh token no more', async () => {
    const { refreshToken } = kept()
    expect(await sluice(['logout'])).toMatchObject({ code: 0, stdout: 'You are logged out.\n' })
    expect(existsSync(file)).toBe(false)
    const again = await fetch(`${provider.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: DEVICE_CLIENT,
        refresh_token: String(refreshToken),
      }),
    })
    expect(await again.json()).toMatchObject({ error: 'invalid_grant' })
    expect((await sluice(['logout'])).stdout).toBe('Nobody was logged in.\n')
    expect((await sluice(['token', 'crm-api'])).code).toBe(2)
  })

  it('whose login the issuer has ended is told to log in again', async () => {
    expect((await logIn()).code).toBe(0)
    writeFileSync(file, JSON.stringify({ ...kept(), expiresAt: 0, refreshToken: 'not-this-one' }))
    const done = await sluice(['dsn', 'crm'])
    expect(done).toMatchObject({ code: 1, stderr: 'error: The login has ended.\nLog in: sluice login\n' })
    expect((await sluice(['logout'])).code).toBe(0)
  })
})

describe('a workload', () => {
  const place = () => ({ SLUICE_GATEWAY: gateway(), SLUICE_GATEWAY_AUTHORITY: authority() })

  it('comes with the token that a file holds, such as a service account\u2019s', async () => {
    const path = join(api.place, 'projected')
    writeFileSync(path, `${await provider.agentToken()}\n`)
    const env = { ...place(), SLUICE_IDENTITY_TOKEN_FILE: path }
    const done = await sluice(['token', 'crm-api'], env)
    expect(done.stdout, done.stderr).toMatch(/^slu_c_/)
    expect(held().at(-1)?.chain).toMatchObject([{ kind: 'agent', name: AGENT_CLIENT }])
    writeFileSync(path, 'no token at all')
    const refused = await sluice(['token', 'crm-api'], env)
    expect(refused.stderr).toContain(`${path} holds no token.`)
    expect(refused.stderr).not.toContain('no token at all')
  })

  it('of GitHub Actions asks for a token for this gateway', async () => {
    const asked: (string | undefined)[] = []
    const github = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://localhost')
      asked.push(request.headers.authorization, url.searchParams.get('api-version') ?? '')
      void provider.agentToken(url.searchParams.get('audience') ?? '').then((value) => {
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ count: 1, value }))
      })
    })
    await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve))
    const address = github.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const env = {
      ...place(),
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
    }
    const done = await sluice(['dsn', 'crm'], env)
    expect(done.stdout, done.stderr).toMatch(/^postgresql:/)
    expect(asked).toEqual(['Bearer of-the-job', '2.0'])
    // A token for another audience is not taken.
    const wrong = await sluice(['dsn', 'crm'], { ...env, SLUICE_AUDIENCE: 'https://another.example' })
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toContain(AUDIENCE)
    github.close()
  })
})
