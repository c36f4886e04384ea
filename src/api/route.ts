import type { Readable } from 'node:stream'
import { z } from 'zod'
import { GatewayError } from '../core/index.ts'
import type { SignedRequest } from '../notifications/index.ts'
import type { Caller, Standing } from './caller.ts'

/** For routes without parameters, query or body. */
export const none: z.ZodType<undefined> = z.unknown().transform(() => undefined)

/** The body of a route whose callers sign what they send: its bytes as they came, and the headers, for whoever checks them. */
export const signedBody: z.ZodType<SignedRequest> = z.custom<SignedRequest>(
  (value) => typeof value === 'object' && value !== null && 'bytes' in value,
)

/** Who may call a route: whoever is any of these. */
export type Access = 'public' | readonly Standing[]

/** What an administrative record says of a call, besides by whom. Holds no secret. */
export type Recorded = {
  readonly action: string
  readonly target?: string
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** What a route answers with when it is not JSON. */
export type Produces =
  | 'application/json'
  | 'text/plain; version=0.0.4'
  | 'text/plain; charset=utf-8'
  | 'text/event-stream'

/**
 * One route of the control API: its schemas validate, document and type it. A route that changes something names the
 * administrative record that is written before its handler runs.
 */
export type Route<Params = unknown, Query = unknown, Body = unknown, Answer = unknown> = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly access: Access
  /** Absent: JSON. */
  readonly produces?: Produces
  /** Takes HTML form encoding as well as JSON: for what a standard wants that way. */
  readonly form?: boolean
  /** Absent for routes that change nothing. What it returns must hold no secret. */
  readonly records?: (input: { params: Params; query: Query; body: Body }) => Recorded
  /**
   * Who the record is signed with, where a route finds out by itself: throws for who is turned down, and then nothing is
   * recorded or done.
   */
  readonly identify?: (input: {
    params: Params
    query: Query
    body: Body
    caller: Caller
  }) => Promise<string> | string
  readonly params: z.ZodType<Params>
  readonly query: z.ZodType<Query>
  readonly body: z.ZodType<Body>
  readonly answer: z.ZodType<Answer>
  readonly handle: (input: {
    readonly params: Params
    readonly query: Query
    readonly body: Body
    readonly caller: Caller
    /** The address that the request comes from; absent on the operator socket. */
    readonly source?: string | undefined
  }) => Promise<Answer> | Answer
}

/** Keeps the types of one route while routes of all kinds stand in one list. */
export type AnyRoute = {
  readonly method: Route['method']
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly produces: Produces
  readonly form: boolean
  /** Whether its body is a `SignedRequest`. */
  readonly isSigned: boolean
  readonly records: boolean
  readonly params: z.ZodType
  readonly query: z.ZodType
  readonly body: z.ZodType
  readonly answer: z.ZodType
  /** Validates, records when it changes something, handles, and shapes the answer. */
  readonly run: (
    input: {
      readonly params: unknown
      readonly query: unknown
      readonly body: unknown
      readonly caller: Caller
      readonly source?: string | undefined
    },
    record: RecordAdmin,
  ) => Promise<unknown>
}

export type RecordAdmin = (entry: Recorded & { readonly by: string }) => void

export function route<Params, Query, Body, Answer>(definition: Route<Params, Query, Body, Answer>): AnyRoute {
  return {
    method: definition.method,
    path: definition.path,
    summary: definition.summary,
    access: definition.access,
    produces: definition.produces ?? 'application/json',
    form: definition.form ?? false,
    isSigned: Object.is(definition.body, signedBody),
    records: definition.records !== undefined,
    params: definition.params,
    query: definition.query,
    body: definition.body,
    answer: definition.answer,
    async run(raw, record) {
      const params = parsed(definition.params, raw.params, 'path')
      const query = parsed(definition.query, raw.query, 'query')
      const body = parsed(definition.body, raw.body, 'body')
      const input = { params, query, body }
      const by = (await definition.identify?.({ ...input, caller: raw.caller })) ?? raw.caller.name
      if (definition.records !== undefined) record({ ...definition.records(input), by })
      return definition.answer.parse(
        await definition.handle({ ...input, caller: raw.caller, source: raw.source }),
      )
    },
  }
}

/** An answer that goes on: the stream ends when the client has gone. */
export function stream(): z.ZodType<Readable> {
  return z.custom<Readable>((value) => typeof value === 'object' && value !== null && 'pipe' in value)
}

/** A whole number written in a query: `?limit=20`. */
export function count(max: number): z.ZodType<number> {
  return z.coerce.number().int().min(1).max(max)
}

/** A time written in a query: whole milliseconds since 1970. */
export const instant: z.ZodType<number> = z.coerce.number().int().min(0).max(8.64e15)

/** What is there of an object: a field that is undefined is left out. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {}
  for (const name in fields) {
    const value = fields[name]
    if (isGiven(value)) kept[name] = value
  }
  return kept
}

function isGiven<T>(value: T): value is Exclude<T, undefined> {
  return value !== undefined
}

/** Values never appear in these: a body may hold a secret. */
function parsed<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const problems = read.error.issues.map((issue) => `${[where, ...issue.path].join('.')}: ${issue.message}`)
  throw new GatewayError('invalid', problems.join('; ').slice(0, 1000), {
    retry: 'only-if-changed',
    remedy: 'What each route takes is described at /v1/openapi.json.',
  })
}
