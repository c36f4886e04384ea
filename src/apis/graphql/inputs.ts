import type {
  FieldNode,
  GraphQLField,
  GraphQLInputType,
  GraphQLSchema,
  OperationDefinitionNode,
  ValueNode,
} from 'graphql'
import { getNamedType, isInputObjectType, isInputType, Kind, typeFromAST } from 'graphql'
import { LIMITS } from '../../core/index.ts'
import { refusedOperation } from './refusal.ts'
import type { FieldLabels } from './schema.ts'

/** Collects the labels of input object fields that an operation sends: in literals, in variables, and in their defaults. */
export class Inputs {
  readonly labels = new Set<string>()
  readonly #labels: FieldLabels

  constructor(labels: FieldLabels) {
    this.#labels = labels
  }

  /** Throws GatewayError `invalid` for a variable of a type that is not in the schema. */
  variables(
    schema: GraphQLSchema,
    { variableDefinitions }: OperationDefinitionNode,
    values: Readonly<Record<string, unknown>>,
  ): void {
    for (const { variable, type: written, defaultValue } of variableDefinitions ?? []) {
      const type = typeFromAST(schema, written)
      if (!isInputType(type)) throw refusedOperation('its variables have types of the schema')
      const name = variable.name.value
      if (Object.hasOwn(values, name)) this.#value(type, values[name], 0)
      else if (defaultValue !== undefined) this.#literal(type, defaultValue)
    }
  }

  arguments(node: FieldNode, field: GraphQLField<unknown, unknown>): void {
    for (const { name, value } of node.arguments ?? []) {
      const argument = field.args.find((each) => each.name === name.value)
      if (argument === undefined) throw refusedOperation('its arguments are in the schema')
      this.#literal(argument.type, value)
    }
  }

  /** Variables within are looked at by themselves. Lists are looked through. */
  #literal(type: GraphQLInputType, node: ValueNode): void {
    if (node.kind === Kind.LIST) for (const each of node.values) this.#literal(type, each)
    if (node.kind !== Kind.OBJECT) return
    for (const { name, value } of node.fields) {
      const inner = this.#member(type, name.value)
      if (inner !== undefined) this.#literal(inner, value)
    }
  }

  #value(type: GraphQLInputType, value: unknown, depth: number): void {
    if (depth > LIMITS.jsonDepthMax) throw refusedOperation('its variables are not nested so deeply')
    if (Array.isArray(value)) for (const each of value) this.#value(type, each, depth + 1)
    else if (typeof value === 'object' && value !== null) {
      for (const [name, each] of Object.entries(value)) {
        const inner = this.#member(type, name)
        if (inner !== undefined) this.#value(inner, each, depth + 1)
      }
    }
  }

  /** The type of a member of an input object; undefined: whatever is inside has no fields of its own, as in a scalar for JSON. */
  #member(type: GraphQLInputType, name: string): GraphQLInputType | undefined {
    const named = getNamedType(type)
    if (!isInputObjectType(named)) return undefined
    const fields = named.getFields()
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) throw refusedOperation('its input objects have fields of the schema')
    for (const label of this.#labels.of(named, name)) this.labels.add(label)
    return field.type
  }
}
