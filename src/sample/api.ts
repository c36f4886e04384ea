import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { GatewayError } from '../core/index.ts'
import type { Company, Customer, Invoice } from './people.ts'

export type SampleApi = {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string
  readonly port: number
  /** Every request that got past the token, in order: `GET /customers`. Tests count what reached it. */
  readonly served: readonly string[]
  stop(): Promise<void>
}

export type SampleApiOptions = {
  readonly company: Company
  /** What callers must send as `Authorization: Bearer`. */
  readonly token: string
  /** 0 or absent: a free one. */
  readonly port?: number
}

const PAGE = 50
const PAGE_MAX = 500

/** The company's internal API as its own programs know it: JSON over HTTP, one service token that may do everything. */
export async function startApi(options: SampleApiOptions): Promise<SampleApi> {
  const served: string[] = []
  const handle = routes(options.company)
  const token = digest(options.token)
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    const presented = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
    // The body of the refund is optional and never read; a request is answered when it has come in whole.
    request.resume().once('end', () => {
      if (!timingSafeEqual(digest(presented), token)) {
        response.setHeader('www-authenticate', 'Bearer')
        return send(response, 401, { error: 'A valid service token is needed.' })
      }
      served.push(`${method} ${url}`)
      const answer = handle(request)
      if ('csv' in answer) {
        response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8' }).end(answer.csv)
      } else send(response, answer.status, answer.body)
    })
  })
  const port = await listen(server, options.port ?? 0)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    served,
    async stop() {
      server.closeAllConnections()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
}

type Answer = { readonly status: number; readonly body: unknown } | { readonly csv: string }

function routes(company: Company): (request: IncomingMessage) => Answer {
  const customers = new Map<number, Customer>(company.customers.map((each) => [each.id, each]))
  const invoices = new Map<number, Invoice>(company.invoices.map((each) => [each.id, each]))

  const table: readonly (readonly [string, RegExp, (id: number, query: URLSearchParams) => Answer])[] = [
    [
      'GET',
      /^\/customers$/,
      (_, query) => page([...customers.values()], query, ['plan', 'country', 'company']),
    ],
    ['GET', /^\/customers\/(\d+)$/, (id) => one(describe(id))],
    [
      'DELETE',
      /^\/customers\/(\d+)$/,
      (id) => (customers.delete(id) ? { status: 200, body: { deleted: id } } : one(undefined)),
    ],
    [
      'GET',
      /^\/invoices$/,
      (_, query) => page([...invoices.values()], query, ['status', 'currency', 'customer_id']),
    ],
    ['POST', /^\/invoices\/(\d+)\/refund$/, refund],
    ['GET', /^\/export\/customers$/, () => ({ csv: csvOf([...customers.values()]) })],
  ]

  function describe(id: number) {
    const customer = customers.get(id)
    if (customer === undefined) return undefined
    const of = <T extends { readonly customer_id: number }>(rows: readonly T[]) =>
      rows.filter((each) => each.customer_id === id)
    return {
      ...customer,
      payment_methods: of(company.payment_methods),
      api_keys: of(company.api_keys),
      tickets: of(company.support_tickets),
    }
  }

  function refund(id: number): Answer {
    const invoice = invoices.get(id)
    if (invoice === undefined) return one(undefined)
    if (invoice.status !== 'paid') {
      return {
        status: 409,
        body: { error: `Invoice ${invoice.number} is ${invoice.status}; only a paid one is refunded.` },
      }
    }
    const refunded: Invoice = { ...invoice, status: 'refunded' }
    invoices.set(id, refunded)
    return { status: 200, body: refunded }
  }

  return (request) => {
    const url = new URL(request.url ?? '/', 'http://crm.internal')
    for (const [method, pattern, run] of table) {
      const match = pattern.exec(url.pathname)
      if (match !== null && method === request.method) return run(Number(match[1]), url.searchParams)
    }
    return { status: 404, body: { error: 'There is no such route.' } }
  }
}

function one(body: unknown): Answer {
  return body === undefined
    ? { status: 404, body: { error: 'There is no such thing.' } }
    : { status: 200, body }
}

function page(rows: readonly object[], query: URLSearchParams, filters: readonly string[]): Answer {
  const limit = Math.min(PAGE_MAX, Math.max(1, Number(query.get('limit') ?? PAGE) || PAGE))
  const offset = Math.max(0, Number(query.get('offset') ?? 0) || 0)
  const wanted = filters.flatMap((name) => query.getAll(name).map((value) => [name, value] as const))
  const matching = rows.filter((row) => {
    const fields = new Map(Object.entries(row))
    return wanted.every(([name, value]) => String(fields.get(name)) === value)
  })
  return { status: 200, body: { total: matching.length, items: matching.slice(offset, offset + limit) } }
}

/** RFC 4180. */
function csvOf(customers: readonly Customer[]): string {
  const line = (fields: readonly (string | number | null)[]) =>
    `${fields.map((each) => `"${String(each ?? '').replaceAll('"', '""')}"`).join(',')}\r\n`
  const rows = customers.map((each) =>
    line([each.id, each.name, each.email, each.phone, each.company, each.plan]),
  )
  return line(['id', 'name', 'email', 'phone', 'company', 'plan']) + rows.join('')
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new GatewayError('internal', 'The API got no TCP port.')
  return address.port
}
