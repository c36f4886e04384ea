import { DEAD } from '../json-paths.ts'
import { Field, unreadable } from './field.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { PLAIN_TEXT } from './text-coding.ts'

/** Text without places: only detectors look into it. */
export class TextBody implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #text: Field

  constructor(plan: BodyPlan) {
    this.#plan = plan
    this.#tally = plan.tally()
    this.#text = new Field(plan, this.#tally, PLAIN_TEXT)
    this.#text.begin(DEAD)
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    // UTF-16 that does not say so: valid UTF-8 in which nothing looks like anything.
    if (bytes.includes(0)) throw unreadable('has a byte in it that is no text')
    return this.#text.push(bytes)
  }

  end(): Uint8Array {
    return this.#text.end()
  }
}
