import { StringDecoder } from 'node:string_decoder'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { Place } from '../json-paths.ts'
import { maskedCell } from '../masker.ts'
import type { Hit } from '../detectors/index.ts'
import { isHarmless } from './harmless.ts'
import type { ArmedDetector, BodyPlan, Tally } from './plan.ts'
import type { TextCoding } from './text-coding.ts'

const NONE = Buffer.alloc(0)

/**
 * Masks a text that may be JSON as one document whose root is at `place`, `levels` texts deep; what was masked goes into the
 * tally. Throws GatewayError when it is not JSON.
 */
export type InnerMasker = (text: string, plan: BodyPlan, tally: Tally, place: Place, levels: number) => string

/**
 * Looks into a text that no path hides: whether it is JSON in which paths go on, and whether detectors find something.
 * What they do not find passes byte for byte. Keeps at most `LIMITS.bodyTextBytesMax` and the piece in hand; of a longer
 * text, the last `LIMITS.detectorWindowChars` characters. A long text that may be JSON in which paths go on is hidden whole.
 */
export class TextWatch {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #coding: TextCoding
  /** Texts around this one that held it as JSON. */
  readonly #levels: number
  readonly #inner: InnerMasker
  #decoder = new StringDecoder('utf8')
  #raw = ''
  #place: Place | undefined
  /** The text was too long to be kept: it has been looked at from its beginning on. */
  #long = false
  #hidden = false
  #unread = false
  /** A hit that was longer than the window goes on. */
  #open: ArmedDetector | undefined

  constructor(plan: BodyPlan, tally: Tally, coding: TextCoding, inner: InnerMasker, levels: number) {
    this.#inner = inner
    this.#plan = plan
    this.#tally = tally
    this.#coding = coding
    this.#levels = levels
  }

  /** A text at this place begins. False: nobody wants to look into it. */
  begin(place: Place): boolean {
    this.#place = this.#plan.nested && !place.dead ? place : undefined
    if (this.#place === undefined && this.#plan.detectors.length === 0) return false
    this.#raw = ''
    this.#long = false
    this.#hidden = false
    this.#unread = false
    this.#open = undefined
    return true
  }

  /** The text began like JSON in which paths go on, and could not be read as that. */
  get isUnread(): boolean {
    return this.#unread
  }

  /** The next bytes of it as they were written; gives what may be passed on. They are UTF-8, as a whole. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#hidden) return NONE
    this.#raw += this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    if (this.#raw.length <= LIMITS.bodyTextBytesMax) return NONE
    if (!this.#long) {
      this.#long = true
      // Blanks so far: what follows may be anything.
      if (this.#place !== undefined && /^\s*(?:["[{]|$)/.test(this.#coding.decode(this.#raw).text)) {
        this.#hidden = true
        this.#unread = true
        this.#raw = ''
        return NONE
      }
    }
    return Buffer.from(this.#scan(false))
  }

  end(): Uint8Array {
    this.#raw += this.#decoder.end()
    if (this.#hidden) {
      this.#tally.unreadable()
      return Buffer.from(this.#coding.encode(HIDDEN))
    }
    const nested = this.#long ? undefined : this.#nested()
    if (nested !== undefined) return Buffer.from(this.#coding.encode(nested))
    // Behind a part that was looked at before, a hit may go on.
    const isPlain = this.#plan.detectors.length === 0 || (!this.#long && isHarmless(this.#raw))
    return Buffer.from(isPlain ? this.#raw : this.#scan(true))
  }

  /** The text with what paths hide in it as JSON; undefined when it is not, or nothing in it is masked. */
  #nested(): string | undefined {
    const place = this.#place
    if (place === undefined || !MAY_BE_JSON.test(this.#raw)) return undefined
    const { text } = this.#coding.decode(this.#raw)
    if (!/^\s*["[{]/.test(text)) return undefined
    if (this.#levels < LIMITS.jsonInTextLevelsMax) {
      const tally = this.#plan.tally()
      try {
        const shown = this.#inner(text, this.#plan, tally, place, this.#levels + 1)
        if (tally.masked(this.#plan).length === 0) return undefined
        this.#tally.add(tally)
        return shown
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
      }
    }
    this.#unread = true
    // Not JSON, or not to us: harmless only if nothing in it could be one of the names that paths look for.
    if (!this.#plan.paths.mayName(text)) return undefined
    this.#tally.unreadable()
    return HIDDEN
  }

  /** Takes from what is kept what may go, with hits masked; all of it when this is the end. */
  #scan(isEnd: boolean): string {
    const { text, origin, used } = this.#coding.decode(this.#raw)
    const raw = this.#raw
    const rawAt = (at: number): number => (origin === undefined ? at : (origin[at] ?? used))
    let from = this.#swallow(text)
    if (from === text.length && !isEnd) {
      this.#raw = raw.slice(used)
      return ''
    }
    let cut = isEnd ? text.length : Math.max(from, text.length - LIMITS.detectorWindowChars)
    let out = ''
    for (const { hit, detector } of this.#hits(text, from)) {
      if (!isEnd && hit.from >= cut) break
      out += raw.slice(rawAt(from), rawAt(hit.from)) + this.#masked(text, hit, detector)
      from = hit.to
      cut = Math.max(cut, from)
      // Longer than the window, and perhaps not at its end: what follows is of it.
      if (!isEnd && hit.to === text.length) this.#open = detector
    }
    if (isEnd) return out + raw.slice(rawAt(from))
    this.#raw = raw.slice(rawAt(cut))
    return out + raw.slice(rawAt(from), rawAt(cut))
  }

  /** Where the text goes on behind a hit that began before it. */
  #swallow(text: string): number {
    const detector = this.#open
    if (detector === undefined) return 0
    detector.rest.lastIndex = 0
    const length = detector.rest.exec(text)?.[0].length ?? 0
    if (length < text.length) this.#open = undefined
    return length
  }

  /** The hits of all detectors behind `from`, in order; of two that overlap, what both cover. */
  #hits(text: string, from: number): readonly { readonly hit: Hit; readonly detector: ArmedDetector }[] {
    const all = this.#plan.detectors
      .flatMap((detector) => detector.find(text).map((hit) => ({ hit, detector })))
      .filter(({ hit }) => hit.to > from)
      .sort((a, b) => a.hit.from - b.hit.from || b.hit.to - a.hit.to)
    const apart: typeof all = []
    for (const each of all) {
      const last = apart.at(-1)
      const begin = Math.max(from, each.hit.from)
      if (last === undefined || begin >= last.hit.to)
        apart.push({ hit: { from: begin, to: each.hit.to }, detector: each.detector })
      else if (each.hit.to > last.hit.to) last.hit = { from: last.hit.from, to: each.hit.to }
    }
    return apart
  }

  #masked(text: string, hit: Hit, detector: ArmedDetector): string {
    this.#tally.hit(detector)
    const shown = maskedCell(detector.masker, Buffer.from(text.slice(hit.from, hit.to)))
    return this.#coding.encode(shown === null ? HIDDEN : Buffer.from(shown).toString())
  }
}

/** Without any of these in front, no text is JSON that paths lead into, however it is written. */
const MAY_BE_JSON = /^[\s+]*(?:["[{\\%&])/

const HIDDEN = '[masked]'
