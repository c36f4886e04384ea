import type { Json } from './references.ts'
import { inside, isJson, References, stepOf } from './references.ts'

const METHODS: ReadonlySet<string> = new Set([
  'get',
  'head',
  'post',
  'put',
  'patch',
  'delete',
  'options',
  'trace',
])
/** What says how others reach the API, or shows values of somebody; and what is called by nobody who uses it from outside. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'servers',
  'security',
  'example',
  'examples',
  'callbacks',
  'links',
  'externalDocs',
])
/** Members whose own members have names of the author's. */
const NAMED: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
  'definitions',
  '$defs',
  'responses',
  'headers',
  'content',
  'encoding',
])
/** Data, not schemas. */
const DATA: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'required', 'mapping'])
/** Aliases of YAML may go round. */
const DEPTH_MAX = 200

/** What of a document somebody is told. */
export type DocumentFilter = {
  /** Whether an operation is theirs; the path as the document writes it. */
  keeps(method: string, path: string): boolean
  /** Where they reach it. */
  readonly server: string
  /** How they show who they are: security schemes of OpenAPI by name. */
  readonly schemes: Readonly<Record<string, unknown>>
}

/**
 * An OpenAPI document with the operations that are kept and what they refer to, and nothing of how the API itself is reached: no servers, no
 * security of its own, no examples, no extensions but ours.
 */
export function filteredOpenApi(content: unknown, filter: DocumentFilter): Json {
  const root = isJson(content) ? content : {}
  const references = new References(content)
  const paths: Record<string, unknown> = {}
  const tags = new Set<unknown>()
  const written = inside({ value: root, at: [] }, 'paths')
  for (const [path, value] of Object.entries(isJson(written?.value) ? written.value : {})) {
    if (path.startsWith('x-')) continue
    const item = references.followed({ value, at: ['paths', path] }).value
    if (!isJson(item)) continue
    const kept = Object.entries(item).filter(
      ([method]) => METHODS.has(method) && filter.keeps(method.toUpperCase(), path),
    )
    if (kept.length === 0) continue
    const shared = Object.entries(item).filter(([name]) => !METHODS.has(name) && name !== '$ref')
    paths[path] = cleaned(Object.fromEntries([...shared, ...kept]), false, 0)
    for (const [, operation] of kept) for (const tag of tagsOf(operation)) tags.add(tag)
  }
  const named = Array.isArray(root['tags'])
    ? root['tags'].filter((each) => isJson(each) && tags.has(each['name']))
    : []
  return {
    openapi: root['openapi'],
    info: cleaned(root['info'] ?? {}, false, 0),
    ...(root['jsonSchemaDialect'] === undefined ? {} : { jsonSchemaDialect: root['jsonSchemaDialect'] }),
    servers: [{ url: filter.server }],
    security: Object.keys(filter.schemes).map((name) => ({ [name]: [] })),
    ...(named.length === 0 ? {} : { tags: cleaned(named, false, 0) }),
    paths,
    components: { ...componentsOf(root['components'], paths), securitySchemes: filter.schemes },
  }
}

function tagsOf(operation: unknown): readonly unknown[] {
  return isJson(operation) && Array.isArray(operation['tags']) ? operation['tags'] : []
}

/** `isNames`: the members have names of the author's, and are what the member around them says. */
function cleaned(value: unknown, isNames: boolean, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > DEPTH_MAX) return {}
  if (Array.isArray(value)) return value.map((each) => cleaned(each, false, depth + 1))
  const kept: [string, unknown][] = []
  for (const [name, inner] of Object.entries(value)) {
    if (isNames) kept.push([name, cleaned(inner, false, depth + 1)])
    else if (LEFT_OUT.has(name) || (name.startsWith('x-') && !name.startsWith('x-sluice-'))) continue
    else if (DATA.has(name)) kept.push([name, inner])
    else if (name === '$ref' && !COMPONENT.test(String(inner))) continue
    else kept.push([name, cleaned(inner, NAMED.has(name), depth + 1)])
  }
  return Object.fromEntries(kept)
}

const COMPONENT = /^#\/components\/([A-Za-z]+)\/([^/]+)/

/** Those that are referred to, by one another as well. */
function componentsOf(components: unknown, paths: unknown): Record<string, Record<string, unknown>> {
  const found: Record<string, Record<string, unknown>> = {}
  const waiting: unknown[] = [paths]
  while (waiting.length > 0) {
    for (const reference of referencesIn(waiting.pop())) {
      const [, kind = '', written = ''] = COMPONENT.exec(reference) ?? []
      const name = stepOf(written)
      const group = isJson(components) && Object.hasOwn(components, kind) ? components[kind] : undefined
      const known = (found[kind] ??= {})
      if (!isJson(group) || !Object.hasOwn(group, name) || Object.hasOwn(known, name)) continue
      const component = cleaned(group[name], false, 0)
      known[name] = component
      waiting.push(component)
    }
  }
  return found
}

function* referencesIn(value: unknown): Generator<string, void, undefined> {
  if (typeof value === 'string' && value.startsWith('#/components/')) yield value
  if (typeof value !== 'object' || value === null) return
  for (const inner of Object.values(value)) yield* referencesIn(inner)
}
