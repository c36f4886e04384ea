import type {
  FieldNode,
  GraphQLDefaultInput,
  GraphQLField,
  OperationDefinitionNode,
  ValueNode,
} from 'graphql'
import { getNamedType, isListType, isNonNullType, Kind } from 'graphql'
import { isPageSizeName } from '../page-size.ts'

/** How many records an operation asks for; `bounded`: no list among them is without an end. */
export type Size = { readonly rows: number; readonly bounded: boolean }

const WHOLE = /^-?\d+$/

/** Reads page sizes out of arguments, variables and defaults. */
export class Sizes {
  readonly #variables: Readonly<Record<string, unknown>>
  readonly #defaults = new Map<string, ValueNode>()

  constructor(
    { variableDefinitions }: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ) {
    this.#variables = variables
    for (const { variable, defaultValue } of variableDefinitions ?? [])
      if (defaultValue !== undefined) this.#defaults.set(variable.name.value, defaultValue)
  }

  /** What a field says of how many it wants. `all`: it could say it, and does not. Undefined: it cannot. */
  page(node: FieldNode, field: GraphQLField<unknown, unknown>): number | 'all' | undefined {
    const taken = field.args.filter(
      ({ name, type }) => isPageSizeName(name) && getNamedType(type).name === 'Int',
    )
    if (taken.length === 0) return undefined
    const sizes = taken.flatMap(({ name, default: preset }) => {
      const written = node.arguments?.find((each) => each.name.value === name)?.value
      const known = this.#number(written) ?? (written === undefined ? defaultOf(preset) : undefined)
      return known === undefined ? [] : [known]
    })
    return sizes.length === 0 ? 'all' : Math.max(...sizes)
  }

  isList({ type }: GraphQLField<unknown, unknown>): boolean {
    return isListType(isNonNullType(type) ? type.ofType : type)
  }

  /** So many of what is asked of each; without a number one is counted, and there is no end. */
  times(page: number | 'all' | undefined, each: Size): Size {
    const isKnown = typeof page === 'number'
    const rows = Math.min((isKnown ? page : 1) * Math.max(1, each.rows), Number.MAX_SAFE_INTEGER)
    return { rows, bounded: isKnown && each.bounded }
  }

  #number(value: ValueNode | undefined): number | undefined {
    if (value?.kind === Kind.INT && WHOLE.test(value.value)) return size(Number(value.value))
    if (value?.kind !== Kind.VARIABLE) return undefined
    const name = value.name.value
    if (!Object.hasOwn(this.#variables, name)) return this.#number(this.#defaults.get(name))
    return size(this.#variables[name])
  }
}

/** No server gives fewer than none, and what it makes of that nobody knows. */
function size(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** The library keeps defaults of schemas as values or as literals. */
function defaultOf(preset: GraphQLDefaultInput | undefined): number | undefined {
  if (preset === undefined) return undefined
  if (preset.literal === undefined) return size(preset.value)
  return preset.literal.kind === Kind.INT ? size(Number(preset.literal.value)) : undefined
}
