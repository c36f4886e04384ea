import { createHash } from 'node:crypto'
import type { BodyFields, Effect, Operation } from '../../apis/index.ts'
import { classOfEffect, fieldsOfBody, gravest, pageSizeOf } from '../../apis/index.ts'
import type {
  AttributeType,
  CommandClass,
  Facts,
  LabelledColumn,
  LabelName,
  MaskingRule,
  OutwardKind,
} from '../../core/index.ts'
import { brand, GatewayError, strictest } from '../../core/index.ts'
import type { BodyRules, DetectorAssignment, JsonAssignment } from '../../session/index.ts'
import type { Target } from '../../wire/http/index.ts'
import { fieldKey, parseMediaType, saysAnotherMethod } from '../../wire/http/index.ts'
import { effectOf, operationsOf } from './graphql-commands.ts'
import type { Route, RouteLabel } from './route-table.ts'

/** The facts that requests have besides those of every command. */
export const REQUEST_FACTS = {
  method: 'string',
  path: 'string',
  route: 'string',
  query: 'string',
  effect: 'string',
  operation: 'string',
  bodyRead: 'boolean',
  bodyFields: 'strings',
  bodyValues: 'strings',
  outward: 'strings',
  graphql: 'string',
  types: 'strings',
  introspection: 'boolean',
  depth: 'long',
} as const satisfies Record<string, AttributeType>

/** What a request is judged by. */
export type RequestParts = {
  readonly method: string
  readonly target: Target
  /** Of its field Content-Type; empty: it has none. */
  readonly contentType: string
  /** Undefined: it comes in pieces, and nothing is known of it. */
  readonly body: Uint8Array | undefined
  /** What protected values stand in it, where somebody has looked. */
  readonly outward?: readonly OutwardKind[] | undefined
}

/** What of an answer is masked: its body, and fields of its head by `fieldKey`. */
export type AnswerRules = BodyRules & { readonly fields: ReadonlyMap<string, MaskingRule> }

/** A request as it is judged. */
export type JudgedRequest = {
  /** Equal for requests with equal facts. */
  readonly key: string
  readonly facts: Facts
  /** The labels under which its body is sealed in the recording: it may hold values for any of them. */
  readonly sealing: readonly LabelName[]
  /** What is masked in the answer, for an identity with these masks. */
  rules(masks: ReadonlyMap<LabelName, MaskingRule>): AnswerRules
}

/**
 * What the fields of a request (names and values in turn) say of its body. Two lines of it are one value, which is no media type: the
 * upstream might believe either.
 */
export function contentTypeOf(headers: readonly string[]): string {
  return headers.filter((_, n) => n % 2 === 1 && headers[n - 1]?.toLowerCase() === 'content-type').join(', ')
}

/** Throws GatewayError `denied` for a request that the upstream may take for one with another method. */
export function refuseAnotherMethod(target: Target, contentType: string, body: Uint8Array): void {
  if (saysAnotherMethod(target.query, contentType, body)) throw anotherMethod()
}

export function anotherMethod(): GatewayError {
  return new GatewayError('denied', 'Send the request with its own method: leave _method out of it.', {
    remedy: 'An administrator adds a route for the method that is meant.',
    retry: 'only-if-changed',
  })
}

/**
 * What is known of a request. Throws GatewayError `invalid` and `limit_exceeded` for a GraphQL operation that cannot be judged.
 */
export function judgedRequest(route: Route, request: RequestParts): JudgedRequest {
  const { method, target } = request
  const fields = fieldsOf(request)
  const operations =
    route.graphql === undefined ? [] : operationsOf(route.graphql, { ...request, form: formOf(request) })
  const ofFields = operations.flatMap(({ labelled }) => labelled).map(asLabel)
  const answer = ofFields.length === 0 ? route.labels : [...route.labels, ...ofFields]
  const known =
    route.graphql === undefined ? ofRoute(route, request, fields) : ofOperations(route, operations)
  const labels = [...new Set(answer.map(({ label }) => label))].sort()
  const columns = columnsOf(route, operations)
  const facts: Facts = {
    class: known.class,
    statements: [{ class: known.class }],
    reads: known.reads,
    writes: known.writes,
    calls: known.calls,
    labels,
    ...(columns.length === 0 ? {} : { columns }),
    touches: [],
    filters: known.filters,
    stores: known.stores,
    unbounded: known.unbounded,
    ...(known.rows === undefined ? {} : { estimatedRows: known.rows }),
    writesEverything: false,
    redefines: false,
    attributes: {
      method,
      path: target.path,
      route: route.pattern.text,
      query: target.query,
      effect: known.effect,
      operation: known.operation,
      bodyRead: fields.isRead,
      bodyFields: fields.names,
      bodyValues: fields.values,
      outward: request.outward ?? [],
      graphql: known.kind,
      types: known.types,
      introspection: operations.some(({ introspection }) => introspection),
      depth: Math.max(0, ...operations.map(({ depth }) => depth)),
    },
  }
  return {
    key: keyOf(route, request),
    facts,
    sealing: sealingOf(route, labels),
    rules: (masks) => (ofFields.length === 0 ? rulesOf(answer, masks) : withBesides(rulesOf(answer, masks))),
  }
}

type Known = {
  readonly class: CommandClass
  readonly effect: Effect
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly calls: readonly string[]
  readonly filters: readonly LabelName[]
  readonly stores: readonly LabelName[]
  readonly unbounded: boolean
  readonly rows: number | undefined
  readonly operation: string
  readonly kind: string
  readonly types: readonly string[]
}

function ofRoute(route: Route, { target }: RequestParts, fields: BodyFields): Known {
  const name = `${route.method} ${route.pattern.text}`
  const reading = route.class === 'read'
  const parameters = new URLSearchParams(target.query)
  const names = new Set([...parameters.keys()].map((each) => each.toLowerCase()))
  const asked = route.query.filter((each) => names.has(each.name.toLowerCase())).map(({ label }) => label)
  const sent = route.body.filter(({ path }) => mayHold(fields, path)).map(({ label }) => label)
  const sizes = route.page === undefined ? [] : parameters.getAll(route.page.name)
  // Of two, nobody knows which one counts.
  const rows = route.page === undefined || sizes.length > 1 ? undefined : pageSizeOf(route.page, sizes[0])
  return {
    class: route.class,
    effect: route.effect,
    reads: reading ? [name] : [],
    writes: reading ? [] : [name],
    calls: route.operation === '' ? [] : [route.operation],
    filters: sorted(reading ? [...asked, ...sent] : asked),
    stores: sorted(reading ? [] : sent),
    unbounded: route.page !== undefined && rows === undefined,
    rows,
    operation: route.operation,
    kind: '',
    types: [],
  }
}

function ofOperations(route: Route, operations: readonly Operation[]): Known {
  const name = `${route.method} ${route.pattern.text}`
  const effects = operations.map((each) => effectOf(route.graphql, each))
  const isWriting = (each: Operation): boolean => each.kind === 'mutation'
  const changed = operations.filter(isWriting).flatMap(({ roots }) => roots.map((root) => `Mutation.${root}`))
  const fields = operations.flatMap((each) => each.fields)
  const read = fields.filter((field) => !changed.includes(field))
  const isBounded = operations.every(({ size }) => size.bounded)
  const sent = (mutations: boolean): LabelName[] =>
    operations
      .filter((each) => isWriting(each) === mutations)
      .flatMap((each) => each.sent.map((label) => brand<LabelName>(label)))
  return {
    class: strictest(effects.map(classOfEffect)),
    effect: gravest(effects),
    reads: sorted(changed.length === 0 ? [name, ...read] : read),
    writes: sorted(changed.length === 0 ? [] : [name, ...changed]),
    calls: sorted(operations.flatMap(({ kind, roots }) => roots.map((root) => `${ROOTS[kind]}.${root}`))),
    filters: sorted(sent(false)),
    stores: sorted(sent(true)),
    unbounded: !isBounded,
    rows: isBounded ? operations.reduce((sum, { size }) => sum + Math.max(1, size.rows), 0) : undefined,
    operation: operations.flatMap((each) => each.name ?? []).join(' '),
    kind: [...new Set(operations.map(({ kind }) => kind))].sort().join(' '),
    types: sorted(operations.flatMap((each) => each.types)),
  }
}

const ROOTS = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const

function sorted<T extends string>(names: readonly T[]): readonly T[] {
  return [...new Set(names)].sort()
}

function asLabel({ path, label }: Operation['labelled'][number]): RouteLabel {
  return { path, label: brand<LabelName>(label) }
}

function columnsOf(route: Route, operations: readonly Operation[]): readonly LabelledColumn[] {
  const ofRoute = route.labels.map((each) => ({
    column: `${route.pattern.text}: ${nameOf(each)}`,
    label: each.label,
  }))
  const labelled = operations.flatMap((each) => each.labelled)
  const ofFields = new Map(
    labelled.map(({ field, label }) => [
      `${field} ${label}`,
      { column: field, label: brand<LabelName>(label) },
    ]),
  )
  return [...ofRoute, ...ofFields.values()]
}

function nameOf(label: RouteLabel): string {
  if ('path' in label) return label.path
  return 'header' in label ? `header ${label.header}` : `detect ${label.detector}`
}

/** Whether a body may hold something at a labelled path: it has the last name of it, or nobody knows. */
function mayHold({ isRead, names }: BodyFields, path: string): boolean {
  const last = lastName(path)
  return !isRead || last === undefined || names.some((name) => name.includes(last))
}

/** Undefined: the path ends with what has no name of its own. */
function lastName(path: string): string | undefined {
  const [, name] = /(?:^|[.\]])"?([^."*[\]]+)"?(?:\[\])*$/.exec(path) ?? []
  return name
}

/** Whatever may be in the body, or in a part of it that its answer gives back. */
function sealingOf(route: Route, labels: readonly LabelName[]): readonly LabelName[] {
  const fields = route.graphql?.labels.all().map((label) => brand<LabelName>(label)) ?? []
  return sorted([...labels, ...fields, ...route.body.map(({ label }) => label)])
}

/** The body counts where its fields are facts. */
function keyOf(route: Route, { method, target, contentType, body, outward = [] }: RequestParts): string {
  const written = `${method} ${target.path}${target.query === '' ? '' : `?${target.query}`}`
  const out = outward.length === 0 ? '' : `\n${outward.join(' ')}`
  const line = `${route.method} ${route.pattern.text}\n${written}${out}`
  if (body === undefined) return `${line}\nin pieces`
  if (body.length === 0) return line
  return `${line}\n${createHash('sha256').update(contentType).update('\n').update(body).digest('base64')}`
}

function formOf({ contentType }: RequestParts): 'json' | 'form' | 'graphql' | 'other' {
  const media = parseMediaType(contentType)
  const charset = media?.parameters.get('charset')?.toLowerCase() ?? 'utf-8'
  if (media === undefined || (charset !== 'utf-8' && charset !== 'utf8')) return 'other'
  if (media.type === 'application/graphql') return 'graphql'
  if (media.type === 'application/x-www-form-urlencoded') return 'form'
  return media.type === 'application/json' || /^application\/[^/]+\+json$/.test(media.type) ? 'json' : 'other'
}

function fieldsOf(request: RequestParts): BodyFields {
  if (request.body === undefined) return { isRead: false, names: [], values: [] }
  const form = formOf(request)
  return fieldsOfBody(form === 'graphql' ? 'other' : form, request.body)
}

/**
 * What else an answer of GraphQL has than `data` is the upstream's own words (errors, extensions: GraphQL section 7.1), or data in
 * another place than was asked (`incremental`, `payload`): where fields of `data` are masked, it is hidden.
 */
function withBesides(rules: AnswerRules): AnswerRules {
  if (rules.paths.length === 0) return rules
  const own = new Set(rules.paths.map(({ path }) => path))
  const besides = BESIDES.filter((path) => !own.has(path)).map((path) => ({ path, rule: HIDDEN }))
  return { ...rules, paths: [...rules.paths, ...besides] }
}

const HIDDEN = { kind: 'full' } as const
const BESIDES = [
  'errors[].message',
  'errors[].extensions',
  'errors[].data',
  'extensions',
  'incremental',
  'payload',
]

/** The same object for the same labels and masks: what is made ready of it serves the next answer, too. */
function rulesOf(labels: readonly RouteLabel[], masks: ReadonlyMap<LabelName, MaskingRule>): AnswerRules {
  let known = RULES.get(labels)
  if (known === undefined) RULES.set(labels, (known = new WeakMap()))
  let rules = known.get(masks)
  if (rules === undefined) known.set(masks, (rules = madeRules(labels, masks)))
  return rules
}

const RULES = new WeakMap<readonly RouteLabel[], WeakMap<ReadonlyMap<LabelName, MaskingRule>, AnswerRules>>()

function madeRules(labels: readonly RouteLabel[], masks: ReadonlyMap<LabelName, MaskingRule>): AnswerRules {
  const paths: JsonAssignment[] = []
  const detectors: DetectorAssignment[] = []
  const fields = new Map<string, MaskingRule>()
  for (const label of labels) {
    const rule = masks.get(label.label)
    if (rule === undefined) continue
    if ('path' in label) paths.push({ path: label.path, rule })
    else if ('detector' in label) detectors.push({ detector: label.detector, rule })
    // Two different rules for one field: nothing of it is shown.
    else fields.set(fieldKey(label.header), fields.has(fieldKey(label.header)) ? { kind: 'null' } : rule)
  }
  return { paths, detectors, nested: true, fields }
}
