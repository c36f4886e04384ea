import { isUtf8 } from 'node:buffer'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { cellMasker } from '../cell.ts'
import type { Place } from '../json-paths.ts'
import { maskedCell } from '../masker.ts'
import type { CellMasker } from '../masker.ts'
import { TEXT } from '../types.ts'
import { innerJson } from './json.ts'
import type { BodyPlan, Tally } from './plan.ts'
import type { TextCoding } from './text-coding.ts'
import { TextWatch } from './watch.ts'

const NONE = Buffer.alloc(0)
const WHOLE = cellMasker({ kind: 'full' }, TEXT, 'text')

/**
 * One value of a format that has nothing but text: masked, looked into, or passed. Of a value that is masked it keeps
 * `LIMITS.bodyTextBytesMax`; a longer one is hidden whole.
 */
export class Field {
  readonly #coding: TextCoding
  readonly #watch: TextWatch
  readonly #tally: Tally
  #mode: 'passed' | 'watched' | 'masked' = 'passed'
  #masker: CellMasker = WHOLE
  #kept: Buffer[] = []
  #keptLength = 0
  /** Of the piece before, a character is not complete. */
  #isOpen = false
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true })
  readonly #hasDetectors: boolean
  #isFirst = true

  constructor(plan: BodyPlan, tally: Tally, coding: TextCoding) {
    this.#coding = coding
    this.#tally = tally
    this.#hasDetectors = plan.detectors.length > 0
    this.#watch = new TextWatch(plan, tally, coding, innerJson, 0)
  }

  /** `hidden`: the value has no place of its own, and is hidden whole. */
  begin(place: Place, hidden = false): void {
    const masker = hidden ? WHOLE : place.masker
    this.#kept = []
    this.#keptLength = 0
    if (masker !== undefined) {
      this.#mode = 'masked'
      this.#masker = masker
      if (hidden) this.#tally.unreadable()
      else this.#tally.count(place)
    } else {
      this.#mode = this.#watch.begin(place) ? 'watched' : 'passed'
      this.#isFirst = true
    }
  }

  /** The next bytes of the value as they were written; gives what may be passed on. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#mode === 'passed' || bytes.length === 0) return bytes
    if (this.#mode === 'watched') {
      // Most values begin like no JSON, and then only detectors have something to find in them.
      if (this.#isFirst && !this.#hasDetectors && !MAY_BEGIN_JSON.has(bytes[0] ?? 0)) {
        this.#mode = 'passed'
        return bytes
      }
      this.#isFirst = false
      this.#check(bytes, true)
      return this.#watch.push(bytes)
    }
    if (this.#keptLength <= LIMITS.bodyTextBytesMax && this.#masker.keeps > 0) {
      this.#kept.push(Buffer.from(bytes))
      this.#keptLength += bytes.length
    }
    return NONE
  }

  /** The value began like JSON in which paths go on, and could not be read as that: the rest of it may stand elsewhere. */
  get isUnread(): boolean {
    return this.#mode === 'watched' && this.#watch.isUnread
  }

  /** The rest of what is shown of the value, written as the format wants it. */
  end(): Uint8Array {
    if (this.#mode === 'passed') return NONE
    if (this.#mode === 'watched') {
      this.#check(NONE, false)
      return this.#watch.end()
    }
    const raw = Buffer.concat(this.#kept)
    const seen = raw.length > LIMITS.bodyTextBytesMax || !isUtf8(raw) ? undefined : raw.toString()
    const masker = seen === undefined ? WHOLE : this.#masker
    const { text, used } = this.#coding.decode(seen ?? '')
    // A last escape that is cut off stands for itself.
    const whole = text + (seen ?? '').slice(used)
    const shown = maskedCell(masker, Buffer.from(whole))
    if (shown === null) return NONE
    const encode = this.#coding.encodeWhole ?? this.#coding.encode
    return Buffer.from(encode(Buffer.from(shown).toString()))
  }

  #check(bytes: Uint8Array, stream: boolean): void {
    // Most pieces end where a character ends, and are looked at by themselves.
    if (!this.#isOpen && isUtf8(bytes)) return
    this.#isOpen = stream
    try {
      this.#utf8.decode(bytes, { stream })
    } catch (cause) {
      throw unreadable('is not UTF-8', { cause })
    }
  }
}

/** Brackets and quotes, blanks in front of them, and what escapes begin with. */
const MAY_BEGIN_JSON = new Set(Buffer.from('{["\\%&+ \t\r\n'))

/** The body cannot be read as what it says it is. */
export function unreadable(why: string, more: { cause?: unknown; byte?: number } = {}): GatewayError {
  return new GatewayError(
    'protocol_violation',
    `The answer of the upstream ${why}; it was withheld, because protected fields could not be found in it.`,
    {
      remedy: 'Tell whoever runs the API.',
      retry: 'later',
      ...(more.cause === undefined ? {} : { cause: more.cause }),
      ...(more.byte === undefined ? {} : { facts: { byte: more.byte } }),
    },
  )
}
