/**
 * What requests to an API are and what its answers hold, by its description: operations of OpenAPI documents, operations of
 * GraphQL, fields of bodies, effects. Leaves files, sockets, decisions and masking to others. Promise: pure; what two readers
 * could read in two ways is refused, and a description that cannot be read is a problem with its place.
 */
export { fieldsOfBody } from './body-fields.ts'
export type { BodyFields, BodyForm } from './body-fields.ts'
export { classOfEffect, EFFECTS, gravest, guessedEffect, guessedMutation } from './effects.ts'
export type { Effect } from './effects.ts'
export {
  FieldLabels,
  hasField,
  MEMBERS,
  operationsAsked,
  readGraphqlSchema,
  readOperation,
  refuseTooManyLabelled,
} from './graphql/index.ts'
export type { FieldLabel, GraphQLSchema, Operation, Persisted } from './graphql/index.ts'
export { readOpenApi } from './openapi/operations.ts'
export type { ApiOperation, OpenApiDocument } from './openapi/operations.ts'
export { filteredOpenApi } from './openapi/filtered.ts'
export { pageSizeOf } from './page-size.ts'
export type { PageSize } from './page-size.ts'
export type { Described, DescriptionProblem, NamedLabel } from './problem.ts'
