import { createHash } from 'node:crypto'
import { LIMITS } from '../../core/index.ts'
import { textOf } from '../body-fields.ts'
import { readStrictJson } from '../strict-json.ts'
import { refusedOperation, tooMuch } from './refusal.ts'

/** A GraphQL request as HTTP carries it. `form`: how the body is written, by its media type. */
export type GraphqlHttp = {
  readonly method: string
  /** Without `?`. */
  readonly query: string
  readonly form: 'json' | 'graphql' | 'other'
  readonly body: Uint8Array
}

/** One operation of a request: its document, which operation of it is meant, and its variables. */
export type Asked = {
  readonly text: string
  readonly name: string | undefined
  readonly variables: Readonly<Record<string, unknown>>
}

/** Members of a request. Others are refused: servers that look for names in any spelling would take them for these. */
export const MEMBERS: ReadonlySet<string> = new Set([
  'query',
  'operationName',
  'variables',
  'extensions',
  'id',
  'documentId',
])
const IN_URL: readonly string[] = [...MEMBERS]

/** Documents by the hash or name that clients send in their place. */
export type Persisted = ReadonlyMap<string, string>

/**
 * The operations of a request (GraphQL over HTTP). Throws GatewayError `invalid` for what two servers could read as two requests, for
 * a hash that is not registered, and `limit_exceeded` for a batch that is too long.
 */
export function operationsAsked(http: GraphqlHttp, persisted: Persisted): readonly Asked[] {
  const url = new URLSearchParams(http.query)
  if (http.method === 'GET') {
    if (http.body.length > 0) throw refusedOperation('a GET request has no body')
    return [asked(fromUrl(url), persisted)]
  }
  if (http.method !== 'POST') throw refusedOperation('use POST or GET')
  // Some servers let the URL win over the body.
  if ([...url.keys()].some((key) => IN_URL.some((name) => name.toLowerCase() === key.toLowerCase())))
    throw refusedOperation('it stands in the body, and not in the URL as well')
  const text = textOf(http.body)
  if (text === undefined) throw refusedOperation('it is written in UTF-8')
  if (http.form === 'graphql') return [asked({ query: text }, persisted)]
  if (http.form !== 'json') throw refusedOperation('its content type is application/json')
  const read = readStrictJson(text)
  if (!read.ok) throw refusedOperation(read.why)
  if (!Array.isArray(read.value)) return [asked(read.value, persisted)]
  if (read.value.length === 0) throw refusedOperation('the list of operations is empty')
  if (read.value.length > LIMITS.graphqlBatchMax) throw tooMuch('operations', LIMITS.graphqlBatchMax)
  return read.value.map((each) => asked(each, persisted))
}

function fromUrl(url: URLSearchParams): Record<string, unknown> {
  const members: Record<string, unknown> = {}
  for (const [name, value] of url) {
    if (!MEMBERS.has(name)) {
      if ([...MEMBERS].some((each) => each.toLowerCase() === name.toLowerCase()))
        throw refusedOperation('the names of its parameters are spelt as GraphQL has them')
      continue
    }
    if (Object.hasOwn(members, name)) throw refusedOperation('it has a parameter twice')
    members[name] = name === 'variables' || name === 'extensions' ? inUrl(value) : value
  }
  return members
}

function inUrl(text: string): unknown {
  const read = readStrictJson(text)
  if (!read.ok) throw refusedOperation(read.why)
  return read.value
}

function asked(members: unknown, persisted: Persisted): Asked {
  if (!isRecord(members)) throw refusedOperation('it is an object')
  if (Object.keys(members).some((name) => !MEMBERS.has(name)))
    throw refusedOperation(`it has nothing but ${[...MEMBERS].join(', ')}`)
  const { operationName = null, variables = null } = members
  if (operationName !== null && typeof operationName !== 'string')
    throw refusedOperation('operationName is text')
  if (variables !== null && !isRecord(variables)) throw refusedOperation('variables are an object')
  return {
    text: documentOf(members, persisted),
    name: operationName === null || operationName === '' ? undefined : operationName,
    variables: variables ?? {},
  }
}

/** The document itself, or the one that is registered for what stands in its place. */
function documentOf(members: Readonly<Record<string, unknown>>, persisted: Persisted): string {
  const { query = null, id = null, documentId = null, extensions = null } = members
  if (query !== null && typeof query !== 'string') throw refusedOperation('query is text')
  const names = [id, documentId, ...hashesIn(extensions)].filter((each) => each !== null)
  if (names.length > 1) throw refusedOperation('it names one document')
  const [name] = names
  if (name === undefined) {
    if (query === null || query === '') throw refusedOperation('it has a query')
    return query
  }
  if (typeof name !== 'string') throw refusedOperation('a hash is text')
  const known = persisted.get(name)
  if (query === null || query === '') {
    if (known === undefined)
      throw refusedOperation('a hash in place of a query is registered with this connection')
    return known
  }
  // The server might run what it knows under this name and not what stands here.
  const isItsHash = createHash('sha256').update(query).digest('hex') === name.toLowerCase()
  if (known === undefined ? !isItsHash : known !== query)
    throw refusedOperation('hash and query are of one document')
  return query
}

/** Automatic persisted queries. An extension of another spelling may be one of these to somebody. */
function hashesIn(extensions: unknown): readonly unknown[] {
  if (extensions === null) return []
  if (!isRecord(extensions)) throw refusedOperation('extensions are an object')
  const found: unknown[] = []
  for (const [name, value] of Object.entries(extensions)) {
    if (name.toLowerCase() !== 'persistedquery') continue
    if (name !== 'persistedQuery' || !isRecord(value)) throw refusedOperation('persistedQuery is an object')
    if (Object.keys(value).some((each) => each !== 'version' && each !== 'sha256Hash'))
      throw refusedOperation('persistedQuery has nothing but version and sha256Hash')
    found.push(value['sha256Hash'] ?? '')
  }
  return found
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
