import type { Facts, SealedCommand, SealedValues } from '../../core/command.ts'
import { labelsUsed } from '../../core/command.ts'
import type { LabelName } from '../../core/ids.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Parser } from '../parse/parser.ts'
import { shapeOf } from '../parse/shape.ts'
import type { Token } from '../parse/tokens.ts'
import type { Gives } from './places.ts'
import { placesOf } from './places.ts'

/**
 * What of a command its recording seals, as far as the same facts were found for it: it belongs to a judgement, and is
 * kept with it. The labels of literals are in the order in which these stand in the text.
 */
export type Sealing = {
  /** Of comments, and of all that is not told apart. */
  readonly labels: Labels
  /** Absent: the text is sealed whole. */
  readonly literals?: readonly Labels[]
  /** Of a text that has no shape, which stands for no other: its tokens, and what its literals stand for. */
  readonly exact?: {
    readonly text: string
    readonly tokens: readonly Token[]
    readonly contents: readonly (string | undefined)[]
  }
  /** By number, from 1; those of others are `labels`. */
  readonly parameters?: ReadonlyMap<number, Labels>
  /** Absent: anything. */
  readonly gives?: Gives
}

type Labels = readonly LabelName[]

/** A part of a text that is sealed, `[start, end)` in bytes. */
type Piece = {
  readonly start: number
  readonly end: number
  readonly labels: Labels
  /** It is sealed for a value that has its place elsewhere. */
  readonly repeats: boolean
  /** The name that it is. */
  readonly name?: string
}

/** From this length on a value is also looked for in names and inside of other values. */
const SOUGHT_CHARACTERS_MIN = 3

/** With more values than this, whatever is given is sealed rather than searched for each of them. */
const SOUGHT_VALUES_MAX = 64

/** How marks begin: a text that already holds this is sealed whole, so that no mark is any but ours. */
const MARK = '[sealed '

/** Undefined: no value of this command meets a labelled column. */
export function sealingOf(text: string, facts: Facts, parser: Pick<Parser, 'scan'>): Sealing | undefined {
  const places = placesOf(facts)
  const labels = places?.labels ?? labelsUsed(facts)
  if (labels.length === 0) return undefined
  // Long statements are parsed without places.
  const { gives = 'values' } = places ?? {}
  if (places === undefined || text.length > LIMITS.statementInlineBytesMax) return { labels, gives }
  const parameters = places.parameters()
  const source = Buffer.from(text)
  const shape = shapeOf(source, 0, source.length)
  const tokens = shape === undefined ? parser.scan(text) : undefined
  const literals = shape === undefined ? tokens?.filter(isLiteral) : pairsOf(shape.literals)
  if (literals === undefined) return { labels, parameters, gives }
  const constants = literals.map(({ start }) => places.constantAt(placesAt(source, start)))
  const contents = constants.map((each) => each?.text)
  return {
    labels,
    literals: constants.map((each) => each?.labels ?? labels),
    ...(tokens === undefined ? {} : { exact: { text, tokens, contents } }),
    parameters,
    gives,
  }
}

/** The text and the parameters as they are recorded. */
export function seal(
  text: string,
  parameters: readonly (Uint8Array | null)[] | undefined,
  sealing: Sealing,
  parser: Pick<Parser, 'scan'>,
): SealedCommand {
  const source = Buffer.from(text)
  const given = parameters?.map((value, index) => labelsOfParameter(value, index, sealing)) ?? []
  const values = sealing.literals === undefined ? [] : (parameters ?? [])
  const fields = new Fields()
  // Whatever is found once is sealed wherever else it stands.
  const sought = new Sought()
  values.forEach((value, index) => {
    if (value !== null) sought.add(Buffer.from(value).toString('utf8'), given[index] ?? [])
  })
  const pieces = text.includes(MARK) ? undefined : piecesOf(text, source, sealing, sought, parser)
  const written = pieces === undefined ? fields.mark(sealing.labels, text) : withMarks(source, pieces, fields)
  let repeated = pieces?.some((each) => each.repeats) ?? true
  const recorded = parameters?.map((value, index) => {
    if (value === null) return null
    const base64 = Buffer.from(value).toString('base64')
    const own = given[index] ?? []
    const labels = sought.isMany ? sealing.labels : union(own, sought.in(Buffer.from(value).toString('utf8')))
    repeated ||= labels.length > own.length
    return labels.length === 0 ? base64 : fields.mark(labels, base64)
  })
  const { gives = 'values' } = sealing
  const names = pieces?.flatMap(({ name }) => name ?? []) ?? []
  return {
    text: written,
    parameters: recorded,
    sealed: fields.all(),
    labels: sealing.labels,
    // What stands in a second place may be the name of a column, or what one that is shown was compared with.
    open: gives === 'nothing' || (gives === 'columns' && !repeated),
    ...(names.length === 0 ? {} : { names }),
  }
}

function labelsOfParameter(value: Uint8Array | null, index: number, sealing: Sealing): Labels {
  return value === null ? [] : (sealing.parameters?.get(index + 1) ?? sealing.labels)
}

/** What is sealed of a text, in order; undefined: all of it. Adds to what is sought. */
function piecesOf(
  text: string,
  source: Buffer,
  { labels, literals, exact }: Sealing,
  sought: Sought,
  parser: Pick<Parser, 'scan'>,
): readonly Piece[] | undefined {
  const shape = shapeOf(source, 0, source.length)
  const plain = shape === undefined ? undefined : pairsOf(shape.literals)
  const tokens = plain === undefined && exact?.text === text ? exact.tokens : undefined
  const found = plain ?? tokens?.filter(isLiteral)
  if (found === undefined || literals === undefined || found.length !== literals.length) return undefined
  const values = found.map(
    ({ start, end }, index) => exact?.contents[index] ?? contentOf(source.toString('utf8', start, end)),
  )
  for (const [index, value] of values.entries()) sought.add(value, literals[index] ?? [])
  const pieces = found.map(({ start, end }, index): Piece => {
    const own = literals[index] ?? []
    const all = sought.isMany ? labels : union(own, sought.in(values[index] ?? ''))
    return { start, end, labels: all, repeats: all.length > own.length }
  })
  if (shape !== undefined && !sought.isIn(shape.text)) return pieces.filter(isSealed)
  const all = tokens ?? parser.scan(text)
  if (all === undefined || sought.isMany) return undefined
  for (const { kind, start, end } of all) {
    if (kind === 'comment') pieces.push({ start, end, labels, repeats: false })
    if (kind !== 'word') continue
    const name = nameOf(source.toString('utf8', start, end))
    if (name === undefined) pieces.push({ start, end, labels, repeats: true })
    else pieces.push({ start, end, labels: sought.inName(name), repeats: true, name })
  }
  return pieces.filter(isSealed).sort((a, b) => a.start - b.start)
}

function isSealed({ labels }: Piece): boolean {
  return labels.length > 0
}

function withMarks(source: Buffer, pieces: readonly Piece[], fields: Fields): string {
  let text = ''
  let from = 0
  for (const { start, end, labels } of pieces) {
    text += source.toString('utf8', from, start) + fields.mark(labels, source.toString('utf8', start, end))
    from = end
  }
  return text + source.toString('utf8', from)
}

/** Sealed values by their labels. */
class Fields {
  readonly #groups = new Map<string, { labels: Labels; numbers: number[]; values: string[] }>()
  #last = 0

  /** What stands in the place of this value. */
  mark(labels: Labels, value: string): string {
    const number = ++this.#last
    const key = labels.join('\0')
    const group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, { labels, numbers: [number], values: [value] })
    else {
      group.numbers.push(number)
      group.values.push(value)
    }
    return `${MARK}${number}]`
  }

  all(): readonly SealedValues[] {
    return [...this.#groups.values()]
  }
}

/** Values that are sealed, to be found again in a second place. */
class Sought {
  /** In lower case. */
  readonly #values = new Map<string, Labels>()

  add(value: string, labels: Labels): void {
    if (labels.length === 0 || value === '') return
    const plain = value.toLowerCase()
    this.#values.set(plain, union(labels, this.#values.get(plain) ?? []))
  }

  get isMany(): boolean {
    return this.#values.size > SOUGHT_VALUES_MAX
  }

  /** Whether one of them stands in this text. Only long ones count: short ones stand everywhere. */
  isIn(text: string): boolean {
    const plain = text.toLowerCase().replaceAll('""', '"')
    if (plain.includes('u&"')) return true
    for (const value of this.#values.keys())
      if (value.length >= SOUGHT_CHARACTERS_MIN && plain.includes(value)) return true
    return false
  }

  /** The labels of those that a name holds. */
  inName(name: string): Labels {
    return name.length < SOUGHT_CHARACTERS_MIN ? [] : this.#of(name.toLowerCase())
  }

  /** The labels of those that another value holds, or is. */
  in(value: string): Labels {
    const plain = value.toLowerCase()
    return union(this.#values.get(plain) ?? [], this.#of(plain))
  }

  #of(plain: string): Labels {
    let labels: Labels = []
    for (const [value, of] of this.#values)
      if (value.length >= SOUGHT_CHARACTERS_MIN && plain.includes(value)) labels = union(labels, of)
    return labels
  }
}

/** A name as it is meant; undefined: one that is written with escapes. */
function nameOf(word: string): string | undefined {
  if (/^u&"/i.test(word)) return undefined
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word
}

/** What stands between the quotes of a literal; escapes stay as they are written. */
function contentOf(literal: string): string {
  const quoted = /^[a-z&]*'(.*)'$/is.exec(literal)?.[1]
  if (quoted !== undefined) return quoted.replaceAll("''", "'")
  return /^\$([^$]*)\$(.*)\$\1\$$/s.exec(literal)?.[2] ?? literal
}

function union(a: Labels, b: Labels): Labels {
  if (b.length === 0) return a
  return a.length === 0 ? b : [...new Set([...a, ...b])].sort()
}

function isLiteral({ kind }: Token): boolean {
  return kind === 'literal'
}

function pairsOf(ends: readonly number[]): { readonly start: number; readonly end: number }[] {
  const pairs: { start: number; end: number }[] = []
  for (let i = 0; i + 1 < ends.length; i += 2) pairs.push({ start: ends[i] ?? 0, end: ends[i + 1] ?? 0 })
  return pairs
}

/** Where the tree may say that a literal stands: at itself, or at the sign in front that the grammar has folded into it. */
function placesAt(source: Buffer, start: number): readonly number[] {
  let before = start - 1
  while (before >= 0 && ' \t\n\r'.includes(String.fromCharCode(source[before] ?? 0))) before--
  return source[before] === 0x2d ? [start, before] : [start]
}
