import type { Command, Connection, GatewayError as Failure, OutwardKind } from '../../../core/index.ts'
import { asGatewayError, GatewayError } from '../../../core/index.ts'
import type { Held, Input, Judgement, Permitted, ProtocolContext, Session } from '../../../session/index.ts'
import { isHeld, patienceOf } from '../../../session/index.ts'
import { REFLECTED } from '../../../upstream-credentials/index.ts'
import type { Target } from '../../../wire/http/index.ts'
import {
  meaningOfHeaders,
  MethodWatch,
  namesMethod,
  requestHeaders,
  unconditional,
  waitingPreference,
  withOwnAddresses,
} from '../../../wire/http/index.ts'
import { masksAnything, relayAnswer } from '../answers/relay.ts'
import type { JudgedRequest } from '../commands.ts'
import { anotherMethod, contentTypeOf, judgedRequest, refuseAnotherMethod } from '../commands.ts'
import { maskedFields } from '../masked-fields.ts'
import { originOf } from '../resource-metadata.ts'
import type { Route } from '../route-table.ts'
import type { HttpSettings } from '../settings.ts'
import { readRange } from '../upstream/range.ts'
import type { Answer, OutgoingBody } from '../upstream/upstream.ts'
import type { KnownUpstream } from '../upstream/upstreams.ts'
import type { HttpRequest, HttpResponse } from '../sides.ts'
import { codingOf, unpacked } from './coded-body.ts'
import type { Outward } from './outward.ts'
import { answerStillHeld, waitMs } from './pending.ts'
import type { RequestBody } from './request-body.ts'
import { sealedRequest } from './sealing.ts'
import { shownRequest } from './shown-request.ts'

/** A request whose token was taken off and admitted. */
export type Asked = {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly target: Target
  /** What its client writes in front of the target: `/c/NAME`, or nothing where the host names the connection. */
  readonly base: string
  /** Without the slots of the connection. */
  readonly headers: readonly string[]
  readonly body: RequestBody
  /** What of the body was read before: a short one is there by now. */
  readonly inHand: Buffer | undefined
}

type Judged = Pick<JudgedRequest, 'sealing' | 'rules'> & {
  readonly judgement: Judgement
  /** Undefined: nobody has looked. */
  readonly outward: readonly OutwardKind[] | undefined
}

/** One request as one command: judged, recorded, held, sent, answered. */
export class RequestCommand {
  readonly #report: ProtocolContext['report']
  readonly #session: Session
  readonly #connection: Connection<HttpSettings>
  readonly #upstream: KnownUpstream
  readonly #outward: Outward
  readonly #asked: Asked
  readonly #method: string
  readonly #target: string
  /** As it is recorded. */
  readonly #written: string
  readonly #gone: AbortController

  constructor(
    parts: {
      readonly report: ProtocolContext['report']
      readonly session: Session
      readonly connection: Connection<HttpSettings>
      readonly upstream: KnownUpstream
      readonly outward: Outward
    },
    asked: Asked,
    gone: AbortController,
  ) {
    this.#report = parts.report
    this.#session = parts.session
    this.#connection = parts.connection
    this.#upstream = parts.upstream
    this.#outward = parts.outward
    this.#asked = asked
    this.#gone = gone
    const { target, request } = asked
    this.#method = request.method ?? ''
    this.#target = `${target.path}${target.query === '' ? '' : `?${target.query}`}`
    this.#written = `${this.#method} ${this.#target}`
  }

  async run(): Promise<void> {
    let leave: () => void
    try {
      leave = this.#upstream.shares.enter(this.#session.chain)
    } catch (error) {
      throw await this.#refused(error)
    }
    try {
      await this.#run()
    } finally {
      leave()
    }
  }

  async #run(): Promise<void> {
    const { target, response } = this.#asked
    const session = this.#session
    let route: Route
    try {
      refuseTwoTypes(this.#asked.headers)
      route = this.#upstream.routes.find(this.#method, target)
      this.#upstream.refuseFilled(target.query)
      this.#refuseAnotherMethod(this.#asked.inHand ?? NOTHING)
    } catch (error) {
      throw await this.#refused(error)
    }
    response.once('close', () => this.#gone.abort('gone'))
    // It may have gone before anybody listened: a stream is opened and reset in one read of its line.
    if (response.destroyed) this.#gone.abort('gone')
    let bytes = this.#asked.inHand ?? (await this.#wholeIf(this.#readsBody(route)))
    let judged = await this.#judged(route, bytes)
    if (bytes === undefined) {
      bytes = await this.#wholeIf(this.#asksForBody(judged))
      // Anew: the policy may be another by now.
      if (bytes !== undefined) judged = await this.#judged(route, bytes)
    }
    const { judgement } = judged
    const headers = this.#passing()
    const isHeldNow = judgement.decision.kind === 'hold'
    const outward = judged.outward ?? (isHeldNow ? await this.#look(bytes) : undefined)
    const recorded = sealedRequest(this.#written, bytes ?? NOTHING, judged.sealing)
    const command: Command = {
      form: 'request',
      text: this.#written,
      // An approval is for the request with these fields and no others.
      meaning: meaningOfHeaders(headers),
      facts: judgement.facts,
      ...(bytes === undefined || bytes.length === 0 ? {} : { parameters: [bytes] }),
      ...(recorded === undefined ? {} : { recorded }),
      ...(outward === undefined ? {} : { outward }),
      ...(isHeldNow ? await this.#shownToPeople(headers, bytes) : {}),
    }
    const permit = await this.#permitted(command, judgement)
    if (permit === undefined) return
    const { decision } = judgement
    const rules = judged.rules(decision.kind === 'deny' ? new Map() : decision.masks)
    try {
      const ready = await this.#upstream.ready({
        method: this.#method,
        target: this.#target,
        headers: isReading(this.#method) && masksAnything(rules) ? unconditional(headers) : headers,
        body: bytes === undefined ? this.#inPieces(permit) : { kind: 'whole', bytes },
        asIs: masksAnything(rules) ? undefined : this.#asIs(),
        signal: this.#gone.signal,
      })
      // The command and its decision are in the recording before the request leaves.
      let sent: Promise<Answer> | undefined
      session.perform(permit, () => {
        sent = this.#upstream.request(ready)
      })
      await session.afterTurn()
      const answer = await sent
      if (answer === undefined) throw new Error('a recorded request was not sent')
      // The rest of its request may never be read, and then nothing that comes behind it could be.
      if (!this.#asked.body.isComplete) response.shouldKeepAlive = false
      const shown = {
        ...answer,
        headers: this.#ownAddresses(maskedFields(answer.headers, rules.fields)),
        trailerRules: rules.fields,
      }
      await relayAnswer(session, permit, shown, rules, response, this.#method)
      session.finish(permit, 'ok', String(answer.status))
    } catch (error) {
      const failure = asGatewayError(error)
      // Of what is no refusal, whoever runs this learns: a secret of theirs is in the wrong hands.
      const reflected = failure.facts['reason'] === REFLECTED
      if (reflected) this.#report(failure)
      session.finish(permit, outcomeOf(failure, this.#gone.signal), reflected ? REFLECTED : failure.code)
      throw withRequest(failure, session.requestId(permit.n))
    } finally {
      await session.afterTurn()
    }
  }

  /** `bytes`: of its body; undefined: it comes in pieces. Refuses what cannot be judged. */
  async #judged(route: Route, bytes: Buffer | undefined): Promise<Judged> {
    const { target } = this.#asked
    try {
      this.#refuseAnotherMethod(bytes ?? NOTHING)
      const outward = bytes !== undefined && this.#asksOutward ? await this.#look(bytes) : undefined
      // Other rules may be in force since.
      if (bytes !== undefined && outward === undefined && this.#asksOutward)
        return await this.#judged(route, bytes)
      // What is packed is of no type whose fields are read: who reads it before it is unpacked may find others.
      const contentType = this.#coding === '' ? this.#contentType : ''
      const parts = { method: this.#method, target, contentType, body: bytes, outward }
      const { key, facts, sealing, rules } = judgedRequest(route, parts)
      const judgement = this.#session.cached('', key) ?? this.#session.judge('', key, facts)
      return { judgement, sealing, rules, outward }
    } catch (error) {
      throw await this.#refused(error)
    }
  }

  /** What reads the body before anything is judged, said for the client; undefined: nothing does. */
  #readsBody(route: Route): string | undefined {
    if (route.graphql !== undefined) return 'the operation stands in it'
    if (this.#asksOutward) return 'rules ask what it takes out'
    if (namesMethod(this.#contentType) === 'anywhere') return 'rules may read its fields'
    return this.#mayBePackedMethod ? 'it is packed, and could name another method' : undefined
  }

  #refuseAnotherMethod(bytes: Uint8Array): void {
    const read = this.#mayBePackedMethod ? unpacked(this.#coding, bytes) : bytes
    refuseAnotherMethod(this.#asked.target, this.#contentType, read)
  }

  get #mayBePackedMethod(): boolean {
    return this.#coding !== '' && this.#method === 'POST' && namesMethod(this.#contentType) !== undefined
  }

  get #coding(): string {
    return codingOf(this.#asked.headers)
  }

  /** What else asks for the body before anything is done; undefined: it may come in pieces. */
  #asksForBody({ judgement: { decision }, sealing }: Judged): string | undefined {
    if (decision.kind === 'deny') return undefined
    if (this.#asksOutward) return 'rules ask what it takes out'
    if (sealing.length > 0)
      return 'fields of this route have labels, so it is sealed in the recording as a whole'
    if (this.#upstream.signsBody) return 'the credential of this connection signs it'
    return decision.kind === 'hold' ? 'people are asked about exactly these bytes' : undefined
  }

  get #asksOutward(): boolean {
    return this.#outward.asks(this.#connection.name)
  }

  /** The fields that go on. */
  #passing(): readonly string[] {
    return this.#upstream.ownFields(requestHeaders(this.#asked.headers))
  }

  #look(body: Uint8Array = NOTHING): Promise<readonly OutwardKind[]> {
    const outgoing = { target: this.#target, headers: this.#passing(), body }
    return this.#outward.look(this.#connection.name, outgoing)
  }

  async #shownToPeople(
    headers: readonly string[],
    body: Uint8Array = NOTHING,
  ): Promise<Pick<Command, 'asked' | 'under'>> {
    return shownRequest({ written: this.#written, headers, body }, await this.#outward.secrets())
  }

  #wholeIf(why: string | undefined): Promise<Buffer | undefined> {
    return why === undefined ? Promise.resolve(undefined) : this.#whole(why)
  }

  async #whole(why: string): Promise<Buffer> {
    try {
      return await this.#asked.body.whole(why, this.#gone.signal)
    } catch (error) {
      throw this.#gone.signal.aborted ? error : await this.#refused(error)
    }
  }

  /** Records an attempt that did not become a command. */
  async #refused(error: unknown): Promise<Failure> {
    const refused = this.#session.stepUnreadable('request', this.#written, asGatewayError(error))
    await this.#session.afterTurn()
    return refused
  }

  /** Undefined: people have not answered yet, and its client was told so. */
  async #permitted(command: Command, judgement: Judgement): Promise<Permitted | undefined> {
    const session = this.#session
    let step: Permitted | Held
    try {
      step = session.step(command, judgement)
    } catch (error) {
      await session.afterTurn()
      throw error
    }
    if (!isHeld(step)) return step
    const preference = waitingPreference(this.#asked.headers)
    const patienceMs = waitMs(preference, patienceOf(this.#connection, session.opening.program))
    try {
      return await session.hold(step, { signal: this.#gone.signal, patienceMs, told: () => undefined })
    } catch (error) {
      const failure = asGatewayError(error)
      await session.afterTurn()
      if (failure.code !== 'approval_pending') throw failure
      const { rules } = judgement.decision
      const { base, request, response } = this.#asked
      const { policyVersion } = session
      const address = `${originOf(request) ?? ''}${base}`
      answerStillHeld(response, { error: failure, rules, policyVersion, preference, base: address })
      return undefined
    }
  }

  #ownAddresses(headers: readonly string[]): readonly string[] {
    const origin = originOf(this.#asked.request)
    if (origin === undefined) return headers
    return withOwnAddresses(headers, this.#upstream, { origin, base: this.#asked.base })
  }

  #inPieces(permit: Permitted): OutgoingBody {
    const { body } = this.#asked
    const watch =
      this.#method === 'POST' && namesMethod(this.#contentType) === 'in a part'
        ? new MethodWatch(this.#contentType)
        : undefined
    return {
      kind: 'pieces',
      length: body.length,
      pieces: () => recorded(this.#session, permit, body, watch),
    }
  }

  get #contentType(): string {
    return contentTypeOf(this.#asked.headers)
  }

  /** What the client says of how it wants its answer. A range is one of a GET (RFC 9110 section 14.2). */
  #asIs(): { codings: string | undefined; range: ReturnType<typeof readRange> } {
    const { headers } = this.#asked.request
    const condition = headers['if-range']
    const range =
      this.#method === 'GET'
        ? readRange(headers.range, typeof condition === 'string' ? condition : undefined)
        : undefined
    return { codings: headers['accept-encoding']?.toString(), range }
  }
}

const NOTHING = new Uint8Array(0)

/** Each reader would believe one of them. */
function refuseTwoTypes(headers: readonly string[]): void {
  const types = headers.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type')
  if (types.length > 1)
    throw new GatewayError('invalid', 'Send one Content-Type.', { retry: 'only-if-changed' })
}

/** The pieces of a body, each of them recorded before it is passed on. */
async function* recorded(
  session: Session,
  permit: Permitted,
  body: RequestBody,
  watch: MethodWatch | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = session.input(permit, [])
  try {
    for (let piece = await next(body, input); piece !== undefined; piece = await next(body, input)) {
      input.push(piece, 0, piece.length)
      await session.afterTurn()
      if (watch?.finds(piece) === true) throw anotherMethod()
      yield piece
    }
    input.end('done')
    await session.afterTurn()
  } finally {
    // The upstream has answered, or its line has ended, before all of it had come.
    input.end('cut')
  }
}

async function next(body: RequestBody, input: Input): Promise<Buffer | undefined> {
  try {
    return await body.next()
  } catch (error) {
    input.end('failed')
    throw error
  }
}

/** What a condition would hold back is an answer and nothing else. RFC 9110 section 9.2.1. */
function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

export function outcomeOf(error: Failure, signal: AbortSignal): 'lost' | 'cut' | 'error' | 'refused' {
  if (signal.aborted) return 'lost'
  if (error.code === 'limit_exceeded') return 'cut'
  const withheld = error.code === 'denied' || error.facts['reason'] === REFLECTED
  return withheld ? 'refused' : 'error'
}

export function withRequest(error: Failure, requestId: Failure['requestId']): Failure {
  if (error.requestId !== undefined || requestId === undefined) return error
  return new GatewayError(error.code, error.message, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    retry: error.retry,
    requestId,
    cause: error.cause,
    facts: error.facts,
  })
}
