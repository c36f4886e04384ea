/** A whole gateway that seals, erases and uploads all at once, while it is killed and while its system calls fail. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { ApiClient, OPERATOR_SOCKET } from '../../src/api/client.ts'
import { brand, type SessionId } from '../../src/core/index.ts'
import { readSession } from '../../src/recording/index.ts'
import { S3_BUCKET, S3_KEYS, S3Server } from '../../src/testing/s3-server.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { inject } from './inject.ts'

const KILLS = times({ small: 2, full: 200 })
const CLIENTS = 3
/** Sessions of each client between two kills. */
const SESSIONS_EACH = 4
const ERASED_AT_ONCE = 2
const RUN_MS_MAX = 4_000
const FAULT_MS = 2_500
const PREFIX = 'gateway-1/'

/**
 * Not those that sockets and threads need as well: what erasing and uploading write is met by call in the two files beside
 * this one.
 */
const FAULTS = [
  { name: 'open', calls: ['openat', 'openat2', 'open', 'creat'], error: 'EMFILE' },
  { name: 'fsync', calls: ['fsync', 'fdatasync', 'sync_file_range'], error: 'EIO' },
  { name: 'rename', calls: ['rename', 'renameat', 'renameat2', 'link', 'linkat'], error: 'EIO' },
  { name: 'unlink', calls: ['unlink', 'unlinkat', 'rmdir'], error: 'EACCES' },
  {
    name: 'a full disk',
    calls: ['pwrite64', 'pwritev', 'pwritev2', 'ftruncate', 'fallocate', 'mkdir', 'mkdirat'],
    error: 'ENOSPC',
  },
] as const

describe('a gateway that seals, erases and uploads', () => {
  const later = teardown()
  const random = randomFrom(seed)
  /** Sessions that have ended for their client, and the mark in each. */
  const ended = new Map<string, string>()
  /** Those that somebody asked to erase, and whether the gateway said yes. */
  const asked = new Map<string, boolean>()
  let server: TestServer
  let store: S3Server
  let gateway: TestGateway
  let key: string
  let marks = 0

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    store = await S3Server.open()
    later(() => store.close())
    await server.role('loaded', 'load-password')
    await server.sql('CREATE DATABASE marked OWNER loaded')
    const config = allowAll({ open: { server, user: 'loaded', databases: ['marked'] } })
    gateway = await startGateway({
      config: `${config}recording:
  store:
    url: s3://${S3_BUCKET}/gateway-1
    endpoint: ${store.endpoint}
    accessKey: "\${env:S3_ID}"
    secretKey: "\${env:S3_SECRET}"
    spool: 64MiB
`,
      env: {
        [UPSTREAM_PASSWORD]: 'load-password',
        S3_ID: S3_KEYS.accessKeyId,
        S3_SECRET: S3_KEYS.secretAccessKey,
      },
    })
    later(() => gateway.stop())
    key = (await gateway.cli(['audit', 'key'])).stdout.trim()
  }, 120_000)

  /** Sessions one behind the other, each with a mark in its statement and its result, until told to stop. */
  async function sessionsUntil(dsn: string, stopping: AbortSignal): Promise<void> {
    for (let n = 0; n < SESSIONS_EACH && !stopping.aborted; n++) {
      const client = new Client({ connectionString: dsn, connectionTimeoutMillis: 10_000 })
      // The gateway is killed under it, or cannot serve: that is the point.
      client.on('error', () => undefined)
      try {
        await client.connect()
        const { rows } = await client.query('SELECT session FROM sluice.whoami')
        const mark = `mark-${++marks}-${seed}`
        await client.query(`SELECT '${mark}', repeat('x', 20000)`)
        await client.end()
        ended.set(String(rows[0]?.session), mark)
      } catch {
        await sleep(50)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
  }

  /** Asks to erase some of the sessions that have ended. */
  async function eraseSome(): Promise<void> {
    const open = [...ended.keys()].filter((id) => asked.get(id) !== true)
    const some = Array.from({ length: ERASED_AT_ONCE }, () => open[Math.floor(random() * open.length)])
    const client = new ApiClient({ kind: 'socket', path: join(gateway.dataDirectory, OPERATOR_SOCKET) })
    try {
      await Promise.all([...new Set(some)].filter((id) => id !== undefined).map((id) => erase(client, id)))
    } finally {
      await client.close()
    }
  }

  /** Whether it was erased, or will be: that is what the answer says. */
  async function erase(client: ApiClient, id: string): Promise<void> {
    asked.set(id, false)
    try {
      await client.call('POST', `/v1/sessions/${id}/erasures`, { reason: 'case 4711' })
      asked.set(id, true)
    } catch {
      // Killed under it, or it said that it cannot: then nobody was told that it is done.
    }
  }

  /** The recording proves itself, and so does what the store has; payloads that are gone were told. */
  async function proven(where: string): Promise<void> {
    const { dataDirectory } = gateway
    for (const [what, env] of [
      [[dataDirectory], {}],
      [[`s3://${S3_BUCKET}/gateway-1`, '--endpoint', store.endpoint], awsKeys],
    ] as const)
      await eventually(
        `a proof of ${what[0]}, ${where}`,
        async () => {
          const done = await gateway.cli(['audit', 'verify', ...what, '--key', key], { env: { ...env } })
          if (done.code !== 0) throw new Error(`${done.code}: ${done.stdout}${done.stderr}`)
          return true
        },
        120_000,
      )
  }

  /** How often the marks of sessions are found in what the store has, read by somebody who lost the machine. */
  async function foundInStore(
    ids: readonly string[],
  ): Promise<{ readonly id: string; readonly found: number }[]> {
    const copy = mkdtempSync(join(tmpdir(), 'sluice-store-'))
    try {
      for (const [path, { bytes }] of store.objects) {
        if (!path.startsWith(`${PREFIX}sessions/`)) continue
        const at = join(copy, path.slice(PREFIX.length))
        mkdirSync(dirname(at), { recursive: true })
        writeFileSync(at, bytes)
      }
      const all = []
      for (const id of ids) {
        const mark = ended.get(id) ?? ''
        let found = 0
        for await (const { entry } of readSession(copy, gateway.recordingKeys, brand<SessionId>(id))) {
          const body = 'body' in entry ? Buffer.from(entry.body ?? []).toString('latin1') : ''
          found += `${JSON.stringify(entry.head)}${body}`.split(mark).length - 1
        }
        all.push({ id, found })
      }
      return all
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  }
  const awsKeys = { AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey }

  test.each(FAULTS)(
    'while $name fails: it serves again, and nothing is lost or comes back (P-04)',
    async (fault) => {
      const stopping = new AbortController()
      const dsn = await gateway.dsn('open', TEST_IDENTITY)
      await sessionsUntil(dsn, stopping.signal)
      const injected = await inject(gateway.pid, fault)
      const load = Array.from({ length: CLIENTS }, () => sessionsUntil(dsn, stopping.signal))
      const erasing = eraseSome()
      await sleep(FAULT_MS)
      await eventually('calls fail', () => injected.failed() > 0, 30_000)
      await injected.over()
      await Promise.all([...load, erasing])
      stopping.abort()
      await eventually(
        'service goes on',
        async () => {
          const before = ended.size
          await sessionsUntil(dsn, new AbortController().signal)
          return ended.size > before
        },
        30_000,
      )
      await proven(fault.name)
      tally('faults', 1)
    },
    300_000,
  )

  test('killed at random moments: it starts by itself, and nothing is lost or comes back (P-07)', async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const where = `kill ${kill}, seed ${seed}`
      const stopping = new AbortController()
      const dsn = await gateway.dsn('open', TEST_IDENTITY)
      const load = Array.from({ length: CLIENTS }, () => sessionsUntil(dsn, stopping.signal))
      const erasing = eraseSome()
      await sleep(100 + random() * RUN_MS_MAX)
      gateway = await gateway.crashAndRestart()
      stopping.abort()
      await Promise.all([...load, erasing])
      expect(gateway.stderr(), where).toBe('')
      await proven(where)
    }
    tally('kills', KILLS)
  }, 7_200_000)

  test('in the end all that was not erased is there, and nothing that was', async () => {
    // What was accepted and not done is done by itself, a minute after the start, when the journal has let go of it.
    gateway = await gateway.restart()
    await sessionsUntil(await gateway.dsn('open', TEST_IDENTITY), new AbortController().signal)
    await eraseSome()
    const folder = join(gateway.dataDirectory, 'erasures')
    await eventually(
      'all that was accepted',
      () => !existsSync(folder) || readdirSync(folder).filter((name) => name.endsWith('.json')).length === 0,
      150_000,
    )
    const name = (id: string): string =>
      [...store.objects.keys()].find((each) => each.endsWith(`${id}.slr`)) ?? ''
    await eventually(
      'all sessions in the store',
      () => [...ended.keys()].every((id) => name(id) !== ''),
      60_000,
    )
    const isUploaded = async (): Promise<boolean> => {
      const said: { store: { waitingFiles: number } } = JSON.parse(
        (await gateway.cli(['status', '--json'])).stdout,
      )
      return said.store.waitingFiles === 0
    }
    await eventually('nothing that waits', isUploaded, 60_000)
    await proven('in the end')
    const isAsked = (state: boolean | undefined): string[] =>
      [...ended.keys()].filter((id) => asked.get(id) === state)
    // What was erased a moment ago goes from the store when that is looked at again.
    await eventually(
      'what was erased is gone from the store',
      async () => (await foundInStore(isAsked(true))).every(({ found }) => found === 0),
      60_000,
    )
    for (const { id, found } of await foundInStore(isAsked(undefined)))
      expect(found, `${id} ${ended.get(id)}, seed ${seed}`).toBeGreaterThanOrEqual(2)
    // Asked for and never answered: either is right.
    const erased = isAsked(true).length
    expect(erased).toBeGreaterThan(0)
    tally('sessions', ended.size)
    tally('erased', erased)
  }, 600_000)
})
