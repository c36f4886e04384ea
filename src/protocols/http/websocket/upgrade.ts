import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Command, Connection, GatewayError as Failure } from '../../../core/index.ts'
import { asGatewayError, assertNever, GatewayError, isGatewayError } from '../../../core/index.ts'
import type { Permitted, ProtocolContext, Session } from '../../../session/index.ts'
import { isHeld, patienceOf } from '../../../session/index.ts'
import { MessageWatch, REFLECTED } from '../../../upstream-credentials/index.ts'
import type { Target, WebSocketOffer } from '../../../wire/http/index.ts'
import {
  meaningOfHeaders,
  readWebSocketOffer,
  requestHeaders,
  WEBSOCKET,
  withoutHandshake,
} from '../../../wire/http/index.ts'
import { AnswerKeeper } from '../answers/keeper.ts'
import { judgedRequest, refuseAnotherMethod } from '../commands.ts'
import { outcomeOf, withRequest } from '../requests/command.ts'
import type { HttpSettings } from '../settings.ts'
import type { Ready } from '../upstream/upstream.ts'
import type { KnownUpstream } from '../upstream/upstreams.ts'
import { accept } from './accept.ts'
import { dial, NotUpgraded } from './dial.ts'
import type { MessageSocket } from './message-socket.ts'
import type { Closing } from './messages.ts'
import { relayMessages } from './relay.ts'
import type { Grounds } from './standing.ts'
import { Standing } from './standing.ts'

const UNAUTHORIZED = 401
const SWITCHED = '101'
const NOTHING = new Uint8Array(0)
/** RFC 6455 section 5.5: what a control frame holds, without the code. */
const REASON_BYTES_MAX = 123
const GOING_AWAY: Closing = { code: 1001, reason: '' }

/** An upgrade whose token was taken off and admitted. */
export type AskedUpgrade = {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly target: Target
  /** Without the slots of the connection. */
  readonly headers: readonly string[]
}

/** A connection with its upstream. */
type Configured = { readonly connection: Connection<HttpSettings>; readonly upstream: KnownUpstream }

type Judged = {
  readonly offer: WebSocketOffer
  readonly grounds: Grounds
  readonly judgement: Permitted['judgement']
}

/**
 * One WebSocket as one command: judged, recorded and held like any request, then open for messages both ways until a side ends it,
 * or the session does.
 */
export class UpgradeCommand {
  readonly #context: Pick<ProtocolContext, 'gateway' | 'report'>
  readonly #session: Session
  readonly #connection: Connection<HttpSettings>
  readonly #upstream: KnownUpstream
  readonly #asked: AskedUpgrade
  readonly #target: string
  /** As it is recorded. */
  readonly #written: string
  readonly #gone: AbortController
  readonly #now: () => Configured
  #grounds: Grounds | undefined

  constructor(
    parts: {
      readonly context: Pick<ProtocolContext, 'gateway' | 'report'>
      readonly session: Session
      /** As it is configured at this moment. Throws GatewayError where there is none any more. */
      now(): Configured
    },
    asked: AskedUpgrade,
    gone: AbortController,
  ) {
    this.#context = parts.context
    this.#session = parts.session
    this.#now = () => parts.now()
    const { connection, upstream } = parts.now()
    this.#connection = connection
    this.#upstream = upstream
    this.#asked = asked
    this.#gone = gone
    const { path, query } = asked.target
    this.#target = `${path}${query === '' ? '' : `?${query}`}`
    this.#written = `${WEBSOCKET} ${this.#target}`
  }

  /** Resolves when it is over, whatever its client was told in its frames. Throws GatewayError while there is no WebSocket yet. */
  async run(): Promise<void> {
    let leave: () => void
    let judged: Judged
    try {
      leave = this.#upstream.shares.enter(this.#session.chain)
    } catch (error) {
      throw await this.#refused(error)
    }
    try {
      try {
        judged = this.#judged()
      } catch (error) {
        throw await this.#refused(error)
      }
      await this.#run(judged)
    } finally {
      leave()
    }
  }

  #judged(): Judged {
    const { target, headers, request } = this.#asked
    const offer = readWebSocketOffer(request.rawHeaders)
    this.#upstream.refuseFilled(target.query)
    refuseAnotherMethod(target, '', NOTHING)
    if (headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type'))
      throw new GatewayError('invalid', 'An upgrade has no body: leave Content-Type out.', {
        retry: 'only-if-changed',
      })
    const grounds = this.#groundsNow()
    const { key, facts } = grounds.parts
    const judgement = this.#session.cached('', key) ?? this.#session.judge('', key, facts)
    return { offer, grounds, judgement }
  }

  /** What is known of it as it is configured now. Throws GatewayError where it is no route any more. */
  #groundsNow(): Grounds {
    const { connection, upstream } = this.#now()
    if (this.#grounds?.connection === connection) return this.#grounds
    const { target } = this.#asked
    const route = upstream.routes.find(WEBSOCKET, target)
    const parts = judgedRequest(route, { method: WEBSOCKET, target, contentType: '', body: undefined })
    this.#grounds = { connection, upstream: connection.settings.upstream.url, parts }
    return this.#grounds
  }

  async #run(judged: Judged): Promise<void> {
    const { judgement, grounds, offer } = judged
    const session = this.#session
    const headers = this.#upstream.ownFields(requestHeaders(withoutHandshake(this.#asked.headers)))
    const meaning = [meaningOfHeaders(headers), ...offer.protocols.map((each) => `subprotocol: ${each}`)]
    const command: Command = {
      form: 'request',
      text: this.#written,
      meaning: meaning.join('\n'),
      facts: judgement.facts,
    }
    const stopWaiting = this.#waitInSilence()
    let client: MessageSocket | undefined
    try {
      const permit = await this.#permitted(command, judgement)
      let upstream: MessageSocket | undefined
      try {
        const { line, ready } = await this.#dialled(permit, headers, offer)
        upstream = line
        stopWaiting()
        client = accept(this.#asked.request, this.#asked.socket, line.protocol)
        for (const side of [client, upstream]) side.keepAsking(this.#context.gateway.clock)
        await relayMessages({
          session,
          permit,
          client,
          upstream,
          standing: new Standing(session, judgement, grounds, () => this.#groundsNow()),
          watch: new MessageWatch(ready.searcher),
          keeper: new AnswerKeeper(session, permit),
          labels: grounds.parts.sealing,
          signal: this.#gone.signal,
        })
        session.finish(permit, 'ok', SWITCHED)
      } catch (error) {
        const failure = asGatewayError(error)
        const reflected = failure.facts['reason'] === REFLECTED
        if (reflected || !isGatewayError(error)) this.#context.report(error)
        session.finish(permit, outcomeOf(failure, this.#gone.signal), reflected ? REFLECTED : failure.code)
        const told = withRequest(failure, session.requestId(permit.n))
        upstream?.close(GOING_AWAY)
        if (client === undefined) throw told
        client.close({ code: codeOf(told), reason: reasonOf(told) })
      } finally {
        await session.afterTurn()
      }
    } finally {
      stopWaiting()
    }
  }

  /** What the client sends before it was answered is none of a WebSocket yet. */
  #waitInSilence(): () => void {
    const { socket } = this.#asked
    const speaks = (): void => {
      this.#gone.abort(
        new GatewayError(
          'protocol_violation',
          'Wait for the answer to the upgrade before you send anything.',
          {
            retry: 'only-if-changed',
          },
        ),
      )
    }
    const leaves = (): void => this.#gone.abort('gone')
    socket.on('data', speaks)
    socket.once('end', leaves)
    socket.once('close', leaves)
    return () => {
      socket.off('data', speaks)
      socket.off('end', leaves)
      socket.off('close', leaves)
    }
  }

  async #permitted(command: Command, judgement: Judged['judgement']): Promise<Permitted> {
    const session = this.#session
    try {
      const step = session.step(command, judgement)
      if (!isHeld(step)) return step
      const patienceMs = patienceOf(this.#connection, session.opening.program)
      return await session.hold(step, { signal: this.#gone.signal, patienceMs, told: () => undefined })
    } catch (error) {
      await session.afterTurn()
      throw error
    }
  }

  /** The upstream's side, with the credential on; once more where that had to be renewed. */
  async #dialled(
    permit: Permitted,
    headers: readonly string[],
    { protocols }: WebSocketOffer,
  ): Promise<{ readonly line: MessageSocket; readonly ready: Ready }> {
    const first = await this.#ready(headers)
    try {
      return { line: await this.#dial(permit, first, protocols), ready: first }
    } catch (error) {
      if (!(error instanceof NotUpgraded)) throw error
      if (error.status !== UNAUTHORIZED || !(await this.#upstream.renewed(first))) throw notUpgraded(error)
    }
    const second = await this.#ready(headers)
    try {
      return { line: await this.#dial(permit, second, protocols), ready: second }
    } catch (error) {
      throw error instanceof NotUpgraded ? notUpgraded(error) : error
    }
  }

  #ready(headers: readonly string[]): Promise<Ready> {
    return this.#upstream.ready({
      method: 'GET',
      target: this.#target,
      headers,
      body: { kind: 'whole', bytes: NOTHING },
      asIs: undefined,
      signal: this.#gone.signal,
    })
  }

  /** The command and its decision are in the recording before the upstream hears of it. */
  async #dial(permit: Permitted, ready: Ready, protocols: readonly string[]): Promise<MessageSocket> {
    const shown = await this.#upstream.shownOnLine()
    let dialled: Promise<MessageSocket> | undefined
    this.#session.perform(permit, () => {
      dialled = dial(this.#upstream.origin, ready, protocols, shown)
    })
    await this.#session.afterTurn()
    if (dialled === undefined) throw new Error('a recorded upgrade was not sent')
    return dialled
  }

  /** Records an attempt that did not become a command. */
  async #refused(error: unknown): Promise<Failure> {
    const refused = this.#session.stepUnreadable('request', this.#written, asGatewayError(error))
    await this.#session.afterTurn()
    return refused
  }
}

function notUpgraded({ status }: NotUpgraded): GatewayError {
  return new GatewayError('upstream_unreachable', `The upstream answered the upgrade with ${status}.`, {
    remedy: 'Ask whoever runs the API for a path that is one of a WebSocket.',
    retry: 'later',
    facts: { status },
  })
}

/** What a close frame says of a refusal. RFC 6455 section 7.4.1. */
function codeOf(error: Failure): number {
  switch (error.code) {
    case 'limit_exceeded':
      return 1009
    case 'protocol_violation':
      return 1002
    case 'shutting_down':
    case 'canceled':
      return 1001
    case 'upstream_unreachable':
      return 1014
    case 'internal':
    case 'recording_unavailable':
    case 'store_unavailable':
      return 1011
    case 'unsupported':
    case 'invalid':
      return 1003
    case 'unauthenticated':
    case 'denied':
    case 'approval_pending':
    case 'approval_refused':
    case 'approval_expired':
    case 'connection_unknown':
    case 'not_found':
    case 'conflict':
    case 'effect_differs':
      return 1008
    default:
      return assertNever(error.code)
  }
}

/** `denied 01M827VSA79347J91VJA22YPWV.4: A message ...`, as much as there is room for. */
function reasonOf(error: Failure): string {
  const text = `${error.code}${error.requestId === undefined ? '' : ` ${error.requestId}`}: ${error.message}`
  const bytes = Buffer.from(text)
  if (bytes.length <= REASON_BYTES_MAX) return text
  return new TextDecoder().decode(bytes.subarray(0, REASON_BYTES_MAX), { stream: true })
}
