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
const DEPENDENT = ['dependentSchemas', 'dependencies'] as const
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
    this.#names(schema, new Map(), names)
    for (const each of names) add(found, { ...each, path: joined([...path, '**', each.path]) })
  }

  /** Labels within a schema by the last name that leads to each. */
  #names(schema: Located, seen: Map<object, Set<string>>, found: LabelAt[], name = '**'): void {
    const { value } = schema
    if (!isJson(value) || !this.#leads.has(value)) return
    const names = seen.get(value) ?? new Set()
    // By another name it is another place: what has no name of its own has that one.
    if (names.has(name)) return
    seen.set(value, names.add(name))
    const label = labelOf(schema)
    if (label !== undefined) found.push({ path: name, label, at: [...schema.at, LABEL] })
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

  /**
   * Elements and attributes by which a property stands in XML under another name (OpenAPI 3.1.1, section "XML Object"), and those of its
   * list where none is around them.
   */
  #elements(property: Located): readonly { readonly name: string; readonly of: Located }[] {
    const [own, list] = [
      this.#variants(property),
      this.#variants(property).flatMap((each) => inside(each, 'items') ?? []),
    ]
    const elements = list.flatMap((each) => this.#variants(each).flatMap((of) => nameInXml(of, each)))
    return [...own.flatMap((of) => nameInXml(of, property)), ...elements]
  }

  /** A schema, where its references lead, and what these are put together of. */
  #variants(schema: Located): readonly Located[] {
    const found = new Map<unknown, Located>([[schema.value, schema]])
    for (const { value, at } of found.values()) {
      const one = { value, at }
      const next = [this.#references.next(one), ...SAME_LISTS.flatMap((name) => listed(one, name))]
      for (const each of next) if (each !== undefined && !found.has(each.value)) found.set(each.value, each)
    }
    return [...found.values()]
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
    for (const name of DEPENDENT) for (const to of listed(schema, name)) same(to, '')
    // What a text is written out as is looked into where the text stands.
    same(inside(schema, 'contentSchema'), '')
    // Of names nothing can be masked: a label of theirs is one of the whole.
    same(inside(schema, 'propertyNames'), '')
    for (const to of listed(schema, 'properties')) {
      same(to, keyOf(to.name))
      for (const { name, of } of this.#elements(to)) same(of, keyOf(name))
    }
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
  if (found === undefined) return []
  const all = each(found)
  const lost = all.find((one) => one.name === LABEL && typeof one.value === 'string')
  if (lost === undefined) return all
  throw new Fault(
    'expected a label at a schema, header or parameter itself',
    'write it one level higher or lower',
    lost.at,
  )
}

function nameInXml(schema: Located, of: Located): readonly { readonly name: string; readonly of: Located }[] {
  const xml = inside(schema, 'xml')
  const name = xml && inside(xml, 'name')?.value
  return typeof name === 'string' && name !== '' ? [{ name, of }] : []
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
