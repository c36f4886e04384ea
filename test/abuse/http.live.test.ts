import { beforeAll, describe, expect, test } from 'vitest'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { residentMiB, send } from './bytes.ts'
import { journalOf } from './evidence.ts'
import type { HostileApi } from './hostile-api.ts'
import { echoed, ECHO_NAMES, ECHO_PLACES, FORM_NAMES, startHostileApi } from './hostile-api.ts'
import type { World } from './world.ts'
import { marksIn, SECRETS, startWorld } from './world.ts'

const CRLF = '\r\n'

describe('P-02 and P-03 over HTTP, whatever arrives from either side', () => {
  const later = teardown()
  const random = randomFrom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  let world: World
  let api: HostileApi
  let token: string
  let port: number
  let began: number

  beforeAll(async () => {
    api = await startHostileApi()
    later(() => api.stop())
    world = await startWorld({ upstreamUrl: api.url })
    later(() => world.stop())
    token = (
      await world.gateway.cli(['token', 'crm-api', '--as', 'support-agent', '--ttl', '2h'])
    ).stdout.trim()
    port = world.gateway.ports['http'] ?? 0
    await get('/customers')
    began = await residentMiB(world.gateway.pid)
  }, 120_000)

  const head = (line: string, more: readonly string[] = []): string =>
    [line, 'Host: x', `Authorization: Bearer ${token}`, ...more, '', ''].join(CRLF)

  async function raw(text: string | Buffer, end = false): Promise<string> {
    return (await send(port, [Buffer.from(text)], { end, msMax: 700 })).toString('latin1')
  }

  async function get(target: string, more: readonly string[] = []): Promise<string> {
    return raw(head(`GET /c/crm-api${target} HTTP/1.1`, ['Connection: close', ...more]))
  }

  async function unharmed(): Promise<void> {
    const answer = await get('/customers')
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect((await residentMiB(world.gateway.pid)) - began).toBeLessThan(120)
    // Told of are the answers that held the credential, and nothing else.
    const told = world.gateway.stderr().split('\n')
    const others = told.filter((each) => each !== '' && !each.includes('holds the credential'))
    expect(others, `seed ${seed}`).toEqual([])
    const permitted = new Map<string, number>()
    for (const { entry } of await journalOf(world.gateway)) {
      if (entry.kind === 'intent' && entry.head.decision === 'allow')
        permitted.set(entry.head.text, (permitted.get(entry.head.text) ?? 0) + 1)
    }
    const unjudged = api.served.filter(({ line }) => {
      const left = (permitted.get(line) ?? 0) - 1
      permitted.set(line, left)
      return left < 0
    })
    expect(unjudged, `seed ${seed}`).toEqual([])
    // The gateway's token stays here, the real one is put in.
    expect(api.served.filter(({ authorization }) => authorization !== `Bearer ${SECRETS.api}`)).toEqual([])
    expect(api.served.filter(({ headers }) => headers.some((each) => each.includes(token)))).toEqual([])
  }

  test.each(FORM_NAMES)('hoop 3.9: an answer as %s shows no protected value', async (form) => {
    for (const target of [`/customers?as=${form}`, `/customers/7?as=${form}`, `/invoices?as=${form}`]) {
      const answer = await get(target, ['Range: bytes=0-30', 'Accept: */*', 'Accept-Encoding: gzip'])
      expect(answer).toMatch(/^HTTP\/1\.1 \d\d\d /)
      // In this shape `name` is a protected field of the first route only.
      const marks = marksIn(Buffer.from(answer, 'latin1')).filter(
        (mark) => mark !== 'qzvname' || target.startsWith('/customers?'),
      )
      expect(marks, target).toEqual([])
    }
  })

  test.each(ECHO_NAMES)(
    'C-09: an upstream that gives its credential back as %s gets nothing through',
    async (how) => {
      for (const place of ECHO_PLACES) {
        for (const target of [`/invoices?echo=${how}&at=${place}`, `/customers?echo=${how}&at=${place}`]) {
          const answer = await get(target)
          expect(answer, target).toMatch(/^HTTP\/1\.1 \d\d\d /)
          for (const written of [echoed(how, SECRETS.api), SECRETS.api])
            expect(answer.includes(written), target).toBe(false)
          // Cookies never pass, and what is written in none of the fields that do is nothing to withhold.
          const within = place !== 'cookie' && !(how === 'utf16' && ['redirect', 'field'].includes(place))
          // 403: it is no JSON, and something in it may be masked, so it was withheld before it was searched.
          if (within) expect(answer, target).toMatch(/^HTTP\/1\.1 (?:403|502) /)
          const isJson = ['plain', 'base64', 'hexadecimal', 'jsonEvery', 'html', 'urlEvery'].includes(how)
          if (within && isJson) expect(answer, target).toMatch(/^HTTP\/1\.1 502 /)
        }
      }
    },
  )

  test('an answer that is read as it should is masked, and counted', async () => {
    expect(await get('/customers')).toContain('sluice-masked: 3;')
  })

  test('requests that two readers could read in two ways reach nobody', async () => {
    const served = api.served.length
    const refused = [
      // Framing: RFC 9112 section 6.
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', [
        'Content-Length: 6',
        'Transfer-Encoding: chunked',
      ]) + '0\r\n\r\nGET /c/crm-api/export HTTP/1.1\r\n\r\n',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Content-Length: 6', 'Content-Length: 7']) +
        'abcdefg',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Content-Length: +6']) + 'abcdef',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Transfer-Encoding: xchunked']) + '0\r\n\r\n',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Transfer-Encoding : chunked']) + '0\r\n\r\n',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Transfer-Encoding: chunked, identity']) +
        '0\r\n\r\n',
      head('POST /c/crm-api/invoices/1/refund HTTP/1.1', ['Transfer-Encoding: chunked']) + 'zz\r\n\r\n',
      head('GET /c/crm-api/customers HTTP/1.1', ['X: a\r\n folded']),
      head('GET /c/crm-api/customers HTTP/1.1', ['X: a\nY: b']),
      head('GET /c/crm-api/customers HTTP/1.1', ['X\0: a']),
      head('GET /c/crm-api/customers HTTP/1.1', [`X: ${'x'.repeat(64 * 1024)}`]),
      head(
        'GET /c/crm-api/customers HTTP/1.1',
        Array.from({ length: 5000 }, (_, i) => `X-${i}: y`),
      ),
      // Targets: RFC 9112 section 3.2.
      head('GET http://x/c/crm-api/customers HTTP/1.1'),
      head('GET //x/c/crm-api/customers HTTP/1.1'),
      head('GET /c/crm-api//customers HTTP/1.1'),
      head('GET /c/crm-api/./customers HTTP/1.1'),
      head('GET /c/crm-api/x/../customers HTTP/1.1'),
      head('GET /c/crm-api/customers/%2e%2e/export/customers HTTP/1.1'),
      head('GET /c/crm-api/customers/..%2fexport HTTP/1.1'),
      head('GET /c/crm-api/customers%2f7 HTTP/1.1'),
      head('GET /c/crm-api/customers%5c7 HTTP/1.1'),
      head('GET /c/crm-api/customers\\7 HTTP/1.1'),
      head('GET /c/crm-api/customers/7%00 HTTP/1.1'),
      head('GET /c/crm-api/customers/7%0d%0aX:y HTTP/1.1'),
      head('GET /c/crm-api/customers/7%252e HTTP/1.1'),
      head('GET /c/crm-api/customers/%zz HTTP/1.1'),
      head('GET /c/crm-api/customers/7/ HTTP/1.1'),
      head('GET /c/crm-api/customers/7/email HTTP/1.1'),
      head('GET /c/crm-api/customers;x=1 HTTP/1.1'),
      head('GET /c/crm-api/export/customers HTTP/1.1'),
      head('GET /c/crm-api/ HTTP/1.1'),
      head('GET /c/crm-api HTTP/1.1'),
      head('GET /c/other/customers HTTP/1.1'),
      head('GET /c/crm/customers HTTP/1.1'),
      head('GET /c/CRM-API/customers HTTP/1.1'),
      head('GET /%63/crm-api/customers HTTP/1.1'),
      head('GET /customers HTTP/1.1'),
      head('* HTTP/1.1'),
      head('GET * HTTP/1.1'),
      head('CONNECT x:80 HTTP/1.1'),
      head('OPTIONS * HTTP/1.1'),
      // Methods that no route has.
      ...['HEAD', 'PUT', 'PATCH', 'TRACE', 'PROPFIND', 'get', 'GETX', 'QUERY'].map((method) =>
        head(`${method} /c/crm-api/customers HTTP/1.1`),
      ),
      head('POST /c/crm-api/customers HTTP/1.1', ['X-HTTP-Method-Override: GET', 'Content-Length: 0']),
      // Versions and protocols.
      head('GET /c/crm-api/customers HTTP/3.0'),
      head('GET /c/crm-api/customers'),
      'GET /c/crm-api/customers HTTP/1.1\r\n\r\n',
      `GET /c/crm-api/customers HTTP/1.1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      head('GET /c/crm-api/customers HTTP/1.1', [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      ]),
      // Tokens.
      ...[
        '',
        'Bearer',
        'Bearer x',
        `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
        `Bearer ${token}x`,
        `Bearer ${token.slice(0, -1)}`,
        `Bearer ${token} ${token}`,
        `Bearer ${SECRETS.api}`,
      ].map((authorization) =>
        ['GET /c/crm-api/customers HTTP/1.1', 'Host: x', `Authorization: ${authorization}`, '', ''].join(
          CRLF,
        ),
      ),
      [
        'GET /c/crm-api/customers HTTP/1.1',
        'Host: x',
        'Authorization: Bearer x',
        `Authorization: Bearer ${token}`,
        '',
        '',
      ].join(CRLF),
      [`GET /c/crm-api/customers?access_token=${token} HTTP/1.1`, 'Host: x', '', ''].join(CRLF),
    ]
    const through: string[] = []
    for (const request of refused) {
      const answer = await raw(request)
      if (answer.startsWith('HTTP/1.1 2')) through.push(request.slice(0, 100))
      expect(marksIn(Buffer.from(answer, 'latin1')), request.slice(0, 100)).toEqual([])
    }
    expect(through).toEqual([])
    expect(api.served.slice(served).map(({ line }) => line)).toEqual([])
    await unharmed()
  })

  test('pipelined requests are each judged, and answered in order', async () => {
    const answer = await raw(
      head('GET /c/crm-api/customers HTTP/1.1') +
        head('GET /c/crm-api/export/customers HTTP/1.1') +
        head('GET /c/crm-api/customers/7?as=html HTTP/1.1') +
        head('GET /c/other/x HTTP/1.1'),
    )
    expect([...answer.matchAll(/HTTP\/1\.1 (\d\d\d)/g)].map(([, status]) => status)).toEqual([
      '200',
      '403',
      '403',
      '401',
    ])
    expect(marksIn(Buffer.from(answer, 'latin1'))).toEqual([])
    await unharmed()
  })

  test('fields that say who asks, or for what, stay here', async () => {
    const served = api.served.length
    await get('/customers', [
      'X-Forwarded-For: 1.2.3.4',
      'Cookie: admin=1',
      'X-Original-URL: /export/customers',
      'X-Rewrite-URL: /export/customers',
      'Connection: close, X-Secret',
      'X-Secret: hop',
      'Proxy-Authorization: Basic eDp4',
      'TE: trailers',
      'Expect: 100-continue',
    ])
    const names = (api.served[served]?.headers ?? [])
      .filter((_, i) => i % 2 === 0)
      .map((name) => name.toLowerCase())
    for (const name of [
      'x-forwarded-for',
      'cookie',
      'x-original-url',
      'x-rewrite-url',
      'x-secret',
      'proxy-authorization',
      'te',
      'expect',
    ])
      expect(names).not.toContain(name)
    await unharmed()
  })

  test('slow, half and random requests', async () => {
    const good = Buffer.from(head('GET /c/crm-api/customers HTTP/1.1', ['Connection: close']))
    const count = times({ small: 60, full: 3_000 })
    for (let at = 0; at < count; at += 12) {
      await Promise.all(
        Array.from({ length: 12 }, async () => {
          const bytes = Buffer.from(good)
          for (let n = 1 + below(4); n > 0; n--) bytes[below(bytes.length)] = below(256)
          const answer = await send(port, [bytes.subarray(0, 1 + below(bytes.length))], { msMax: 400 })
          expect(marksIn(answer), `seed ${seed}`).toEqual([])
        }),
      )
    }
    tally('requests', count)
    const pieces = Array.from({ length: good.length }, (_, i) => good.subarray(i, i + 1))
    const answer = await send(port, pieces, { msMax: 5000, end: false })
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /)
    await unharmed()
  })
})
