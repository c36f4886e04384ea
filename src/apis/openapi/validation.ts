import { Fault } from '../problem.ts'
import { each, inside, isJson } from './references.ts'
import type { Located } from './references.ts'

/** What may stand at a place of the document, as far as labels, routes and effects depend on it. */
type Kind = keyof typeof SHAPES | 'anything' | 'text' | 'schema'
type Shape = {
  /** Members by name; others are refused, but for extensions. */
  readonly members?: Readonly<Record<string, Kind>>
  /** What every member is, whatever its name. */
  readonly every?: Kind
  readonly required?: readonly string[]
  readonly isList?: boolean
}

const DESCRIBED = { $ref: 'text', summary: 'anything', description: 'anything' } as const

const PARAMETER = {
  ...DESCRIBED,
  required: 'anything',
  deprecated: 'anything',
  allowEmptyValue: 'anything',
  style: 'anything',
  explode: 'anything',
  allowReserved: 'anything',
  schema: 'schema',
  content: 'content',
  example: 'anything',
  examples: 'anything',
} as const

/** OpenAPI 3.0.4 and 3.1.1, sections "Schema" of either, without what is inside of schemas of JSON Schema. */
const SHAPES = {
  document: {
    members: {
      openapi: 'text',
      info: 'anything',
      jsonSchemaDialect: 'anything',
      servers: 'anything',
      paths: 'paths',
      webhooks: 'anything',
      components: 'components',
      security: 'anything',
      tags: 'anything',
      externalDocs: 'anything',
    },
    required: ['openapi'],
  },
  components: {
    members: {
      schemas: 'schemas',
      responses: 'responses',
      parameters: 'namedParameters',
      examples: 'anything',
      requestBodies: 'bodies',
      headers: 'headers',
      securitySchemes: 'anything',
      links: 'anything',
      callbacks: 'anything',
      pathItems: 'paths',
    },
  },
  paths: { every: 'item' },
  item: {
    members: {
      ...DESCRIBED,
      get: 'operation',
      put: 'operation',
      post: 'operation',
      delete: 'operation',
      options: 'operation',
      head: 'operation',
      patch: 'operation',
      trace: 'operation',
      servers: 'anything',
      parameters: 'parameters',
    },
  },
  operation: {
    members: {
      ...DESCRIBED,
      tags: 'anything',
      externalDocs: 'anything',
      operationId: 'text',
      parameters: 'parameters',
      requestBody: 'body',
      responses: 'responses',
      callbacks: 'anything',
      deprecated: 'anything',
      security: 'anything',
      servers: 'anything',
    },
  },
  parameters: { every: 'parameter', isList: true },
  namedParameters: { every: 'parameter' },
  parameter: { members: { ...PARAMETER, name: 'text', in: 'text' }, required: ['name', 'in'] },
  headers: { every: 'header' },
  header: { members: PARAMETER },
  bodies: { every: 'body' },
  body: { members: { ...DESCRIBED, content: 'content', required: 'anything' }, required: ['content'] },
  responses: { every: 'response' },
  response: { members: { ...DESCRIBED, headers: 'headers', content: 'content', links: 'anything' } },
  content: { every: 'media' },
  media: { members: { schema: 'schema', example: 'anything', examples: 'anything', encoding: 'anything' } },
  schemas: { every: 'schema' },
} as const satisfies Record<string, { readonly [name: string]: unknown }>

const SHAPE_OF: Readonly<Record<string, Shape>> = SHAPES

/** Throws `Fault` at the first place where a document is no OpenAPI 3.0 or 3.1. */
export function refuseInvalid(content: unknown): void {
  const document: Located = { value: content, at: [] }
  const version = inside(document, 'openapi')?.value
  if (typeof version !== 'string' || !/^3\.[01]\.\d+/.test(version)) {
    const fix = 'write "openapi: 3.1.0" at its top'
    throw new Fault('expected an OpenAPI document of version 3.0 or 3.1', fix, ['openapi'])
  }
  refuseOther(document, 'document')
}

/** Where our own extensions mean something; elsewhere they would be passed over, and a label with them. */
const EXTENDED: Readonly<Record<string, readonly Kind[]>> = {
  'x-sluice-label': ['parameter', 'header'],
  'x-sluice-effect': ['operation'],
}

function refuseLost({ name, value, at }: Located & { readonly name: string }, kind: Kind): void {
  const kinds = EXTENDED[name]
  if (kinds === undefined || kinds.includes(kind) || typeof value !== 'string') return
  const where = name === 'x-sluice-effect' ? 'an operation' : 'a schema, a header or a parameter'
  throw new Fault(`expected ${name} at ${where}`, 'move it there', at)
}

function refuseOther(found: Located, kind: Kind): void {
  const { value, at } = found
  if (kind === 'anything') return
  if (kind === 'text') {
    if (typeof value !== 'string') throw new Fault('expected text', 'put it in quotes', at)
    return
  }
  if (kind === 'schema') {
    if (!isJson(value) && typeof value !== 'boolean')
      throw new Fault('expected a schema', 'write a mapping', at)
    return
  }
  const { members, every, required = [], isList = false }: Shape = SHAPE_OF[kind] ?? {}
  if (isList ? !Array.isArray(value) : !isJson(value))
    throw new Fault(`expected ${isList ? 'a list' : 'a mapping'}`, 'see the OpenAPI specification', at)
  for (const inner of each(found)) {
    // Extensions are looked at by themselves.
    if (!isList && inner.name.startsWith('x-')) {
      refuseLost(inner, kind)
      if (members !== undefined || kind === 'paths' || kind === 'responses') continue
    }
    const next = every ?? (Object.hasOwn(members ?? {}, inner.name) ? members?.[inner.name] : undefined)
    if (next === undefined)
      throw new Fault('expected a name that OpenAPI has at this place', 'correct the name', inner.at)
    refuseOther(inner, next)
  }
  const missing = required.find(
    (name) => inside(found, name) === undefined && inside(found, '$ref') === undefined,
  )
  if (missing !== undefined) throw new Fault(`expected "${missing}", which is missing`, 'add it', at)
}
