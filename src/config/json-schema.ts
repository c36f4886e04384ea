import { z } from 'zod'
import type { ProtocolSchema } from './load.ts'
import { hostedOf } from './load.ts'
import { connectionSchema, rootSchema } from './schema.ts'

/** JSON Schema (draft 2020-12) of sluice.yaml with these protocols: for editors, which complete and check with it. */
export function jsonSchema(protocols: Readonly<Record<string, ProtocolSchema>>): JsonObject {
  const names = Object.keys(protocols)
  const root = jsonOf(rootSchema(names, hostedOf(protocols)))
  const common = jsonOf(connectionSchema(names))
  const connections = Object.entries(protocols).map(([name, protocol]) =>
    connectionOf(name, common, protocol),
  )
  const properties = object(root['properties'])
  const { additionalProperties: _, ...rest } = object(properties['connections'])
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'sluice.yaml',
    description: 'Configuration of Sluice. An empty or missing list means nothing is allowed.',
    ...root,
    properties: {
      ...properties,
      connections: { ...rest, additionalProperties: { oneOf: connections } },
    },
  }
}

export type JsonObject = { readonly [key: string]: unknown }

/** One protocol's connections: what all have, and what this one adds. */
function connectionOf(name: string, common: JsonObject, protocol: ProtocolSchema): JsonObject {
  const own = jsonOf(protocol.settings)
  return {
    type: 'object',
    properties: { ...object(common['properties']), protocol: { const: name }, ...object(own['properties']) },
    required: [...new Set(['protocol', ...list(own['required'])])],
    additionalProperties: false,
  }
}

function jsonOf(schema: z.ZodType): JsonObject {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return json
}

function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
