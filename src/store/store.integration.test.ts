import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SealedSecret } from '../connections/index.ts'
import type { ConfigVersion, GatewayError } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { request } from '../testing/approval-store-contract.ts'
import { claimDataDirectory, Store } from './index.ts'
import { SqlitePort } from './sqlite-port.ts'

let folder: string
let faults: GatewayError[]
const closing: (() => Promise<void>)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  faults = []
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await rm(folder, { recursive: true })
})

async function open(): Promise<Store> {
  const store = await Store.open(folder, (error) => faults.push(error))
  closing.push(() => store.close())
  return store
}

function openPort(): SqlitePort {
  const port = new SqlitePort(join(folder, 'port.sqlite'), (error) => faults.push(error))
  closing.push(() => port.close())
  return port
}

function secret(name: string): SealedSecret {
  return { name, keyId: 'k', nonce: Buffer.from([1]), sealed: Buffer.from([2]), updatedAt: 1, updatedBy: 'x' }
}

describe('the store', () => {
  it('has after a restart what it had before, and closes twice without complaint', async () => {
    const store = await open()
    await store.sealedSecrets.put(secret('a'))
    await store.close()
    await store.close()
    const again = await open()
    expect(await again.sealedSecrets.all()).toEqual([secret('a')])
    expect(faults).toEqual([])
  })

  it('finishes what was asked for before it closes, and takes nothing after', async () => {
    const store = await open()
    const puts = Array.from({ length: 500 }, (_, i) => store.sealedSecrets.put(secret(`s${i}`)))
    const closed = store.close()
    await Promise.all([...puts, closed])
    await expect(store.sealedSecrets.put(secret('late'))).rejects.toThrow()
    expect(await (await open()).sealedSecrets.all()).toHaveLength(500)
  })

  it('refuses a file that a newer version wrote, and leaves it as it is', async () => {
    const store = await open()
    await store.close()
    const file = new DatabaseSync(join(folder, 'store.sqlite'))
    file.exec("insert into kysely_migration (name, timestamp) values ('9999-later', '')")
    file.close()
    await expect(Store.open(folder, (error) => faults.push(error))).rejects.toMatchObject({
      code: 'conflict',
      facts: { migrations: '9999-later' },
    })
  })

  it('refuses a file that is no database', async () => {
    await writeFile(
      join(folder, 'store.sqlite'),
      'not a database, and long enough to be looked at '.repeat(50),
    )
    await expect(Store.open(folder, (error) => faults.push(error))).rejects.toThrow(
      `The store ${join(folder, 'store.sqlite')} cannot be opened: file is not a database.`,
    )
    expect(faults).toEqual([])
  })

  it('is durable at every commit and checks references', async () => {
    const port = openPort()
    const value = async (pragma: string) =>
      Object.values((await port.run(`PRAGMA ${pragma}`)).rows[0] ?? {})[0]
    expect(await value('journal_mode')).toBe('wal')
    expect(await value('synchronous')).toBe(2)
    expect(await value('foreign_keys')).toBe(1)
    expect(await value('busy_timeout')).toBe(5_000)
    expect(await value('secure_delete')).toBe(1)
  })

  it('has nothing in its files of an approval request that was replaced, once that was scrubbed', async () => {
    const store = await open()
    const files = async () =>
      Buffer.concat(
        await Promise.all(
          (await readdir(folder))
            .filter((each) => each.startsWith('store.sqlite'))
            .map((each) => readFile(join(folder, each))),
        ),
      )
    const long = `marker ${'long '.repeat(5_000)} end`
    const asked = { ...request('T-1'), text: long }
    await store.approvals.insert(asked)
    expect((await files()).includes('marker')).toBe(true)
    await store.approvals.replace({ ...asked, text: '[erased]', revision: 2 }, 1)
    await store.approvals.scrub()
    expect((await files()).includes('marker')).toBe(false)
    expect((await files()).includes('long long')).toBe(false)
  })
})

describe('statements that share a commit', () => {
  it('fail each for itself', async () => {
    const port = openPort()
    await port.run('create table t (n integer primary key)')
    const results = await Promise.allSettled(
      [1, 1, 2, 2, 3].map((n) => port.run('insert into t values (?)', [n])),
    )
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(results[1]).toMatchObject({
      reason: { message: 'UNIQUE constraint failed: t.n', code: 1555 },
    })
    expect((await port.run('select n from t')).rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })

  it('all fail when the commit does', async () => {
    const port = openPort()
    await port.run('create table parent (n integer primary key)')
    await port.run('create table child (n integer references parent (n) deferrable initially deferred)')
    const results = await Promise.allSettled([
      port.run('insert into parent values (1)'),
      port.run('insert into child values (7)'),
      port.run('insert into parent values (2)'),
    ])
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect((await port.run('select n from parent')).rows).toEqual([])
    await port.run('insert into parent values (3)')
    expect((await port.run('select n from parent')).rows).toEqual([{ n: 3 }])
  })

  it('are answered in the order in which they were asked', async () => {
    const port = openPort()
    await port.run('create table t (n integer primary key)')
    const counts = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        void port.run('insert into t values (?)', [n])
        return (await port.run('select count(*) as n from t')).rows[0]
      }),
    )
    expect(counts).toEqual(Array.from({ length: 50 }, (_, n) => ({ n: n + 1 })))
  })
})

describe('a transaction', () => {
  it('has the database to itself, and happens as a whole or not at all', async () => {
    const port = openPort()
    await port.run('create table t (n integer primary key)')
    const first = await port.exclusive()
    await first.run('begin immediate')
    await first.run('insert into t values (1)')
    const outside = port.run('select count(*) as n from t')
    const second = port.exclusive()
    await first.run('rollback')
    first.release()
    expect((await outside).rows).toEqual([{ n: 0 }])
    const next = await second
    await next.run('insert into t values (2)')
    next.release()
    await expect(next.run('select 1')).rejects.toThrow('after its transaction had ended')
    expect((await port.run('select n from t')).rows).toEqual([{ n: 2 }])
  })

  it('has its turn although others never stop asking', async () => {
    const port = openPort()
    const others = { asking: true }
    const busy = Array.from({ length: 4 }, async () => {
      while (others.asking) await port.run('select 1')
    })
    const exclusive = await port.exclusive()
    await exclusive.run('select 1')
    exclusive.release()
    others.asking = false
    await Promise.all(busy)
    expect(faults).toEqual([])
  })
})

describe('configurations', () => {
  const version = (text: string) => brand<ConfigVersion>(`cfg_${text}`)
  const next = (text: string) => ({ version: version(text), text, at: 5, by: 'person:ada' })

  it('become active one after the other, each seen to follow the one it was compared with', async () => {
    const { configurations } = await open()
    expect(await configurations.active()).toBeUndefined()
    expect(await configurations.activate(next('a'), undefined)).toMatchObject({ sequence: 1 })
    expect(await configurations.activate(next('b'), undefined)).toBeUndefined()
    expect(await configurations.activate(next('b'), version('x'))).toBeUndefined()
    expect(await configurations.activate(next('b'), version('a'))).toMatchObject({ sequence: 2 })
    expect(await configurations.activate(next('a'), version('b'))).toMatchObject({ sequence: 3 })
    expect(await configurations.active()).toEqual({ ...next('a'), sequence: 3 })
    expect((await configurations.history(2)).map((each) => each.version)).toEqual([
      version('a'),
      version('b'),
    ])
    expect(await configurations.find(version('b'))).toEqual({ ...next('b'), sequence: 2 })
    expect(await configurations.find(version('x'))).toBeUndefined()
  })

  it('let one of many win', async () => {
    const { configurations } = await open()
    const results = await Promise.all(
      ['a', 'b', 'c', 'd'].map((text) => configurations.activate(next(text), undefined)),
    )
    expect(results.filter((each) => each !== undefined)).toHaveLength(1)
    expect(await configurations.history(10)).toHaveLength(1)
  })
})

describe('a data directory', () => {
  it('belongs to one gateway, until that lets go of it', () => {
    const path = join(folder, 'data')
    const first = claimDataDirectory(path)
    expect(() => claimDataDirectory(path)).toThrow(
      `The data directory ${path} is in use by another gateway (process ${process.pid}).`,
    )
    first.release()
    first.release()
    claimDataDirectory(path).release()
  })

  it('is kept although the caller forgets about it and memory is cleaned up', () => {
    const path = join(folder, 'data')
    claimDataDirectory(path)
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
    expect(() => claimDataDirectory(path)).toThrow('is in use')
  })
})
