/** The store in PostgreSQL: what every store does, and what only one does that others use at the same time. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/wait.ts'
import { Budgets } from '../budgets/index.ts'
import type { Budget, ConnectionName, ConfigVersion, CredentialId, Identity } from '../core/index.ts'
import { brand, LIMITS, systemClock } from '../core/index.ts'
import type { StoredCredential } from '../identity/port.ts'
import { approvalStoreContract } from '../testing/approval-store-contract.ts'
import { budgetStoreContract } from '../testing/budget-store-contract.ts'
import { credentialStoreContract } from '../testing/credential-store-contract.ts'
import { blockStoreContract, peopleStoreContract } from '../testing/people-store-contract.ts'
import type { PostgresStores } from '../testing/postgres-stores.ts'
import { startPostgresStores } from '../testing/postgres-stores.ts'
import { notificationStoreContract } from '../testing/notification-store-contract.ts'
import { sealedSecretStoreContract } from '../testing/sealed-secret-store-contract.ts'
import { sessionIndexContract } from '../testing/session-index-contract.ts'
import type { Store, StoreChange } from './index.ts'

let stores: PostgresStores

beforeAll(async () => {
  stores = await startPostgresStores()
})
afterEach(() => stores.close())
afterAll(() => stores.stop())

let shared: Store | undefined
let sharedDatabase = ''

/** Making tables takes long: the contracts use one store, emptied in between past its back. */
async function open(): Promise<Store> {
  if (shared === undefined) {
    sharedDatabase = await stores.database()
    shared = await stores.openForAll(sharedDatabase)
  }
  await stores.server.sql(
    `truncate properties, credentials, sealed_secrets, approvals, sessions, session_identities, session_facts,
       sightings, configurations, people, invitations, blocks, budget_accounts, notifications, channel_messages`,
    [],
    sharedDatabase,
  )
  return shared
}

credentialStoreContract('PostgreSQL', async () => (await open()).credentials)
sealedSecretStoreContract('PostgreSQL', async () => (await open()).sealedSecrets)
approvalStoreContract('PostgreSQL', async () => (await open()).approvals)
notificationStoreContract('PostgreSQL', async () => (await open()).notifications)
peopleStoreContract('PostgreSQL', async () => (await open()).people)
blockStoreContract('PostgreSQL', async () => (await open()).blocks)
budgetStoreContract('PostgreSQL', async () => (await open()).budgets)
sessionIndexContract('PostgreSQL', async () => {
  const store = await open()
  return withoutNode(store.sessions, store.shared?.node ?? '')
})

/** The contract does not know of nodes: what is put has none, what is given back says this one. */
function withoutNode(sessions: Store['sessions'], node: string): Store['sessions'] {
  const stripped = <T extends object>(each: T): T => {
    expect(Reflect.get(each, 'node')).toBe(node)
    const { node: _, ...rest } = each as T & { node?: string }
    return rest as T
  }
  return new Proxy(sessions, {
    get(target, name) {
      if (name === 'list')
        return async (filter: Parameters<typeof target.list>[0]) => (await target.list(filter)).map(stripped)
      if (name === 'get')
        return async (session: Parameters<typeof target.get>[0]) => {
          const found = await target.get(session)
          return found === undefined ? undefined : stripped(found)
        }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const ada: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: [] }

function credential(id: string): StoredCredential {
  const now = Date.now()
  return {
    credential: {
      id: brand<CredentialId>(id),
      use: 'http',
      chain: [ada],
      connection: brand<ConnectionName>('crm'),
      createdAt: now,
      expiresAt: now + 60_000,
      mintedBy: 'test',
    },
    proof: { kind: 'token', hash: Buffer.alloc(32) },
  }
}

describe('several nodes on one store', () => {
  it('bring an empty database up to date at the same time', async () => {
    const database = await stores.database()
    const nodes = await Promise.all([1, 2, 3, 4].map(() => stores.open(database)))
    expect(new Set(nodes.map(({ shared }) => shared?.node)).size).toBe(4)
    const [first] = nodes
    expect((await first?.shared?.nodes())?.map(({ isRunning }) => isRunning)).toEqual([
      true,
      true,
      true,
      true,
    ])
  })

  it('hear of what another one changed, by its key, within two seconds, and not of it twice', async () => {
    const database = await stores.database()
    const [a, b] = [await stores.open(database), await stores.open(database)]
    const heard: StoreChange[] = []
    b.shared?.follow(async (change) => void heard.push(change))
    const begun = Date.now()
    await a.credentials.add(credential('c_1'))
    await a.credentials.revoke(brand<CredentialId>('c_1'), { by: 'test', at: 1 })
    await a.blocks.add({ identity: 'agent:x', by: 'test', at: 1 })
    await a.blocks.remove('agent:x')
    await eventually('the changes', () => heard.length >= 4)
    expect(Date.now() - begun).toBeLessThan(2_000)
    await new Promise((resolve) => setTimeout(resolve, 2 * LIMITS.storeLookMs))
    expect(heard).toEqual([
      { topic: 'credentials', key: 'c_1' },
      { topic: 'credentials', key: 'c_1' },
      { topic: 'blocks', key: 'agent:x' },
      { topic: 'blocks', key: 'agent:x' },
    ])
  })

  it('hear of a change by hand, and find by themselves what no notification told', async () => {
    const database = await stores.database()
    const b = await stores.open(database)
    const heard: StoreChange[] = []
    b.shared?.follow(async (change) => void heard.push(change))
    await stores.server.sql("insert into blocks values ('agent:y', 'hand', 1)", [], database)
    await eventually('the change', () => heard.length === 1)
    // As if the notification had been lost: the trigger counts, and nothing is sent.
    await stores.server.sql("update changes set revision = revision + 1 where topic = 'blocks'", [], database)
    await eventually('the look', () => heard.length === 2, 2_000)
    expect(heard[1]).toEqual({ topic: 'blocks' })
    // Somebody else's notifications say nothing that is believed.
    const forged = JSON.stringify({ schema: 'public', topic: 'blocks', revision: 999_999, key: 'agent:z' })
    await stores.server.sql('select pg_notify($1, $2)', ['sluice', forged], database)
    await stores.server.sql('select pg_notify($1, $2)', ['sluice', 'not JSON'], database)
    await eventually('another look', () => heard.length === 3, 2_000)
    await stores.server.sql("delete from blocks where identity = 'agent:y'", [], database)
    await eventually('the change after it', () => heard.length >= 4, 2_000)
  })

  it('try again what they could not follow, and are behind until they have', async () => {
    const database = await stores.database()
    const [a, b] = [await stores.open(database), await stores.open(database)]
    let fails = true
    let followed = 0
    b.shared?.follow(async () => {
      if (fails) throw new Error('not now')
      followed++
    })
    await a.blocks.add({ identity: 'agent:x', by: 'test', at: 1 })
    await eventually('it to be told once', () => stores.faults.length === 1)
    const seen = b.shared?.state.upToDateAt
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(b.shared?.state.upToDateAt).toBe(seen)
    expect(stores.faults).toHaveLength(1)
    fails = false
    await eventually('it to be followed', () => followed === 1 && b.shared?.state.upToDateAt !== seen)
  })

  it('lose no change while the connection that listens is cut, again and again', async () => {
    const database = await stores.database()
    const [a, b] = [await stores.open(database), await stores.open(database)]
    const known = new Set<string>()
    b.shared?.follow(async ({ topic, key }) => {
      if (topic !== 'credentials') return
      if (key !== undefined) known.add(key)
      else for (const each of await b.credentials.unexpired(0)) known.add(each.credential.id)
    })
    for (let i = 0; i < 30; i++) {
      await a.credentials.add(credential(`c_${i}`))
      if (i % 10 === 5)
        await stores.server.sql(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name like '%changes'",
          [database],
        )
    }
    await eventually('all of them', () => known.size === 30, 4_000)
  })

  it('find out that the connection that listens hangs, and take another', async () => {
    const database = await stores.database()
    const [a, b] = [await stores.open(database), await stores.open(database)]
    const heard: StoreChange[] = []
    b.shared?.follow(async (change) => void heard.push(change))
    const [found] = await stores.server.sql<{ pid: number }>(
      'select pid from pg_stat_activity where datname = $1 and application_name = $2',
      [database, `sluice ${b.shared?.node} changes`],
    )
    const pid = found?.pid ?? 0
    process.kill(pid, 'SIGSTOP')
    try {
      await a.blocks.add({ identity: 'agent:x', by: 'test', at: 1 })
      const boundMs = LIMITS.storeLookMs + LIMITS.storeLookAnswerMs + 1_000 + LIMITS.storeLookMs + 2_000
      await eventually('the change', () => heard.length > 0, boundMs)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  it('activate one of two configurations that were compared with the same one', async () => {
    const database = await stores.database()
    const nodes = await Promise.all([1, 2, 3].map(() => stores.open(database)))
    for (let round = 0; round < 5; round++) {
      const before = (await nodes[0]?.configurations.active())?.version
      const done = await Promise.all(
        nodes.map((each, n) => {
          const version = brand<ConfigVersion>(`cfg_${round}_${n}`)
          return each.configurations.activate({ version, text: '', at: 1, by: 'test' }, before)
        }),
      )
      expect(done.filter((each) => each !== undefined)).toHaveLength(1)
    }
    expect(await nodes[1]?.configurations.history(10)).toHaveLength(5)
  })

  it('keep the list of sessions together, each its own journal in it', async () => {
    const database = await stores.database()
    const [a, b] = [await stores.open(database), await stores.open(database)]
    const summary = (session: string) => ({
      session: brand<Parameters<typeof a.sessions.get>[0]>(session),
      openedAt: 1,
      connection: 'crm',
      protocol: 'postgres',
      chain: ['person:ada'],
      credential: 'c_1',
      mintedBy: 'test',
      clientAddress: '',
      program: '',
      database: '',
      config: '',
      commands: 0,
      denied: 0,
      held: 0,
      rows: 0,
      bytes: 0,
    })
    await a.sessions.upsert([summary('A')], 7)
    await b.sessions.upsert([summary('B')], 9)
    expect([await a.sessions.position(), await b.sessions.position()]).toEqual([7, 9])
    expect((await a.sessions.list({ limit: 9 })).map(({ session, node }) => [session, node])).toEqual([
      ['B', b.shared?.node],
      ['A', a.shared?.node],
    ])
    expect((await b.sessions.list({ limit: 9, here: true })).map(({ session }) => session)).toEqual(['B'])
  })

  it('never hand out more than a budget together, however they share it', async () => {
    const database = await stores.database()
    const nodes = await Promise.all([1, 2, 3].map(() => stores.open(database)))
    const budget: Budget = {
      ref: { name: 'daily', file: 'sluice.yaml', line: 1 },
      who: 'everyone',
      on: [brand<ConnectionName>('crm')],
      labels: [],
      max: { rows: 5_000 },
    }
    const budgets = await Promise.all(
      nodes.map(({ budgets: store }) =>
        Budgets.open({
          store,
          clock: systemClock,
          key: Buffer.alloc(32),
          budgets: [budget],
          report: (error) => stores.faults.push(error),
        }),
      ),
    )
    const used = await Promise.all(
      budgets.map(async (each) => {
        const ledger = each.open([ada], brand<ConnectionName>('crm'))
        let rows = 0
        for (;;) {
          const answer = ledger.spend(7, 1)
          if (answer === 'spent') return rows
          if (answer === 'wait') await ledger.more()
          else rows += 7
        }
      }),
    )
    const together = used.reduce((sum, rows) => sum + rows, 0)
    expect(together).toBeLessThanOrEqual(5_000)
    // What lies in the last blocks of the others may be left.
    expect(together).toBeGreaterThan(5_000 - nodes.length * 2 * 250)
    for (const each of budgets) await each.stop()
    expect(stores.faults).toEqual([])
  })
})

describe('a name', () => {
  it('is kept with the data, and free again after a stop and after a kill', async () => {
    const database = await stores.database()
    const directory = await stores.directory()
    const first = await stores.open(database, directory)
    const name = first.shared?.node
    await first.close()
    const again = await stores.open(database, directory)
    expect(again.shared?.node).toBe(name)
    expect(readFileSync(join(directory, 'node'), 'utf8')).toBe(`${name}\n`)
    await again.close()
    // Killed: nobody gave the name back.
    await stores.server.sql("update nodes set run = 'killed', seen_at = seen_at + 60000", [], database)
    expect((await stores.open(database, directory)).shared?.node).toBe(name)
  })

  it('is not shared: whoever comes second with a copy of the data is refused', async () => {
    const database = await stores.database()
    const [directory, copy] = [await stores.directory(), await stores.directory()]
    const first = await stores.open(database, directory)
    writeFileSync(join(copy, 'node'), readFileSync(join(directory, 'node')))
    await expect(stores.open(database, copy)).rejects.toMatchObject({ code: 'conflict' })
    // Of one that got in all the same, the older finds out.
    await stores.server.sql("update nodes set run = 'another'", [], database)
    await eventually('it to be told', () =>
      stores.faults.some((each) => String(each).includes('Another gateway')),
    )
    const { upToDateAt } = first.shared?.state ?? { upToDateAt: Date.now() }
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(first.shared?.state.upToDateAt).toBe(upToDateAt)
  })
})

describe('a store that cannot be used', () => {
  it('is refused while it would lose commits', async () => {
    const database = await stores.database()
    await stores.server.sql(`alter database ${database} set synchronous_commit = off`)
    await expect(stores.open(database)).rejects.toThrow('would lose revocations')
  })

  it('is refused when a newer version wrote it', async () => {
    const database = await stores.database()
    await (await stores.open(database)).close()
    await stores.server.sql("insert into kysely_migration values ('9999-later', '2026')", [], database)
    await expect(stores.open(database)).rejects.toMatchObject({ code: 'conflict' })
  })

  it('says store_unavailable, and is used again when it is there', async () => {
    const database = await stores.database()
    const a = await stores.open(database)
    await stores.server.sql(`alter database ${database} with allow_connections false`)
    await stores.server.sql('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
      database,
    ])
    const refused = { code: 'store_unavailable', retry: 'later' }
    await eventually('it to be noticed', () => stores.faults.length > 0)
    await expect(a.blocks.all()).rejects.toMatchObject(refused)
    await expect(a.credentials.add(credential('c_1'))).rejects.toMatchObject(refused)
    expect(a.shared?.refusal()).toBeUndefined()
    await eventually('it to be behind', () => a.shared?.refusal() !== undefined, LIMITS.storeBehindMs + 3_000)
    expect(a.shared?.ending()).toBeUndefined()
    await stores.server.sql(`alter database ${database} with allow_connections true`)
    await eventually('it to be up to date again', () => a.shared?.refusal() === undefined)
    await a.credentials.add(credential('c_1'))
    expect(await a.credentials.get(brand<CredentialId>('c_1'))).toBeDefined()
  })
})
