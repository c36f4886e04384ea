import { Readable } from 'node:stream'
import { Pool } from 'undici'
import type { Connection, MaskingRule } from '../../../core/index.ts'
import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type {
  CredentialPorts,
  LineCredential,
  Searcher,
  UpstreamCredential,
  Worn,
} from '../../../upstream-credentials/index.ts'
import { credentialOf, ReflectionWatch, searcherOf } from '../../../upstream-credentials/index.ts'
import { fieldKey, hasQueryKey } from '../../../wire/http/index.ts'
import type { HttpSettings } from '../settings.ts'
import { credentialSettings } from '../settings.ts'
import type { AnswerBody } from './answer-body.ts'
import { exchange } from './exchange.ts'
import type { Arrived } from './exchange.ts'
import type { Range } from './range.ts'
import { rangeFields } from './range.ts'

const CONNECT_MS = 10_000
const UNAUTHORIZED = 401
const NOTHING = new Uint8Array(0)

/** Of an answer that nobody gets: this much is read, so that its socket can be used again. */
const DUMPED_BYTES_MAX = 64 * 1024

/** What may be sent twice: RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])

export type Answer = {
  readonly status: number
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly body: AnswerBody
  /** All that the client gets of it goes through this. */
  readonly watch: ReflectionWatch
  /** The watch looks for something, so it has to see the body unpacked. */
  readonly isSearched: boolean
  /** The part that the client asked for, where the upstream was asked for more, so that the watch sees what is around it. */
  readonly part: Range | undefined
  /** How fields behind the body are masked, by their names in lower case. Absent: none is. */
  readonly trailerRules?: ReadonlyMap<string, MaskingRule>
}

/** A body in hand, which can be sent again, or one that is on its way, with its length in bytes if that is known. */
export type OutgoingBody =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'pieces'; readonly length: number | undefined; pieces(): AsyncIterable<Uint8Array> }

type Outgoing = {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: OutgoingBody
  /** What the client may have of the answer as it is: in which codings, and which part. Undefined: all, and unpacked. */
  readonly asIs: { readonly codings: string | undefined; readonly range: Range | undefined } | undefined
  readonly signal: AbortSignal
}

/** A request with its credential on, and the line that it takes. */
export type Ready = {
  readonly outgoing: Outgoing
  readonly worn: Worn
  readonly pool: Pool
  readonly searcher: Searcher | undefined
}

/**
 * The upstream of one connection. What the configuration names and nothing else: redirects are not followed, and the
 * client has no say in the host.
 */
export class HttpUpstream {
  /** Scheme, host and port. */
  readonly origin: string
  /** In front of every path, without a slash at the end. */
  readonly base: string
  readonly #credential: UpstreamCredential | undefined
  /** Its signature is over the body, which therefore has to be there before the first byte leaves. */
  readonly signsBody: boolean
  readonly #report: (error: unknown) => void
  #line: { readonly pool: Pool; readonly shown: LineCredential | undefined } | undefined
  #searched: { readonly secrets: readonly string[]; readonly searcher: Searcher | undefined } | undefined

  constructor(connection: Connection<HttpSettings>, ports: CredentialPorts) {
    const url = new URL(connection.settings.upstream.url)
    this.origin = url.origin
    this.base = url.pathname.replace(/\/$/, '')
    const settings = credentialSettings(connection.settings)
    this.#credential = settings === undefined ? undefined : credentialOf(settings, ports)
    this.signsBody = settings?.kind === 'sigv4'
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
    const target = `${this.base}${outgoing.target}`
    const bare = {
      method,
      origin: this.origin,
      target,
      headers: [...headers, 'accept-encoding', this.#codings(outgoing)],
      body: body.kind === 'whole' ? body.bytes : NOTHING,
    }
    try {
      const pool = await this.#pool()
      const worn = (await this.#credential?.putOn(bare)) ?? { target, headers: bare.headers, secrets: [] }
      return { outgoing, worn, pool, searcher: this.#searcher(worn.secrets) }
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
      if (answer.status !== UNAUTHORIZED || !(await this.renewed(first)))
        return answerOf(answer, first, first.searcher)
      const second = await this.ready(first.outgoing)
      await answer.body.discard(DUMPED_BYTES_MAX)
      const secrets = [...new Set([...first.worn.secrets, ...second.worn.secrets])]
      return answerOf(await send(second), second, this.#searcher(secrets))
    } catch (cause) {
      if (isGatewayError(cause)) throw cause
      throw unreachable(cause)
    }
  }

  /** Where nobody here has to read the answer, it comes as the client likes it. */
  #codings({ asIs }: Outgoing): string {
    return (this.#credential === undefined ? asIs?.codings : undefined) ?? 'identity'
  }

  /** Whether it is worth a second time. What is not sent again has another credential the next time all the same. */
  async renewed({ outgoing, worn }: Ready): Promise<boolean> {
    try {
      const another = (await this.#credential?.refused(worn)) === true
      return another && outgoing.body.kind === 'whole' && IDEMPOTENT.has(outgoing.method)
    } catch (error) {
      // The 401 is the answer then; whoever renews has said what is wrong.
      if (!isGatewayError(error)) this.#report(error)
      return false
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
    const pool = new Pool(this.origin, {
      connections: LIMITS.httpUpstreamConnectionsMax,
      connect: {
        timeout: CONNECT_MS,
        ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key.reveal() }),
      },
      pipelining: 1,
      // Where TLS agrees on it: requests share lines then.
      allowH2: true,
    })
    this.#line = { pool, shown }
    if (line !== undefined) void line.pool.close()
    return pool
  }

  /** What is shown on a line that is made apart from the pool. Throws GatewayError `upstream_unreachable`. */
  async shownOnLine(): Promise<LineCredential | undefined> {
    return this.#credential?.line?.()
  }

  /** Lets requests on their way end, then closes. */
  async retire(): Promise<void> {
    await this.#line?.pool.close()
  }

  async close(): Promise<void> {
    await this.#line?.pool.destroy()
  }
}

function send({ outgoing, worn, pool, searcher }: Ready): Promise<Arrived> {
  const { body, asIs } = outgoing
  const range = asIs?.range === undefined ? [] : rangeFields(asIs.range, searcher?.reach ?? 0)
  const length =
    body.kind === 'pieces' && body.length !== undefined ? ['content-length', `${body.length}`] : []
  const request = {
    method: methodOf(outgoing.method),
    path: worn.target,
    headers: [...worn.headers, ...range, ...length],
  }
  return exchange(pool, { ...request, body: bodyOf(body) }, outgoing.signal)
}

function bodyOf(body: OutgoingBody): Buffer | Readable | null {
  if (body.kind === 'whole') return body.bytes.length === 0 ? null : Buffer.from(body.bytes)
  return Readable.from(body.pieces(), { objectMode: false })
}

function answerOf(
  { status, headers, body }: Arrived,
  { outgoing }: Ready,
  searcher: Searcher | undefined,
): Answer {
  const watch = new ReflectionWatch(searcher)
  const isSearched = searcher !== undefined
  return { status, headers, body, watch, isSearched, part: isSearched ? outgoing.asIs?.range : undefined }
}

/** What went wrong on the way to the upstream, or back. */
export function unreachable(cause: unknown): GatewayError {
  return new GatewayError('upstream_unreachable', 'The upstream of this connection does not answer.', {
    remedy: 'Check it with: sluice doctor',
    retry: 'later',
    cause,
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
