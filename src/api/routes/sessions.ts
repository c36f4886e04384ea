import { z } from 'zod'
import type { SessionId } from '../../core/index.ts'
import { brand, COMMAND_CLASSES, GatewayError, LIMITS, OUTSIDE_COMMANDS } from '../../core/index.ts'
import type { SessionFilter, SessionSummary } from '../../recording/index.ts'
import { formatEntry, PAYLOAD_KINDS, withMarks } from '../../recording/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { count, given, instant, none, route } from '../route.ts'
import { SealedReading } from '../sealed.ts'

const summary = z.object({
  session: z.string(),
  /** Which node recorded it, where several gateways share a store. */
  node: z.string().optional(),
  openedAt: z.int(),
  closedAt: z.int().optional(),
  closeReason: z.string().optional(),
  connection: z.string(),
  protocol: z.string(),
  chain: z.array(z.string()),
  credential: z.string(),
  mintedBy: z.string(),
  clientAddress: z.string(),
  program: z.string(),
  database: z.string(),
  configuration: z.string(),
  commands: z.int(),
  denied: z.int(),
  held: z.int(),
  rows: z.int(),
  bytes: z.int(),
})

const entry = z.object({
  sequence: z.int(),
  time: z.int(),
  kind: z.string(),
  head: z.record(z.string(), z.unknown()),
  /** For people: as `sluice sessions show` prints it. */
  text: z.string(),
  /** Result bytes in base64, as the client got them; only when asked for. */
  body: z.string().optional(),
  /** Payloads that were erased: texts among them read `[erased]`, and a body is not there. */
  erased: z.array(z.string()).optional(),
})

const id = z.string().regex(/^[0-9A-Z]{26}$/, 'expected a session id')

/** Which sessions, in a query. Every one that is given must match. */
const filter = z.object({
  connection: z.string().max(64).optional(),
  identity: z.string().max(600).optional(),
  group: z.string().max(LIMITS.factCharactersMax).optional(),
  open: z.enum(['true', 'false']).optional(),
  /** Opened at or after, and before: milliseconds since 1970. */
  since: instant.optional(),
  until: instant.optional(),
  class: z.enum(COMMAND_CLASSES).optional(),
  decision: z.enum(['allow', 'hold', 'deny']).optional(),
  /** `public.customers`, or a route: read or written by one of its commands; or one of the two. */
  table: z.string().max(LIMITS.factCharactersMax).optional(),
  read: z.string().max(LIMITS.factCharactersMax).optional(),
  written: z.string().max(LIMITS.factCharactersMax).optional(),
  /** A label that one of its commands had masked, or got in clear. */
  masked: z.string().max(LIMITS.factCharactersMax).optional(),
  clear: z.string().max(LIMITS.factCharactersMax).optional(),
  /** `next` of the page before. */
  before: id.optional(),
  limit: count(LIMITS.sessionsListedMax).default(100),
})

export function sessionRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/sessions',
      summary: 'Sessions as they are at this moment, newest first.',
      access: ['operator socket', 'admin', 'operator', 'auditor'],
      params: none,
      query: filter,
      body: none,
      answer: z.object({
        sessions: z.array(summary),
        /** What to pass as `before` for the next page; absent at the end. */
        next: z.string().optional(),
      }),
      async handle({ query }) {
        const sessions = await parts.recording.list(filterOf(query))
        const next = sessions.length < query.limit ? undefined : sessions.at(-1)?.session
        return { sessions: sessions.map(shown), ...(next === undefined ? {} : { next }) }
      },
    }),
    route({
      method: 'GET',
      path: '/v1/sessions/search',
      summary:
        'Sessions in one of whose statements a text stands, newest first: reads recordings, as far as its limits go, which is itself recorded.',
      access: ['operator socket', 'admin', 'auditor'],
      params: none,
      query: filter.extend({ text: z.string().min(1).max(LIMITS.searchTextMax) }),
      body: none,
      answer: z.object({
        sessions: z.array(summary.extend({ matches: z.array(z.int()) })),
        searched: z.int(),
        next: z.string().optional(),
      }),
      // The text may be what somebody is looked up by: it is nobody's business but the reader's.
      records: ({ query: { text: _text, ...rest } }) => ({
        action: 'recording.search',
        details: details(rest),
      }),
      async handle({ query: { text, ...rest }, caller }) {
        // One session is read after the other, from its beginning.
        const reading = new SealedReading(parts, caller)
        const { sessions, ...page } = await parts.recording.search(filterOf(rest), text, (each) =>
          reading.shown('', each),
        )
        return {
          ...page,
          sessions: sessions.map(({ matches, ...each }) => ({ ...shown(each), matches: [...matches] })),
        }
      },
    }),
    route({
      method: 'GET',
      path: '/v1/sessions/{id}',
      summary: 'The recording of a session, page by page. Reading it is itself recorded.',
      access: ['operator socket', 'admin', 'auditor'],
      params: z.object({ id }),
      query: z.object({
        /** The last sequence number of the page before. */
        after: z.coerce.number().int().min(0).default(0),
        limit: count(LIMITS.entriesListedMax).default(LIMITS.entriesListedMax),
        results: z.enum(['true', 'false']).default('false'),
        /** What it is read for, as the record of it says. */
        purpose: z.enum(['show', 'replay', 'export']).default('show'),
      }),
      body: none,
      answer: z.object({
        session: z.string(),
        entries: z.array(entry),
        /** What to pass as `after` for the next page; absent at the end. */
        next: z.int().optional(),
      }),
      records: ({ params, query }) => ({
        action: 'recording.read',
        target: params.id,
        details: { after: query.after, results: query.results === 'true', purpose: query.purpose },
      }),
      async handle({ params, query, caller }) {
        const entries: z.output<typeof entry>[] = []
        const reading = new SealedReading(parts, caller)
        let bytes = 0
        const session = brand<SessionId>(params.id)
        await refuseElsewhere(parts, session, 'Its recording can be read')
        // From its beginning: that says on which connection it was.
        for await (const { entry: stored, ...at } of parts.recording.read(session)) {
          const recorded = { ...at, entry: withMarks(reading.shown(params.id, stored), at.erased) }
          if (recorded.sequence <= query.after) continue
          if (entries.length >= query.limit || bytes >= LIMITS.entriesBytesMax) {
            const next = entries.at(-1)?.sequence
            return { session: params.id, entries, ...(next === undefined ? {} : { next }) }
          }
          const of = recorded.entry
          // What was told outside of commands is no result: errors, refusals, why it ended.
          const isTold = of.kind === 'result' && of.head.n === OUTSIDE_COMMANDS
          const body = (query.results === 'true' || isTold) && 'body' in of ? of.body : undefined
          bytes += (body?.length ?? 0) + JSON.stringify(of.head).length
          entries.push({
            sequence: recorded.sequence,
            time: recorded.time,
            kind: of.kind,
            head: {
              ...of.head,
              ...(of.kind === 'input' && of.digest !== undefined
                ? { digest: Buffer.from(of.digest).toString('latin1') }
                : {}),
            },
            text: formatEntry(recorded),
            ...(body === undefined ? {} : { body: Buffer.from(body).toString('base64') }),
            ...(recorded.erased === undefined ? {} : { erased: [...recorded.erased] }),
          })
        }
        return { session: params.id, entries }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/sessions/{id}/erasures',
      summary:
        'Take payloads out of the recording of a session that has ended, for good; its entries and their proof stay. Refused under legal hold.',
      access: ['operator socket', 'admin'],
      params: z.object({ id }),
      query: none,
      body: z.strictObject({
        /** Which payloads; all when absent. */
        payloads: z.array(z.enum(PAYLOAD_KINDS)).min(1).max(PAYLOAD_KINDS.length).optional(),
        /** Only of the entry with this sequence number. */
        sequence: z.int().min(1).optional(),
        /** Only what may hold values of columns with one of these labels. */
        labels: z.array(z.string().min(1).max(LIMITS.factCharactersMax)).min(1).max(100).optional(),
        /** Stands in the recording for good: a number of a request, and no names. */
        reason: z.string().min(1).max(200),
      }),
      answer: z.object({
        session: z.string(),
        /** `waiting`: the journal still holds it, and it is erased as soon as that has gone. */
        state: z.enum(['erased', 'nothing', 'waiting', 'held']),
        removed: z.array(z.object({ payload: z.string(), frames: z.string(), count: z.int() })),
      }),
      records: ({ params, body: { payloads, labels, ...rest } }) => ({
        action: 'recording.erase',
        target: params.id,
        details: {
          ...given(rest),
          payloads: payloads?.join(' ') ?? 'all',
          ...(labels === undefined ? {} : { labels: labels.join(' ') }),
        },
      }),
      async handle({ params, body: { reason, ...scope }, caller }) {
        const session = brand<SessionId>(params.id)
        const by = caller.name
        const { state, removed } = await parts.recording.erase({ session, scope: given(scope), by, reason })
        return { session, state, removed: [...removed] }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/sessions/{id}/end',
      summary: 'End a live session now; its client is told why.',
      access: ['operator socket', 'admin', 'operator'],
      params: z.object({ id }),
      query: none,
      body: z.strictObject({ reason: z.string().min(1).max(200).optional() }).prefault({}),
      answer: z.object({ session: z.string(), ended: z.literal(true) }),
      records: ({ params, body }) => ({
        action: 'session.end',
        target: params.id,
        ...(body.reason === undefined ? {} : { details: { reason: body.reason } }),
      }),
      async handle({ params, body, caller }) {
        const why = body.reason === undefined ? '' : ` (${body.reason})`
        const ended = parts.gateway.terminate(
          (session) => session.id === params.id,
          new GatewayError('denied', `This session was ended by ${caller.name}${why}.`, {
            remedy: 'Ask who runs the gateway before you connect again.',
          }),
        )
        if (ended === 0) {
          await refuseElsewhere(parts, brand<SessionId>(params.id), 'It can be ended')
          throw new GatewayError('not_found', 'There is no such live session.')
        }
        return { session: params.id, ended: true as const }
      },
    }),
  ]
}

/** Throws `not_found` for a session that another node has, and says where that is. */
async function refuseElsewhere(
  { shared, recording }: ApiParts,
  session: SessionId,
  what: string,
): Promise<void> {
  if (shared === undefined) return
  const node = (await (await recording.upToDate()).get(session))?.node
  if (node === undefined || node === shared.node) return
  const there = (await shared.nodes()).find((each) => each.node === node)
  const address = there?.address === undefined ? '' : `, whose control API is at ${there.address}`
  throw new GatewayError('not_found', `${what} at the node ${node}${address}.`, {
    remedy:
      there?.isRunning === true
        ? 'Ask there, or on that machine. Revoking its credential reaches every node.'
        : 'That node does not run: its recording lies in its data directory.',
    retry: 'only-if-changed',
  })
}

function shown({ config, chain, ...rest }: SessionSummary): z.output<typeof summary> {
  return { ...rest, chain: [...chain], configuration: config }
}

/** What is given of a query, for the record of it. */
function details(
  query: Readonly<Record<string, string | number | undefined>>,
): Record<string, string | number> {
  const given: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given[name] = value
  return given
}

function filterOf({ open, since, until, before, ...rest }: z.output<typeof filter>): SessionFilter {
  return {
    ...given(rest),
    limit: rest.limit,
    ...(open === undefined ? {} : { open: open === 'true' }),
    ...(since === undefined ? {} : { openedFrom: since }),
    ...(until === undefined ? {} : { openedBefore: until }),
    ...(before === undefined ? {} : { before: brand<SessionId>(before) }),
  }
}
