import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isGatewayError } from '../../core/index.ts'
import { eventOf } from '../../testing/recorded-events.ts'
import { httpSender } from './http.ts'
import { isRefusal, retryDelayMs, type Sender } from './sender.ts'
import type { HttpSettings, OtlpSettings } from './settings.ts'

const SECRET = 'Splunk-secret-4711'
const events = [eventOf(1), eventOf(2, { blocked: true })]
const { signal } = new AbortController()

let server: Server
let url: string
let got: { readonly headers: IncomingMessage['headers']; readonly path: string; readonly body: string }[]
let answer: (response: ServerResponse) => void
let sender: Sender

beforeEach(async () => {
  got = []
  answer = (response) => response.end()
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const isGzip = request.headers['content-encoding'] === 'gzip'
      got.push({
        headers: request.headers,
        path: request.url ?? '',
        body: (isGzip ? gunzipSync(body) : body).toString('utf8'),
      })
      answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await sender.close()
  await new Promise((resolve) => server.close(resolve))
})

function open(settings: Partial<HttpSettings> = {}): Sender {
  const header = { name: 'Authorization', scheme: 'Splunk' }
  sender = httpSender({ kind: 'http', url, gzip: true, header, format: 'array', ...settings }, '9.9.9')
  return sender
}

const send = () => sender.send(events, { header: SECRET }, signal)

async function failure(): Promise<unknown> {
  return await send().then(
    () => expect.fail('it was taken'),
    (error: unknown) => error,
  )
}

describe('a batch', () => {
  test('is a JSON array, compressed, with the header that says who sends it', async () => {
    open()
    expect(await send()).toEqual({ rejected: 0 })
    expect(got).toHaveLength(1)
    expect(got[0]?.headers).toMatchObject({
      authorization: `Splunk ${SECRET}`,
      'content-encoding': 'gzip',
      'content-type': 'application/json',
    })
    expect(JSON.parse(got[0]?.body ?? '')).toEqual(events.map(({ ocsf }) => ocsf))
  })

  test('goes out plain where that is asked for, as lines', async () => {
    open({ gzip: false, format: 'lines', header: { name: 'DD-API-KEY', scheme: undefined } })
    await send()
    expect(got[0]?.headers).toMatchObject({ 'dd-api-key': SECRET, 'content-type': 'application/x-ndjson' })
    expect(got[0]?.headers['content-encoding']).toBeUndefined()
    expect(got[0]?.body).toBe(`${events.map(({ json }) => json).join('\n')}\n`)
  })

  test('is for Splunk a row of events with their times', async () => {
    open({ format: 'splunk' })
    answer = (response) => response.end('{"text":"Success","code":0}')
    await send()
    const lines = got[0]?.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(lines?.[1]).toEqual({
      time: 1_767_225_600.002,
      source: 'sluice',
      sourcetype: '_json',
      event: events[1]?.ocsf,
    })
  })

  test('is for Elasticsearch a bulk request that creates each event under its id', async () => {
    open({ format: 'elastic' })
    answer = (response) => response.end('{"errors":false,"items":[]}')
    await send()
    const lines = got[0]?.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(lines?.[0]).toEqual({ create: { _id: 'event-1' } })
    expect(lines?.[1]).toEqual({ '@timestamp': '2026-01-01T00:00:00.001Z', ...events[0]?.ocsf })
  })

  test('is not sent where a redirect leads', async () => {
    open()
    answer = (response) => response.writeHead(307, { location: `${url}/elsewhere` }).end()
    expect(isRefusal(await failure())).toBe(true)
    expect(got.map(({ path }) => path)).toEqual(['/'])
  })
})

describe('an answer', () => {
  test.each([400, 401, 403, 404, 410, 413, 422])('of %d parks the outlet', async (status) => {
    open()
    answer = (response) => response.writeHead(status).end(`no: ${SECRET} marker@example.com`)
    const error = await failure()
    expect(isRefusal(error)).toBe(true)
    expect(retryDelayMs(error, 1, 0)).toBeGreaterThanOrEqual(300_000)
    expect(isGatewayError(error) && `${error.message} ${error.remedy}`).not.toMatch(/secret|marker/)
  })

  test.each([408, 429, 500, 502, 503, 504])('of %d is waited out', async (status) => {
    open()
    answer = (response) => response.writeHead(status).end()
    const error = await failure()
    expect(isRefusal(error)).toBe(false)
    expect(retryDelayMs(error, 1, 0)).toBe(500)
    expect(retryDelayMs(error, 1, 1)).toBe(1_000)
    expect(retryDelayMs(error, 4, 1)).toBe(8_000)
    expect(retryDelayMs(error, 4_000, 1)).toBe(300_000)
    // Times are kept as whole numbers.
    expect(Number.isInteger(retryDelayMs(error, 1, 0.1234567))).toBe(true)
  })

  test('says itself how long to wait, in seconds or as a date, up to an hour', async () => {
    open()
    let after = '120'
    answer = (response) => response.writeHead(503, { 'retry-after': after }).end()
    expect(retryDelayMs(await failure(), 1, 0)).toBe(120_000)
    after = new Date(Date.now() + 90_000).toUTCString()
    expect(retryDelayMs(await failure(), 1, 0)).toBeGreaterThan(80_000)
    after = '999999'
    expect(retryDelayMs(await failure(), 1, 0)).toBe(3_600_000)
    after = 'soon'
    expect(retryDelayMs(await failure(), 1, 0)).toBe(500)
  })

  test('that does not come is waited out, as is a connection that ends', async () => {
    open()
    answer = (response) => response.destroy()
    expect(isRefusal(await failure())).toBe(false)
    await new Promise((resolve) => server.close(resolve))
    expect(isRefusal(await failure())).toBe(false)
    server.listen(0)
  })

  test('of a bulk request counts each event: one that is there already is no loss, one that is refused is', async () => {
    open({ format: 'elastic' })
    let statuses = [201, 409]
    answer = (response) =>
      response.end(
        JSON.stringify({ errors: true, items: statuses.map((status) => ({ create: { status } })) }),
      )
    expect(await send()).toEqual({ rejected: 0 })
    statuses = [201, 400]
    expect(await send()).toEqual({ rejected: 1 })
    statuses = [201, 429]
    expect(isRefusal(await failure())).toBe(false)
    statuses = [201]
    expect(isRefusal(await failure())).toBe(false)
  })

  const page = '<html><body>Log in</body></html>'
  const long = JSON.stringify({ errors: true, items: ['x'.repeat(5 * 1024 * 1024)] })
  const index = JSON.stringify({
    errors: true,
    items: [{ index: { status: 400 } }, { index: { status: 201 } }],
  })
  test.each([
    ['elastic', 'nothing', ''],
    ['elastic', 'a page', page],
    ['elastic', 'an answer cut off', '{"errors":true,"items":[{"create":{"sta'],
    ['elastic', 'a word for a yes or no', '{"errors":"true"}'],
    [
      'elastic',
      'statuses that are none',
      '{"errors":true,"items":[{"create":{}},{"create":{"status":"x"}}]}',
    ],
    ['elastic', 'more than is read', long],
    ['splunk', 'nothing', ''],
    ['splunk', 'a page', page],
    ['splunk', 'a fault', '{"text":"Server is busy","code":9}'],
  ] as const)('with a success that is none of %s is not believed: %s', async (format, _what, body) => {
    open({ format })
    answer = (response) => response.end(body)
    expect(isRefusal(await failure())).toBe(false)
  })

  test('that is a page is believed of no format', async () => {
    open()
    answer = (response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
    expect(isRefusal(await failure())).toBe(false)
  })

  test('of a bulk request may call the operation otherwise, and is asked for statuses alone', async () => {
    open({ format: 'elastic' })
    answer = (response) => response.end(index)
    expect(await send()).toEqual({ rejected: 1 })
    expect(got[0]?.path).toBe('/?filter_path=errors%2Citems.*.status')
  })
})

describe('OpenTelemetry', () => {
  function openOtlp(settings: Partial<OtlpSettings> = {}): void {
    sender = httpSender({ kind: 'otlp', url, gzip: true, header: undefined, ...settings }, '9.9.9')
  }

  test('gets log records at /v1/logs, with the whole event as a structured body', async () => {
    openOtlp()
    await send()
    expect(got[0]?.path).toBe('/v1/logs')
    const sent = JSON.parse(got[0]?.body ?? '') as {
      resourceLogs: { resource: unknown; scopeLogs: { logRecords: unknown[] }[] }[]
    }
    expect(sent.resourceLogs[0]?.resource).toMatchObject({
      attributes: expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'sluice' } }]),
    })
    expect(sent.resourceLogs[0]?.scopeLogs[0]?.logRecords[1]).toEqual({
      timeUnixNano: '1767225600002000000',
      observedTimeUnixNano: '1767225600002000000',
      severityNumber: 13,
      severityText: 'WARN',
      eventName: 'sluice.command',
      attributes: [
        { key: 'log.record.uid', value: { stringValue: 'event-2' } },
        { key: 'sluice.decision', value: { stringValue: 'allow' } },
      ],
      body: {
        kvlistValue: {
          values: [
            { key: 'n', value: { intValue: '2' } },
            { key: 'list', value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 0.5 }] } } },
          ],
        },
      },
    })
  })

  test.each(['', '/', '/otlp', '/otlp/v1/logs'])('is found below a URL that ends with "%s"', async (path) => {
    openOtlp({ url: `${url}${path}` })
    await send()
    expect(got[0]?.path).toBe(`${path.startsWith('/otlp') ? '/otlp' : ''}/v1/logs`)
  })

  test('says how many it rejected, and those are not sent again', async () => {
    openOtlp()
    answer = (response) => response.end('{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}')
    expect(await send()).toEqual({ rejected: 2 })
  })

  test.each([
    [429, false],
    [503, false],
    [500, true],
    [408, true],
  ])('answered with %d: refused is %s', async (status, isRefused) => {
    openOtlp()
    answer = (response) => response.writeHead(status).end()
    expect(isRefusal(await failure())).toBe(isRefused)
  })
})
