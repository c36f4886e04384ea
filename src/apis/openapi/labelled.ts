import { LIMITS } from '../../core/index.ts'
import { Fault } from '../problem.ts'
import { each, inside, isJson } from './references.ts'
import type { Located, References } from './references.ts'

const LABEL = 'x-sluice-label'

/** A label at a path into a document that a schema describes. */
export type LabelAt = { readonly path: string; readonly label: string; readonly at: readonly PropertyKey[] }

/** Keywords whose schemas are about the value itself, those about members of any name, and those about elements. */
const SAME = ['if', 'then', 'else', 'not'] as const
const SAME_LISTS = ['allOf', 'anyOf', 'oneOf'] as const
const ANY_MEMBER = ['additionalProperties', 'unevaluatedProperties'] as const
const ELEMENT = ['items', 'contains', 'unevaluatedItems', 'additionalItems'] as const

type Edge = { readonly step: string; readonly to: Located }

/**
 * Where the labels of schemas are in the documents that they describe. A schema that holds itself has its labels at any depth
 * below; alternatives have those of all. Only schemas that lead to a label are walked.
 */
export class LabelledSchemas {
  readonly #references: References
  /** By the object of the document, which is the same for all who refer to it. */
  readonly #edges = new Map<object, readonly Edge[]>()
  readonly #leads = new Set<object>()

  constructor(references: References) {
    this.#references = references
  }

  /**
   * At more than `LIMITS.apiLabelsMax` places, or too deep, the labels are at any depth where something has the name. Throws `Fault`
   * for a reference that leads nowhere.
   */
  of(schema: Located): readonly LabelAt[] {
    this.#learn(schema)
    const found = new Map<string, LabelAt>()
    if (this.#walk(schema, [], [], found)) return [...found.values()]
    found.clear()
    this.#deep(schema, [], found)
    return [...found.values()]
  }

  /** False: there are too many. */
  #walk(
    schema: Located,
    path: readonly string[],
    around: readonly object[],
    found: Map<string, LabelAt>,
  ): boolean {
    const { value } = schema
    if (!isJson(value) || !this.#leads.has(value)) return true
    if (found.size > LIMITS.apiLabelsMax || around.length > LIMITS.apiSchemaDepthMax) return false
    if (around.includes(value)) {
      // From here on everything comes again, at any depth.
      this.#deep(schema, path, found)
      return true
    }
    const label = labelOf(schema)
    if (label !== undefined) add(found, { path: joined(path), label, at: [...schema.at, LABEL] })
    return (this.#edges.get(value) ?? []).every(({ step, to }) =>
      this.#walk(to, step === '' ? path : [...path, step], [...around, value], found),
    )
  }

  #deep(schema: Located, path: readonly string[], found: Map<string, LabelAt>): void {
    const names: LabelAt[] = []
    this.#names(schema, new Set(), names)
    for (const each of names) add(found, { ...each, path: joined([...path, '**', each.path]) })
  }

  /** Labels within a schema by the last name that leads to each. */
  #names(schema: Located, seen: Set<object>, found: LabelAt[], name = '**'): void {
    const { value } = schema
    if (!isJson(value) || !this.#leads.has(value)) return
    const label = labelOf(schema)
    if (label !== undefined) found.push({ path: name, label, at: [...schema.at, LABEL] })
    if (seen.has(value)) return
    seen.add(value)
    for (const { step, to } of this.#edges.get(value) ?? [])
      this.#names(to, seen, found, step === '' || step === '[]' ? name : step)
  }

  /** All that can be reached from a schema, and which of it leads to a label. */
  #learn(from: Located): void {
    const waiting = [from]
    const fresh: { readonly value: object; readonly edges: readonly Edge[] }[] = []
    for (let schema = waiting.pop(); schema !== undefined; schema = waiting.pop()) {
      if (!isJson(schema.value) || this.#edges.has(schema.value)) continue
      const edges = this.#edgesOf(schema)
      this.#edges.set(schema.value, edges)
      fresh.push({ value: schema.value, edges })
      if (labelOf(schema) !== undefined) this.#leads.add(schema.value)
      waiting.push(...edges.map(({ to }) => to))
    }
    // Backwards until nothing changes: in a circle each may lead to a label by way of the others.
    for (let changed = true; changed; ) {
      changed = false
      for (const { value, edges } of fresh) {
        if (this.#leads.has(value)) continue
        if (!edges.some(({ to }) => isJson(to.value) && this.#leads.has(to.value))) continue
        this.#leads.add(value)
        changed = true
      }
    }
  }

  #edgesOf(schema: Located): readonly Edge[] {
    const edges: Edge[] = []
    const same = (to: Located | undefined, step: string): void => {
      if (to !== undefined && isJson(to.value)) edges.push({ step, to })
    }
    if (isJson(schema.value) && schema.value['$ref'] !== undefined) same(this.#references.next(schema), '')
    const dynamic = inside(schema, '$dynamicRef')
    if (dynamic !== undefined)
      throw new Fault(
        'expected a reference with a fixed end',
        'write "$ref" instead of "$dynamicRef"',
        dynamic.at,
      )
    for (const name of SAME) same(inside(schema, name), '')
    for (const name of SAME_LISTS) for (const to of listed(schema, name)) same(to, '')
    for (const to of listed(schema, 'dependentSchemas')) same(to, '')
    for (const to of listed(schema, 'properties')) same(to, keyOf(to.name))
    for (const to of listed(schema, 'patternProperties')) same(to, '*')
    for (const name of ANY_MEMBER) same(inside(schema, name), '*')
    for (const name of ELEMENT) same(inside(schema, name), '[]')
    for (const to of listed(schema, 'prefixItems')) same(to, '[]')
    return edges
  }
}

/** The label that stands at a schema, parameter or header itself. Throws `Fault` where it is no name. */
export function labelOf(schema: Located): string | undefined {
  const found = inside(schema, LABEL)
  if (found === undefined) return undefined
  if (typeof found.value === 'string' && found.value !== '') return found.value
  throw new Fault('expected the name of a label', 'write a name that stands under "labels"', found.at)
}

function listed(schema: Located, name: string): readonly (Located & { readonly name: string })[] {
  const found = inside(schema, name)
  return found === undefined ? [] : each(found)
}

function add(found: Map<string, LabelAt>, label: LabelAt): void {
  found.set(`${label.label} ${label.path}`, label)
}

/** `items[].email`: as paths into JSON are written. What has no name is everything. */
function joined(path: readonly string[]): string {
  if (path.length === 0) return '**'
  return path.reduce((text, step) => (step === '[]' || text === '' ? text + step : `${text}.${step}`), '')
}

function keyOf(name: string): string {
  return /^[\p{L}\p{N}_$-]+$/u.test(name) ? name : JSON.stringify(name)
}
