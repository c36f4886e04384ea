import { constants, gzip } from 'node:zlib'
import { promisify } from 'node:util'
import { Agent, type Dispatcher, request } from 'undici'
import { LIMITS } from '../../core/index.ts'
import type { RecordedEvent } from '../events/assembler.ts'
import {
  anyAnswer,
  bulkAnswer,
  notUnderstood,
  otlpAnswer,
  type ReadAnswer,
  splunkAnswer,
} from './http-answers.ts'
import { otlpLogs } from './otlp-format.ts'
import { refused, type Sender, type Taken, undelivered } from './sender.ts'
import type { HttpSettings, OtlpSettings, OutletSecrets } from './settings.ts'

const LINGER_MS = 1_000

type Kind = {
  readonly contentType: string
  readonly body: (events: readonly RecordedEvent[]) => string
  /** Whether the same request may be taken another time after this status. */
  readonly isPassing: (status: number) => boolean
  readonly taken: ReadAnswer
}

/** 408: it waited too long; 429: not so fast; 5xx: its own trouble. All else says something of the request. */
const isPassingHttp = (status: number): boolean => status === 408 || status === 429 || status >= 500
/** OTLP, "Retryable response codes"; all others must not be sent again at once. */
const isPassingOtlp = (status: number): boolean => [429, 502, 503, 504].includes(status)

const JSON_TYPE = 'application/json'

const lines = (events: readonly RecordedEvent[], each: (event: RecordedEvent) => string): string =>
  `${events.map(each).join('\n')}\n`

const HTTP_KINDS = {
  /** One JSON array, as Datadog and most others take it. */
  array: { contentType: JSON_TYPE, body: (events) => `[${events.map(({ json }) => json).join(',')}]` },
  lines: { contentType: 'application/x-ndjson', body: (events) => lines(events, ({ json }) => json) },
  /** Splunk's HTTP event collector: seconds since 1970, and the event, one behind the other. */
  splunk: {
    contentType: JSON_TYPE,
    body: (events) =>
      lines(
        events,
        ({ time, json }) => `{"time":${time / 1000},"source":"sluice","sourcetype":"_json","event":${json}}`,
      ),
    taken: splunkAnswer,
  },
  /** Elasticsearch's and OpenSearch's bulk API; `create` with an id, so that an event that is there stays one. */
  elastic: {
    contentType: 'application/x-ndjson',
    body: (events) =>
      lines(
        events,
        ({ id, time, json }) =>
          `{"create":{"_id":${JSON.stringify(id)}}}\n{"@timestamp":"${new Date(time).toISOString()}",${json.slice(1)}`,
      ),
    taken: bulkAnswer,
  },
} as const satisfies Record<HttpSettings['format'], Pick<Kind, 'contentType' | 'body'> & Partial<Kind>>

function kindOf(settings: HttpSettings | OtlpSettings, program: string): Kind {
  if (settings.kind === 'otlp')
    return {
      contentType: JSON_TYPE,
      body: (events) => otlpLogs(events, program),
      isPassing: isPassingOtlp,
      taken: otlpAnswer,
    }
  return { isPassing: isPassingHttp, taken: anyAnswer, ...HTTP_KINDS[settings.format] }
}

/** Posts batches. Follows no redirects and uses no proxy: what is configured is where it goes. */
export function httpSender(settings: HttpSettings | OtlpSettings, program: string): Sender {
  return new HttpSender(settings, kindOf(settings, program))
}

class HttpSender implements Sender {
  readonly lingerMs = LINGER_MS
  readonly #settings: HttpSettings | OtlpSettings
  readonly #kind: Kind
  readonly #url: URL
  #agent: { readonly ca: string | undefined; readonly agent: Agent } | undefined

  constructor(settings: HttpSettings | OtlpSettings, kind: Kind) {
    this.#settings = settings
    this.#kind = kind
    this.#url = new URL(settings.url)
    if (settings.kind === 'otlp' && !this.#url.pathname.endsWith('/v1/logs'))
      this.#url.pathname = `${this.#url.pathname.replace(/\/$/, '')}/v1/logs`
    // Of each event only its status: an answer that repeats every fault may be longer than is read.
    if (
      settings.kind === 'http' &&
      settings.format === 'elastic' &&
      !this.#url.searchParams.has('filter_path')
    )
      this.#url.searchParams.set('filter_path', 'errors,items.*.status')
  }

  async send(events: readonly RecordedEvent[], secrets: OutletSecrets, signal: AbortSignal): Promise<Taken> {
    const { host } = this.#url
    const text = this.#kind.body(events)
    const body = this.#settings.gzip ? await compressed(text) : Buffer.from(text, 'utf8')
    let answer: Dispatcher.ResponseData
    let said: string | undefined
    try {
      answer = await request(this.#url, {
        method: 'POST',
        dispatcher: this.#agentFor(secrets.ca),
        headers: this.#headers(secrets),
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.streamAnswerMs)]),
      })
      said = await shortText(answer.body)
    } catch (cause) {
      const late = cause instanceof Error && cause.name === 'TimeoutError'
      throw undelivered(`${host} cannot be reached (${reasonOf(cause)}).`, { cause, late })
    }
    const { statusCode: status } = answer
    if (status >= 200 && status <= 299) {
      // A page for people: of a proxy, a login, a load balancer. Nobody who takes events answers with one.
      const isPage = /^text\/html\b/i.test(String(answer.headers['content-type']))
      if (isPage || said === undefined) throw notUnderstood()
      return this.#kind.taken(said, events.length)
    }
    if (this.#kind.isPassing(status)) {
      const retryAfterMs = waitOf(answer.headers['retry-after'])
      throw undelivered(`${host} answered ${status}.`, retryAfterMs === undefined ? {} : { retryAfterMs })
    }
    throw refused(`${host} answered ${status}: it does not take the events.`, remedyOf(status))
  }

  async close(): Promise<void> {
    await this.#agent?.agent.destroy()
  }

  #headers(secrets: OutletSecrets): Record<string, string> {
    const { header, gzip: isGzip } = this.#settings
    const value = secrets.header
    return {
      'content-type': this.#kind.contentType,
      'user-agent': 'sluice',
      ...(isGzip ? { 'content-encoding': 'gzip' } : {}),
      ...(header === undefined || value === undefined
        ? {}
        : { [header.name]: header.scheme === undefined ? value : `${header.scheme} ${value}` }),
    }
  }

  #agentFor(ca: string | undefined): Agent {
    if (this.#agent !== undefined && this.#agent.ca === ca) return this.#agent.agent
    const old = this.#agent
    const agent = new Agent({
      connections: 1,
      // HTTP/1.1, and one request after the other.
      pipelining: 1,
      allowH2: false,
      ...(ca === undefined ? {} : { connect: { ca } }),
    })
    this.#agent = { ca, agent }
    void old?.agent.destroy()
    return agent
  }
}

const gzipped = promisify(gzip)

async function compressed(text: string): Promise<Buffer> {
  return await gzipped(text, { level: constants.Z_BEST_SPEED })
}

/** `ECONNREFUSED` and the like. Errors of the platform that are no system's have numbers for codes. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : 'no answer in time'
}

/** The body; undefined when it is longer than one that is looked at. Never shown: it may repeat what was sent. */
async function shortText(body: Dispatcher.ResponseData['body']): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.length
    if (length > LIMITS.streamAnswerBytesMax) {
      body.destroy()
      return undefined
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function waitOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

function remedyOf(status: number): string {
  if (status === 401 || status === 403)
    return 'Look at the header of this outlet: the receiver knows nobody by its value.'
  if (status === 404) return 'Look at the url of this outlet: there is nothing that takes events.'
  if (status >= 300 && status <= 399) return 'Redirects are not followed: set url to where it leads.'
  return 'Look at url and format of this outlet. It is tried again every ten minutes, and when a configuration is applied.'
}
