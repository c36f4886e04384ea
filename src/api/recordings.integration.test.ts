/** Recordings over the API: listing page by page, searching, following, and who saw what. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { IdentityChain, LabelName, SessionId } from '../core/index.ts'
import { brand, LIMITS } from '../core/index.ts'
import { readJournal } from '../recording/index.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry, sessionId } from '../testing/entries.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'

let api: TestApi
let sessions: SessionId[]
let token: string

beforeAll(async () => {
  api = await startTestApi()
  const { journal, localIdentity, issuer } = api.gateway.parts
  const bob = localIdentity('bob')
  if (bob === undefined) throw new Error('bob')
  token = (await issuer.issue([bob] satisfies IdentityChain, 600_000)).token.reveal()
  sessions = [0, 1, 2, 3, 4].map((n) => sessionId(Date.now() - 10_000 + n))
  const columns = [
    { column: 'public.customers.email', label: brand<LabelName>('pii.email') },
    { column: 'public.leads.email', label: brand<LabelName>('pii.email') },
  ]
  for (const [i, id] of sessions.entries()) {
    journal.append(id, openEntry())
    const text = i === 3 ? 'DELETE\n  FROM Customers' : 'SELECT 1'
    journal.append(
      id,
      intentEntry(1, {
        text,
        reads: ['public.customers'],
        columns,
        ...(i === 1 ? { masked: ['pii.email'] } : {}),
      }),
    )
    journal.append(id, outcomeEntry(1, { rows: i, tag: `SELECT ${i}` }))
    journal.append(id, closeEntry(1))
  }
  journal.sync()
})

afterAll(() => api.stop())

const get = (path: string) => api.person('GET', path, { token })
const ids = (body: Record<string, unknown>) =>
  (body.sessions as { session: string }[]).map(({ session }) => session)

it('lists page by page, and the last page says so', async () => {
  const newest = sessions.toReversed()
  const first = await get('/v1/sessions?limit=3&table=public.customers&class=read')
  expect(ids(first.body)).toEqual(newest.slice(0, 3))
  expect(first.body.next).toBe(newest[2])
  const second = await get(`/v1/sessions?limit=3&before=${String(first.body.next)}`)
  expect(ids(second.body)).toEqual(newest.slice(3))
  expect(second.body.next).toBeUndefined()
  expect((await get('/v1/sessions?class=sleep')).status).toBe(400)
  expect((await get(`/v1/sessions?limit=${LIMITS.sessionsListedMax + 1}`)).status).toBe(400)
})

it('finds a text in statements, whatever its case and spacing, and says where it goes on', async () => {
  const found = await get('/v1/sessions/search?text=delete%20from%20customers')
  expect(found.body).toMatchObject({ sessions: [{ session: sessions[3], matches: [1] }], searched: 5 })
  const first = await get('/v1/sessions/search?text=SELECT&limit=1')
  expect(ids(first.body)).toEqual([sessions[4]])
  const next = await get(`/v1/sessions/search?text=SELECT&limit=9&before=${String(first.body.next)}`)
  expect(ids(next.body)).toEqual([sessions[2], sessions[1], sessions[0]])
  expect((await get('/v1/sessions/search')).status).toBe(400)
})

it('shows sealed values to who may see their label, and to nobody else', async () => {
  const { journal, localIdentity, issuer } = api.gateway.parts
  const ada = localIdentity('ada')
  if (ada === undefined) throw new Error('ada')
  const sees = (await issuer.issue([ada] satisfies IdentityChain, 600_000)).token.reveal()
  const labels = [brand<LabelName>('pii.email')]
  const id = sessionId(Date.now() - 60_000)
  const events = await api.open(`/v1/sessions/tail?session=${id}`, token)
  journal.append(id, openEntry())
  journal.append(
    id,
    intentEntry(1, {
      text: 'SELECT id FROM customers WHERE email IN ([sealed 1], $1)',
      parameters: ['[sealed 2]'],
      sealed: [
        {
          labels,
          numbers: [1, 2],
          data: journal.seal(labels, ["'marker-1'", Buffer.from('marker-2').toString('base64')]),
        },
      ],
    }),
  )
  journal.append(id, closeEntry(1))
  journal.sync()
  const text = 'SELECT id FROM customers WHERE email IN'
  const told = async (who: string) => (await api.person('GET', `/v1/sessions/${id}`, { token: who })).body
  expect(JSON.stringify(await told(sees))).toContain(`${text} ('marker-1', $1)`)
  expect(JSON.stringify(await told(sees))).toContain('$1 = \\"marker-2')
  // Also from the middle, where no entry says which connection it is.
  const { entries } = (await api.person('GET', `/v1/sessions/${id}?limit=1`, { token: sees })).body
  const [{ sequence }] = entries as [{ sequence: number }]
  const middle = await api.person('GET', `/v1/sessions/${id}?after=${sequence}`, { token: sees })
  expect(middle.text).toContain('marker-1')
  const operator = (await api.operator('GET', `/v1/sessions/${id}`)).body
  for (const body of [await told(token), operator]) {
    expect(JSON.stringify(body)).toContain(`${text} ([sealed pii.email], $1)`)
    expect(JSON.stringify(body)).toContain('$1 = [sealed pii.email]')
    expect(JSON.stringify(body)).not.toMatch(/marker|bWFya2Vy|"data"/)
  }
  const search = async (who: string) =>
    ids((await api.person('GET', '/v1/sessions/search?text=marker-1', { token: who })).body)
  expect(await search(sees)).toEqual([id])
  expect(await search(token)).toEqual([])
  let followed = ''
  for await (const chunk of events) {
    followed += chunk.toString()
    if (followed.includes('"kind":"close"')) break
  }
  events.destroy()
  expect(followed).toContain('[sealed pii.email]')
  expect(followed).not.toMatch(/marker|bWFya2Vy|"data"/)
})

it('tells who saw a column or label, page by page even inside of one command', async () => {
  const { body } = await get('/v1/audit/who?saw=pii.email&limit=3')
  expect(body.viewers).toMatchObject([
    { shown: 'clear', commands: 3, rows: 9 },
    { shown: 'masked', commands: 1, rows: 1 },
  ])
  const seen = body.sightings as { session: string; column: string }[]
  const rest = (await get(`/v1/audit/who?saw=pii.email&before=${String(body.next)}`)).body
  const all = [...seen, ...(rest.sightings as typeof seen)]
  expect(all).toHaveLength(8)
  expect(new Set(all.map(({ session, column }) => session + column)).size).toBe(8)
  expect(rest.next).toBeUndefined()
  expect((await get('/v1/audit/who?saw=pii.email&before=nonsense')).status).toBe(400)
  const by = (await get('/v1/audit/seen?by=person:ada@example.com')).body
  expect(by.columns).toHaveLength(4)
  expect(by.tables).toMatchObject([{ table: 'public.customers', kind: 'read', commands: 5 }])
})

it('follows what is recorded; a reader that stops reading misses some and is told how many', async () => {
  const { journal } = api.gateway.parts
  const stream = await api.open(`/v1/sessions/tail?connection=crm`, token)
  const events = stream[Symbol.asyncIterator]()
  expect((await events.next()).value?.toString()).toBe(': connected\n\n')
  const id = sessionId()
  journal.append(id, openEntry())
  journal.append(sessionId(), openEntry({ connection: 'other' }))
  journal.flush()
  const text = (await events.next()).value?.toString() ?? ''
  expect(text).toMatch(/^event: entry\ndata: \{.*"kind":"open".*\}\n\n$/)
  expect(text).toContain(id)
  const long = 'x'.repeat(100_000)
  const before = process.memoryUsage.rss()
  const count = 600
  for (let n = 1; n <= count; n++) {
    journal.append(id, intentEntry(n, { text: long }))
    journal.flush()
    if (n % 50 === 0) await sleep(1)
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(400 * 1024 * 1024)
  let last = count
  const writing = setInterval(() => {
    journal.append(id, intentEntry(++last, { text: 'again' }))
    journal.flush()
  }, 20)
  let [rest, entries, missed, reached] = ['', 0, 0, 0]
  for await (const chunk of { [Symbol.asyncIterator]: () => events }) {
    const blocks = (rest + chunk.toString()).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      missed += Number(/^event: gap\ndata: \{"missed":(\d+)\}$/.exec(block)?.[1] ?? 0)
      const n = /"kind":"intent","head":\{"n":(\d+)/.exec(block)?.[1]
      if (n === undefined) continue
      entries++
      reached = Number(n)
      if (reached > count) break
    }
    if (reached > count) break
  }
  clearInterval(writing)
  expect(missed).toBeGreaterThan(10)
  expect(entries + missed).toBe(reached)
  stream.destroy()
})

it.each([
  ['an operator', 'oscar', true],
  ['an agent', 'support-agent', false],
] as const)('lets %s read no recording and ask nothing about one', async (_who, name, lists) => {
  const { issuer, localIdentity } = api.gateway.parts
  const identity = localIdentity(name)
  if (identity === undefined) throw new Error(name)
  const theirs = (await issuer.issue([identity] satisfies IdentityChain, 600_000)).token.reveal()
  const statusOf = async (path: string) => (await api.person('GET', path, { token: theirs })).status
  expect(await statusOf('/v1/sessions')).toBe(lists ? 200 : 403)
  for (const path of [
    `/v1/sessions/${sessions[0]}`,
    '/v1/sessions/search?text=select',
    '/v1/sessions/tail',
    '/v1/audit/who?saw=pii.email',
    '/v1/audit/seen?by=person:bob',
  ])
    expect(await statusOf(path), path).toBe(403)
})

it('records every one of these readings, and not what was searched for', async () => {
  await get(`/v1/sessions/${sessions[0]}?purpose=export&results=true`)
  const records: string[] = []
  for await (const { entry } of readJournal(api.dataDirectory, api.recordingKeys))
    if (entry.kind === 'admin') records.push(JSON.stringify(entry.head))
  const all = records.join('\n')
  for (const action of [
    'recording.search',
    'recording.tail',
    'audit.who',
    'audit.seen',
    '"purpose":"export"',
  ])
    expect(all).toContain(action)
  expect(all.toLowerCase()).not.toContain('delete')
})
