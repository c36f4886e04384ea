/** An internal API that answers in every form a client may ask for, each with marked values in it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

const CUSTOMER = { id: 7, name: 'A qzvname0007', email: 'c.qzvmail0007@x.example', phone: '+1 qzvphone0007' }
const JSON_TEXT = JSON.stringify({ items: [CUSTOMER], total: 1 })

/** By the query's `as`. */
const FORMS: Readonly<
  Record<
    string,
    {
      readonly type?: string
      readonly body: Buffer
      readonly status?: number
      readonly more?: Readonly<Record<string, string>>
    }
  >
> = {
  json: { type: 'application/json', body: Buffer.from(JSON_TEXT) },
  problem: { type: 'application/problem+json', status: 500, body: Buffer.from(JSON_TEXT) },
  csv: { type: 'text/csv', body: Buffer.from(`id,email\n7,${CUSTOMER.email}\n`) },
  html: { type: 'text/html', body: Buffer.from(`<p>${CUSTOMER.email}</p>`) },
  plain: { type: 'text/plain', status: 404, body: Buffer.from(`no such customer ${CUSTOMER.email}`) },
  none: { body: Buffer.from(JSON_TEXT) },
  javascript: { type: 'application/javascript', body: Buffer.from(`callback(${JSON_TEXT})`) },
  lines: {
    type: 'application/x-ndjson',
    body: Buffer.from(`${JSON.stringify(CUSTOMER)}\n${JSON.stringify(CUSTOMER)}\n`),
  },
  sequence: { type: 'application/json-seq', body: Buffer.from(`\x1e${JSON_TEXT}\n`) },
  two: { type: 'application/json', body: Buffer.from(`${JSON_TEXT}\n${JSON_TEXT}`) },
  cut: { type: 'application/json', body: Buffer.from(JSON_TEXT.slice(0, -4)) },
  utf16: { type: 'application/json; charset=utf-16le', body: Buffer.from(JSON_TEXT, 'utf16le') },
  mark: {
    type: 'application/json',
    body: Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(JSON_TEXT)]),
  },
  gzip: { type: 'application/json', body: gzipSync(JSON_TEXT), more: { 'content-encoding': 'gzip' } },
  unlabelled: { type: 'application/json', body: gzipSync(JSON_TEXT) },
  identity: {
    type: 'application/json',
    body: Buffer.from(JSON_TEXT),
    more: { 'content-encoding': 'identity' },
  },
  range: {
    type: 'application/json',
    status: 206,
    body: Buffer.from(`"${CUSTOMER.email}"`),
    more: { 'content-range': 'bytes 1-30/99' },
  },
  twice: {
    type: 'application/json',
    body: Buffer.from(`{"items":[{"email":"x","email":"${CUSTOMER.email}"}]}`),
  },
  escaped: { type: 'application/json', body: Buffer.from(`{"items":[{"\\u0065mail":"${CUSTOMER.email}"}]}`) },
  nested: {
    type: 'application/json',
    body: Buffer.from(`{"items":[{"email":{"a":["${CUSTOMER.email}"]}}]}`),
  },
  key: { type: 'application/json', body: Buffer.from(`{"items":[{"email":{"${CUSTOMER.email}":1}}]}`) },
  deep: {
    type: 'application/json',
    body: Buffer.from(`${'['.repeat(600)}{"email":"${CUSTOMER.email}"}${']'.repeat(600)}`),
  },
  trailing: { type: 'application/json', body: Buffer.from(`${JSON_TEXT} // ${CUSTOMER.email}`) },
  multipart: {
    type: 'multipart/byteranges; boundary=x',
    status: 206,
    body: Buffer.from(`--x\r\n\r\n${CUSTOMER.email}\r\n--x--`),
  },
}

export const FORM_NAMES = Object.keys(FORMS)

export type HostileApi = {
  readonly url: string
  /** Requests that arrived, as `METHOD target`, and what came with them. */
  readonly served: { readonly line: string; readonly authorization: string; readonly headers: string[] }[]
  stop(): Promise<void>
}

export async function startHostileApi(): Promise<HostileApi> {
  const served: HostileApi['served'] = []
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      served.push({
        line: `${request.method} ${request.url}`,
        authorization: request.headers.authorization ?? '',
        headers: request.rawHeaders,
      })
      const url = new URL(request.url ?? '/', 'http://x')
      if (url.searchParams.get('as') === 'slow') {
        setTimeout(() => response.end(JSON_TEXT), 30_000).unref()
        return
      }
      const form = FORMS[url.searchParams.get('as') ?? 'json'] ?? FORMS['json']
      response.writeHead(form?.status ?? 200, {
        ...(form?.type === undefined ? {} : { 'content-type': form.type }),
        ...form?.more,
      })
      response.end(form?.body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    served,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
