import type { Place } from '../json-paths.ts'
import { JsonRewriter } from './json.ts'
import { Output } from './output.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'

const LF = 0x0a

/**
 * Lines of JSON (NDJSON, JSON Lines; RFC 7464 without its record separators): each line is one document, an
 * element of the list that a path names first.
 */
export class JsonLines implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #row: Place
  readonly #out = new Output()
  /** The document of this line; undefined: nothing but blanks so far. */
  #line: JsonRewriter | undefined

  constructor(plan: BodyPlan) {
    this.#plan = plan
    this.#tally = plan.tally()
    this.#row = plan.paths.row
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    let at = 0
    while (at < bytes.length) {
      const found = bytes.indexOf(LF, at)
      const end = found < 0 ? bytes.length : found
      this.#piece(bytes.subarray(at, end))
      if (found >= 0) {
        this.#lineEnds()
        this.#out.add(bytes.subarray(found, found + 1))
      }
      at = end + 1
    }
    return this.#out.take()
  }

  end(): Uint8Array {
    this.#lineEnds()
    return this.#out.take()
  }

  #piece(bytes: Uint8Array): void {
    if (this.#line === undefined && bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) {
      this.#out.add(bytes)
      return
    }
    this.#line ??= new JsonRewriter(this.#plan, this.#tally, this.#row)
    this.#out.add(this.#line.write(bytes))
  }

  #lineEnds(): void {
    if (this.#line !== undefined) this.#out.add(this.#line.end())
    this.#line = undefined
  }
}
