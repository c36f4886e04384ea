import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { RecordedEntry } from '../../src/recording/index.ts'
import { journalOf } from '../abuse/evidence.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { LoggedStatement, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { startLoad } from './load.ts'

const CLIENTS = 6
/**
 * Long enough that some kills find everything on its way, short enough that some find logins: the first sessions behind a start
 * take up to a second, and nothing stands between them and it.
 */
const RUN_MS_MAX = 2_500

describe('P-07 crash safe: kill -9 at a random moment of a load', () => {
  const later = teardown()
  const random = randomFrom(seed)
  let server: TestServer
  let gateway: TestGateway

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    await server.role('loaded', 'load-password')
    await server.sql('CREATE DATABASE marked OWNER loaded')
    await server.sql('CREATE TABLE marks (mark text)', [], 'marked')
    await server.sql('GRANT ALL ON marks TO loaded', [], 'marked')
    const config = allowAll({ open: { server, user: 'loaded', databases: ['marked'] } })
    gateway = await startGateway({
      // With the session in the name of the application, the log tells whose a statement is.
      config: config.replaceAll('    tagApplicationName: false\n', ''),
      env: { [UPSTREAM_PASSWORD]: 'load-password' },
    })
    later(() => gateway.stop())
  })

  test('every statement that the server ran is recorded, every session has an end, and it starts by itself', async () => {
    const kills = times({ small: 3, full: 200 })
    const answered = new Set<string>()
    const key = (await gateway.cli(['audit', 'key'])).stdout.trim()
    for (let kill = 0; kill < kills; kill++) {
      const dsn = await gateway.dsn('open', TEST_IDENTITY)
      const load = startLoad(dsn, CLIENTS, `k${kill}`)
      await sleep(100 + random() * RUN_MS_MAX)
      gateway = await gateway.crashAndRestart()
      await load.stop()
      for (const mark of load.answered) answered.add(mark)

      const entries = await journalOf(gateway)
      const where = `kill ${kill}, seed ${seed}`
      expect(endless(entries), where).toEqual([])
      expect(unrecorded(await server.statementsLogged(), entries).slice(0, 3), where).toEqual([])
      expect(gateway.stderr(), where).toBe('')
      await proven(gateway, key, where)
    }
    // What a client was told of has an outcome in the recording: nothing that was acknowledged is lost.
    const entries = await journalOf(gateway)
    const told = outcomes(entries)
    expect([...answered].filter((mark) => !told.has(mark)).slice(0, 3), `seed ${seed}`).toEqual([])
    expect(answered.size).toBeGreaterThan(kills * 10)
    expect((await server.statementsLogged()).length).toBeGreaterThan(answered.size)
    tally('kills', kills)
    tally('statements', (await server.statementsLogged()).length)
    tally('answered', answered.size)
  }, 3_600_000)
})

/** The recording proves itself as soon as what the crash left has been sealed. */
async function proven(gateway: TestGateway, key: string, where: string): Promise<void> {
  await eventually(
    `a proof, ${where}`,
    async () => {
      const done = await gateway.cli(['audit', 'verify', gateway.dataDirectory, '--key', key])
      if (done.code !== 0) throw new Error(`${done.code}: ${done.stdout}${done.stderr}`)
      return true
    },
    60_000,
  )
}

/** Sessions that were opened and have no last entry. */
function endless(entries: readonly RecordedEntry[]): string[] {
  const open = new Set<string>()
  for (const { session, entry } of entries) {
    if (session === undefined) continue
    if (entry.kind === 'open') open.add(session)
    else if (entry.kind === 'close') open.delete(session)
  }
  return [...open]
}

/** Statements of the server's log without an entry of their own in the session they belong to. */
function unrecorded(logged: readonly LoggedStatement[], entries: readonly RecordedEntry[]): string[] {
  const recorded = new Map<string, number>()
  for (const { session, entry } of entries) {
    if (entry.kind !== 'intent' || entry.head.decision !== 'allow') continue
    const values = (entry.head.parameters ?? []).map((value) =>
      value === null ? 'NULL' : `'${Buffer.from(value, 'base64').toString()}'`,
    )
    const key = `${session} ${entry.head.text} ${values.join(', ')}`
    recorded.set(key, (recorded.get(key) ?? 0) + 1)
  }
  const missing: string[] = []
  for (const each of logged) {
    const session = /sluice:(\S+)/.exec(each.application)?.[1]
    if (session === undefined) continue
    const values = each.parameters.replaceAll(/\$\d+ = /g, '')
    const key = `${session} ${each.text} ${values}`
    const left = (recorded.get(key) ?? 0) - 1
    recorded.set(key, left)
    // A simple query of several statements is logged once.
    if (left < 0) missing.push(key)
  }
  return missing
}

/** Marks whose command has an outcome. */
function outcomes(entries: readonly RecordedEntry[]): Set<string> {
  const texts = new Map<string, string>()
  const marks = new Set<string>()
  for (const { session, entry } of entries) {
    if (entry.kind === 'intent') {
      const values = (entry.head.parameters ?? []).map((value) =>
        Buffer.from(value ?? '', 'base64').toString(),
      )
      texts.set(`${session} ${entry.head.n}`, `${entry.head.text} ${values.join(' ')}`)
    } else if (entry.kind === 'outcome' && entry.head.outcome === 'ok') {
      const text = texts.get(`${session} ${entry.head.n}`) ?? ''
      const mark = /k\d+-\d+-\d+/.exec(text)?.[0]
      if (mark !== undefined) marks.add(mark)
    }
  }
  return marks
}
