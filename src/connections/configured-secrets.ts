import type { Clock, SecretRef } from '../core/index.ts'
import { LIMITS, Secret } from '../core/index.ts'

type Ports = {
  /** The settings in which references stand: the same object as long as they are the same. */
  settings(): object
  resolve(reference: SecretRef): Promise<Secret>
  readonly clock: Clock
  /** What cannot be had now, and so is not looked for. */
  report(error: unknown): void
}

/**
 * The secrets that a configuration refers to, for whoever looks for them in what goes out. Read when they are asked for, and again after
 * `LIMITS.outwardSecretsKeptMs`; those under `LIMITS.upstreamSecretCharactersMin` characters or beyond `LIMITS.upstreamSecretBytesMax` are left
 * out: they would be found everywhere, or are files; so are certificates, which everybody may see.
 */
export class ConfiguredSecrets {
  readonly #ports: Ports
  #known:
    | { readonly of: object; readonly until: number; readonly values: Promise<readonly string[]> }
    | undefined
  #last: readonly string[] = []

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** The same list as long as they are the same. */
  values(): Promise<readonly string[]> {
    const of = this.#ports.settings()
    const now = this.#ports.clock.now()
    const known = this.#known
    if (known !== undefined && known.of === of && now < known.until) return known.values
    const values = this.#read(of)
    this.#known = { of, until: now + LIMITS.outwardSecretsKeptMs, values }
    return values
  }

  async #read(settings: object): Promise<readonly string[]> {
    const references = new Map<string, SecretRef>()
    for (const each of referencesIn(settings)) references.set(keyOf(each), each)
    const read = await Promise.all([...references.values()].map((each) => this.#value(each)))
    const values = [...new Set(read.filter((each) => each !== undefined))].filter(isFindable).sort()
    const isSame = values.length === this.#last.length && values.every((each, i) => each === this.#last[i])
    if (!isSame) this.#last = values
    return this.#last
  }

  async #value(reference: SecretRef): Promise<string | undefined> {
    try {
      return (await this.#ports.resolve(reference)).reveal()
    } catch (error) {
      this.#ports.report(error)
      return undefined
    }
  }
}

function isFindable(value: string): boolean {
  return (
    value.length >= LIMITS.upstreamSecretCharactersMin &&
    !value.startsWith('-----BEGIN CERTIFICATE') &&
    Buffer.byteLength(value) <= LIMITS.upstreamSecretBytesMax
  )
}

function keyOf(reference: SecretRef): string {
  return reference.kind === 'literal' ? `literal ${reference.value.reveal()}` : JSON.stringify(reference)
}

/** Walks plain objects, lists and maps; what has a class of its own holds no reference. */
function* referencesIn(value: unknown): Generator<SecretRef, void, undefined> {
  if (typeof value !== 'object' || value === null) return
  if (isReference(value)) yield value
  else if (Array.isArray(value)) for (const each of value) yield* referencesIn(each)
  else if (value instanceof Map) for (const each of value.values()) yield* referencesIn(each)
  else if (isPlain(value)) for (const each of Object.values(value)) yield* referencesIn(each)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const PARTS: Readonly<Record<string, readonly string[]>> = {
  env: ['name'],
  file: ['path'],
  store: ['name'],
  command: ['command'],
  vault: ['path', 'field'],
}

function isReference(value: object): value is SecretRef {
  if (!('kind' in value) || typeof value.kind !== 'string') return false
  if (value.kind === 'literal') return 'value' in value && value.value instanceof Secret
  const parts = Object.hasOwn(PARTS, value.kind) ? PARTS[value.kind] : undefined
  if (parts === undefined || Object.keys(value).length !== parts.length + 1) return false
  return Object.entries(value).every(
    ([name, part]) => name === 'kind' || (parts.includes(name) && typeof part === 'string'),
  )
}
