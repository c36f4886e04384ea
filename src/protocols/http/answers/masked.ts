import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type { BodyKind, BodyMasking, BodyRules, MaskedPath } from '../../../session/index.ts'
import { BodyPlan, maskBody } from '../../../session/index.ts'
import { responseHeaders } from '../../../wire/http/index.ts'
import type { Answer } from '../upstream/upstream.ts'
import { codingsOf, decoded } from './decoding.ts'
import { bodyKindOf, isLive } from './kinds.ts'
import type { AnswerKeeper } from './keeper.ts'
import { addTrailers, drained, ended, field } from './writing.ts'
import type { HttpResponse } from '../sides.ts'

/** Bytes out of the middle of a body, where no path says what they are. RFC 9110 section 15.3.7. */
const PARTIAL_CONTENT = 206

const FIELD = 'sluice-masked'

/**
 * An answer on its way through the machine of its media type. Its beginning waits, up to 64 KiB or a tenth of a second: a short
 * answer has its length and what was masked in its head, and what cannot be read is refused in words. Later, what was masked is
 * told in a trailer, and what cannot be read ends the connection.
 */
export class MaskedAnswer {
  readonly #answer: Answer
  readonly #plan: BodyPlan
  readonly #response: HttpResponse
  readonly #keeper: AnswerKeeper
  readonly #held: Uint8Array[] = []
  #heldBytes = 0
  readonly #fields: readonly string[]

  constructor(answer: Answer, rules: BodyRules, response: HttpResponse, keeper: AnswerKeeper) {
    this.#answer = answer
    this.#plan = BodyPlan.of(rules)
    this.#response = response
    this.#keeper = keeper
    this.#fields = responseHeaders(answer.headers, true)
  }

  async relay(): Promise<void> {
    const machine = this.#machine()
    const kind = bodyKindOf(field(this.#answer, 'content-type'))
    const codings = codingsOf(field(this.#answer, 'content-encoding')) ?? []
    // What is known to be too long is refused in words.
    if (codings.length === 0) this.#keeper.refuseLength(field(this.#answer, 'content-length'))
    const waitMs = kind !== undefined && isLive(kind) ? LIVE_MS : LIMITS.httpAnswerHeldMs
    this.#answer.watch.fields(this.#fields)
    const pieces = decoded(this.#answer.body, codings)[Symbol.asyncIterator]()
    let isEmpty = true
    try {
      for (;;) {
        const next = pieces.next()
        if (this.#isHolding && (await isLate(next, waitMs))) await this.#flush()
        const { done, value } = await this.#read(() => next)
        if (done === true) break
        if (value.length === 0) continue
        isEmpty = false
        if (machine === undefined) throw this.#withheld()
        await this.#take(await this.#read(() => machine.write(value)))
      }
      if (machine !== undefined && !isEmpty) await this.#take(await this.#read(() => machine.end()))
      await this.#put(this.#answer.watch.end())
    } finally {
      // Nobody waits for it: an upstream that says nothing any more would keep the client waiting.
      void pieces.return(undefined).catch(() => undefined)
    }
    await this.#end(machine?.masked ?? [])
  }

  /** The beginning waits for what has not come yet. */
  get #isHolding(): boolean {
    return !this.#isBegun && this.#heldBytes > 0 && !this.#answer.body.isAtHand
  }

  get #isBegun(): boolean {
    return this.#response.headersSent
  }

  /** Undefined: nobody can find in it what has to be masked. */
  #machine(): BodyMasking | undefined {
    if (this.#answer.status === PARTIAL_CONTENT) return undefined
    if (codingsOf(field(this.#answer, 'content-encoding')) === undefined) return undefined
    const kind: BodyKind | undefined = bodyKindOf(field(this.#answer, 'content-type'))
    return kind === undefined ? undefined : maskBody(kind, this.#plan)
  }

  /** What cannot be read is withheld, for whatever reason. */
  async #read<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isGatewayError(error) && error.code === 'protocol_violation') throw this.#withheld(error)
      throw error
    }
  }

  #withheld(cause?: unknown): GatewayError {
    // Behind the first bytes nothing is refused any more: the connection is cut, and the recording says so.
    return new GatewayError(
      this.#isBegun ? 'protocol_violation' : 'denied',
      'The answer holds protected fields and could not be read, so it is withheld.',
      {
        remedy: 'Ask for an answer in another form, such as JSON, or for a route without protected fields.',
        retry: 'only-if-changed',
        cause,
      },
    )
  }

  /** What the machine has made of a piece, searched for the credential that the request was sent with. */
  async #take(bytes: Uint8Array): Promise<void> {
    await this.#put(this.#answer.watch.push(bytes))
  }

  async #put(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#isBegun || this.#heldBytes > LIMITS.httpAnswerHeldBytes) await this.#flush()
  }

  /** What is held goes to the client, the head in front. */
  async #flush(): Promise<void> {
    const bytes =
      this.#held.length === 1 && this.#held[0] !== undefined ? this.#held[0] : Buffer.concat(this.#held)
    this.#held.length = 0
    this.#heldBytes = 0
    await this.#keeper.keep(bytes)
    if (!this.#isBegun) {
      const paths = [
        ...this.#plan.paths.assignments.map(({ path }) => path),
        ...this.#plan.detectors.map(({ name }) => name),
      ]
      const trailer = this.#hasTrailers ? ['trailer', FIELD] : []
      this.#response.writeHead(this.#answer.status, [
        ...this.#fields,
        FIELD,
        `pending; ${listed(paths)}`,
        ...trailer,
      ])
    }
    if (!this.#response.write(bytes)) await drained(this.#response)
  }

  async #end(masked: readonly MaskedPath[]): Promise<void> {
    const count = masked.reduce((sum, each) => sum + each.count, 0)
    const told = count === 0 ? '0' : `${count}; ${listed(masked.map(({ path }) => path))}`
    if (this.#isBegun) {
      addTrailers(this.#answer, this.#response, true, [FIELD, told])
      await ended(this.#response)
      return
    }
    const bytes = Buffer.concat(this.#held)
    await this.#keeper.keep(bytes)
    const length = ['content-length', String(bytes.length)]
    this.#response.writeHead(this.#answer.status, [...this.#fields, ...length, FIELD, told])
    await ended(this.#response, bytes)
  }

  /** HTTP/1.0 has no chunks, and so no trailers. RFC 9112 section 7.1.2. */
  get #hasTrailers(): boolean {
    return this.#response.req.httpVersion !== '1.0'
  }
}

/** How long the beginning of what comes part by part waits for more of it. */
const LIVE_MS = 10

/** Fields are ASCII: other characters of a path are written as in URLs. */
function listed(paths: readonly string[]): string {
  return [...new Set(paths)].join(', ').replaceAll(/[^\x20-\x7e]+/gu, encodeURIComponent)
}

async function isLate(next: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), ms)
  })
  try {
    return await Promise.race([
      next.then(
        () => false,
        () => false,
      ),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}
