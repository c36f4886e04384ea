import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { journalOf } from '../abuse/evidence.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Fault } from './inject.ts'
import { inject } from './inject.ts'

const FAULT_MS = 2_500
const CONNECTIONS = ['kept', 'synced'] as const
const CLIENTS_EACH = 2

/** What fails, and whether commands must be refused meanwhile: what is needed after a command only may be late. */
const FAULTS: readonly (Fault & { readonly name: string; readonly refuses: boolean })[] = [
  { name: 'open', calls: ['openat', 'openat2', 'open', 'creat'], error: 'EMFILE', refuses: false },
  { name: 'write', calls: ['pwrite64', 'pwritev', 'pwritev2'], error: 'EIO', refuses: true },
  { name: 'fsync', calls: ['fsync', 'fdatasync', 'sync_file_range'], error: 'EIO', refuses: true },
  {
    name: 'rename',
    calls: ['rename', 'renameat', 'renameat2', 'link', 'linkat'],
    error: 'EIO',
    refuses: false,
  },
  { name: 'close', calls: ['close'], error: 'EIO', refuses: false },
  { name: 'unlink', calls: ['unlink', 'unlinkat', 'rmdir'], error: 'EACCES', refuses: false },
  {
    name: 'a full disk',
    calls: ['pwrite64', 'pwritev', 'pwritev2', 'ftruncate', 'fallocate', 'mkdir', 'mkdirat'],
    error: 'ENOSPC',
    refuses: true,
  },
]

describe('P-04: system calls fail under a load', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let marks = 0
  const dsns = new Map<string, string>()

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    await server.role('loaded', 'load-password')
    await server.sql('CREATE DATABASE marked OWNER loaded')
    await server.sql('CREATE TABLE marks (mark text)', [], 'marked')
    await server.sql('GRANT ALL ON marks TO loaded', [], 'marked')
    const upstream = { server, user: 'loaded', databases: ['marked'] }
    const config = allowAll({ kept: upstream, synced: upstream })
    gateway = await startGateway({
      config: config.replace('  synced:\n', '  synced:\n    durability: fsync\n'),
      env: { [UPSTREAM_PASSWORD]: 'load-password' },
    })
    later(() => gateway.stop())
    for (const connection of CONNECTIONS) dsns.set(connection, await gateway.dsn(connection, TEST_IDENTITY))
  })

  /** Inserts marks until told to stop, over one connection after the other. Gives what went wrong. */
  async function insertUntil(connection: string, fault: string, stopping: AbortSignal): Promise<string[]> {
    const errors: string[] = []
    while (!stopping.aborted) {
      const client = new pg.Client({
        connectionString: dsns.get(connection) ?? '',
        connectionTimeoutMillis: 5_000,
      })
      client.on('error', () => undefined)
      try {
        await client.connect()
        // Sessions end while the fault lasts, too.
        for (let n = 0; n < 20 && !stopping.aborted; n++)
          await client.query(`INSERT INTO marks VALUES ('${++marks} under ${fault}')`)
      } catch (error) {
        errors.push(`${(error as pg.DatabaseError).code}: ${(error as Error).message}`)
        await sleep(20)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
    return errors
  }

  test.each(FAULTS)(
    '$name: nothing runs without its record, and service goes on when it is over',
    async (fault) => {
      const stopping = new AbortController()
      const load = CONNECTIONS.flatMap((connection) =>
        Array.from({ length: CLIENTS_EACH }, () => insertUntil(connection, fault.name, stopping.signal)),
      )
      await sleep(300)
      const injected = await inject(gateway.pid, fault)
      await sleep(FAULT_MS)
      await eventually('calls fail', () => injected.failed() > 0, 30_000)
      await injected.over()
      stopping.abort()
      const errors = (await Promise.all(load)).flat()

      // Whoever was refused has been told why and what to do.
      const unclear = errors.filter((each) => !/SL006|08006|Try again/.test(each))
      expect(unclear.slice(0, 3)).toEqual([])
      if (fault.refuses) expect(errors.length).toBeGreaterThan(0)

      for (const connection of CONNECTIONS) {
        await eventually(
          `service on ${connection} goes on`,
          async () => {
            const client = new pg.Client({ connectionString: dsns.get(connection) ?? '' })
            await client.connect()
            try {
              return await client.query(`INSERT INTO marks VALUES ('${++marks} after ${fault.name}')`)
            } finally {
              await client.end()
            }
          },
          30_000,
        )
      }
    },
  )

  test('in the end all that has run is recorded, and the recording proves itself', async () => {
    const recorded = new Set<string>()
    for (const { entry } of await journalOf(gateway)) {
      const mark = entry.kind === 'intent' ? /'(\d+ .*)'/.exec(entry.head.text)?.[1] : undefined
      if (mark !== undefined) recorded.add(mark)
    }
    const ran = (await server.sql('SELECT mark FROM marks', [], 'marked')).map(({ mark }) => String(mark))
    expect(ran.filter((mark) => !recorded.has(mark)).slice(0, 3)).toEqual([])
    for (const { name } of FAULTS)
      expect(ran.filter((mark) => mark.endsWith(`under ${name}`)).length).toBeGreaterThan(0)

    const key = await gateway.cli(['audit', 'key'])
    expect(key.code, key.stderr).toBe(0)
    gateway = await gateway.restart()
    await eventually(
      'all is sealed',
      async () => {
        const done = await gateway.cli([
          'audit',
          'verify',
          gateway.dataDirectory,
          '--key',
          key.stdout.trim(),
          '--json',
        ])
        if (done.code !== 0) throw new Error(`${done.code}: ${done.stdout}${done.stderr}`)
        return done
      },
      60_000,
    )
    expect(
      readdirSync(join(gateway.dataDirectory, 'journal')).filter((name) => name.includes('.cut')),
    ).toEqual([])
  })
})
