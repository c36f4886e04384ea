import { generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { SecretRef } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import type { TestProvider } from '../testing/oidc-provider.ts'
import { AGENT_CLIENT, AGENT_SECRET, AUDIENCE, startTestProvider } from '../testing/oidc-provider.ts'
import type { CredentialPorts, CredentialSettings, Worn } from './index.ts'
import { credentialOf } from './index.ts'

const ref = (name: string): SecretRef => ({ kind: 'env', name })
const BARE = { method: 'GET', origin: 'https://api.example', target: '/', headers: [], body: Buffer.alloc(0) }

let issuer: TestProvider
let server: Server
let url: string
/** What the small issuer was asked, and what it answers. */
let asked: { readonly form: URLSearchParams; readonly authorization: string }[]
let answer: (form: URLSearchParams) => object
let secrets: Record<string, string>
let clock: FakeClock
let ports: CredentialPorts
let reports: unknown[]

beforeAll(async () => {
  issuer = await startTestProvider()
  server = createServer((request, response) => {
    void textOf(request).then((text) => {
      const form = new URLSearchParams(text)
      asked.push({ form, authorization: request.headers.authorization ?? '' })
      const body = JSON.stringify(answer(form))
      response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/token`
})

afterAll(async () => {
  await issuer.stop()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

beforeEach(() => {
  asked = []
  reports = []
  secrets = {}
  clock = new FakeClock(Date.now())
  ports = {
    clock,
    resolveSecret: (reference) =>
      Promise.resolve(new Secret(reference.kind === 'env' ? (secrets[reference.name] ?? '') : '')),
    forgetSecret: () => undefined,
    report: (error) => reports.push(error),
  }
})

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

function bearer(worn: Worn): string {
  const [name, value = ''] = worn.headers
  expect(name).toBe('authorization')
  return value.replace(/^Bearer /, '')
}

describe('client credentials', () => {
  it.each(['basic', 'post'] as const)(
    'get a token of a certified provider that it signed, once for many: %s',
    async (authentication) => {
      secrets['S'] = AGENT_SECRET
      const credential = credentialOf(
        {
          kind: 'clientCredentials',
          tokenUrl: `${issuer.issuer}/token`,
          clientId: AGENT_CLIENT,
          clientSecret: ref('S'),
          authentication,
          scope: 'api',
          resource: AUDIENCE,
        },
        ports,
      )
      const before = issuer.requests('/token')
      const ready = Promise.all(Array.from({ length: 20 }, () => credential.putOn(BARE)))
      const all = await ready
      expect(issuer.requests('/token')).toBe(before + 1)
      const tokens = new Set(all.map(bearer))
      expect(tokens.size).toBe(1)
      const [token = ''] = tokens
      const keys = createRemoteJWKSet(new URL(`${issuer.issuer}/jwks`))
      const { payload } = await jwtVerify(token, keys, { issuer: issuer.issuer, audience: AUDIENCE })
      expect(payload['client_id']).toBe(AGENT_CLIENT)
      expect(all[0]?.secrets).toEqual([token, AGENT_SECRET])
      // It lives for ten minutes: three quarters of them are over.
      clock.advance(450_000)
      await credential.putOn(BARE)
      clock.advance(150_000)
      expect(bearer(await credential.putOn(BARE))).not.toBe(token)
      expect(issuer.requests('/token')).toBe(before + 2)
    },
  )
})

describe('client credentials that are wrong', () => {
  it('are asked with once, and why is told to the log by the code alone', async () => {
    secrets['S'] = 'not-the-secret-of-the-test'
    const credential = credentialOf(
      {
        kind: 'clientCredentials',
        tokenUrl: `${issuer.issuer}/token`,
        clientId: AGENT_CLIENT,
        clientSecret: ref('S'),
        authentication: 'basic',
      },
      ports,
    )
    const before = issuer.requests('/token')
    for (let i = 0; i < 3; i++) await expect(credential.putOn(BARE)).rejects.toThrow('cannot be had')
    expect(issuer.requests('/token')).toBe(before + 1)
    expect(reports).toHaveLength(1)
    expect(String(reports[0] instanceof Error ? reports[0].cause : '')).toMatch(/ answers 401$/)
  })
})

describe('a refresh token', () => {
  it('that rotates is followed, until the configuration has another', async () => {
    secrets = { R: 'first-refresh-token', S: 'the-client-secret' }
    let n = 0
    answer = () => {
      n++
      return {
        access_token: `access-number-${n}`,
        token_type: 'bearer',
        expires_in: 100,
        refresh_token: `refresh-number-${n}`,
      }
    }
    const credential = credentialOf(
      {
        kind: 'refreshToken',
        tokenUrl: url,
        clientId: 'gw',
        clientSecret: ref('S'),
        authentication: 'post',
        refreshToken: ref('R'),
      },
      ports,
    )
    const worn = await credential.putOn(BARE)
    expect(bearer(worn)).toBe('access-number-1')
    expect(worn.secrets).toEqual([
      'access-number-1',
      'first-refresh-token',
      'refresh-number-1',
      'the-client-secret',
    ])
    clock.advance(100_000)
    await credential.putOn(BARE)
    secrets['R'] = 'another-refresh-token'
    clock.advance(100_000)
    await credential.putOn(BARE)
    expect(asked.map(({ form }) => form.get('refresh_token'))).toEqual([
      'first-refresh-token',
      'refresh-number-1',
      'another-refresh-token',
    ])
    expect(asked[0]?.form.get('client_secret')).toBe('the-client-secret')
    expect(asked[0]?.authorization).toBe('')
  })
})

describe('a token exchange', () => {
  it('gives the token of the platform, as it is then, for one of the API (RFC 8693)', async () => {
    secrets = { T: 'platform-token-1' }
    answer = () => ({
      access_token: 'exchanged-token',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
    })
    const settings: CredentialSettings = {
      kind: 'tokenExchange',
      tokenUrl: url,
      authentication: 'basic',
      subjectToken: ref('T'),
      subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'crm',
      scope: 'read',
    }
    const credential = credentialOf(settings, ports)
    const worn = await credential.putOn(BARE)
    expect(worn.secrets).toEqual(['exchanged-token', 'platform-token-1'])
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'platform-token-1',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'crm',
      scope: 'read',
    })
    secrets['T'] = 'platform-token-2'
    // An issuer that does not say how long it lives is asked again after five minutes.
    clock.advance(299_999)
    await credential.putOn(BARE)
    clock.advance(1)
    await credential.putOn(BARE)
    expect(asked.at(-1)?.form.get('subject_token')).toBe('platform-token-2')
  })
})

describe("a service account of Google's", () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const file = (tokenUri: string): string =>
    JSON.stringify({
      type: 'service_account',
      client_email: 'gw@p.iam.gserviceaccount.com',
      private_key_id: 'k1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      token_uri: tokenUri,
    })

  it('gives a signed JWT for an access token', async () => {
    secrets['K'] = file(url)
    answer = () => ({ access_token: 'ya29.access-token', token_type: 'Bearer', expires_in: 3599 })
    const credential = credentialOf({ kind: 'googleServiceAccount', key: ref('K'), scope: 'a b' }, ports)
    expect(bearer(await credential.putOn(BARE))).toBe('ya29.access-token')
    const form = asked[0]?.form
    expect(form?.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const { payload, protectedHeader } = await jwtVerify(form?.get('assertion') ?? '', publicKey, {
      audience: url,
    })
    expect(protectedHeader).toMatchObject({ alg: 'RS256', kid: 'k1' })
    expect(payload).toMatchObject({
      iss: 'gw@p.iam.gserviceaccount.com',
      sub: 'gw@p.iam.gserviceaccount.com',
      scope: 'a b',
    })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600)
  })

  it('or shows one that is for the API itself', async () => {
    secrets['K'] = file(url)
    const audience = 'https://pubsub.googleapis.com/'
    const credential = credentialOf({ kind: 'googleServiceAccount', key: ref('K'), audience }, ports)
    const worn = await credential.putOn(BARE)
    await jwtVerify(bearer(worn), publicKey, { audience })
    expect(worn.secrets).toEqual([bearer(worn)])
    expect(asked).toEqual([])
  })

  it.each(['{', '{"type":"authorized_user"}', file('http://elsewhere.example/token')])(
    'is not used with a key file that is none, and not quoted',
    async (text) => {
      secrets['K'] = text
      const credential = credentialOf({ kind: 'googleServiceAccount', key: ref('K'), scope: 'a' }, ports)
      await expect(credential.putOn(BARE)).rejects.toThrow(/is no key file of Google\u2019s\.$/)
      await expect(credential.check()).rejects.toMatchObject({ code: 'invalid', cause: undefined })
      expect(asked).toEqual([])
    },
  )
})
