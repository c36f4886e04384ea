import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  GraphQLCompositeType,
  GraphQLField,
  GraphQLSchema,
  OperationDefinitionNode,
  SelectionNode,
  SelectionSetNode,
} from 'graphql'
import {
  getNamedType,
  GraphQLError,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  parse,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
} from 'graphql'
import { LIMITS } from '../../core/index.ts'
import { Inputs } from './inputs.ts'
import { refusedOperation, tooMuch } from './refusal.ts'
import type { Asked } from './request.ts'
import type { FieldLabels } from './schema.ts'
import { Sizes } from './sizes.ts'
import type { Size } from './sizes.ts'

/** A labelled field in the answer: `Customer.email` at `data.who.mail`. */
export type LabelledField = { readonly field: string; readonly path: string; readonly label: string }

/** What one operation asks for, aliases and fragments resolved. */
export type Operation = {
  readonly kind: 'query' | 'mutation' | 'subscription'
  readonly name: string | undefined
  /** Names of the fields at its top, in order, each once. */
  readonly roots: readonly string[]
  /** `Customer.email` by the type that it was asked of, each once. */
  readonly fields: readonly string[]
  /** Types whose fields are asked for, each once. */
  readonly types: readonly string[]
  readonly labelled: readonly LabelledField[]
  /** Labels of the fields of input objects that it sends. */
  readonly sent: readonly string[]
  readonly introspection: boolean
  /** Levels of fields inside one another. */
  readonly depth: number
  readonly size: Size
}

/** Directives that change when, or in how many parts, an answer comes: it would not have the shape of its operation. */
const IN_PARTS: ReadonlySet<string> = new Set(['defer', 'stream'])

/**
 * Reads an operation against a schema. `depthMax`: levels of fields. Throws GatewayError `invalid` for what is no operation of
 * it, and `limit_exceeded`.
 */
export function readOperation(
  { text, name, variables }: Asked,
  {
    schema,
    labels,
    depthMax,
  }: { readonly schema: GraphQLSchema; readonly labels: FieldLabels; readonly depthMax: number },
): Operation {
  const document = parsed(text)
  const { operation, fragments } = definitionsOf(document, name)
  const root = schema.getRootType(operation.operation)
  if (root == null) throw refusedOperation('the schema has operations of this kind')
  const walk = new Walk(schema, labels, fragments, new Sizes(operation, variables), depthMax)
  walk.inputs.variables(schema, operation, variables)
  for (const { directives } of [operation, ...(operation.variableDefinitions ?? [])])
    walk.directives(directives ?? [])
  const size = walk.selections(operation.selectionSet, root, [], { page: undefined, around: [] })
  return {
    kind: operation.operation,
    name: operation.name?.value,
    roots: [...walk.roots],
    fields: [...walk.fields],
    types: [...walk.types],
    labelled: [...walk.labelled.values()],
    sent: [...walk.inputs.labels].sort(),
    introspection: walk.introspection,
    depth: walk.depth,
    size,
  }
}

/** Of all operations of a request together: what masks its answer is made for it alone. Throws GatewayError `limit_exceeded`. */
export function refuseTooManyLabelled(operations: readonly Operation[]): void {
  const count = operations.reduce((sum, { labelled }) => sum + labelled.length, 0)
  if (count > LIMITS.graphqlLabelledMax) throw tooMuch('protected fields', LIMITS.graphqlLabelledMax)
}

function parsed(text: string): DocumentNode {
  try {
    return parse(text, { maxTokens: LIMITS.graphqlTokensMax, noLocation: true })
  } catch (error) {
    if (error instanceof GraphQLError && error.message.includes('token'))
      throw tooMuch('tokens', LIMITS.graphqlTokensMax)
    // The parser calls itself for what is nested.
    if (error instanceof GraphQLError || error instanceof RangeError)
      throw refusedOperation('it is GraphQL', error)
    throw error
  }
}

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

function definitionsOf(
  { definitions }: DocumentNode,
  name: string | undefined,
): { readonly operation: OperationDefinitionNode; readonly fragments: Fragments } {
  const operations: OperationDefinitionNode[] = []
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const each of definitions) {
    if (each.kind === Kind.OPERATION_DEFINITION) operations.push(each)
    else if (each.kind === Kind.FRAGMENT_DEFINITION) {
      if (fragments.has(each.name.value)) throw refusedOperation('each fragment has a name of its own')
      fragments.set(each.name.value, each)
    } else throw refusedOperation('it holds operations and fragments, and no types')
  }
  const names = operations.map((each) => each.name?.value)
  if (new Set(names).size < names.length || (names.length > 1 && names.includes(undefined)))
    throw refusedOperation('each operation has a name of its own')
  const found = name === undefined ? operations : operations.filter((each) => each.name?.value === name)
  const [operation, ...others] = found
  if (operation === undefined || others.length > 0)
    throw refusedOperation('operationName says which operation is meant')
  return { operation, fragments }
}

type Around = {
  /** The page size of the field around, where that is no list itself: connections have their lists inside. */
  readonly page: number | 'all' | undefined
  /** Fragments that are being walked. */
  readonly around: readonly string[]
}

class Walk {
  readonly roots = new Set<string>()
  readonly fields = new Set<string>()
  readonly types = new Set<string>()
  readonly labelled = new Map<string, LabelledField>()
  readonly inputs: Inputs
  introspection = false
  depth = 0
  readonly #schema: GraphQLSchema
  readonly #labels: FieldLabels
  readonly #fragments: Fragments
  readonly #sizes: Sizes
  readonly #depthMax: number
  #steps = 0

  constructor(
    schema: GraphQLSchema,
    labels: FieldLabels,
    fragments: Fragments,
    sizes: Sizes,
    depthMax: number,
  ) {
    this.#schema = schema
    this.#labels = labels
    this.inputs = new Inputs(labels)
    this.#fragments = fragments
    this.#sizes = sizes
    this.#depthMax = depthMax
  }

  selections(
    set: SelectionSetNode,
    parent: GraphQLCompositeType,
    path: readonly string[],
    around: Around,
  ): Size {
    this.types.add(parent.name)
    let size: Size = { rows: 0, bounded: true }
    for (const selection of set.selections) {
      const one = this.#selection(selection, parent, path, around)
      size = { rows: size.rows + one.rows, bounded: size.bounded && one.bounded }
    }
    return size
  }

  directives(directives: readonly { readonly name: { readonly value: string } }[]): void {
    for (const { name } of directives) {
      if (IN_PARTS.has(name.value) || this.#schema.getDirective(name.value) == null)
        throw refusedOperation('it uses directives of the schema, and none that sends the answer in parts')
    }
  }

  /** What @skip and @include leave out counts as well: nothing depends on variables but how much there is. */
  #selection(
    node: SelectionNode,
    parent: GraphQLCompositeType,
    path: readonly string[],
    around: Around,
  ): Size {
    if (++this.#steps > LIMITS.graphqlFieldsMax) throw tooMuch('fields', LIMITS.graphqlFieldsMax)
    this.directives(node.directives ?? [])
    switch (node.kind) {
      case Kind.FIELD:
        return this.#field(node, parent, path, around)
      case Kind.INLINE_FRAGMENT: {
        const type =
          node.typeCondition === undefined ? parent : this.#composite(node.typeCondition.name.value)
        return this.selections(node.selectionSet, type, path, around)
      }
      case Kind.FRAGMENT_SPREAD: {
        const name = node.name.value
        const fragment = this.#fragments.get(name)
        if (fragment === undefined) throw refusedOperation('its fragments are in it')
        if (around.around.includes(name)) throw refusedOperation('its fragments do not hold themselves')
        this.directives(fragment.directives ?? [])
        const type = this.#composite(fragment.typeCondition.name.value)
        return this.selections(fragment.selectionSet, type, path, {
          ...around,
          around: [...around.around, name],
        })
      }
    }
  }

  #field(node: FieldNode, parent: GraphQLCompositeType, path: readonly string[], around: Around): Size {
    const name = node.name.value
    const inner = [...path, node.alias?.value ?? name]
    this.depth = Math.max(this.depth, inner.length)
    if (inner.length > this.#depthMax) throw tooMuch('levels of fields', this.#depthMax)
    if (path.length === 0) this.roots.add(name)
    if (name === '__typename') return { rows: 0, bounded: true }
    this.fields.add(`${parent.name}.${name}`)
    const field = this.#definition(parent, name)
    this.inputs.arguments(node, field)
    for (const label of this.#labels.of(parent, name)) {
      const at = `data.${inner.join('.')}`
      this.labelled.set(`${at} ${label}`, { field: `${parent.name}.${name}`, path: at, label })
      if (this.labelled.size > LIMITS.graphqlLabelledMax)
        throw tooMuch('protected fields', LIMITS.graphqlLabelledMax)
    }
    const type = getNamedType(field.type)
    if (!isCompositeType(type)) {
      if (node.selectionSet !== undefined) throw refusedOperation('only what has fields is asked for fields')
      return { rows: 0, bounded: true }
    }
    if (node.selectionSet === undefined) throw refusedOperation('what has fields is asked for fields')
    const own = this.#sizes.page(node, field)
    const isList = this.#sizes.isList(field)
    const below = { page: isList ? undefined : own, around: around.around }
    const within = this.selections(node.selectionSet, type, inner, below)
    return isList ? this.#sizes.times(own ?? around.page, within) : within
  }

  #definition(parent: GraphQLCompositeType, name: string): GraphQLField<unknown, unknown> {
    if (
      parent === this.#schema.getQueryType() &&
      (name === SchemaMetaFieldDef.name || name === TypeMetaFieldDef.name)
    ) {
      this.introspection = true
      return name === SchemaMetaFieldDef.name ? SchemaMetaFieldDef : TypeMetaFieldDef
    }
    const fields = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields() : {}
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) throw refusedOperation('its fields are in the schema')
    return field
  }

  #composite(name: string): GraphQLCompositeType {
    const type = this.#schema.getType(name)
    if (!isCompositeType(type)) throw refusedOperation('its fragments are about types of the schema')
    return type
  }
}
