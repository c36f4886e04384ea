import type { ApiOperation, GraphQLSchema } from '../../apis/index.ts'

/** What the files say that the settings of a connection name. */
export class DescribedApi {
  /** Those that are written out stand before those with names in their paths. */
  readonly operations: readonly ApiOperation[]
  readonly schema: GraphQLSchema | undefined

  /** The OpenAPI document as it was read; undefined: there is none. */
  readonly document: unknown

  constructor(operations: readonly ApiOperation[], schema: GraphQLSchema | undefined, document?: unknown) {
    this.document = document
    this.operations = operations
    this.schema = schema
  }
}

/** What settings have of it; undefined where they name no file. */
export function describedIn(settings: unknown): DescribedApi | undefined {
  const found: unknown =
    typeof settings === 'object' && settings !== null && 'described' in settings
      ? settings.described
      : undefined
  return found instanceof DescribedApi ? found : undefined
}
