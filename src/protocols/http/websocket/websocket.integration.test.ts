/** WebSockets through the gateway, with clients and servers of a real library and with bytes of our own. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { getCACertificates, setDefaultCACertificates, TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { createCertificates } from '../../../net/index.ts'
import { UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { WebSocketStage } from '../../../testing/websocket-stage.ts'
import { configurationOf, SEEING_RULES, STRICT_RULES, until } from '../../../testing/world.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function open(options: Parameters<typeof WebSocketStage.open>[0] = {}): Promise<WebSocketStage> {
  const stage = await WebSocketStage.open(options)
  closing.push(() => stage.close())
  return stage
}

const intents = (stage: WebSocketStage) => stage.http.world.entries('intent').map(({ head }) => head)
const outcomes = (stage: WebSocketStage) => stage.http.world.entries('outcome').map(({ head }) => head)
const inputs = (stage: WebSocketStage) =>
  Buffer.concat(stage.http.world.entries('input').map(({ body }) => body ?? Buffer.alloc(0))).toString()
const results = (stage: WebSocketStage) =>
  Buffer.concat(stage.http.world.entries('result').map(({ body }) => body ?? Buffer.alloc(0))).toString()

/** Of what has come to the upstream, what was not in the recording before. */
function unrecorded(stage: WebSocketStage): string[] {
  let recorded = ''
  return stage.http.world.journal.tape.flatMap((each) => {
    if (each.kind === 'written') {
      if (each.entry.kind === 'input') recorded += each.entry.body?.toString() ?? ''
      return []
    }
    const [text, base64] = [JSON.stringify(each.bytes.toString()), each.bytes.toString('base64')]
    return recorded.includes(text) || recorded.includes(base64) ? [] : [text]
  })
}

describe('a WebSocket', () => {
  it('is one command: judged, recorded with its messages both ways, and ended as its sides end it (P-04)', async () => {
    const stage = await open()
    const client = await stage.open('/open?from=1')
    const upstream = await stage.upstream()
    expect(upstream.request.url).toBe('/open?from=1')
    expect(upstream.request.headers).toMatchObject({ authorization: `Bearer ${UPSTREAM_TOKEN}` })
    expect(upstream.request.headers['sec-websocket-extensions']).toBeUndefined()
    expect(intents(stage)).toMatchObject([{ n: 1, text: 'WEBSOCKET /open?from=1' }])
    client.socket.send('{"ask":1}')
    client.socket.send(Buffer.from([1, 2, 3]))
    await until('both messages arrive', () => upstream.got.length === 2)
    expect(upstream.got).toEqual(['{"ask":1}', '010203'])
    upstream.socket.send('{"answer":2}')
    upstream.socket.send(Buffer.from([4, 5]))
    await until('both answers arrive', () => client.got.length === 2)
    expect(client.got).toEqual(['{"answer":2}', Buffer.from([4, 5])])
    expect(outcomes(stage)).toEqual([])
    client.socket.close(4001, 'enough')
    await until('the upstream is told', () => upstream.closed !== undefined)
    expect(upstream.closed).toBe(4001)
    await until('it has an outcome', () => outcomes(stage).length === 1)
    expect(outcomes(stage)).toMatchObject([{ n: 1, outcome: 'ok', tag: '101' }])
    expect(inputs(stage)).toBe(
      '{"text":"{\\"ask\\":1}"}\n{"binary":"AQID"}\n{"close":4001,"reason":"enough"}\n',
    )
    expect(results(stage)).toBe('{"text":"{\\"answer\\":2}"}\n{"binary":"BAU="}\n')
    expect(unrecorded(stage)).toEqual([])
  })

  it('ends for its client as the upstream ends it, behind what was said before', async () => {
    const stage = await open()
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    for (let n = 0; n < 50; n++) upstream.socket.send(`message ${n}`)
    upstream.socket.close(4400, 'bye')
    await until('the client is told', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code: 4400, reason: 'bye' })
    expect(client.got).toHaveLength(50)
    expect(outcomes(stage)).toMatchObject([{ outcome: 'ok' }])
  })

  it('has the subprotocol that the upstream chooses, and no compression', async () => {
    const stage = await open({ protocols: ['second'] })
    const client = await stage.open('/open', { protocols: ['first', 'second'] })
    expect(client.socket.protocol).toBe('second')
    expect(client.socket.extensions).toBe('')
    const upstream = await stage.upstream()
    expect(upstream.request.headers['sec-websocket-protocol']).toBe('first,second')
  })

  it('goes over TLS on both sides, at the host of its connection and at no other', async () => {
    const made = await createCertificates({ names: ['*.gateway.example', '127.0.0.1'], now: Date.now() })
    const before = getCACertificates('default')
    setDefaultCACertificates([...before, made.authority])
    closing.push(() => setDefaultCACertificates(before))
    const listen = 'listen:\n  http: { port: 0, hosts: { below: [gateway.example] } }\n'
    const stage = await open({ tls: made, listen })
    const base = `wss://127.0.0.1:${stage.http.port}`
    const { authorization } = await bearer(stage)
    const more = (host: string) => ({
      headers: { authorization, host },
      servername: 'api.gateway.example',
      ca: made.authority,
    })
    const client = await stage.open('/open', { base, more: more('api.gateway.example') })
    client.socket.send('hello')
    const upstream = await stage.upstream()
    await until('it arrives', () => upstream.got.length === 1)
    expect(upstream.request.socket).toBeInstanceOf(TLSSocket)
    const elsewhere = await stage.refused('/open', { base, more: more('other.gateway.example') })
    expect(elsewhere.status).toBe(421)
  })

  it('waits for people, and the upstream hears of it when they have approved (P-05)', async () => {
    const stage = await open()
    const opening = stage.open('/asked')
    await until('somebody is asked', () => stage.http.world.waiting().length === 1)
    expect(stage.lines).toHaveLength(0)
    const [ticket] = stage.http.world.waiting()
    if (ticket === undefined) throw new Error('nobody was asked')
    await stage.http.world.answer(ticket, 'approve')
    const client = await opening
    client.socket.send('now')
    const upstream = await stage.upstream()
    await until('it arrives', () => upstream.got.length === 1)
  })

  it('is refused when people refuse it, and when nobody answers in time (P-05)', async () => {
    const stage = await open()
    const refused = stage.refused('/asked')
    await until('somebody is asked', () => stage.http.world.waiting().length === 1)
    const [ticket] = stage.http.world.waiting()
    if (ticket === undefined) throw new Error('nobody was asked')
    await stage.http.world.answer(ticket, 'refuse')
    expect(await refused).toMatchObject({ status: 403 })
    const late = stage.refused('/asked?again')
    await until('somebody is asked', () => stage.http.world.waiting().length === 1)
    stage.http.world.clock.advance(31_000)
    expect(await late).toMatchObject({ status: 428 })
    expect(stage.lines).toHaveLength(0)
  })

  it('is nothing that a request can be: each has a route of its own (P-03)', async () => {
    const stage = await open()
    const client = await stage.http.client()
    expect((await client.request('GET /open')).status).toBe(403)
    expect(await stage.refused('/plain')).toMatchObject({ status: 403 })
    expect(await stage.refused('/nothing')).toMatchObject({ status: 403 })
    expect(stage.lines).toHaveLength(0)
    expect(outcomes(stage).map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused'])
  })

  it('is refused in words without a token, and where the upstream does not do it', async () => {
    const stage = await open({ upgrades: () => false })
    expect(await stage.refused('/open', { more: { headers: {} } })).toMatchObject({ status: 401 })
    const answer = await stage.refused('/open')
    expect(answer.status).toBe(502)
    expect(answer.body).toContain('The upstream answered the upgrade with 401.')
    expect(outcomes(stage)).toMatchObject([{ outcome: 'error', tag: 'upstream_unreachable' }])
  })
})

describe('messages of a route with labels', () => {
  it('are masked as documents of their own, in frames of any size (P-02)', async () => {
    const stage = await open()
    const client = await stage.open('/masked')
    const upstream = await stage.upstream()
    upstream.socket.send('{"user":{"email":"canary.alice@example.com"},', { fin: false })
    upstream.socket.send('"also":[{"ema', { fin: false })
    upstream.socket.send('il":"canary.alice@example.com"}]}', { fin: true })
    await until('it arrives', () => client.got.length === 1)
    expect(String(client.got[0])).not.toContain('canary.alice')
    expect(JSON.parse(String(client.got[0]))).toMatchObject({ user: { email: 'c***@example.com' } })
  })

  it.each([
    ['is no JSON', (): string => 'email: canary.alice@example.com'],
    ['is not whole', (): string => '{"email":"canary.alice@example.com"'],
    ['is binary', (): Buffer => Buffer.from('{"email":"canary.alice@example.com"}')],
  ])('end it when one %s (P-02, P-03)', async (_why, message) => {
    const stage = await open()
    const client = await stage.open('/masked')
    const upstream = await stage.upstream()
    upstream.socket.send('{"fine":1}')
    upstream.socket.send(message())
    upstream.socket.send('{"later":1}')
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1008 })
    expect(client.closed?.reason).toMatch(/^denied [0-9A-Z]{26}\.1: A message holds protected fields/)
    expect(client.got).toEqual(['{"fine":1}'])
    await until('the upstream is told', () => upstream.closed !== undefined)
    expect(outcomes(stage)).toMatchObject([{ outcome: 'refused', tag: 'denied' }])
    expect(results(stage)).not.toContain('canary')
  })

  it('are searched by detectors, JSON and text alike (P-02)', async () => {
    const stage = await open()
    const client = await stage.open('/found')
    const upstream = await stage.upstream()
    upstream.socket.send('write to canary.alice@example.com soon')
    upstream.socket.send('{"note":"canary.alice\\u0040example.com"}')
    await until('both arrive', () => client.got.length === 2)
    expect(client.got.join('\n')).not.toMatch(/canary\.alice/)
    upstream.socket.send('{"note":"canary.alice@example.com"')
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1008 })
  })

  it('may not say at the end what would be masked before it (P-02)', async () => {
    const stage = await open()
    const client = await stage.open('/masked')
    const upstream = await stage.upstream()
    upstream.socket.close(4000, 'canary.alice@example.com')
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code: 4000, reason: '' })
  })
})

describe('the credential of the upstream', () => {
  it.each([
    ['whole', [[UPSTREAM_TOKEN]]],
    ['in a frame that is split in it', [[UPSTREAM_TOKEN.slice(0, 9), UPSTREAM_TOKEN.slice(9)]]],
    ['split over two messages', [[UPSTREAM_TOKEN.slice(0, 7)], [UPSTREAM_TOKEN.slice(7)]]],
    ['as the end of a message', [[`x${UPSTREAM_TOKEN.slice(0, 12)}`], [UPSTREAM_TOKEN.slice(12)]]],
    ['in base64', [[Buffer.from(UPSTREAM_TOKEN).toString('base64')]]],
  ])('does not come back %s (P-08)', async (_how, messages) => {
    const stage = await open()
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    upstream.socket.send('before')
    for (const frames of messages)
      for (const [i, frame] of frames.entries()) upstream.socket.send(frame, { fin: i === frames.length - 1 })
    upstream.socket.send('behind')
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1014 })
    const seen = client.got.join('')
    expect(seen.startsWith('before')).toBe(true)
    expect(seen).not.toContain('behind')
    expect(seen).not.toContain(UPSTREAM_TOKEN.slice(0, LIMITS.upstreamSecretCharactersMin))
    expect(outcomes(stage)).toMatchObject([{ outcome: 'refused', tag: 'credential_reflected' }])
    expect(stage.http.world.reports).toHaveLength(1)
  })

  it('does not come back in the reason of an end (P-08)', async () => {
    const stage = await open()
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    upstream.socket.close(4000, UPSTREAM_TOKEN)
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1014 })
    expect(client.closed?.reason).not.toContain(UPSTREAM_TOKEN)
  })
})

describe('the end of a credential', () => {
  it('ends it at once, with the reason, and no message goes on behind it (P-09)', async () => {
    const stage = await open()
    const { world } = stage.http
    const minted = await world.mint('http', 'api')
    const client = await stage.open('/open', { minted })
    const upstream = await stage.upstream()
    client.socket.send('one')
    await until('it arrives', () => upstream.got.length === 1)
    await world.credentials.revoke(minted.credential.id, 'test')
    for (let n = 0; n < 20; n++) {
      if (client.socket.readyState === client.socket.OPEN) client.socket.send('behind')
      if (upstream.socket.readyState === upstream.socket.OPEN) upstream.socket.send('behind')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until('it ends', () => client.closed !== undefined && upstream.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1008 })
    expect(client.closed?.reason).toMatch(/^unauthenticated /)
    expect(upstream.closed).toBe(1001)
    expect(upstream.got).toEqual(['one'])
    expect(client.got).toEqual([])
    expect(outcomes(stage)).toMatchObject([{ outcome: 'lost' }])
  })

  it('ends it when the recording cannot be written: nothing goes on unrecorded (P-04)', async () => {
    const stage = await open()
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    stage.http.world.journal.broken = true
    client.socket.send('unrecorded')
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1011 })
    expect(upstream.got).toEqual([])
  })
})

describe('another configuration', () => {
  it.each([
    ['its rules forbid it', (at: string): string => configurationOf(at, STRICT_RULES)],
    ['it is no route any more', (at: string): string => configurationOf(at.replaceAll('/masked', '/other'))],
    [
      'its API is another one',
      (at: string): string => configurationOf(at.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1')),
    ],
    ['its connection is gone', (at: string): string => configurationOf(at.replace('  api:', '  another:'))],
  ])('ends it where %s, before the next message either way (P-03)', async (_what, configuration) => {
    for (const side of ['client', 'upstream'] as const) {
      const stage = await open()
      const client = await stage.open('/masked')
      const upstream = await stage.upstream()
      stage.http.world.adopt(configuration(stage.connection))
      if (side === 'client') client.socket.send('{"later":1}')
      else upstream.socket.send('{"later":1}')
      await until('it ends', () => client.closed !== undefined && upstream.closed !== undefined)
      expect(client.closed).toMatchObject({ code: 1008 })
      expect([...client.got, ...upstream.got]).toEqual([])
    }
  })

  it('masks otherwise from the next message on, and leaves open what may stay open (P-02)', async () => {
    const stage = await open()
    const { world } = stage.http
    world.adopt(configurationOf(stage.connection, SEEING_RULES))
    const client = await stage.open('/masked')
    const upstream = await stage.upstream()
    const seen = async (): Promise<string> => {
      const before = client.got.length
      upstream.socket.send('{"email":"canary.alice@example.com"}')
      await until('it arrives', () => client.got.length > before)
      return String(client.got.at(-1))
    }
    expect(await seen()).toContain('canary.alice')
    world.adopt(configurationOf(stage.connection))
    expect(await seen()).not.toContain('canary.alice')
    world.adopt(configurationOf(stage.connection.replace('**.email', 'nothing'), SEEING_RULES))
    expect(await seen()).toContain('canary.alice')
  })
})

describe('limits', () => {
  it.each([
    ['a message that is too long', (): Buffer[] => [Buffer.alloc(LIMITS.webSocketMessageBytesMax + 1)]],
    [
      'one in too many frames',
      (): Buffer[] => Array.from({ length: LIMITS.webSocketFragmentsMax + 2 }, () => Buffer.from('x')),
    ],
  ])('of frames: %s ends it, from either side (P-03)', async (_what, frames) => {
    for (const side of ['client', 'upstream'] as const) {
      const stage = await open()
      const client = await stage.open('/open')
      const upstream = await stage.upstream()
      const from = side === 'client' ? client.socket : upstream.socket
      for (const [i, frame] of frames().entries()) from.send(frame, { fin: i === frames().length - 1 })
      await until('it ends', () => client.closed !== undefined && upstream.closed !== undefined)
      expect(side === 'client' ? upstream.got : client.got).toEqual([])
      await until('it has an outcome', () => outcomes(stage).length === 1)
      expect(outcomes(stage)[0]?.outcome).toMatch(/^(?:cut|error)$/)
    }
  })

  it('of what an identity may see end it, behind what it may (P-03)', async () => {
    const stage = await open()
    const text = 'x'.repeat(LIMITS.webSocketMessageBytesMax)
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    for (let n = 0; n < 20; n++) upstream.socket.send(text)
    await until('it ends', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1009 })
    expect(client.got).toHaveLength(15)
    expect(outcomes(stage)).toMatchObject([{ outcome: 'cut', tag: 'limit_exceeded' }])
  })

  it('of memory: from an upstream no more is read than its client takes', async () => {
    const stage = await open()
    const client = await stage.open('/open')
    const upstream = await stage.upstream()
    client.socket.pause()
    const piece = 'x'.repeat(64 * 1024)
    let sent = 0
    for (let last = -1; last !== sent && sent < 200; ) {
      last = sent
      for (let n = 0; n < 40 && sent < 200 && upstream.socket.bufferedAmount < piece.length; n++) {
        upstream.socket.send(piece)
        sent++
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    // What the sockets of both sides hold, of 12.5 MiB.
    expect(sent).toBeLessThan(180)
    client.socket.resume()
    await until('all of it arrives', () => client.got.length === sent)
  })

  it('of patience: a client that does not answer is asked twice, and cut', async () => {
    const stage = await open()
    const client = await stage.open('/open', { more: { autoPong: false, headers: await bearer(stage) } })
    const { clock } = stage.http.world
    const pinged = once(client.socket, 'ping')
    clock.advance(LIMITS.webSocketBeatMs)
    await pinged
    clock.advance(LIMITS.webSocketBeatMs)
    await until('it is cut', () => client.closed !== undefined)
    expect(client.closed).toMatchObject({ code: 1006 })
  })
})

async function bearer(stage: WebSocketStage): Promise<{ authorization: string }> {
  const { secret } = await stage.http.world.mint('http', 'api')
  return { authorization: `Bearer ${secret.reveal()}` }
}

describe('what only looks like an upgrade', () => {
  const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='
  const fields = ['connection: Upgrade', 'upgrade: websocket', key, 'sec-websocket-version: 13']

  async function raw(
    stage: WebSocketStage,
    path: string,
    more: readonly string[],
    behind = '',
  ): Promise<string> {
    const { authorization } = await bearer(stage)
    const head = [`GET /c/api${path} HTTP/1.1`, 'host: g', `authorization: ${authorization}`, ...more]
    const socket = connect(stage.http.port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => undefined)
    socket.write(`${head.join('\r\n')}\r\n\r\n${behind}`)
    const read = (): string => Buffer.concat(chunks).toString('latin1')
    await until('it is answered', () => read().includes('\r\n\r\n') || socket.destroyed)
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.destroy()
    return read()
  }

  it.each([
    [
      'frames or a request behind it, before it was answered',
      fields,
      'GET /c/api/plain HTTP/1.1\r\nhost: g\r\n\r\n',
    ],
    ['another version', [...fields.slice(0, 3), 'sec-websocket-version: 8'], ''],
    ['two versions', [...fields, 'sec-websocket-version: 12'], ''],
    ['no key', [...fields.slice(0, 2), 'sec-websocket-version: 13'], ''],
    ['two keys', [...fields, key], ''],
    ['a subprotocol twice', [...fields, 'sec-websocket-protocol: a, a'], ''],
    ['a type of a body', [...fields, 'content-type: text/plain'], ''],
  ])('is refused with %s (P-03)', async (_what, head, behind) => {
    const stage = await open()
    expect(await raw(stage, '/open', head, behind)).toMatch(/^HTTP\/1\.1 400 /)
    expect(stage.lines).toHaveLength(0)
  })

  it.each([
    ['another protocol', ['connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: AAMAAABk']],
    ['two protocols', ['connection: Upgrade', 'upgrade: websocket, h2c', key]],
    ['a body', [...fields, 'content-length: 5']],
    ['a field that is not named by Connection', ['upgrade: websocket', key]],
  ])('is a plain request with %s, and goes on as one (P-03)', async (_what, head) => {
    const stage = await open()
    // A plain request is none of this route's.
    const body = head.includes('content-length: 5') ? 'aaaaa' : ''
    expect(await raw(stage, '/open', head, body)).toMatch(/^HTTP\/1\.1 403 /)
    expect(stage.lines).toHaveLength(0)
  })

  it('does not overtake a request on its line that has no answer yet (P-03)', async () => {
    const stage = await open()
    const { authorization } = await bearer(stage)
    const plain = `GET /c/api/asked-of-nobody HTTP/1.1\r\nhost: g\r\nauthorization: ${authorization}\r\n\r\n`
    const first = await raw(stage, '/open', [], plain)
    expect(first).toMatch(/^HTTP\/1\.1 403 /)
    const client = await stage.http.client()
    const head = ['host: g', `authorization: ${authorization}`, ...fields].join('\r\n')
    client.socket.write(`${plain}GET /c/api/open HTTP/1.1\r\n${head}\r\n\r\n`)
    await until('both are answered', () => client.received().toString().split('HTTP/1.1 403').length === 3)
    expect(client.received().toString()).not.toContain(' 101 ')
    expect(stage.lines).toHaveLength(0)
  })
})
