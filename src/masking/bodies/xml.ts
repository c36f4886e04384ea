import { LIMITS } from '../../core/index.ts'
import { DEAD } from '../json-paths.ts'
import type { Place } from '../json-paths.ts'
import { Field, unreadable } from './field.ts'
import { Output } from './output.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { CDATA_TEXT, entityText, XML_TEXT } from './text-coding.ts'

const [LT, GT, SLASH, AMPERSAND, QUOTE, APOSTROPHE, EQUALS] = [0x3c, 0x3e, 0x2f, 0x26, 0x22, 0x27, 0x3d]
const CDATA = '[CDATA['
const BOM = [0xef, 0xbb, 0xbf]
const XML_DECLARATION = /^xml\s/i
const XMLNS = /^xmlns(?::|$)/
/** `xml:lang` and the like say how an element is read, and are no part of what it says. */
const XML_OWN = /^xml:(?:lang|space|base|id)$/

type Expect =
  | 'text'
  | 'entity'
  | 'markup'
  | 'declaration'
  | 'comment'
  | 'instruction'
  | 'cdata'
  | 'start name'
  | 'end name'
  | 'in tag'
  | 'attribute name'
  | 'equals'
  | 'value'
  | 'attribute value'
  | 'slash'

/**
 * XML 1.0 without a document type: no entity can be declared, so none is ever expanded or fetched. Elements and attributes are
 * members by their local names, whatever their prefix; a path may begin in front of the outermost element or inside of it, and
 * `[]` also means a child element of any name. What is inside of a labelled element is text that is masked by the rule, or, with
 * elements inside, left out. Tags have to fit each other, attributes to be quoted.
 */
export class XmlBody implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #out = new Output()
  readonly #text: Field
  readonly #cdata: Field
  readonly #attribute: Field
  #expect: Expect = 'text'
  /** What is kept of a name, a reference or the beginning of a piece of markup. */
  #kept = ''
  readonly #names: string[] = []
  readonly #places: Place[] = []
  /** The place of the element whose tag is being read. */
  #place: Place = DEAD
  #quote = QUOTE
  /** Depth of the element whose content is hidden; -1: none. */
  #hiding = -1
  /** What the hidden element has inside: nothing, text, or more. */
  #inside: 'nothing' | 'text' | 'elements' = 'nothing'
  /** A run of text is with its field. */
  #inText = false
  /** A text of this element began like JSON and did not end: what stands behind a comment or in CDATA is the rest of it. */
  #isTorn = false
  /** The comment or instruction being read, one character for each byte; undefined: too long to be kept. */
  #aside: string | undefined = ''
  /** The reference that is being read stands in an attribute. */
  #inAttribute = false
  #seen: 'nothing' | 'root' | 'end' = 'nothing'
  /** The instruction being read, as far as it may be the declaration of the document. */
  #instruction = ''
  /** Blanks behind the name of an end tag. */
  #blanks = ''

  constructor(plan: BodyPlan) {
    this.#plan = plan
    this.#tally = plan.tally()
    this.#text = new Field(plan, this.#tally, XML_TEXT)
    this.#cdata = new Field(plan, this.#tally, CDATA_TEXT)
    this.#attribute = new Field(plan, this.#tally, XML_TEXT)
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    let at = 0
    while (at < bytes.length) at = this.#step(bytes, at)
    return this.#out.take()
  }

  end(): Uint8Array {
    if (this.#seen !== 'end' || this.#expect !== 'text') throw unreadable('ends in the middle of XML')
    return this.#out.take()
  }

  #step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    switch (this.#expect) {
      case 'text':
        if (byte === LT) return this.#markupBegins(at)
        return this.#run(bytes, at, LT, this.#text)
      case 'attribute value':
        if (byte === this.#quote) {
          this.#show(this.#attribute.end())
          this.#expect = 'in tag'
          return this.#pass(bytes, at)
        }
        return this.#run(bytes, at, this.#quote, this.#attribute)
      case 'entity':
        return this.#entity(bytes, at, byte)
      case 'markup':
        return this.#markup(bytes, at, byte)
      case 'declaration':
        return this.#declaration(byte, at)
      case 'comment':
        return this.#until(bytes, at, '-->')
      case 'instruction':
        return this.#until(bytes, at, '?>')
      case 'cdata':
        return this.#inCdata(bytes, at)
      default:
        return this.#tag(bytes, at, byte)
    }
  }

  /** Text up to a sign, a reference or the end of the piece. */
  #run(bytes: Uint8Array, start: number, sign: number, field: Field): number {
    let at = start
    for (; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (byte === sign || byte === AMPERSAND || byte === LT || byte === 0) break
    }
    if (bytes[at] === 0) throw unreadable('has a byte in it that is no text')
    if (at > start) this.#texts(bytes.subarray(start, at), field)
    if (at === bytes.length) return at
    if (bytes[at] === AMPERSAND) {
      this.#inAttribute = this.#expect === 'attribute value'
      this.#expect = 'entity'
      this.#kept = ''
      return at + 1
    }
    if (bytes[at] !== sign) throw unreadable('has a < in an attribute')
    return at
  }

  #texts(bytes: Uint8Array, field: Field): void {
    if (field !== this.#attribute) {
      if (this.#names.length === 0) return this.#outside(bytes)
      if (!this.#inText) {
        this.#inText = true
        // Text and CDATA of a hidden element are one value, kept as text.
        if (this.#hiding < 0) field.begin(this.#placeInside(), this.#isTorn)
      }
      if (this.#hiding >= 0) {
        this.#hide('text')
        if (this.#inside === 'text') this.#text.push(bytes)
        return
      }
    }
    this.#show(field.push(bytes))
  }

  /** The hidden element turns out to have something inside. */
  #hide(what: 'text' | 'elements'): void {
    if (this.#inside === 'nothing') this.#text.begin(this.#places[this.#hiding - 1] ?? DEAD)
    if (this.#inside !== 'elements') this.#inside = what
  }

  #placeInside(): Place {
    return this.#places.at(-1) ?? DEAD
  }

  /** Around the outermost element are blanks and nothing else. */
  #outside(bytes: Uint8Array): void {
    const isBlankOnly = bytes.every(
      (each) => isBlank(each) || (this.#seen === 'nothing' && BOM.includes(each)),
    )
    if (!isBlankOnly) throw unreadable('is not XML')
    this.#out.add(bytes)
  }

  #entity(bytes: Uint8Array, at: number, byte: number): number {
    if (byte !== 0x3b) {
      if (this.#kept.length >= 10) throw unreadable('has a reference that is not known')
      this.#kept += String.fromCharCode(byte)
      return at + 1
    }
    if (entityText(this.#kept) === undefined) throw unreadable('has a reference that is not known')
    this.#expect = this.#inAttribute ? 'attribute value' : 'text'
    this.#texts(Buffer.from(`&${this.#kept};`), this.#inAttribute ? this.#attribute : this.#text)
    return at + 1
  }

  #markupBegins(at: number): number {
    this.#expect = 'markup'
    return at + 1
  }

  /** Behind `<`. */
  #markup(bytes: Uint8Array, at: number, byte: number): number {
    this.#kept = ''
    if (byte === 0x21) {
      this.#expect = 'declaration'
      return at + 1
    }
    this.#textEnds()
    if (byte === 0x3f) {
      this.#kept = ''
      this.#instruction = ''
      this.#expect = 'instruction'
      this.#passText('<?')
      return at + 1
    }
    if (byte === SLASH) {
      this.#expect = 'end name'
      return at + 1
    }
    if (this.#seen === 'end') throw unreadable('has something behind its end')
    if (!isName(byte)) throw unreadable('is not XML')
    this.#expect = 'start name'
    return this.#tag(bytes, at, byte)
  }

  /** Behind `<!`: a comment or CDATA. A document type may declare anything, and is not read. */
  #declaration(byte: number, at: number): number {
    this.#kept += String.fromCharCode(byte)
    if (this.#kept === '--') {
      this.#textEnds()
      this.#kept = ''
      this.#expect = 'comment'
      this.#passText('<!--')
    } else if (this.#kept === CDATA && this.#names.length > 0) {
      this.#kept = ''
      this.#expect = 'cdata'
      if (this.#hiding < 0) {
        this.#textEnds()
        this.#passText('<![CDATA[')
        this.#cdata.begin(this.#placeInside(), this.#isTorn)
      } else {
        this.#hide('text')
      }
    } else if (!'--'.startsWith(this.#kept) && !CDATA.startsWith(this.#kept)) {
      throw unreadable('has a document type or a declaration')
    }
    return at + 1
  }

  /**
   * Comments and instructions pass, or are hidden, up to their end. One that may hold something for a path (an element that was
   * commented out) is emptied.
   */
  #until(bytes: Uint8Array, start: number, end: string): number {
    let at = start
    while (at < bytes.length) {
      const byte = bytes[at++] ?? 0
      this.#kept = (this.#kept + String.fromCharCode(byte)).slice(-end.length)
      if (this.#expect === 'instruction' && this.#instruction.length < 1024)
        this.#instruction += String.fromCharCode(byte)
      if (this.#kept !== end) continue
      this.#keepAside(bytes.subarray(start, at))
      this.#asideEnds(end)
      return at
    }
    this.#keepAside(bytes.subarray(start, at))
    return at
  }

  #keepAside(bytes: Uint8Array): void {
    if (this.#plan.paths.assignments.length === 0) {
      this.#show(bytes)
    } else if (this.#aside !== undefined) {
      const isLong = this.#aside.length + bytes.length > LIMITS.bodyTextBytesMax
      this.#aside = isLong ? undefined : this.#aside + Buffer.from(bytes).toString('latin1')
    }
  }

  #asideEnds(end: string): void {
    const aside = this.#aside
    const isInstruction = this.#expect === 'instruction'
    if (isInstruction) this.#checkDeclaration()
    this.#expect = 'text'
    this.#aside = ''
    if (this.#plan.paths.assignments.length === 0 || this.#hiding >= 0) return
    const isDeclaration = isInstruction && XML_DECLARATION.test(this.#instruction)
    const text = aside === undefined ? undefined : Buffer.from(aside, 'latin1').toString()
    if (text !== undefined && (isDeclaration || !this.#plan.paths.mayName(text))) {
      this.#passText(aside ?? '')
      return
    }
    this.#tally.unreadable()
    this.#passText(`masked${end}`)
  }

  /** `<?xml encoding="..."?>`: what is not UTF-8 by its own word is not read. XML 1.0 section 2.8. */
  #checkDeclaration(): void {
    if (!XML_DECLARATION.test(this.#instruction)) return
    const [, encoding] = /encoding\s*=\s*["']([^"']*)/i.exec(this.#instruction) ?? []
    if (encoding !== undefined && !/^(?:utf-8|us-ascii)$/i.test(encoding))
      throw unreadable('is in another encoding than UTF-8')
    if (/version\s*=\s*["']1\.1/.test(this.#instruction)) throw unreadable('is XML 1.1')
  }

  #inCdata(bytes: Uint8Array, start: number): number {
    for (let at = start; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (byte === 0x5d) {
        this.#kept += ']'
        continue
      }
      if (byte === GT && this.#kept.length >= 2) {
        this.#cdataText(Buffer.from(this.#kept.slice(2)))
        if (this.#hiding < 0) {
          this.#show(this.#cdata.end())
          this.#isTorn ||= this.#cdata.isUnread
          this.#passText(']]>')
        }
        this.#kept = ''
        this.#expect = 'text'
        return at + 1
      }
      let end = at
      while (end < bytes.length && bytes[end] !== 0x5d && bytes[end] !== GT) end++
      if (end === at) end++
      this.#cdataText(Buffer.concat([Buffer.from(this.#kept), bytes.subarray(at, end)]))
      this.#kept = ''
      return end
    }
    // Brackets that may be the end are few; a run of them is text but for its last two.
    if (this.#kept.length > 2) {
      this.#cdataText(Buffer.from(this.#kept.slice(2)))
      this.#kept = ']]'
    }
    return bytes.length
  }

  #cdataText(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#hiding < 0) this.#show(this.#cdata.push(bytes))
    else if (this.#inside === 'text')
      this.#text.push(Buffer.from(XML_TEXT.encode(Buffer.from(bytes).toString('latin1')), 'latin1'))
  }

  #tag(bytes: Uint8Array, at: number, byte: number): number {
    switch (this.#expect) {
      case 'start name':
      case 'end name':
      case 'attribute name': {
        let end = at
        while (end < bytes.length && isName(bytes[end] ?? 0)) end++
        if (this.#kept.length + end - at > LIMITS.bodyNamesBytesMax) throw unreadable('has too long a name')
        this.#kept += Buffer.from(bytes.subarray(at, end)).toString('latin1')
        if (end > at && this.#blanks !== '') throw unreadable('has an end tag that cannot be read')
        if (end === bytes.length) return end
        return this.#nameEnds(bytes, end)
      }
      case 'in tag':
        if (isBlank(byte)) return this.#pass(bytes, at)
        if (byte === GT) return this.#startTagEnds(bytes, at)
        if (byte === SLASH) {
          this.#expect = 'slash'
          return at + 1
        }
        if (!isName(byte)) throw unreadable('has a tag that cannot be read')
        this.#kept = ''
        this.#expect = 'attribute name'
        return at
      case 'equals':
        if (byte === EQUALS) this.#expect = 'value'
        else if (!isBlank(byte)) throw unreadable('has an attribute without a value')
        return this.#pass(bytes, at)
      case 'value':
        if (byte === QUOTE || byte === APOSTROPHE) {
          this.#quote = byte
          this.#expect = 'attribute value'
        } else if (!isBlank(byte)) {
          throw unreadable('has an attribute without quotes')
        }
        return this.#pass(bytes, at)
      case 'slash':
        if (byte !== GT) throw unreadable('has a tag that cannot be read')
        this.#passText('/>')
        this.#elementEnds()
        return at + 1
      default:
        throw unreadable('is not XML')
    }
  }

  #nameEnds(bytes: Uint8Array, at: number): number {
    // One character for each byte, so that it goes out as it came in.
    const name = this.#kept
    const local = Buffer.from(name.slice(name.lastIndexOf(':') + 1), 'latin1').toString()
    const { paths } = this.#plan
    switch (this.#expect) {
      case 'start name': {
        if (this.#names.length >= LIMITS.jsonDepthMax)
          throw unreadable('has too many elements inside each other')
        if (this.#hiding >= 0) this.#hide('elements')
        this.#place =
          this.#names.length === 0 ? paths.outermost(local) : paths.child(this.#placeInside(), local)
        this.#names.push(name)
        this.#places.push(this.#place)
        this.#seen = 'root'
        this.#isTorn = false
        this.#passText(`<${name}`)
        if (!isBlank(bytes[at] ?? 0) && bytes[at] !== GT && bytes[at] !== SLASH)
          throw unreadable('has a name that cannot be read')
        this.#expect = 'in tag'
        return at
      }
      case 'attribute name': {
        const own = XMLNS.test(name) ? DEAD : paths.child(this.#place, local)
        // What is said of a labelled element is labelled, too.
        const isLabelled = this.#place.masker !== undefined && !XMLNS.test(name) && !XML_OWN.test(name)
        this.#attribute.begin(this.#hiding >= 0 ? DEAD : isLabelled ? this.#place : own)
        this.#passText(name)
        this.#expect = 'equals'
        return at
      }
      default: {
        const byte = bytes[at] ?? 0
        if (byte === GT) {
          if (name !== this.#names.at(-1)) throw unreadable('has an end tag that fits none')
          this.#endTag(name)
          return at + 1
        }
        // Blanks behind the name of an end tag are kept with it.
        if (!isBlank(byte) || this.#kept.length > LIMITS.bodyNamesBytesMax)
          throw unreadable('has an end tag that cannot be read')
        this.#expect = 'end name'
        this.#blanks += String.fromCharCode(byte)
        return at + 1
      }
    }
  }

  #endTag(name: string): void {
    if (this.#hiding === this.#names.length) {
      if (this.#inside === 'text') this.#out.add(this.#text.end())
      this.#hiding = -1
    }
    this.#passText(`</${name}${this.#blanks}>`)
    this.#blanks = ''
    this.#elementEnds()
  }

  #startTagEnds(bytes: Uint8Array, at: number): number {
    this.#pass(bytes, at)
    if (this.#hiding < 0 && this.#place.masker !== undefined) {
      this.#hiding = this.#names.length
      this.#inside = 'nothing'
    }
    this.#expect = 'text'
    return at + 1
  }

  #elementEnds(): void {
    this.#names.pop()
    this.#places.pop()
    this.#isTorn = false
    this.#expect = 'text'
    if (this.#names.length === 0) this.#seen = 'end'
  }

  /** A run of text is over. */
  #textEnds(): void {
    if (this.#inText && this.#hiding < 0) {
      this.#show(this.#text.end())
      this.#isTorn ||= this.#text.isUnread
    }
    this.#inText = false
  }

  #show(bytes: Uint8Array): void {
    if (this.#hiding < 0) this.#out.add(bytes)
  }

  #pass(bytes: Uint8Array, at: number): number {
    this.#show(bytes.subarray(at, at + 1))
    return at + 1
  }

  #passText(text: string): void {
    if (this.#hiding < 0) this.#out.add(Buffer.from(text, 'latin1'))
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

/** Letters, digits and what else may stand in a name, not told apart: a parser finds the rest. XML 1.0 section 2.3. */
function isName(byte: number): boolean {
  return (
    byte >= 0x80 ||
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x3a) ||
    byte === 0x5f ||
    byte === 0x2d ||
    byte === 0x2e
  )
}
