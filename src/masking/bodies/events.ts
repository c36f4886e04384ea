import { DEAD } from '../json-paths.ts'
import { Field, unreadable } from './field.ts'
import { JsonRewriter } from './json.ts'
import { Output } from './output.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { PLAIN_TEXT } from './text-coding.ts'

const LF = 0x0a
const CR = 0x0d
const BREAK = Buffer.from('\n')
const NONE = Buffer.alloc(0)
const MASKED = Buffer.from('[masked]')
const COLON = 0x3a
/** Names of the fields of an event; a comment has none. */
const FIELDS = ['data', 'event', 'id', 'retry', '']
const BOM = [0xef, 0xbb, 0xbf]

/** What the data of an event may be besides JSON with a sign in front: one of these words and nothing else. */
const WORDS = ['[DONE]', 'true', 'false', 'null'].map((word) => Buffer.from(word))

/**
 * Server-sent events (HTML standard, section 9.2): the lines `data` of one event are one JSON document. Data that is none is
 * hidden whole, but for the word `[DONE]` by which some APIs end; JSON with a mistake in it ends the
 * answer, and so does a field that events do not have. Comments and the other fields of events pass.
 */
export class EventsBody implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #out = new Output()
  #lineState: 'name' | 'data' | 'other' = 'name'
  #name = ''
  /** The first byte of data may be a blank that is none of it. */
  #mayBlank = false
  #afterCr = false
  #bom = 0
  /** The data of this event. */
  #document: JsonRewriter | undefined
  /** The first bytes of the data, while they may be one of the words. */
  #word: Buffer | undefined = Buffer.alloc(0)
  /** The data is text, and there are no paths: detectors look at its lines. */
  #isText = false
  readonly #text: Field
  #isHidden = false

  constructor(plan: BodyPlan) {
    this.#plan = plan
    this.#tally = plan.tally()
    this.#text = new Field(plan, this.#tally, PLAIN_TEXT)
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    let at = 0
    while (at < bytes.length) at = this.#step(bytes, at)
    return this.#out.take()
  }

  /** An event that was not finished is none to its reader, but what is still held of it is looked at like any other. */
  end(): Uint8Array {
    if (this.#lineState === 'data') this.#dataLineEnds()
    this.#dataEnds()
    return this.#out.take()
  }

  #step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    if (this.#bom < BOM.length) {
      if (byte === BOM[this.#bom++]) return this.#pass(bytes, at)
      this.#bom = BOM.length
    }
    const isSecond = byte === LF && this.#afterCr
    this.#afterCr = byte === CR
    if (byte === LF || byte === CR) {
      if (!isSecond) this.#lineEnds()
      return this.#pass(bytes, at)
    }
    if (this.#lineState === 'name') return this.#readName(bytes, at, byte)
    let end = at
    while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++
    if (this.#lineState === 'other') this.#out.add(bytes.subarray(at, end))
    else this.#data(bytes.subarray(at, end))
    return end
  }

  #pass(bytes: Uint8Array, at: number): number {
    this.#out.add(bytes.subarray(at, at + 1))
    return at + 1
  }

  #readName(bytes: Uint8Array, at: number, byte: number): number {
    this.#out.add(bytes.subarray(at, at + 1))
    if (byte === COLON) {
      const isData = this.#name === 'data'
      if (!isData && !FIELDS.includes(this.#name)) throw unreadable('has a field that events do not have')
      this.#lineState = isData ? 'data' : 'other'
      this.#mayBlank = isData
      return at + 1
    }
    this.#name += String.fromCharCode(byte)
    // A reader of events ignores other fields; who asks for something else by this name would read them.
    if (!FIELDS.some((field) => field.startsWith(this.#name))) throw unreadable('is no list of events')
    return at + 1
  }

  #data(all: Uint8Array): void {
    let bytes = all
    if (this.#mayBlank && bytes[0] === 0x20) {
      this.#out.add(bytes.subarray(0, 1))
      bytes = bytes.subarray(1)
    }
    this.#mayBlank = false
    if (bytes.length === 0 || this.#isHidden) return
    if (this.#word === undefined) {
      this.#out.add(this.#isText ? this.#text.push(bytes) : (this.#document?.write(bytes) ?? NONE))
      return
    }
    const held = Buffer.concat([this.#word, bytes])
    if (WORDS.some((word) => word.length >= held.length && word.subarray(0, held.length).equals(held))) {
      this.#word = held
      return
    }
    this.#word = undefined
    this.#begin(held)
  }

  /** The data is none of the words, or ended as one. */
  #begin(held: Uint8Array): void {
    const first = held.find((byte) => byte !== 0x20 && byte !== 0x09)
    if (first === undefined) {
      this.#word = Buffer.alloc(0)
      this.#out.add(held)
      return
    }
    const isJson = '{["-0123456789'.includes(String.fromCharCode(first)) || isWord(held)
    if (isJson) {
      this.#document = new JsonRewriter(this.#plan, this.#tally, this.#plan.paths.row)
      this.#out.add(this.#document.write(held))
      return
    }
    if (this.#plan.paths.assignments.length === 0) {
      this.#isText = true
      this.#text.begin(DEAD)
      this.#out.add(this.#text.push(held))
      return
    }
    this.#isHidden = true
    this.#tally.unreadable()
    this.#out.add(MASKED)
  }

  /** What is written on this line is all that may be a word; and of JSON, a break of lines is a blank. */
  #dataLineEnds(): void {
    const held = this.#word
    if (held !== undefined && held.length > 0) {
      this.#word = undefined
      if (held.equals(DONE)) this.#out.add(held)
      else this.#begin(held)
    }
    if (this.#isText) {
      this.#out.add(this.#text.end())
      this.#text.begin(DEAD)
    }
    const shown = this.#document?.write(BREAK)
    // Of the break itself, what is written there is that of the lines.
    if (shown !== undefined) this.#out.add(shown.at(-1) === LF ? shown.subarray(0, -1) : shown)
  }

  #lineEnds(): void {
    const isEmpty = this.#lineState === 'name' && this.#name === ''
    if (this.#lineState === 'data') this.#dataLineEnds()
    this.#lineState = 'name'
    this.#name = ''
    if (isEmpty) this.#dataEnds()
  }

  #dataEnds(): void {
    if (this.#document !== undefined) this.#out.add(this.#document.end())
    this.#document = undefined
    this.#word = Buffer.alloc(0)
    this.#isHidden = false
    this.#isText = false
  }
}

const DONE = Buffer.from('[DONE]')

function isWord(held: Uint8Array): boolean {
  return WORDS.some((word) => !word.equals(DONE) && word.equals(held))
}
