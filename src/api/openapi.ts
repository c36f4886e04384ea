import { z } from 'zod'
import { LIMITS } from '../core/index.ts'
import type { AnyRoute } from './route.ts'
import { none } from './route.ts'

const problem = {
  type: 'object',
  description: 'RFC 9457 problem details.',
  required: ['type', 'title', 'status', 'detail', 'retry'],
  properties: {
    type: { type: 'string', description: 'urn:sluice:error: and the code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What happened, as a sentence.' },
    remedy: { type: 'string', description: 'What to do, or who can.' },
    retry: { enum: ['never', 'unchanged-after-approval', 'only-if-changed', 'later'] },
    reason: { type: 'string', description: 'Why exactly, as one word.' },
    request: { type: 'string' },
    ticket: { type: 'string' },
  },
}

/** The OpenAPI 3.1 description of these routes, from the very schemas that validate. */
export function openApiOf(routes: readonly AnyRoute[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const methods = paths[route.path] ?? {}
    methods[route.method.toLowerCase()] = operation(route)
    paths[route.path] = methods
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice control API',
      version: '1.0.0',
      description: `Bodies are JSON of at most ${LIMITS.apiBodyBytesMax} bytes. Every error is RFC 9457 problem details. What changes something is in the recording before it happens. Agents and minted credentials have no role here.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: { Problem: problem },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'An access token of a configured issuer, or of a login. The operator socket needs none.',
        },
      },
    },
  }
}

function operation(route: AnyRoute): Record<string, unknown> {
  const body = route.body === none ? undefined : schemaOf(route.body, 'input')
  const roles = route.access === 'public' ? undefined : route.access
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(roles === undefined
      ? { security: [] }
      : { security: [{ token: [] }], description: `For: ${roles.join(', ')}.`, 'x-sluice-roles': roles }),
    ...(route.records ? { 'x-sluice-recorded': true } : {}),
    parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: body },
              ...(route.form ? { 'application/x-www-form-urlencoded': { schema: body } } : {}),
            },
          },
        }),
    responses: {
      '200': {
        description: 'Done.',
        content: {
          [route.produces]: {
            schema:
              route.produces === 'application/json' ? schemaOf(route.answer, 'output') : { type: 'string' },
          },
        },
      },
      default: {
        description: 'Refused or failed.',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

/** `POST /v1/approvals/{ticket}/answer` is `postApprovalsByTicketAnswer`. */
function operationId(route: AnyRoute): string {
  const words = route.path
    .replace(/^\/v1/, '')
    .replaceAll(/\{(\w+)\}/g, 'by/$1')
    .split(/[/.]/)
    .filter((word) => word !== '')
  // What people open in a browser may be called as what programs ask for.
  if (route.produces === 'text/plain; charset=utf-8') words.push('page')
  return (
    route.method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  )
}

function parametersOf(schema: z.ZodType, where: 'path' | 'query'): Record<string, unknown>[] {
  if (schema === none) return []
  const { properties, required } = objectSchema.parse(schemaOf(schema, 'input'))
  return Object.entries(properties).map(([name, of]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: of,
  }))
}

const objectSchema = z.object({
  properties: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  required: z.array(z.string()).default([]),
})

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
