import type { Dispatcher } from 'undici'
import { Pool } from 'undici'
import type { Connection } from '../../core/index.ts'
import { GatewayError, isGatewayError } from '../../core/index.ts'
import type {
  CredentialPorts,
  LineCredential,
  Searcher,
  UpstreamCredential,
  Worn,
} from '../../upstream-credentials/index.ts'
import { credentialOf, ReflectionWatch, searcherOf } from '../../upstream-credentials/index.ts'
import { fieldKey, hasQueryKey } from '../../wire/http/index.ts'
import type { HttpSettings } from './settings.ts'
import { credentialSettings } from './settings.ts'

const CONNECTIONS_MAX = 64
const CONNECT_MS = 10_000
const UNAUTHORIZED = 401

/** Of an answer that nobody gets: this much is read, so that its socket can be used again. */
const DUMPED_BYTES_MAX = 64 * 1024

/** What may be sent twice: RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])

export type Answer = {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: AsyncIterable<Uint8Array>
  /** All that the client gets of it goes through this. */
  readonly watch: ReflectionWatch
}

type Outgoing = {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
  readonly signal: AbortSignal
}

/** A request with its credential on, and the line that it takes. */
export type Ready = { readonly outgoing: Outgoing; readonly worn: Worn; readonly pool: Pool }

/**
 * The upstream of one connection. What the configuration names and nothing else: redirects are not followed, and the
 * client has no say in the host.
 */
export class HttpUpstream {
  readonly #origin: string
  readonly #base: string
  readonly #credential: UpstreamCredential | undefined
  readonly #report: (error: unknown) => void
  #line: { readonly pool: Pool; readonly shown: LineCredential | undefined } | undefined
  #searched: { readonly secrets: readonly string[]; readonly searcher: Searcher | undefined } | undefined

  constructor(connection: Connection<HttpSettings>, ports: CredentialPorts) {
    const url = new URL(connection.settings.upstream.url)
    this.#origin = url.origin
    this.#base = url.pathname.replace(/\/$/, '')
    const settings = credentialSettings(connection.settings)
    this.#credential = settings === undefined ? undefined : credentialOf(settings, ports)
    this.#report = (error) => ports.report(error)
  }

  /** The fields of a client without those that the credential fills. */
  ownFields(headers: readonly string[]): string[] {
    const kept: string[] = []
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const key = fieldKey(headers[i] ?? '')
      const filled = this.#credential?.fields.some((each) => fieldKey(each) === key) === true
      if (!filled) kept.push(headers[i] ?? '', headers[i + 1] ?? '')
    }
    return kept
  }

  /** Throws GatewayError `invalid` where a client writes a key that the credential fills: two values would be read in two ways. */
  refuseFilled(query: string): void {
    const filled = this.#credential?.queryKeys.find((key) => hasQueryKey(query, key))
    if (filled === undefined) return
    throw new GatewayError('invalid', `Leave ${filled} out of the query: the gateway sets it.`, {
      retry: 'only-if-changed',
    })
  }

  /** Puts the real credential on, before the request is recorded as sent. Throws GatewayError `upstream_unreachable`. */
  async ready(outgoing: Outgoing): Promise<Ready> {
    const { method, headers, body } = outgoing
    const target = `${this.#base}${outgoing.target}`
    const bare = {
      method,
      origin: this.#origin,
      target,
      headers: [...headers, 'accept-encoding', 'identity'],
      body,
    }
    try {
      const pool = await this.#pool()
      const worn = (await this.#credential?.putOn(bare)) ?? { target, headers: bare.headers, secrets: [] }
      return { outgoing, worn, pool }
    } catch (cause) {
      if (isGatewayError(cause) && cause.code === 'upstream_unreachable') throw cause
      throw new GatewayError('upstream_unreachable', 'The credential of this connection cannot be had.', {
        cause,
      })
    }
  }

  /**
   * Sends it. An answer of 401 has the credential renewed where it can be; what may be sent twice is, once. Throws GatewayError
   * `upstream_unreachable`.
   */
  async request(first: Ready): Promise<Answer> {
    try {
      const answer = await send(first)
      if (answer.statusCode !== UNAUTHORIZED || !(await this.#renewed(first)))
        return this.#answer(answer, first.worn.secrets)
      const second = await this.ready(first.outgoing)
      await answer.body.dump({ limit: DUMPED_BYTES_MAX })
      const { worn } = second
      return this.#answer(await send(second), [...new Set([...first.worn.secrets, ...worn.secrets])])
    } catch (cause) {
      if (isGatewayError(cause)) throw cause
      throw new GatewayError('upstream_unreachable', 'The upstream of this connection does not answer.', {
        remedy: 'Check it with: sluice doctor',
        retry: 'later',
        cause,
      })
    }
  }

  /** Whether it is worth a second time. What is not sent again has another credential the next time all the same. */
  async #renewed({ outgoing, worn }: Ready): Promise<boolean> {
    try {
      const another = (await this.#credential?.refused(worn)) === true
      return another && IDEMPOTENT.has(outgoing.method)
    } catch (error) {
      // The 401 is the answer then; whoever renews has said what is wrong.
      if (!isGatewayError(error)) this.#report(error)
      return false
    }
  }

  #answer(answer: Dispatcher.ResponseData, secrets: readonly string[]): Answer {
    return {
      status: answer.statusCode,
      headers: rawHeaders(answer.headers),
      body: answer.body,
      watch: new ReflectionWatch(this.#searcher(secrets)),
    }
  }

  /** Made once for the same secrets: most credentials are the same for an hour or for ever. */
  #searcher(secrets: readonly string[]): Searcher | undefined {
    const last = this.#searched
    if (last?.secrets.length === secrets.length && last.secrets.every((each, i) => each === secrets[i]))
      return last.searcher
    const searcher = searcherOf(secrets)
    this.#searched = { secrets, searcher }
    return searcher
  }

  /** One pool; another as soon as another certificate is to be shown. */
  async #pool(): Promise<Pool> {
    const shown = await this.#credential?.line?.()
    const line = this.#line
    if (line !== undefined && isSame(line.shown, shown)) return line.pool
    const pool = new Pool(this.#origin, {
      connections: CONNECTIONS_MAX,
      connect: {
        timeout: CONNECT_MS,
        ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key.reveal() }),
      },
      pipelining: 1,
    })
    this.#line = { pool, shown }
    if (line !== undefined) void line.pool.close()
    return pool
  }

  /** Lets requests on their way end, then closes. */
  async retire(): Promise<void> {
    await this.#line?.pool.close()
  }

  async close(): Promise<void> {
    await this.#line?.pool.destroy()
  }
}

function send({ outgoing, worn, pool }: Ready): Promise<Dispatcher.ResponseData> {
  return pool.request({
    method: methodOf(outgoing.method),
    path: worn.target,
    headers: [...worn.headers],
    body: outgoing.body.length === 0 ? null : Buffer.from(outgoing.body),
    signal: outgoing.signal,
    responseHeaders: 'raw',
  })
}

function isSame(a: LineCredential | undefined, b: LineCredential | undefined): boolean {
  return a?.certificate === b?.certificate && a?.key.reveal() === b?.key.reveal()
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

function methodOf(method: string): (typeof METHODS)[number] {
  const found = METHODS.find((each) => each === method)
  if (found === undefined) throw new GatewayError('unsupported', 'This method is not spoken here.')
  return found
}

/** Names and values in turn, whichever form the library gave. */
function rawHeaders(headers: unknown): readonly string[] {
  const flat: string[] = []
  if (Array.isArray(headers)) {
    for (const each of headers) flat.push(String(each))
  } else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers)) {
      for (const each of Array.isArray(value) ? value : [value]) flat.push(name, String(each))
    }
  }
  return flat
}
