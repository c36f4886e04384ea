import { PassThrough } from 'node:stream'
import { z } from 'zod'
import type { SessionId } from '../../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../../core/index.ts'
import type { Followed } from '../../recording/index.ts'
import { formatEntry } from '../../recording/index.ts'
import type { Caller } from '../caller.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { given, none, route, stream } from '../route.ts'
import { SealedReading } from '../sealed.ts'

const query = z.object({
  session: z.string().max(26).optional(),
  connection: z.string().max(64).optional(),
  identity: z.string().max(600).optional(),
})

type Wanted = z.output<typeof query>

export function tailRoutes(parts: ApiParts): readonly AnyRoute[] {
  let readers = 0
  return [
    route({
      method: 'GET',
      path: '/v1/sessions/tail',
      summary:
        'Server-sent events: `entry` for each entry as it is recorded, without the bytes of results, and `gap` with the number of entries that a slow reader missed. Following is recorded.',
      access: ['operator socket', 'admin', 'auditor'],
      produces: 'text/event-stream',
      params: none,
      query,
      body: none,
      answer: stream(),
      records: ({ query: wanted }) => ({ action: 'recording.tail', details: given(wanted) }),
      handle({ query: wanted, caller }) {
        if (readers >= LIMITS.eventStreamsMax) {
          throw new GatewayError('limit_exceeded', 'Too many readers follow the recording.', {
            retry: 'later',
          })
        }
        readers++
        const following = follow(parts, wanted, caller)
        following.on('close', () => readers--)
        return following
      },
    }),
  ]
}

/** What one reader gets. It may leave `eventStreamBytesMax` unread; what comes then it misses, and is told so. */
function follow(parts: ApiParts, wanted: Wanted, caller: Caller): PassThrough {
  const { tail, gateway, clock } = parts
  const out = new PassThrough()
  const reading = new SealedReading(parts, caller)
  for (const { id, opening } of gateway.sessions()) reading.on(id, opening.connection.name)
  const isWanted = selection(wanted, gateway.sessions())
  let missed = 0
  const isFull = (): boolean => out.writableLength + out.readableLength > LIMITS.eventStreamBytesMax
  const end = tail.follow((entries, missedBefore) => {
    missed += missedBefore
    for (const stored of entries) {
      const followed = { ...stored, entry: reading.shown(stored.session ?? '', stored.entry) }
      if (!isWanted(followed)) continue
      if (isFull()) {
        missed++
        continue
      }
      if (missed > 0) out.write(gap(missed))
      missed = 0
      out.write(`event: entry\ndata: ${JSON.stringify(shown(followed))}\n\n`)
    }
  })
  const beat = (): void => {
    clock.after(LIMITS.eventStreamBeatMs, () => {
      if (out.destroyed || out.writableEnded) return
      if (!isFull()) {
        out.write(missed > 0 ? gap(missed) : ': still here\n\n')
        missed = 0
      }
      beat()
    })
  }
  out.on('close', end)
  out.write(': connected\n\n')
  beat()
  return out
}

function gap(missed: number): string {
  return `event: gap\ndata: ${JSON.stringify({ missed })}\n\n`
}

/** Which entries: of one session, or of sessions by what their opening said; all, administrative ones too, without a filter. */
function selection(
  { session, connection, identity }: Wanted,
  live: ReturnType<ApiParts['gateway']['sessions']>,
): (followed: Followed) => boolean {
  if (session === undefined && connection === undefined && identity === undefined) return () => true
  const fits = (id: SessionId, on: string, chain: readonly string[]): boolean =>
    (session === undefined || id === session) &&
    (connection === undefined || on === connection) &&
    (identity === undefined || chain.includes(identity))
  const wanted = new Set<SessionId>()
  for (const { id, opening } of live)
    if (fits(id, opening.connection.name, opening.chain.map(identityKey))) wanted.add(id)
  return ({ session: id, entry }) => {
    if (id === undefined) return false
    if (entry.kind === 'open' && fits(id, entry.head.connection, entry.head.chain.map(identityKey)))
      wanted.add(id)
    const has = wanted.has(id)
    if (entry.kind === 'close') wanted.delete(id)
    return has
  }
}

function shown({ time, session, entry }: Followed) {
  return {
    time,
    ...(session === undefined ? {} : { session }),
    kind: entry.kind,
    head: entry.head,
    text: formatEntry({ sequence: 0, time, session, entry }),
  }
}
