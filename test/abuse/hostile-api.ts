/** An internal API that answers in every form a client may ask for, each with marked values in it. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
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

/** How it writes the credential that it was asked with, by the query's `echo`. */
const ECHOES: Readonly<Record<string, (secret: string) => Buffer>> = {
  plain: (secret) => Buffer.from(secret),
  header: (secret) => Buffer.from(`Authorization: Bearer ${secret}`),
  upper: (secret) => Buffer.from(secret.toUpperCase()),
  backwards: (secret) => Buffer.from([...secret].toReversed().join('')),
  url: (secret) =>
    Buffer.from(encodeURIComponent(secret).replaceAll(/[-_.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)),
  urlEvery: (secret) => Buffer.from(Buffer.from(secret).toString('hex').replaceAll(/../g, '%$&')),
  base64: (secret) => Buffer.from(Buffer.from(secret).toString('base64')),
  base64Second: (secret) => Buffer.from(Buffer.from(`u${secret}`).toString('base64')),
  base64Third: (secret) => Buffer.from(Buffer.from(`u:${secret}`).toString('base64')),
  base64url: (secret) => Buffer.from(Buffer.from(`{"token":"${secret}"}`).toString('base64url')),
  hexadecimal: (secret) => Buffer.from(Buffer.from(secret).toString('hex')),
  hexadecimalLarge: (secret) => Buffer.from(Buffer.from(secret).toString('hex').toUpperCase()),
  json: (secret) => Buffer.from(JSON.stringify({ request: { authorization: secret } })),
  jsonEvery: (secret) => Buffer.from([...secret].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join('')),
  html: (secret) => Buffer.from([...secret].map((c) => `&#${c.charCodeAt(0)};`).join('')),
  utf16: (secret) => Buffer.from(secret, 'utf16le'),
}

export const ECHO_NAMES = Object.keys(ECHOES)

/** What it writes then, as a client would read it byte by byte. */
export function echoed(how: string, secret: string): string {
  return (ECHOES[how]?.(secret) ?? Buffer.alloc(0)).toString('latin1')
}

/** Where it writes it, by the query's `at`. */
export const ECHO_PLACES = ['body', 'error', 'redirect', 'cookie', 'field', 'pieces', 'late'] as const

function echo(response: ServerResponse, secret: string, how: string, at: string): void {
  const written = ECHOES[how]?.(secret) ?? Buffer.alloc(0)
  // Fields hold neither NUL nor all above ASCII; what would be none is left out, so that there is still an answer.
  const text = written.includes(0) ? '' : written.toString('latin1')
  const whole = Buffer.concat([Buffer.from('{"a": "'), written, Buffer.from('"}')])
  response.setHeader('content-type', 'application/json')
  switch (at) {
    case 'error':
      response.writeHead(500, text.slice(0, 200)).end(whole)
      return
    case 'redirect':
      response.writeHead(302, { location: `https://elsewhere.example/?t=${text}` }).end()
      return
    case 'cookie':
      response.writeHead(200, { 'set-cookie': `t=${text}` }).end('{}')
      return
    case 'field':
      response.writeHead(200, { 'x-debug': text }).end('{}')
      return
    case 'pieces':
      void (async () => {
        for (const byte of whole) {
          response.write(Buffer.of(byte))
          await new Promise(setImmediate)
        }
        response.end()
      })()
      return
    case 'late':
      response.write(' '.repeat(40))
      setTimeout(() => response.end(whole), 20)
      return
    default:
      response.end(whole)
  }
}

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
      const how = url.searchParams.get('echo')
      if (how !== null) {
        const secret = (request.headers.authorization ?? '').replace(/^Bearer /, '')
        echo(response, secret, how, url.searchParams.get('at') ?? 'body')
        return
      }
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
