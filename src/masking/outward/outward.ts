import type { MaskingKey, MaskingRule, OutwardKind } from '../../core/index.ts'
import { DETECTOR_NAMES, LIMITS, OUTWARD_KINDS } from '../../core/index.ts'
import { DETECTORS } from '../detectors/index.ts'
import { holdsMasked, isMaskedWhole } from '../guard.ts'
import { plainText, textOf, viewsOf } from './views.ts'

/** What is looked for besides what detectors know. */
export type OutwardKnown = {
  /** How labels are masked. */
  readonly masks: readonly { readonly rule: MaskingRule; readonly key: MaskingKey | undefined }[]
  /** Finds secrets. Absent: there are none. */
  readonly secrets?: { isIn(bytes: Buffer): boolean } | undefined
}

/** Characters looked through between two breaths. */
const PIECE_CHARS = 16 * 1024
/** What two pieces share, so that nothing of a token's length is cut in both. */
const SHARED_CHARS = LIMITS.detectorWindowChars
/** Characters of a piece and of all its views: escapes of three kinds in one another make eight of them. */
const VIEWED_CHARS_MAX = 16 * PIECE_CHARS
/** Texts in texts in texts. */
const LEVELS_MAX = 4
/** Of a whole value of which a rule shows something. */
const WHOLE_CHARS_MAX = 320

/**
 * What of these kinds stands in any of the texts, as it is or written in the ways of `viewsOf` inside one another, four deep. Yields
 * between pieces, so that who calls can let others go on. What is packed deeper or in too many ways, and what is no text, is `unread`.
 * Sorted; a value never leaves this.
 */
export function* outwardIn(
  texts: readonly Uint8Array[],
  known: OutwardKnown,
): Generator<undefined, readonly OutwardKind[], undefined> {
  const found = new Set<OutwardKind>()
  for (const bytes of texts) {
    const text = plainText(readable(bytes, found, known))
    for (let at = 0; at < text.length; at += PIECE_CHARS) {
      yield* lookInto(text.slice(Math.max(0, at - SHARED_CHARS), at + PIECE_CHARS), found, known)
    }
  }
  return OUTWARD_KINDS.filter((each) => found.has(each))
}

function* lookInto(
  piece: string,
  found: Set<OutwardKind>,
  known: OutwardKnown,
): Generator<undefined, void, undefined> {
  let left = VIEWED_CHARS_MAX
  const waiting = [{ text: piece, level: 0 }]
  const seen = new Set<string>()
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { text, level } = next
    if (seen.has(text)) continue
    seen.add(text)
    left -= text.length
    if (left < 0) {
      found.add('unread')
      return
    }
    look(text, found, known)
    for (const view of viewsOf(text)) {
      if (level < LEVELS_MAX) waiting.push({ text: plainText(view), level: level + 1 })
      // A plus that is a blank is nothing that somebody has packed.
      else if (view.length < text.length) found.add('unread')
    }
    yield
  }
}

/** The bytes as text; of what is none, the words in it: among random bytes everything is found that is short. */
function readable(bytes: Uint8Array, found: Set<OutwardKind>, known: OutwardKnown): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (known.secrets?.isIn(buffer) === true) found.add('secret')
  const text = textOf(buffer)
  if (!text.includes('\0') && !text.includes('\ufffd')) return text
  found.add('unread')
  return (buffer.toString('latin1').match(WORDS) ?? []).join('\n')
}

const WORDS = /[\x20-\x7e]{16,}/g

function look(text: string, found: Set<OutwardKind>, known: OutwardKnown): void {
  for (const name of DETECTOR_NAMES)
    if (!found.has(name) && DETECTORS[name].find(text).length > 0) found.add(name)
  if (!found.has('secret') && known.secrets?.isIn(Buffer.from(text)) === true) found.add('secret')
  // What any key has made, every key of the gateway knows.
  const key = known.masks.find((each) => each.key !== undefined)?.key
  if (!found.has('masked') && (holdsMasked(text, key) || wholes(text, known))) found.add('masked')
}

/** Whether a text between quotes, or between the signs of a form or a table, is as a whole what a rule shows of a value. */
function wholes(text: string, { masks }: OutwardKnown): boolean {
  const rules = masks.filter(
    ({ rule: { kind } }) => kind === 'constant' || kind === 'partial' || kind === 'pseudonym',
  )
  if (rules.length === 0) return false
  for (const [, quoted, plain] of text.matchAll(SCALARS)) {
    const value = (quoted ?? plain ?? '').trim()
    if (value === '' || value.length > WHOLE_CHARS_MAX) continue
    if (rules.some(({ rule, key }) => isMaskedWhole(value, rule, key))) return true
  }
  return false
}

const SCALARS = /"([^"\\]*)"|([^"&=;,|<>\t\r\n]+)/g
