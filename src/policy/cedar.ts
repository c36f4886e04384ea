import { createRequire } from 'node:module'
import type * as wasm from '@cedar-policy/cedar-wasm/nodejs'
import type { Problem, SourceText } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/** The engine's own types, under the names used here. Nothing else imports the engine. */
export type CedarJson = wasm.PolicyJson
export type CedarSchema = wasm.SchemaJson<string>
export type CedarValue = wasm.CedarValueJson
export type CedarError = wasm.DetailedError
export type CedarEntity = wasm.EntityJson
type Uid = wasm.TypeAndId

/** One instance of the engine. What it keeps prepared is its own. */
class Engine {
  readonly wasm: typeof wasm
  /** The engine never drops a prepared set: names of policies that nobody holds any more are emptied and used again. */
  readonly freeNames: string[] = []
  namesMade = 0

  constructor() {
    const require = createRequire(import.meta.url)
    // An instance that has trapped is cached as well, and only forgetting it gives a new one.
    delete require.cache[require.resolve('@cedar-policy/cedar-wasm/nodejs')]
    this.wasm = require('@cedar-policy/cedar-wasm/nodejs')
  }
}

let engine: Engine | undefined

/**
 * Calls the engine. Whatever it throws (a stack that ran out) leaves the instance unusable for good: it is thrown away,
 * and the next call gets a fresh one, which takes a few milliseconds.
 */
function withEngine<T>(call: (engine: Engine) => T): T {
  engine ??= new Engine()
  try {
    return call(engine)
  } catch (error) {
    engine = undefined
    throw error
  }
}

/** Loads the engine and runs it once, so that no command waits for it: some 50 ms in a new process. */
export function warmEngine(): void {
  const nobody = { type: 'Identity', id: '' }
  new PreparedSets().ask('warm', () => ({ warm: 'forbid (principal, action, resource);' }), {
    principal: nobody,
    action: { type: 'Action', id: 'run' },
    resource: { type: 'Connection', id: '' },
    context: {},
    entities: [{ uid: nobody, attrs: {}, parents: [] }],
  })
}

export type Parsed =
  | { readonly ok: true; readonly json: CedarJson }
  | { readonly ok: false; readonly error: CedarError }

/** One policy's text as a tree; text with two policies in it, or a template, is an error. */
export function parseCedar(text: string): Parsed {
  const answer = withEngine(({ wasm }) => wasm.policyToJson(text))
  if (answer.type === 'success') return { ok: true, json: answer.json }
  return { ok: false, error: first(answer.errors) }
}

/**
 * What a person wrote may be so deep that the engine's stack runs out. That is refused before the engine sees it;
 * `undefined` when it is not so.
 */
export function tooComplicated(
  text: string,
): { readonly message: string; readonly offset: number } | undefined {
  // Texts and comments are found first, so that nothing in them counts.
  const token = /"(?:\\[\s\S]|[^"\\])*"?|\/\/[^\n]*|\w+|&&|\|\||[=!<>]=|::|\S/g
  let depth = 0
  let operators = 0
  for (const { 0: found, index: offset } of text.matchAll(token)) {
    if (OPENING.has(found)) depth += 1
    else if (CLOSING.has(found)) depth -= 1
    // A square bracket may be an access, and those chain: context["x"]["y"].
    if (found === '[' || KEYWORDS.has(found) || !/^(?:[\w",;()[\]{}]|::|\/\/)/.test(found)) operators += 1
    if (depth > LIMITS.conditionDepthMax) {
      return { message: `expected at most ${LIMITS.conditionDepthMax} levels of brackets`, offset }
    }
    if (operators > LIMITS.conditionOperatorsMax) {
      return { message: `expected at most ${LIMITS.conditionOperatorsMax} operators`, offset }
    }
  }
  return undefined
}

const OPENING: ReadonlySet<string> = new Set(['(', '[', '{'])
const CLOSING: ReadonlySet<string> = new Set([')', ']', '}'])
const KEYWORDS: ReadonlySet<string> = new Set(['if', 'in', 'is', 'has', 'like', 'when', 'unless'])

export type Validation = { readonly errors: readonly CedarError[]; readonly impossible: boolean }

/** Holds policies against a schema, which is read once for all. `impossible`: its condition can never be true. */
export function validateCedar(schema: CedarSchema, policies: readonly string[]): Validation[] {
  const staticPolicies = Object.fromEntries(policies.map((text, index) => [String(index), text]))
  const answer = withEngine(({ wasm }) => wasm.validate({ schema, policies: { staticPolicies } }))
  // Each was parsed before; what fails now is not a mistake in any of them.
  if (answer.type === 'failure')
    throw new Error(`the policy engine failed: ${cedarMessage(first(answer.errors))}`)
  const found = policies.map(() => ({ errors: new Array<CedarError>(), impossible: false }))
  for (const { policyId, error } of answer.validationErrors) found[Number(policyId)]?.errors.push(error)
  for (const { policyId, error } of answer.validationWarnings) {
    const each = found[Number(policyId)]
    if (each !== undefined && error.message.includes('policy is impossible')) each.impossible = true
  }
  // The engine finds them in no particular order.
  for (const each of found) each.errors.sort(byPlace)
  return found
}

function byPlace(a: CedarError, b: CedarError): number {
  const order = (a.sourceLocations?.[0]?.start ?? 0) - (b.sourceLocations?.[0]?.start ?? 0)
  return order !== 0 ? order : a.message.localeCompare(b.message)
}

/** The engine's complaint without the prefix that names our generated policy ids. */
export function cedarMessage(error: CedarError): string {
  const label = error.sourceLocations?.[0]?.label
  const text = error.message
    .replace(/^for policy `[^`]*`, /, '')
    // A condition is held against several actions, and which one complains first says nothing.
    .replace(/ in context for Action::"[a-z]+"/, ' in context')
    .replace(/^failed to parse (?:policy|policies|policy set) from string: /, '')
  return [text, ...(label == null ? [] : [label])].join(', ')
}

/** The engine's hint, or `otherwise`. */
export function cedarHelp(error: CedarError, otherwise: string): string {
  return error.help == null ? otherwise : error.help.replace(/^for policy `[^`]*`, /, '')
}

/** The engine counts bytes of UTF-8; people count characters. Counted from `skip` bytes on. */
export function characterOffset(text: string, byteOffset: number): number {
  return Buffer.from(text).subarray(0, Math.max(0, byteOffset)).toString().length
}

/** The place in the file of a character of `source.text`. */
export function placeIn(source: SourceText, offset: number): { line: number; column: number } {
  const before = source.text.slice(0, Math.max(0, offset)).split('\n')
  const start = source.starts[before.length - 1]
  const exact = source.starts.length === source.text.replace(/\n+$/, '').split('\n').length
  if (start === undefined || !exact) return { ...source.starts[0] }
  return { line: start.line, column: start.column + (before.at(-1)?.length ?? 0) }
}

/** A complaint about text that stands `skip` bytes into what the engine was given. */
export function problemIn(
  source: SourceText,
  path: string,
  error: CedarError,
  skip: number,
  fix: string,
): Problem {
  const at = characterOffset(source.text, (error.sourceLocations?.[0]?.start ?? skip) - skip)
  return {
    file: source.file,
    ...placeIn(source, at),
    path,
    message: oneLine(cedarMessage(error)),
    fix: oneLine(cedarHelp(error, fix)),
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

function first(errors: readonly CedarError[]): CedarError {
  return errors[0] ?? { message: 'not understood', help: null, code: null, url: null, severity: 'error' }
}

export type Ask = {
  readonly principal: Uid
  readonly action: Uid
  readonly resource: Uid
  /** Those whose attributes or parents matter: the others need not be handed over, which is what asking costs most. */
  readonly entities: readonly CedarEntity[]
  readonly context: Record<string, CedarValue>
}

export type Asked = {
  readonly allow: boolean
  /** The policies that were satisfied and decided: permits when `allow`, forbids when not. */
  readonly reason: readonly string[]
  /** Policies whose condition could not be evaluated; the engine skips them, the caller must not. */
  readonly errors: readonly { readonly id: string; readonly kind: string }[]
}

const abandoned = new FinalizationRegistry<{ readonly owner: Engine; readonly names: readonly string[] }>(
  ({ owner, names }) => {
    // An instance that was thrown away takes its sets with it.
    if (owner !== engine) return
    for (const name of names) withEngine(({ wasm }) => wasm.preparsePolicySet(name, { staticPolicies: {} }))
    owner.freeNames.push(...names)
  },
)

/** The prepared sets of one policy. They live as long as this object, and come back when the engine has to be renewed. */
export class PreparedSets {
  #owner: Engine | undefined
  #names: string[] = []
  readonly #prepared = new Map<string, string>()

  /** Asks one set, preparing it first when it is new. `key` names the set within this object. */
  ask(key: string, policies: () => Readonly<Record<string, string>>, ask: Ask): Asked {
    const answer = withEngine((current) => {
      if (this.#owner !== current) this.#moveTo(current)
      let name = this.#prepared.get(key)
      if (name === undefined) {
        name = this.#prepare(current, policies())
        this.#prepared.set(key, name)
      }
      return current.wasm.statefulIsAuthorized({
        principal: ask.principal,
        action: ask.action,
        resource: ask.resource,
        context: ask.context,
        preparsedPolicySetId: name,
        validateRequest: false,
        entities: [...ask.entities],
      })
    })
    if (answer.type === 'failure')
      throw new Error(`the policy engine failed: ${cedarMessage(first(answer.errors))}`)
    const { decision, diagnostics } = answer.response
    return {
      allow: decision === 'allow',
      reason: diagnostics.reason,
      errors: diagnostics.errors.map(({ policyId, error }) => ({ id: policyId, kind: faultKind(error) })),
    }
  }

  #moveTo(current: Engine): void {
    abandoned.unregister(this)
    this.#owner = current
    this.#prepared.clear()
    this.#names = []
    abandoned.register(this, { owner: current, names: this.#names }, this)
  }

  #prepare(current: Engine, policies: Readonly<Record<string, string>>): string {
    const name = current.freeNames.pop() ?? `set-${current.namesMade++}`
    this.#names.push(name)
    const answer = current.wasm.preparsePolicySet(name, { staticPolicies: { ...policies } })
    if (answer.type === 'failure') {
      throw new Error(`the policy engine refused a set: ${cedarMessage(first(answer.errors))}`)
    }
    return name
  }
}

/** What went wrong, without the values the engine names: they may come from a statement. */
function faultKind(error: CedarError): string {
  if (error.message.includes('overflow')) return 'a number became too large'
  if (error.message.includes('does not have the attribute')) return 'a fact is unknown'
  if (error.message.includes('type error')) return 'a fact has another type'
  return 'the condition cannot be evaluated'
}
