import { Fault } from '../problem.ts'

export type Json = { readonly [name: string]: unknown }

/** A value of the document, and where it stands there: what a reference leads to stands elsewhere than the reference. */
export type Located = { readonly value: unknown; readonly at: readonly PropertyKey[] }

const STEPS_MAX = 100

/** References of one document. They are followed when somebody looks, so that circles are no trouble, and lead nowhere else. */
export class References {
  readonly #root: unknown

  constructor(root: unknown) {
    this.#root = root
  }

  /**
   * What stands at the end of the references that begin here, if there is one. Members beside a `$ref` are the business of whoever
   * asks. Throws `Fault` for what leads out of the document, nowhere, or round and round.
   */
  followed(from: Located): Located {
    let found = from
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const next = this.next(found)
      if (next === undefined) return found
      found = next
    }
    throw new Fault('expected a reference that ends somewhere', 'write the value out', from.at)
  }

  /** Where the reference that stands here leads; undefined: there is none. Throws `Fault`. */
  next({ value, at }: Located): Located | undefined {
    const reference = isJson(value) ? value['$ref'] : undefined
    if (reference === undefined) return undefined
    if (typeof reference !== 'string') throw new Fault('expected a reference as text', 'write "#/..."', at)
    return this.#at(reference, at)
  }

  #at(reference: string, at: readonly PropertyKey[]): Located {
    if (!reference.startsWith('#/')) {
      throw new Fault('expected a reference within this file', 'bundle the files into one: "#/..."', [
        ...at,
        '$ref',
      ])
    }
    const steps = reference.slice(2).split('/').map(stepOf)
    let value = this.#root
    for (const step of steps) {
      const inner: unknown =
        typeof value === 'object' && value !== null
          ? Object.entries(value).find(([name]) => name === step)?.[1]
          : undefined
      if (inner === undefined)
        throw new Fault('expected a reference to something in this file', 'correct it', [...at, '$ref'])
      value = inner
    }
    return { value, at: steps }
  }
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function inside({ value, at }: Located, name: string): Located | undefined {
  if (!isJson(value) || !Object.hasOwn(value, name)) return undefined
  return { value: value[name], at: [...at, name] }
}

/** Members of an object, or elements of a list. */
export function each({ value, at }: Located): readonly (Located & { readonly name: string })[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).map(([name, inner]) => ({ name, value: inner, at: [...at, name] }))
}

/** One step of a reference, as the name that it stands for. RFC 6901 section 4. */
export function stepOf(step: string): string {
  return decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
}

/** RFC 6901 section 6: in a fragment the steps are percent-encoded. */
function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return step
  }
}
