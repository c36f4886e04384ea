import type { GraphQLNamedType, GraphQLSchema } from 'graphql'
import {
  buildSchema,
  GraphQLError,
  isAbstractType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  validateSchema,
} from 'graphql'
import { LIMITS } from '../../core/index.ts'
import type { Described, DescriptionProblem } from '../problem.ts'

/** Reads a schema in the schema definition language of GraphQL (September 2025). Pure. */
export function readGraphqlSchema(sdl: string): Described<GraphQLSchema> {
  if (Buffer.byteLength(sdl) > LIMITS.apiDescriptionBytesMax) {
    const message = `expected at most ${LIMITS.apiDescriptionBytesMax} bytes`
    return { ok: false, problems: [{ line: 1, column: 1, message, fix: 'leave out what is not served' }] }
  }
  try {
    const schema = buildSchema(sdl)
    const errors = validateSchema(schema)
    if (errors.length > 0) return { ok: false, problems: errors.map(problemOf) }
    return { ok: true, value: schema, labels: [] }
  } catch (error) {
    if (error instanceof GraphQLError) return { ok: false, problems: [problemOf(error)] }
    if (error instanceof RangeError)
      return {
        ok: false,
        problems: [{ line: 1, column: 1, message: 'expected less deep nesting', fix: 'nest less deeply' }],
      }
    // What is wrong with several definitions at once comes as one error with all of them in its message.
    if (error instanceof Error && error.name === 'Error') {
      const [line = ''] = error.message.split('\n')
      return {
        ok: false,
        problems: [{ line: 1, column: 1, message: `expected a GraphQL schema: ${line}`, fix: 'correct it' }],
      }
    }
    throw error
  }
}

function problemOf({ message, locations }: GraphQLError): DescriptionProblem {
  const [place] = locations ?? []
  return {
    line: place?.line ?? 1,
    column: place?.column ?? 1,
    message: `expected a GraphQL schema: ${message.replaceAll(/\s+/g, ' ')}`,
    fix: 'correct it',
  }
}

/** A label of a field, `Customer.email`; of an input object it is about what is sent. */
export type FieldLabel = { readonly type: string; readonly field: string; readonly label: string }

/** Whether a schema has a field, of an object, an interface or an input object. */
export function hasField(schema: GraphQLSchema, type: string, field: string): boolean {
  const found = schema.getType(type)
  if (found === undefined) return false
  return (
    (isObjectType(found) || isInterfaceType(found) || isInputObjectType(found)) &&
    Object.hasOwn(found.getFields(), field)
  )
}

/** The labels of a schema by field. */
export class FieldLabels {
  readonly #schema: GraphQLSchema
  readonly #labels = new Map<string, Set<string>>()
  readonly #known = new Map<string, readonly string[]>()

  constructor(schema: GraphQLSchema, labels: readonly FieldLabel[]) {
    this.#schema = schema
    for (const { type, field, label } of labels) {
      const key = `${type}.${field}`
      this.#labels.set(key, (this.#labels.get(key) ?? new Set()).add(label))
    }
  }

  get isEmpty(): boolean {
    return this.#labels.size === 0
  }

  /** All there are, each once. */
  all(): readonly string[] {
    return [...new Set([...this.#labels.values()].flatMap((each) => [...each]))]
  }

  /**
   * Of a field that is asked of a type: those of the type itself, of each type that may stand behind it, and of the interfaces of
   * all these. Sorted.
   */
  of(type: GraphQLNamedType, field: string): readonly string[] {
    const key = `${type.name}.${field}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const concrete = isAbstractType(type) ? this.#schema.getPossibleTypes(type) : []
    const all = [type, ...concrete].flatMap((each): readonly GraphQLNamedType[] =>
      isObjectType(each) || isInterfaceType(each) ? [each, ...each.getInterfaces()] : [each],
    )
    const found = new Set(all.flatMap(({ name }) => [...(this.#labels.get(`${name}.${field}`) ?? [])]))
    const labels = [...found].sort()
    this.#known.set(key, labels)
    return labels
  }
}
