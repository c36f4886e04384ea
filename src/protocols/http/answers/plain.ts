import { GatewayError, isGatewayError } from '../../../core/index.ts'
import { responseHeaders } from '../../../wire/http/index.ts'
import type { Cut } from '../upstream/range.ts'
import { cutOf } from '../upstream/range.ts'
import type { Answer } from '../upstream/upstream.ts'
import { codingsOf, decoded } from './decoding.ts'
import type { AnswerKeeper } from './keeper.ts'
import { addTrailers, drained, ended, field } from './writing.ts'
import type { HttpResponse } from '../sides.ts'

const PARTIAL_CONTENT = 206
const RANGE_NOT_SATISFIABLE = 416

/**
 * An answer in which nothing is masked: the bytes pass as they came. Where the watch looks for a credential, a compressed body is
 * unpacked for it and sent so, and of a part the client gets what it asked for and not what the watch has to see around it.
 */
export class PlainAnswer {
  readonly #answer: Answer
  readonly #response: HttpResponse
  readonly #keeper: AnswerKeeper
  readonly #hasBody: boolean
  /** Its fields are of other bytes than a client would get: of a body that would be masked, or that is unpacked. */
  readonly #isChanged: boolean
  /** Codings to undo. */
  readonly #codings: readonly string[]
  readonly #cut: Cut | undefined
  #passed = 0
  #unpacked: AsyncGenerator<Uint8Array, void, undefined> | undefined

  /** `isMasked`: its body would be masked, if it had one. */
  constructor(
    answer: Answer,
    response: HttpResponse,
    keeper: AnswerKeeper,
    hasBody: boolean,
    isMasked: boolean,
  ) {
    this.#answer = answer
    this.#response = response
    this.#keeper = keeper
    this.#hasBody = hasBody
    const isPart = answer.status === PARTIAL_CONTENT
    // A part of a packed body cannot be unpacked; nor can codings that are not known. The watch refuses both by their field.
    this.#codings = answer.isSearched && !isPart ? (codingsOf(field(answer, 'content-encoding')) ?? []) : []
    this.#isChanged = isMasked || this.#codings.length > 0
    if (answer.part === undefined || !isPart || !hasBody) return
    this.#cut = cutOf(answer.part, field(answer, 'content-range'))
    if (this.#cut === undefined) throw unplaced()
  }

  async relay(): Promise<void> {
    const fields = this.#fields()
    this.#answer.watch.fields(fields)
    if (this.#cut?.take === 0) {
      const { contentRange } = this.#cut
      this.#response.writeHead(RANGE_NOT_SATISFIABLE, ['content-range', contentRange, 'content-length', '0'])
      return ended(this.#response)
    }
    if (this.#hasBody) {
      this.#keeper.refuseLength(valueOf(fields, 'content-length'))
      for (;;) {
        const piece = await this.#next()
        const safe = piece === undefined ? this.#answer.watch.end() : this.#answer.watch.push(piece)
        await this.#send(this.#within(safe), fields)
        if (piece === undefined) break
      }
    }
    if (!this.#response.headersSent) this.#response.writeHead(this.#answer.status, fields)
    addTrailers(this.#answer, this.#response, this.#isChanged)
    await ended(this.#response)
  }

  async #send(bytes: Uint8Array, fields: readonly string[]): Promise<void> {
    if (bytes.length === 0) return
    await this.#keeper.keep(bytes)
    if (!this.#response.headersSent) this.#response.writeHead(this.#answer.status, [...fields])
    if (!this.#response.write(bytes)) await drained(this.#response)
  }

  /** What the client asked for of these bytes. */
  #within(bytes: Uint8Array): Uint8Array {
    if (this.#cut === undefined) return bytes
    const { skip, take } = this.#cut
    const at = this.#passed
    this.#passed += bytes.length
    return bytes.subarray(clamped(skip - at, bytes.length), clamped(skip + take - at, bytes.length))
  }

  #fields(): string[] {
    const all = responseHeaders(this.#answer.headers, this.#isChanged)
    const cut = this.#cut
    if (cut === undefined) return all
    const kept = all.filter((_, i) => !RANGED.has(all[i - (i % 2)]?.toLowerCase() ?? ''))
    return [...kept, 'content-range', cut.contentRange, 'content-length', String(cut.take)]
  }

  /** The next piece of the body, unpacked where it has to be; undefined: that was all. */
  async #next(): Promise<Uint8Array | undefined> {
    if (this.#codings.length === 0) return this.#answer.body.next()
    this.#unpacked ??= decoded(this.#answer.body, this.#codings)
    try {
      const { done, value } = await this.#unpacked.next()
      return done === true ? undefined : value
    } catch (error) {
      throw isGatewayError(error) && error.code === 'protocol_violation' ? unpackable(error) : error
    }
  }
}

const RANGED: ReadonlySet<string> = new Set(['content-range', 'content-length'])

function clamped(at: number, length: number): number {
  return Math.min(Math.max(at, 0), length)
}

function valueOf(fields: readonly string[], name: string): string {
  const at = fields.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name)
  return at < 0 ? '' : (fields[at + 1] ?? '')
}

function unplaced(): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The upstream answered with a part and does not say of what, so it cannot be searched and is withheld.',
    { remedy: 'Ask for the whole.', retry: 'only-if-changed' },
  )
}

function unpackable(cause: GatewayError): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The answer is compressed and cannot be unpacked, so it cannot be searched and is withheld.',
    { remedy: 'Have the upstream honour Accept-Encoding: identity.', retry: 'later', cause },
  )
}
