import { DEAD } from '../json-paths.ts'
import { Field } from './field.ts'
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
    return this.#text.push(bytes)
  }

  end(): Uint8Array {
    return this.#text.end()
  }
}
