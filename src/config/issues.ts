import { z } from 'zod'
import type { Problem } from '../core/index.ts'
import { nearest } from './nearest.ts'
import type { Path, Tree } from './tree.ts'
import { shorten, shown } from './values.ts'

/** Turns what the schema library found into problems: where, what was expected, what to write instead. */

type Issue = z.core.$ZodIssue

/** Stands in place of the library's own wording, so that a schema's own message can be told from it. */
const LIBRARY_WORDING = '\u0000'

export type ReadResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Reads the part of the tree at `path` by a schema. `value` is that part, or what is left of it when others read the
 * rest; `otherKeys` are names that the others know.
 */
export function readPart<T>(
  schema: z.ZodType<T>,
  tree: Tree,
  path: Path,
  value: unknown,
  otherKeys: readonly string[] = [],
): ReadResult<T> {
  const parsed = schema.safeParse(value, { error: () => LIBRARY_WORDING })
  if (parsed.success) return { ok: true, value: parsed.data }
  const explainer = new Explainer(tree, path, schema, otherKeys)
  return { ok: false, problems: parsed.error.issues.flatMap((issue) => explainer.explain(issue, path)) }
}

class Explainer {
  readonly #tree: Tree
  readonly #base: Path
  readonly #schema: z.ZodType
  readonly #otherKeys: readonly string[]
  #json: JsonSchema | undefined

  constructor(tree: Tree, base: Path, schema: z.ZodType, otherKeys: readonly string[]) {
    this.#tree = tree
    this.#base = base
    this.#schema = schema
    this.#otherKeys = otherKeys
  }

  explain(issue: Issue, base: Path): Problem[] {
    const path = [...base, ...issue.path]
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => this.#unknownKey(path, key))
    if (issue.code === 'invalid_union') return this.#union(issue, path)
    if (!this.#tree.has(path) && issue.code !== 'custom') return [this.#missing(path)]
    if (issue.code === 'invalid_key') return [this.#key(issue, path)]
    const { message, fix } = this.#words(issue, path)
    return [this.#tree.problem(this.#tree.valueAt(path), path, message, fix)]
  }

  #words(issue: Issue, path: Path): Words {
    if (issue.message !== LIBRARY_WORDING) return ownWords(issue.message)
    const got = shown(this.#tree.get(path))
    switch (issue.code) {
      case 'invalid_type':
        return numberWords(this.#knownAt(path), got) ?? typeWords(issue.expected, got)
      case 'invalid_value':
        return choiceWords(issue.values.map(String), this.#tree.get(path))
      case 'too_small':
        return (
          numberWords(this.#knownAt(path), got) ?? limitWords(issue.origin, 'at least', issue.minimum, got)
        )
      case 'too_big':
        return (
          numberWords(this.#knownAt(path), got) ?? limitWords(issue.origin, 'at most', issue.maximum, got)
        )
      case 'invalid_format':
        return { message: `expected ${formatName(issue.format)}, got ${got}`, fix: 'correct the value' }
      case 'not_multiple_of':
        return { message: `expected a multiple of ${issue.divisor}, got ${got}`, fix: 'correct the value' }
      default:
        return { message: `expected another value, got ${got}`, fix: 'see docs/formats/config.md' }
    }
  }

  #unknownKey(path: Path, key: string): Problem {
    const known = [
      ...(this.#knownAt(path)?.keys ?? []),
      ...(path.length === this.#base.length ? this.#otherKeys : []),
    ]
    const near = nearest(key, known)
    const place = this.#tree.keyAt([...path, key])
    const message = `expected ${list(known)}, got the unknown name "${shorten(key)}"`
    return this.#tree.problem(
      place,
      [...path, key],
      message,
      near === undefined ? 'remove it' : `write "${near}"`,
    )
  }

  #missing(path: Path): Problem {
    const name = String(path.at(-1))
    const parent = path.slice(0, -1)
    const written = this.#tree.get(parent)
    const known = [...(this.#knownAt(parent)?.keys ?? [])]
    // A misspelt name is reported as unknown as well; saying the same twice helps nobody.
    const typo =
      typeof written === 'object' && written !== null
        ? Object.keys(written).find((key) => !known.includes(key) && nearest(key, [name]) !== undefined)
        : undefined
    const fix = typo === undefined ? `add "${name}: ..."` : `write "${name}" instead of "${shorten(typo)}"`
    return this.#tree.problem(this.#tree.keyAt(parent), path, `expected "${name}", which is missing`, fix)
  }

  #key(issue: Extract<Issue, { code: 'invalid_key' }>, path: Path): Problem {
    const [first] = issue.issues
    const name = shorten(String(path.at(-1)))
    const own = first === undefined || first.message === LIBRARY_WORDING ? undefined : ownWords(first.message)
    const message = `${own?.message ?? 'expected another name'}, got "${name}"`
    return this.#tree.problem(this.#tree.keyAt(path), path, message, own?.fix ?? 'rename it')
  }

  /** The alternative that was meant: the one whose kind of value fits and that has the least to complain about. */
  #union(issue: Extract<Issue, { code: 'invalid_union' }>, path: Path): Problem[] {
    const place = this.#tree.valueAt(path)
    if (issue.errors.length > 0 && !this.#tree.has(path)) return [this.#missing(path)]
    if (issue.message !== LIBRARY_WORDING) {
      const { message, fix } = ownWords(issue.message)
      return [this.#tree.problem(place, path, message, fix)]
    }
    if (issue.errors.length === 0) return [this.#discriminator(path)]
    const fitting = issue.errors
      .filter((issues) => !issues.some((each) => each.path.length === 0 && KIND_MISMATCH.has(each.code)))
      .sort((a, b) => a.length - b.length)
    const [meant] = fitting
    if (meant !== undefined) return meant.flatMap((each) => this.explain(each, path))
    const choices = issue.errors
      .flat()
      .flatMap((each) => (each.code === 'invalid_value' ? each.values.map(String) : []))
    const kinds = issue.errors
      .flat()
      .flatMap((each) => (each.code === 'invalid_type' ? [typeName(each.expected)] : []))
    const written = this.#tree.get(path)
    const expected = [...choices.map((each) => `"${each}"`), ...new Set(kinds)].join(' or ')
    const near = typeof written === 'string' ? nearest(written, choices) : undefined
    const fix =
      near === undefined ? `write ${expected === '' ? 'another value' : expected}` : `write "${near}"`
    return [this.#tree.problem(place, path, `expected ${expected}, got ${shown(written)}`, fix)]
  }

  /** `kind: partal`: no alternative has that name. */
  #discriminator(path: Path): Problem {
    const name = String(path.at(-1))
    const choices = [...(this.#knownAt(path.slice(0, -1))?.constants.get(name) ?? [])]
    if (!this.#tree.has(path)) {
      const missing = this.#missing(path)
      return choices.length === 0 ? missing : { ...missing, fix: `add "${name}" with ${list(choices)}` }
    }
    const { message, fix } = choiceWords(choices, this.#tree.get(path))
    return this.#tree.problem(this.#tree.valueAt(path), path, message, fix)
  }

  #knownAt(path: Path): Known | undefined {
    this.#json ??= jsonOf(this.#schema)
    return knownAt(this.#json, path.slice(this.#base.length))
  }
}

const KIND_MISMATCH: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value'])

type Words = { readonly message: string; readonly fix: string }

/** A schema's own message: `expected ...; what to do`. */
function ownWords(message: string): Words {
  const [expected = '', ...fix] = message.split('; ')
  return { message: expected, fix: fix.join('; ') || 'correct the value' }
}

function typeWords(expected: string, got: string): Words {
  const name = typeName(expected)
  const message = `expected ${name}, got ${got}`
  switch (expected) {
    case 'array':
      return { message, fix: got === 'nothing' ? 'write [] for none' : 'write a list such as [a, b]' }
    case 'string':
      return { message, fix: got === 'nothing' ? 'write a value' : 'put the value in quotes' }
    case 'boolean':
      return { message, fix: 'write true or false' }
    case 'object':
    case 'record':
      return { message, fix: 'write indented names with values' }
    default:
      return { message, fix: `write ${name} without quotes or unit` }
  }
}

/** For a place where only a number may stand: which ones. */
function numberWords(known: Known | undefined, got: string): Words | undefined {
  if (known?.number === undefined) return undefined
  const { minimum, maximum } = known.number
  const from = minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? '' : ` from ${minimum}`
  const to = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`
  const what = `a whole number${from === '' ? to.replace('to', 'up to') : to === '' ? from.replace('from', 'of at least') : from + to}`
  return { message: `expected ${what}, got ${got}`, fix: `write ${what}, without quotes or unit` }
}

function typeName(expected: string): string {
  switch (expected) {
    case 'string':
      return 'text'
    case 'int':
      return 'a whole number'
    case 'number':
      return 'a number'
    case 'boolean':
      return 'true or false'
    case 'array':
      return 'a list'
    case 'object':
    case 'record':
      return 'a mapping'
    default:
      return expected
  }
}

function choiceWords(choices: readonly string[], written: unknown): Words {
  const near = typeof written === 'string' ? nearest(written, choices) : undefined
  const message = `expected ${list(choices)}, got ${shown(written)}`
  return { message, fix: near === undefined ? `write one of them` : `write "${near}"` }
}

function limitWords(
  origin: string,
  side: 'at least' | 'at most',
  limit: number | bigint,
  got: string,
): Words {
  const unit =
    origin === 'string'
      ? ' characters'
      : origin === 'array' || origin === 'set'
        ? ' entries'
        : origin === 'file'
          ? ' bytes'
          : ''
  const text = `${side} ${limit}${unit}`
  return { message: `expected ${text}, got ${got}`, fix: `write ${text}` }
}

function formatName(format: string): string {
  switch (format) {
    case 'safeint':
      return 'a whole number'
    case 'url':
      return 'a URL'
    default:
      return format === 'regex' ? 'another form of text' : `text in the form "${format}"`
  }
}

function list(words: readonly string[]): string {
  if (words.length === 0) return 'nothing here'
  return words.length === 1 ? words.join('') : `one of ${words.join(', ')}`
}

/** The little of JSON Schema that is needed to know which names a mapping may have. */
const jsonSchema = z.looseObject({
  const: z.unknown().optional(),
  type: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  get properties() {
    return z.record(z.string(), jsonSchema).optional()
  },
  get additionalProperties() {
    return z.union([z.boolean(), jsonSchema]).optional()
  },
  get items() {
    return z.union([z.boolean(), jsonSchema]).optional()
  },
  get anyOf() {
    return z.array(jsonSchema).optional()
  },
  get oneOf() {
    return z.array(jsonSchema).optional()
  },
  get allOf() {
    return z.array(jsonSchema).optional()
  },
})
type JsonSchema = z.infer<typeof jsonSchema>

function jsonOf(schema: z.ZodType): JsonSchema {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' })
  return jsonSchema.parse(json)
}

type Known = {
  readonly keys: ReadonlySet<string>
  /** What a key may be where each alternative of a mapping has a constant of its own there. */
  readonly constants: ReadonlyMap<string, ReadonlySet<string>>
  /** Set when nothing but a whole number may stand here. */
  readonly number: { readonly minimum: number | undefined; readonly maximum: number | undefined } | undefined
}

function knownAt(schema: JsonSchema, path: Path): Known {
  let level = alternatives(schema)
  for (const step of path) {
    level = level.flatMap((each) => {
      const next =
        typeof step === 'number' ? each.items : (each.properties?.[String(step)] ?? each.additionalProperties)
      return typeof next === 'object' ? alternatives(next) : []
    })
  }
  const keys = new Set<string>()
  const constants = new Map<string, Set<string>>()
  for (const each of level) {
    for (const [key, property] of Object.entries(each.properties ?? {})) {
      keys.add(key)
      if (typeof property.const !== 'string') continue
      constants.set(key, (constants.get(key) ?? new Set()).add(property.const))
    }
  }
  const [only, ...others] = level
  const number = others.length === 0 && only?.type === 'integer' ? only : undefined
  return { keys, constants, number: number && { minimum: number.minimum, maximum: number.maximum } }
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...inner.flatMap(alternatives)]
}
