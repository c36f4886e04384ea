import { LIMITS } from '../../core/index.ts'
import type { Place } from '../json-paths.ts'
import { Field, unreadable } from './field.ts'
import { Output } from './output.ts'
import { placeOfName } from './flat-name.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { FORM_TEXT } from './text-coding.ts'

const AMPERSAND = 0x26
const EQUALS = 0x3d
const SEMICOLON = 0x3b
const NAMES_MAX = 1_024

/**
 * Fields of a form (URL standard, section 5). A name is a member; `customer[email]`, `items[0][email]` and `customer.email`
 * are paths as well. A field without `=` is refused, as it may be
 * anything; and a semicolon, which some readers take for what is between two fields.
 */
export class FormBody implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #value: Field
  readonly #out = new Output()
  #name: Buffer[] = []
  #nameLength = 0
  #inValue = false
  /** Places of names that were seen. */
  readonly #known = new Map<string, Place>()

  constructor(plan: BodyPlan) {
    this.#plan = plan
    this.#tally = plan.tally()
    this.#value = new Field(plan, this.#tally, FORM_TEXT)
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    if (bytes.includes(SEMICOLON)) throw unreadable('has a semicolon in a form')
    let at = 0
    while (at < bytes.length) at = this.#inValue ? this.#readValue(bytes, at) : this.#readName(bytes, at)
    return this.#out.take()
  }

  end(): Uint8Array {
    if (this.#inValue) this.#out.add(this.#value.end())
    else this.#checkName(Buffer.concat(this.#name), false)
    return this.#out.take()
  }

  /** What is no form at all looks like one long name, or one with signs in it that a form escapes. */
  #checkName(name: Buffer, hasValue: boolean): void {
    const isName = hasValue ? /^[\w%+*.~$!'(),:[\]-]+$/.test(name.toString('latin1')) : name.length === 0
    if (!isName) throw unreadable('is no form')
  }

  #readName(bytes: Uint8Array, start: number): number {
    let at = start
    while (at < bytes.length && bytes[at] !== EQUALS && bytes[at] !== AMPERSAND) at++
    const name = bytes.subarray(start, at)
    this.#nameLength += name.length
    if (this.#nameLength > LIMITS.bodyNamesBytesMax) throw unreadable('has too long a name in a form')
    this.#name.push(Buffer.from(name))
    if (at === bytes.length) return at
    const whole = Buffer.concat(this.#name)
    this.#checkName(whole, bytes[at] === EQUALS)
    if (bytes[at] === EQUALS) {
      this.#value.begin(this.#placeOf(whole.toString()))
      this.#inValue = true
    }
    this.#name = []
    this.#nameLength = 0
    this.#out.add(whole)
    this.#out.add(bytes.subarray(at, at + 1))
    return at + 1
  }

  #readValue(bytes: Uint8Array, start: number): number {
    const found = bytes.indexOf(AMPERSAND, start)
    const end = found < 0 ? bytes.length : found
    this.#out.add(this.#value.push(bytes.subarray(start, end)))
    if (found < 0) return end
    this.#out.add(this.#value.end())
    this.#out.add(bytes.subarray(found, found + 1))
    this.#inValue = false
    return found + 1
  }

  #placeOf(raw: string): Place {
    // Rows are told apart by numbers, and all of them have the same places.
    const key = this.#plan.paths.knows(raw) ? raw : raw.replaceAll(/\[\d+\]/g, '[0]')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= NAMES_MAX) this.#known.clear()
    const { paths } = this.#plan
    const place = placeOfName(paths, paths.root, FORM_TEXT.decode(key).text)
    this.#known.set(key, place)
    return place
  }
}
