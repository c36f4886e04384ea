/** GraphQL: schemas, requests over HTTP, and what an operation asks for behind aliases and fragments. */
export { readOperation, refuseTooManyLabelled } from './operation.ts'
export type { LabelledField, Operation } from './operation.ts'
export { MEMBERS, operationsAsked } from './request.ts'
export type { Persisted } from './request.ts'
export { FieldLabels, hasField, readGraphqlSchema } from './schema.ts'
export type { FieldLabel } from './schema.ts'
export type { GraphQLSchema } from 'graphql'
