import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import type { Facts } from '../../../core/index.ts'
import { LIMITS, UNLIMITED } from '../../../core/index.ts'
import { httpConnection, HttpStage, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { AGENT_RULES, configurationOf, until } from '../../../testing/world.ts'
import { http } from '../index.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const ASKS = 'context.outward.containsAny(["masked", "secret", "email", "card", "vendor-token", "unread"])'
const GUARDED = `${AGENT_RULES}  - name: nothing protected goes out
    who: { kinds: [agent] }
    on: [api]
    forbid: { run: all }
    when: '${ASKS}'
`
const MAIL = 'bob.builder@example.org'

function configured(port: number, rules: string): string {
  const connection = httpConnection(port).replace(
    '    labels:\n',
    '      - { method: POST, path: /send, class: read }\n      - { method: GET, path: "/find/{what}", class: read }\n    labels:\n',
  )
  return configurationOf(connection, rules).replace('secret: { mask: full }', 'secret: { mask: hash }')
}

async function open(rules = GUARDED) {
  const stage = await HttpStage.open()
  stages.push(stage)
  stage.world.adopt(configured(stage.upstreamPort, rules))
  stage.json('POST /send', { ok: true })
  stage.json('GET /customers/1', { id: 1, email: MAIL, card: '4111 1111 1111 1111' })
  const { secret } = await stage.world.mint('http', 'api')
  const base = `http://127.0.0.1:${stage.port}/c/api`
  const send = (path: string, init: RequestInit & { readonly duplex?: 'half' } = {}) =>
    fetch(base + path, {
      ...init,
      headers: { authorization: `Bearer ${secret.reveal()}`, ...(init.headers as Record<string, string>) },
    })
  const post = (
    body: NonNullable<RequestInit['body']>,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) => send('/send', { method: 'POST', body, headers })
  const last = () => stage.world.entries('intent').at(-1)?.head
  return { stage, send, post, last }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const unicode = (text: string): string =>
  [...text].map((each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
const percent = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')

/** Ways in which a value goes out in a body. */
const WRITTEN: readonly (readonly [string, (value: string) => string])[] = [
  ['as it is', (value) => JSON.stringify({ note: `to ${value} please` })],
  ['in escapes of JSON', (value) => `{"note":"${unicode(value)}"}`],
  ['in JSON in JSON', (value) => JSON.stringify({ note: JSON.stringify({ a: `${value}"` }) })],
  ['in escapes of a URL', (value) => `note=${percent(value)}&x=1`],
  ['in escapes of a URL, twice', (value) => `note=${percent(percent(value))}`],
  ['in base64', (value) => JSON.stringify({ note: base64(value) })],
  ['in base64 behind something', (value) => JSON.stringify({ note: `x${base64(`ab${value}`)}` })],
  [
    'in base64 for URLs without padding',
    (value) => `note=${Buffer.from(`??>${value}`).toString('base64url')}`,
  ],
  ['in base64, twice', (value) => JSON.stringify({ note: base64(base64(`it is ${value}`)) })],
  ['in hexadecimal', (value) => `note: ${Buffer.from(value).toString('hex')}`],
  [
    'in entities of HTML',
    (value) => `<p>${[...value].map((each) => `&#${each.charCodeAt(0)};`).join('')}</p>`,
  ],
  ['as the name of a member', (value) => JSON.stringify({ [value]: 1 })],
]

describe('what goes out, where a rule asks for it', () => {
  it.each(WRITTEN)('is an address, a secret or a masked value, written %s (P-02, P-08)', async (_, write) => {
    const { stage, post, last } = await open()
    const client = await stage.client()
    const { card } = JSON.parse((await client.request('GET /customers/1')).body) as { readonly card: string }
    expect(card).toMatch(/^h_[a-z2-7]{26}$/)
    for (const [value, kind] of [
      [MAIL, 'email'],
      [UPSTREAM_TOKEN, 'secret'],
      [card, 'masked'],
    ] as const) {
      const response = await post(write(value))
      expect([kind, response.status]).toEqual([kind, 403])
      expect(last()?.outward).toContain(kind)
      expect(await response.text()).not.toContain(value)
    }
    expect(stage.asked.map(({ request }) => request)).toEqual(['GET /customers/1'])
  })

  it('is found in the path, the query, a field, a packed body and UTF-16', async () => {
    const { stage, send, post, last } = await open()
    stage.json(`GET /find/plain`, [])
    expect((await send('/find/plain')).status).toBe(200)
    expect(last()?.outward).toEqual([])
    const packed = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    for (const going of [
      send(`/find/${MAIL}`),
      send(`/find/${base64(MAIL).replaceAll('=', '')}`),
      send(`/find/plain?q=${percent(MAIL)}`),
      send('/find/plain', { headers: { 'x-note': MAIL } }),
      send('/find/plain', { headers: { 'x-note': base64(UPSTREAM_TOKEN) } }),
      post(gzipSync(`{"note":"${MAIL}"}`), packed),
      post(Buffer.from(`note ${MAIL}`, 'utf16le'), { 'content-type': 'text/plain; charset=utf-16le' }),
    ])
      expect((await going).status).toBe(403)
    expect(stage.asked).toHaveLength(1)
  })

  it('is found across the borders of chunks and of packets', async () => {
    const { stage, last } = await open()
    const client = await stage.client()
    const head = [
      'POST /c/api/send HTTP/1.1',
      'host: g',
      `authorization: Bearer ${client.token}`,
      'content-type: text/plain',
      'transfer-encoding: chunked',
    ]
    const body = `${'x '.repeat(9_000)}${MAIL} and more`
    client.socket.write(`${head.join('\r\n')}\r\n\r\n`)
    for (let at = 0; at < body.length; at += at < 17_990 ? 1_799 : 3) {
      const piece = body.slice(at, at < 17_990 ? at + 1_799 : at + 3)
      client.socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await client.raw('0\r\n\r\n')).status).toBe(403)
    expect(last()?.outward).toEqual(['email'])
    expect(stage.asked).toEqual([])
  })

  it('that nobody can look into is said to be unread, and what is too long is refused (P-03)', async () => {
    const { stage, post, last } = await open()
    for (const [body, headers] of [
      [Buffer.from([0xff, 0xfe, 0xfd, 0, 1, 2, 3]), { 'content-type': 'image/png' }],
      [Buffer.from('abc'), { 'content-type': 'text/plain', 'content-encoding': 'compress' }],
      [Buffer.from('no gzip'), { 'content-type': 'text/plain', 'content-encoding': 'gzip' }],
      [
        gzipSync(Buffer.alloc(2 * LIMITS.httpRequestBodyBytesMax, 'a')),
        { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
      ],
      [
        Array.from({ length: 7 }).reduce<string>((text) => base64(text), `to ${MAIL}`),
        { 'content-type': 'text/plain' },
      ],
    ] as const) {
      expect((await post(body, headers)).status).toBe(403)
      expect(last()?.outward).toEqual(['unread'])
    }
    const long = await post('a'.repeat(LIMITS.httpRequestBodyBytesMax + 1), { 'content-type': 'text/plain' })
    expect(long.status).toBe(413)
    expect(await long.text()).toContain('rules ask what it takes out')
    expect(stage.asked).toEqual([])
  })

  it('passes where nothing is found, and its kinds are recorded without a value', async () => {
    const { stage, post, last } = await open()
    const plain = JSON.stringify({
      note: 'Meet at 10:30, bring the 2 boxes (no. 47110815) + “notes” & café',
      id: '8f14e45f-ceea-467f-a8ed-0123456789ab',
    })
    expect((await post(plain)).status).toBe(200)
    expect(last()?.outward).toEqual([])
    expect(stage.asked).toHaveLength(1)
  })

  it('is asked for by a rule that only observes, and by none: then a body streams unread', async () => {
    const rules = `${AGENT_RULES}  - { name: watch, mode: observe, who: { kinds: [agent] }, on: [api], forbid: { run: all }, when: 'context.outward.contains("email")' }\n`
    const { stage, post, last } = await open(rules)
    expect((await post(JSON.stringify({ note: MAIL }))).status).toBe(200)
    expect(last()).toMatchObject({ outward: ['email'], observed: [expect.stringContaining('watch')] })
    stage.world.adopt(configured(stage.upstreamPort, AGENT_RULES))
    const client = await stage.client()
    const head = `POST /c/api/send HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n`
    const before = stage.world.entries('intent').length
    client.socket.write(`${head}17\r\n${MAIL}\r\n`)
    // It is judged, and on its way, before its end has come.
    await until('it is judged', () => stage.world.entries('intent').length > before)
    expect(last()?.outward).toBeUndefined()
    expect(last()?.parameters).toBeUndefined()
    expect((await client.raw('0\r\n\r\n')).status).toBe(200)
    expect(stage.asked.at(-1)?.body).toBe(MAIL)
  })

  it('is what people are asked about, by a rule that holds it', async () => {
    const rules = `${AGENT_RULES}  - { name: people look at cards, who: { kinds: [agent] }, on: [api], forbid: { unreviewed: [read] }, when: 'context.outward.contains("card")' }\n`
    const { stage, post } = await open(rules)
    const going = post(JSON.stringify({ note: 'card 4111 1111 1111 1111' }))
    await until('it is held', () => stage.world.waiting().length === 1)
    expect(stage.world.approvals.list()[0]?.warnings).toEqual(['it takes out what looks like: card'])
    await stage.world.answer(stage.world.waiting()[0]!, 'approve')
    expect((await going).status).toBe(200)
  })

  it('is known to explain', async () => {
    const { stage } = await open()
    const connection = stage.world.connection('api')
    if (connection === undefined || http.explain === undefined) throw new Error('nothing to explain')
    let seen: Facts | undefined
    const { gateway } = stage.world
    await http.explain(
      {
        network: gateway.network,
        random: () => new Uint8Array(),
        resolveSecret: () => Promise.reject(new Error('none')),
        configuredSecrets: () => Promise.resolve([UPSTREAM_TOKEN]),
      },
      connection,
      {
        text: `POST /send?to=${MAIL}\n\n{"a":"${base64(UPSTREAM_TOKEN)}"}`,
        database: '',
        masks: gateway.policy.masks(connection.name),
        decide: (facts) => {
          seen = facts
          return {
            kind: 'allow',
            masks: new Map(),
            limit: UNLIMITED,
            rules: [],
            observed: [],
            volatile: false,
          }
        },
      },
    )
    expect(seen?.attributes['outward']).toEqual(['secret', 'email'])
  })
})
