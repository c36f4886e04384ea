import { afterEach, describe, expect, it } from 'vitest'
import { HttpStage, httpConnection, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { takeToken } from './slots.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const SLOTS = `
    client:
      slots:
        - { kind: scheme, name: Token }
        - { kind: basic }
        - { kind: header, name: X-Api-Key }
        - { kind: query, name: api_key }`

async function open(credential = 'bearer: "${env:TOKEN}"', slots = SLOTS): Promise<HttpStage> {
  const stage = await HttpStage.open({
    connection: (port) => httpConnection(port, slots).replace('bearer: "${env:TOKEN}"', credential),
  })
  stages.push(stage)
  stage.json('GET /numbers', [1])
  stage.json('GET /numbers?a=1&b=%20x', [1])
  return stage
}

async function ask(stage: HttpStage, target: string, fields: readonly string[], token: string) {
  const client = await stage.client()
  const written = [`GET /c/api${target} HTTP/1.1`, 'host: g', ...fields, '', ''].join('\r\n')
  return await client.raw(written.replaceAll('TOKEN', token))
}

const basic = (both: string): string => `authorization: Basic ${Buffer.from(both).toString('base64')}`

describe('the token of the gateway', () => {
  it.each([
    ['a scheme of the vendor', '/numbers', () => ['authorization: Token TOKEN']],
    ['a scheme with a parameter', '/numbers', () => ['authorization: token token="TOKEN"']],
    ['the password of basic', '/numbers', (token: string) => [basic(`somebody:${token}`)]],
    ['the name of basic, without a password', '/numbers', (token: string) => [basic(`${token}:`)]],
    ['a field', '/numbers', () => ['x-api-key: TOKEN']],
    [
      'a field, beside a scheme that is no slot',
      '/numbers',
      () => ['X-API-KEY: TOKEN', 'authorization: Bearer of-the-sdk'],
    ],
    ['a key of the query', '/numbers?api_key=TOKEN', () => []],
    ['a key of the query among others', '/numbers?a=1&api%5Fkey=TOKEN&b=%20x', () => []],
  ])('is taken from %s, and stays here', async (_name, target, fields) => {
    const stage = await open()
    const minted = await stage.world.mint('http', 'api')
    const token = minted.secret.reveal()
    expect((await ask(stage, target, fields(token), token)).status).toBe(200)
    expect(stage.asked).toHaveLength(1)
    const [asked] = stage.asked
    expect(asked?.request).toBe(target.includes('a=1') ? 'GET /numbers?a=1&b=%20x' : 'GET /numbers')
    expect(asked?.headers['authorization']).toBe(`Bearer ${UPSTREAM_TOKEN}`)
    expect(JSON.stringify(asked)).not.toContain(token)
    expect(asked?.headers).not.toHaveProperty('x-api-key')
    const [intent] = stage.world.entries('intent')
    expect(intent?.head.text).toBe(asked?.request)
    const kept = stage.world.journal.bytes().toString()
    expect(kept).not.toContain(token)
    expect(kept).not.toContain(UPSTREAM_TOKEN)
  })

  it('is replaced where the SDK puts it', async () => {
    for (const credential of [
      'credential: { kind: header, name: X-Api-Key, value: "${env:TOKEN}" }',
      'credential: { kind: query, name: api_key, value: "${env:TOKEN}" }',
    ]) {
      const stage = await open(credential)
      stage.json(`GET /numbers?api_key=${UPSTREAM_TOKEN}`, [1])
      const token = (await stage.world.mint('http', 'api')).secret.reveal()
      expect((await ask(stage, '/numbers?api_key=TOKEN', [], token)).status).toBe(200)
      const shown = JSON.stringify(stage.asked)
      expect(shown).toContain(UPSTREAM_TOKEN)
      expect(shown).not.toContain(token)
      expect(stage.world.journal.bytes().toString()).not.toContain(UPSTREAM_TOKEN)
    }
  })

  it.each([
    ['two slots are filled', '/numbers?api_key=TOKEN', ['x-api-key: TOKEN'], 400],
    ['two slots are filled, one with something else', '/numbers?api_key=other', ['x-api-key: TOKEN'], 400],
    ['a slot is filled twice', '/numbers', ['x-api-key: TOKEN', 'x-api-key: TOKEN'], 400],
    ['it stands in the target as well', '/numbers?a=TOKEN', ['x-api-key: TOKEN'], 400],
    ['it stands in a field as well', '/numbers', ['x-api-key: TOKEN', 'x-mine: TOKEN'], 400],
    ['it stands where this connection has no slot', '/numbers', ['authorization: Bearer TOKEN'], 401],
    ['no slot is filled', '/numbers', [], 401],
    ['a slot is empty', '/numbers?api_key=', [], 401],
    ['it is another', '/numbers?api_key=x', [], 401],
  ])('is not taken when %s', async (_name, target, fields, status) => {
    const stage = await open()
    const token = (await stage.world.mint('http', 'api')).secret.reveal()
    const reply = await ask(stage, target, fields, token)
    expect(reply.status).toBe(status)
    expect(reply.body).not.toContain(token)
    expect(stage.asked).toEqual([])
    expect(stage.world.journal.bytes().toString()).not.toContain(token)
  })

  it('does not tell whether there is such a connection: the same answer as for one that is not there', async () => {
    const stage = await open()
    for (const fields of [
      [],
      ['authorization: Bearer x'],
      ['authorization: Bearer slu_c_0000000000000000_x'],
    ]) {
      const there = await ask(stage, '/numbers', fields, '')
      const client = await stage.client()
      const nowhere = await client.raw(
        ['GET /c/none/numbers HTTP/1.1', 'host: g', ...fields, '', ''].join('\r\n'),
      )
      expect([nowhere.status, nowhere.body]).toEqual([there.status, there.body])
    }
  })
})

describe('what the credential of the upstream fills', () => {
  it('is not for clients to say', async () => {
    const byField = await open('credential: { kind: header, name: X-Service, value: "${env:TOKEN}" }', '')
    const token = (await byField.world.mint('http', 'api')).secret.reveal()
    await ask(byField, '/numbers', ['authorization: Bearer TOKEN', 'x-service: mine'], token)
    expect(byField.asked[0]?.headers['x-service']).toBe(UPSTREAM_TOKEN)
    expect(byField.asked[0]?.headers).not.toHaveProperty('authorization')

    const byQuery = await open('credential: { kind: query, name: sig, value: "${env:TOKEN}" }', '')
    const other = (await byQuery.world.mint('http', 'api')).secret.reveal()
    const reply = await ask(byQuery, '/numbers?s%69g=mine', ['authorization: Bearer TOKEN'], other)
    expect(reply.status).toBe(400)
    expect(byQuery.asked).toEqual([])
  })
})

describe('a query without one of its keys', () => {
  it.each([
    ['/a?k=1', '/a', ['1']],
    ['/a?k=1&b=2', '/a?b=2', ['1']],
    ['/a?b=%2f&k=1&&c', '/a?b=%2f&&c', ['1']],
    ['/a?k=1&k=2', '/a', ['1', '2']],
    ['/a?k', '/a', []],
    ['/a?kk=1', '/a?kk=1', []],
    ['/a?%6b=%41', '/a', ['A']],
    ['/a?%zz=1&k=%zz', '/a?%zz=1', ['%zz']],
  ])('is as it was written: %s', (target, left, tokens) => {
    const taken = takeToken([{ kind: 'query', name: 'k' }], [], target)
    expect([taken.target, taken.tokens]).toEqual([left, tokens])
  })
})
