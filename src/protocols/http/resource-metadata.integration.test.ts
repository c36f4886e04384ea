/** RFC 9728: a client without a credential finds out who gives tokens. */
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestApi } from '../../testing/running-gateway.ts'
import { startTestApi } from '../../testing/running-gateway.ts'

const ISSUER = 'https://login.example.com'
const DOCUMENT = '/.well-known/oauth-protected-resource'

let api: TestApi
let plain: TestApi

beforeAll(async () => {
  api = await startTestApi((config) =>
    config
      .replace('identities:\n', `identities:\n  issuers: [{ url: "${ISSUER}", audience: sluice }]\n`)
      .replace('api: { port: 0 }', 'api: { port: 0, publicUrl: "https://gateway.example:8443" }'),
  )
  plain = await startTestApi()
})

afterAll(async () => {
  await api.stop()
  await plain.stop()
})

const originOf = (of: TestApi) => `http://127.0.0.1:${of.gateway.endpoints.http?.port}`

async function ask(
  path: string,
  options: { method?: 'GET' | 'HEAD' | 'POST'; host?: string; of?: TestApi } = {},
) {
  const { method = 'GET', host, of = api } = options
  const answer = await request(originOf(of) + path, {
    method,
    ...(host === undefined ? {} : { headers: { host } }),
  })
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
}

describe('a resource of an HTTP connection', () => {
  it('says who gives tokens for it, where RFC 9728 section 3.1 has clients look', async () => {
    const answer = await ask(`${DOCUMENT}/c/crm-api`)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(JSON.parse(answer.text)).toEqual({
      resource: `${originOf(api)}/c/crm-api`,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
      sluice_token_exchange: 'https://gateway.example:8443/v1/credentials',
    })
    expect(JSON.parse((await ask(DOCUMENT)).text)).toMatchObject({ resource: originOf(api) })
    expect(await ask(`${DOCUMENT}/c/crm-api`, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
  })

  it('leads there from a 401 (section 5.1), and a client that follows finds the resource it asked for', async () => {
    const refused = await ask('/c/crm-api/customers')
    expect(refused.status).toBe(401)
    const [, url = ''] =
      /^Bearer resource_metadata="([^"]+)"$/.exec(String(refused.headers['www-authenticate'])) ?? []
    const found = await request(url)
    expect(await found.body.json()).toMatchObject({ resource: `${originOf(api)}/c/crm-api` })
  })

  it('is as much there when its connection is not: nobody learns which there are', async () => {
    const [there, nowhere] = [await ask(`${DOCUMENT}/c/crm-api`), await ask(`${DOCUMENT}/c/nothing`)]
    expect(nowhere.status).toBe(there.status)
    expect(nowhere.text).toBe(there.text.replace('/c/crm-api', '/c/nothing'))
    const missing = await ask('/c/nothing/customers')
    expect(missing.headers['www-authenticate']).toContain(`${DOCUMENT}/c/nothing"`)
  })

  it.each([
    ['it is asked for with another method', `${DOCUMENT}/c/crm-api`, { method: 'POST' as const }],
    ['its path is no connection', `${DOCUMENT}/c/crm-api/customers`, {}],
  ])('is not described when %s', async (_why, path, options) => {
    const answer = await ask(path, options)
    expect(answer.status).toBe(404)
    expect(answer.text).not.toContain('authorization_servers')
  })

  it.each([`${DOCUMENT}/c/crm-api`, '/c/crm-api/customers'])(
    'is refused at %s when its host could break out of a URL or a field',
    async (path) => {
      const answer = await ask(path, { host: 'x", error="y' })
      expect(answer.status).toBe(400)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      expect(answer.text).not.toContain('error=')
    },
  )

  it('says nothing of it where no issuer is configured', async () => {
    expect((await ask(`${DOCUMENT}/c/crm-api`, { of: plain })).status).toBe(404)
    expect((await ask('/c/crm-api/customers', { of: plain })).headers['www-authenticate']).toBe('Bearer')
  })
})
