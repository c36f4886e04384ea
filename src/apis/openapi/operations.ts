import type { Effect } from '../effects.ts'
import { EFFECTS, guessedEffect } from '../effects.ts'
import { isPageSizeName } from '../page-size.ts'
import type { PageSize } from '../page-size.ts'
import { Fault } from '../problem.ts'
import type { Described, DescriptionProblem, NamedLabel } from '../problem.ts'
import { readDocument } from './document.ts'
import { labelOf, LabelledSchemas } from './labelled.ts'
import type { LabelAt } from './labelled.ts'
import { each, inside, isJson, References } from './references.ts'
import type { Located } from './references.ts'
import { refuseInvalid } from './validation.ts'

/** A label by name: of a field of an answer, or of a parameter. */
export type NameLabel = { readonly name: string; readonly label: string }

/** One operation of an OpenAPI document, as far as it says what requests are and what answers hold. */
export type ApiOperation = {
  readonly method: string
  /** As the document writes it, `/customers/{id}`. */
  readonly path: string
  /** Its `operationId`; undefined: it has none. */
  readonly name: string | undefined
  readonly effect: Effect
  /** By path, in answers of any status. */
  readonly labels: readonly { readonly path: string; readonly label: string }[]
  /** Of fields of the head of answers; in lower case. */
  readonly headers: readonly NameLabel[]
  /** By path, in bodies of requests. */
  readonly body: readonly { readonly path: string; readonly label: string }[]
  /** Of parameters of the query. */
  readonly query: readonly NameLabel[]
  /** The parameter of the query with the number of records; undefined: it has none. */
  readonly page: PageSize | undefined
}

/** An OpenAPI document: its operations, and all that it says as it was read. */
export type OpenApiDocument = { readonly operations: readonly ApiOperation[]; readonly content: unknown }

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const
const EXTENSIONS: ReadonlySet<string> = new Set(['x-sluice-label', 'x-sluice-effect'])

/**
 * The operations of an OpenAPI document of version 3.0 or 3.1. `isRoutable`: whether requests can be held against a path as the
 * document writes it. Pure: references out of the document are refused.
 */
export function readOpenApi(text: string, isRoutable: (path: string) => boolean): Described<OpenApiDocument> {
  const document = readDocument(text)
  if (!('content' in document)) return { ok: false, problems: [document] }
  const labels: LabelAt[] = []
  try {
    refuseInvalid(document.content)
    refuseUnknownExtensions(document.content)
    const operations = new Reader(document.content, labels, isRoutable).operations()
    const named = labels.map(({ label, at }): NamedLabel => ({ label, ...document.placeOf(at) }))
    const value = { operations, content: document.content }
    return { ok: true, value, labels: firstOfEach(named) }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const problem: DescriptionProblem = {
      ...document.placeOf(error.at),
      message: error.message,
      fix: error.fix,
    }
    return { ok: false, problems: [problem] }
  }
}

/** What stands in a list, and where it stood before its reference was followed. */
type Listed = Located & { readonly name: string; readonly from: Located }

class Reader {
  readonly #root: Located
  readonly #references: References
  readonly #schemas: LabelledSchemas
  readonly #labels: LabelAt[]
  readonly #isRoutable: (path: string) => boolean

  constructor(content: unknown, labels: LabelAt[], isRoutable: (path: string) => boolean) {
    this.#root = { value: content, at: [] }
    this.#references = new References(content)
    this.#schemas = new LabelledSchemas(this.#references)
    this.#labels = labels
    this.#isRoutable = isRoutable
  }

  operations(): readonly ApiOperation[] {
    const paths = inside(this.#root, 'paths')
    if (paths === undefined) return []
    return each(paths).flatMap((path) => {
      // The document may have members of others beside its paths.
      if (path.name.startsWith('x-')) return []
      if (!this.#isRoutable(path.name))
        throw new Fault(
          'expected a path such as /customers/{id}',
          'write names in braces, apart from one another',
          path.at,
        )
      const item = this.#references.followed(path)
      return METHODS.flatMap((method) => {
        const operation = inside(item, method)
        return operation === undefined
          ? []
          : [this.#operation(method.toUpperCase(), path.name, item, operation)]
      })
    })
  }

  #operation(method: string, path: string, item: Located, operation: Located): ApiOperation {
    const named = inside(operation, 'operationId')?.value
    const parameters = this.#parameters(item, operation)
    const answers = this.#listed(operation, 'responses')
    const body = inside(operation, 'requestBody')
    const queries = parameters.filter((each) => inside(each, 'in')?.value === 'query')
    return {
      method,
      path,
      name: typeof named === 'string' ? named : undefined,
      effect: effectOf(operation) ?? guessedEffect(method, path),
      labels: this.#noted(answers.flatMap((answer) => this.#content(answer))),
      headers: answers.flatMap((answer) =>
        this.#listed(answer, 'headers').flatMap((header) => this.#named(header, header.name.toLowerCase())),
      ),
      body: this.#noted(body === undefined ? [] : this.#content(this.#references.followed(body))),
      query: queries.flatMap((each) => this.#named(each, nameOf(each))),
      page: this.#page(queries),
    }
  }

  /** Those of the operation stand before those of its path. */
  #parameters(item: Located, operation: Located): readonly Listed[] {
    const found = new Map<string, Listed>()
    for (const parameter of [...this.#listed(item, 'parameters'), ...this.#listed(operation, 'parameters')])
      found.set(`${String(inside(parameter, 'in')?.value)} ${nameOf(parameter)}`, parameter)
    return [...found.values()]
  }

  /** What bodies of any type hold that may be read by paths. */
  #content(of: Located): LabelAt[] {
    return this.#listed(of, 'content').flatMap((media) => {
      const schema = inside(media, 'schema')
      return schema === undefined ? [] : [...this.#schemas.of(schema)]
    })
  }

  /** The label of a parameter or a header, which stands at it, at a reference to it, or at its schema. */
  #named(of: Listed, name: string): NameLabel[] {
    const schema = inside(of, 'schema')
    const found = [
      ...[of, of.from].flatMap((each) => {
        const label = labelOf(each)
        return label === undefined ? [] : [{ label, path: name, at: each.at }]
      }),
      ...(schema === undefined ? [] : this.#schemas.of(schema)),
      ...this.#content(of),
    ]
    return this.#noted(found).map(({ label }) => ({ name, label }))
  }

  #noted(labels: readonly LabelAt[]): readonly LabelAt[] {
    this.#labels.push(...labels)
    return [...new Map(labels.map((each) => [`${each.label} ${each.path}`, each])).values()]
  }

  #page(queries: readonly Located[]): PageSize | undefined {
    for (const parameter of queries) {
      const schema = inside(parameter, 'schema')
      if (!isPageSizeName(nameOf(parameter)) || schema === undefined) continue
      const { value } = this.#references.followed(schema)
      if (!isJson(value) || !isWholeNumber(value['type'])) continue
      const preset = value['default']
      return { name: nameOf(parameter), ...(typeof preset === 'number' ? { default: preset } : {}) }
    }
    return undefined
  }

  #listed(of: Located, name: string): readonly Listed[] {
    const found = inside(of, name)
    if (found === undefined) return []
    return each(found).map((one) => ({ ...this.#references.followed(one), name: one.name, from: one }))
  }
}

/** `integer`; in 3.1 also a list with it, such as one with `null`. */
function isWholeNumber(type: unknown): boolean {
  return (Array.isArray(type) ? type : [type]).some((each) => each === 'integer' || each === 'number')
}

function nameOf(parameter: Located): string {
  return String(inside(parameter, 'name')?.value)
}

function effectOf(operation: Located): Effect | undefined {
  const found = inside(operation, 'x-sluice-effect')
  if (found === undefined) return undefined
  const effect = EFFECTS.find((each) => each === found.value)
  if (effect !== undefined) return effect
  throw new Fault(`expected one of ${EFFECTS.join(', ')}`, 'write one of them', found.at)
}

/** A label that is misspelt would protect nothing. */
function refuseUnknownExtensions(content: unknown): void {
  const waiting: Located[] = [{ value: content, at: [] }]
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    for (const inner of each(one)) {
      if (isJson(one.value) && /^x-sluice/i.test(inner.name) && !EXTENSIONS.has(inner.name)) {
        throw new Fault(`expected ${[...EXTENSIONS].join(' or ')}`, 'correct the name', inner.at)
      }
      if (typeof inner.value === 'object') waiting.push(inner)
    }
  }
}

function firstOfEach(labels: readonly NamedLabel[]): readonly NamedLabel[] {
  const found = new Map<string, NamedLabel>()
  for (const each of labels) if (!found.has(each.label)) found.set(each.label, each)
  return [...found.values()]
}
