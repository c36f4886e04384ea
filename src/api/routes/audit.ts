import { z } from 'zod'
import type { SessionId } from '../../core/index.ts'
import { brand, GatewayError, LIMITS } from '../../core/index.ts'
import type { SightingFilter, SightingPlace } from '../../recording/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { count, given, instant, none, route } from '../route.ts'

const shown = z.enum(['masked', 'clear'])
const totals = { commands: z.int(), rows: z.int(), firstAt: z.int(), lastAt: z.int() }
const limit = count(LIMITS.sightingsListedMax).default(100)

const sighting = z.object({
  session: z.string(),
  n: z.int(),
  at: z.int(),
  chain: z.array(z.string()),
  connection: z.string(),
  /** `*`: it may have been any column with this label. */
  column: z.string(),
  label: z.string(),
  shown,
  /** Absent: the command is under way, or its end was lost. */
  outcome: z.string().optional(),
  rows: z.int(),
  bytes: z.int(),
})

const place = z.tuple([z.int(), z.string(), z.int(), z.string(), z.string()])

export function auditRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit/who',
      summary:
        'Who got values of a column or label, masked or clear, and by which commands. Asking is recorded.',
      access: ['operator socket', 'admin', 'auditor'],
      params: none,
      query: z.object({
        /** `public.customers.email`, `/customers/{id}: email`, or a label. */
        saw: z.string().min(1).max(LIMITS.factCharactersMax),
        since: instant.optional(),
        until: instant.optional(),
        /** `next` of the page before. */
        before: z.string().max(4_000).optional(),
        limit,
      }),
      body: none,
      answer: z.object({
        viewers: z.array(z.object({ chain: z.array(z.string()), shown, ...totals })),
        sightings: z.array(sighting),
        next: z.string().optional(),
      }),
      records: ({ query: { saw, limit: _limit, before: _before, ...times } }) => ({
        action: 'audit.who',
        target: saw,
        details: given(times),
      }),
      async handle({ query }) {
        const index = await parts.recording.upToDate()
        const { saw, since, until, before } = query
        const labels = new Set(await index.labelsOf(saw))
        for (const { labels: assigned } of parts.config().connections.values())
          for (const { pattern, label } of assigned) if (pattern === saw) labels.add(label)
        const filter: SightingFilter = {
          saw,
          labels: [...labels],
          limit: query.limit,
          ...(since === undefined ? {} : { from: since }),
          ...(until === undefined ? {} : { before: until }),
        }
        const found = await index.sightings({
          ...filter,
          ...(before === undefined ? {} : { after: placeOf(before) }),
        })
        const last = found.length < query.limit ? undefined : found.at(-1)
        return {
          viewers: (await index.viewers({ ...filter, limit: LIMITS.sightingsListedMax })).map((each) => ({
            ...each,
            chain: [...each.chain],
          })),
          sightings: found.map(({ empty: _empty, ...each }) => ({ ...each, chain: [...each.chain] })),
          ...(last === undefined ? {} : { next: textOf(last) }),
        }
      },
    }),
    route({
      method: 'GET',
      path: '/v1/audit/seen',
      summary:
        'What an identity got: labelled columns, masked or clear, and tables it read or wrote. Asking is recorded.',
      access: ['operator socket', 'admin', 'auditor'],
      params: none,
      query: z.object({
        /** An identity anywhere in the chain: `agent:support-agent`. */
        by: z.string().min(1).max(600),
        since: instant.optional(),
        until: instant.optional(),
        limit: count(LIMITS.sightingsListedMax).default(LIMITS.sightingsListedMax),
      }),
      body: none,
      answer: z.object({
        columns: z.array(z.object({ column: z.string(), label: z.string(), shown, ...totals })),
        tables: z.array(
          z.object({
            kind: z.enum(['read', 'written']),
            table: z.string(),
            commands: z.int(),
            firstAt: z.int(),
            lastAt: z.int(),
          }),
        ),
      }),
      records: ({ query: { by, limit: _limit, ...times } }) => ({
        action: 'audit.seen',
        target: by,
        details: given(times),
      }),
      async handle({ query: { by, since, until, limit: most } }) {
        const index = await parts.recording.upToDate()
        const filter = {
          by,
          limit: most,
          ...(since === undefined ? {} : { from: since }),
          ...(until === undefined ? {} : { before: until }),
        }
        return {
          columns: [...(await index.seenColumns(filter))],
          tables: [...(await index.seenTables(filter))],
        }
      },
    }),
  ]
}

/** A place in the list as a text that means nothing to who passes it back. */
function textOf({ at, session, n, column, label }: SightingPlace): string {
  return Buffer.from(JSON.stringify([at, session, n, column, label])).toString('base64url')
}

function placeOf(text: string): SightingPlace {
  try {
    const [at, session, n, column, label] = place.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    return { at, session: brand<SessionId>(session), n, column, label }
  } catch (cause) {
    throw new GatewayError('invalid', 'This is no place in the list: pass what a page before calls next.', {
      cause,
    })
  }
}
