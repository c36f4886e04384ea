import { expect, test } from 'vitest'
import type { SessionId } from '../core/index.ts'
import type { SessionIndex, SessionSummary } from '../recording/index.ts'
import { sessionId } from './entries.ts'

/** A summary for tests: only what a test is about has to be spelled out. */
export function summaryOf(session: SessionId, rest: Partial<SessionSummary> = {}): SessionSummary {
  return {
    session,
    openedAt: 1_767_225_600_000,
    connection: 'crm',
    protocol: 'postgres',
    chain: ['agent:support-agent', 'person:ada@example.com'],
    credential: 'c_0',
    mintedBy: 'operator socket',
    clientAddress: '127.0.0.1',
    program: 'psql',
    database: 'crm',
    config: 'v1',
    commands: 0,
    denied: 0,
    held: 0,
    rows: 0,
    bytes: 0,
    ...rest,
  }
}

/** What every list of sessions must do; `make` gives an empty one. */
export function sessionIndexSuite(make: () => Promise<SessionIndex> | SessionIndex): void {
  test('an empty list has position 0 and knows nobody', async () => {
    const index = await make()
    expect(await index.position()).toBe(0)
    expect(await index.get(sessionId())).toBeUndefined()
    expect(await index.list({ limit: 10 })).toEqual([])
  })

  test('a summary comes back as it was put in, and is replaced as a whole', async () => {
    const index = await make()
    const open = summaryOf(sessionId(), { program: "it's \u{1f600} \\ \u0000", bytes: 2 ** 52, database: '' })
    await index.upsert([open], 7)
    expect(await index.get(open.session)).toEqual(open)
    expect(await index.position()).toBe(7)
    const closed = { ...open, closedAt: open.openedAt + 5, closeReason: 'client left', commands: 3 }
    await index.upsert([closed], 2 ** 52)
    expect(await index.get(open.session)).toEqual(closed)
    expect(await index.position()).toBe(2 ** 52)
    expect(await index.list({ limit: 10 })).toEqual([closed])
  })

  test('the position can be moved alone, and back', async () => {
    const index = await make()
    await index.upsert([], 9)
    await index.upsert([], 4)
    expect(await index.position()).toBe(4)
  })

  test('newest first, in pages', async () => {
    const index = await make()
    const ids = Array.from({ length: 25 }, (_, at) => sessionId(Date.UTC(2026, 0, 1) + at))
    await index.upsert(
      [...ids].sort().map((session) => summaryOf(session)),
      1,
    )
    const seen: SessionId[] = []
    let before: SessionId | undefined
    for (;;) {
      const page = await index.list({ limit: 10, ...(before === undefined ? {} : { before }) })
      seen.push(...page.map(({ session }) => session))
      before = page.at(-1)?.session
      if (page.length < 10) break
    }
    expect(seen).toEqual(ids.toReversed())
  })

  test('every field of a filter must match', async () => {
    const index = await make()
    const [a, b, c] = [sessionId(1000), sessionId(2000), sessionId(3000)]
    await index.upsert(
      [
        summaryOf(a, { openedAt: 1000, connection: 'crm' }),
        summaryOf(b, { openedAt: 2000, connection: 'billing', chain: ['person:ada@example.com'] }),
        summaryOf(c, { openedAt: 3000, connection: 'crm', closedAt: 4000, chain: ['agent:support-agent%'] }),
      ],
      1,
    )
    const listed = async (filter: object): Promise<SessionId[]> =>
      (await index.list({ limit: 10, ...filter })).map(({ session }) => session)
    expect(await listed({ connection: 'crm' })).toEqual([c, a])
    expect(await listed({ identity: 'person:ada@example.com' })).toEqual([b, a])
    // A key as a whole: neither a part of one nor a pattern.
    expect(await listed({ identity: 'person:ada' })).toEqual([])
    expect(await listed({ identity: 'agent:support-agent' })).toEqual([a])
    expect(await listed({ identity: 'agent:support-agent%' })).toEqual([c])
    expect(await listed({ open: true })).toEqual([b, a])
    expect(await listed({ open: false })).toEqual([c])
    expect(await listed({ openedFrom: 2000 })).toEqual([c, b])
    expect(await listed({ openedBefore: 2000 })).toEqual([a])
    expect(await listed({ connection: 'crm', open: true, openedFrom: 1000, openedBefore: 1001 })).toEqual([a])
    expect(await listed({ connection: 'crm', identity: 'person:nobody' })).toEqual([])
  })
}
