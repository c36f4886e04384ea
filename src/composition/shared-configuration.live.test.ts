/** The configuration in force where several gateways share a store. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ConfigVersion, MaskingKeys } from '../core/index.ts'
import { brand, systemClock } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { PostgresStores } from '../testing/postgres-stores.ts'
import { startPostgresStores } from '../testing/postgres-stores.ts'
import { Configurations } from './configuration.ts'

let stores: PostgresStores
let database: string
let place: string
let told: unknown[]

beforeAll(async () => {
  stores = await startPostgresStores()
  place = mkdtempSync(join(tmpdir(), 'sluice-shared-'))
})
beforeEach(async () => {
  database = await stores.database()
  told = []
})
afterEach(() => stores.close())
afterAll(async () => {
  rmSync(place, { recursive: true })
  await stores.stop()
})

const STORE = 'store: { dsn: "${env:SLUICE_STORE}" }\n'
const text = (name: string): string =>
  `${STORE}identities:\n  local:\n    - { name: ${name}, kind: service }\n`

let files = 0
async function begin(store: Store, of: string): Promise<Configurations> {
  const file = join(place, `${++files}.yaml`)
  writeFileSync(file, of)
  const keys: Partial<MaskingKeys> = {}
  return await Configurations.open({
    store,
    clock: systemClock,
    file,
    report: (error) => told.push(error),
    keys: keys as MaskingKeys,
  })
}

const open = () => stores.open(database)
const nameIn = ({ current }: Configurations) => current.config.local[0]?.identity.name

test('gateways that begin together with one file all begin, and it is activated once', async () => {
  const nodes = await Promise.all([1, 2, 3].map(open))
  const begun = await Promise.all(nodes.map((store) => begin(store, text('one'))))
  expect(begun.map(nameIn)).toEqual(['one', 'one', 'one'])
  expect(await begun[0]?.history(10)).toHaveLength(1)
})

test('a file that is new is applied; one that was in force before is not brought back by a start', async () => {
  const [a, b] = [await open(), await open()]
  await begin(a, text('one'))
  expect(nameIn(await begin(b, text('two')))).toBe('two')
  const again = await begin(a, text('one'))
  expect(nameIn(again)).toBe('two')
  expect(String(told[0])).toContain('older than the configuration')
  // What was applied by somebody is not overwritten by a file that nobody knows.
  await again.apply(text('three'), 'ada')
  await expect(begin(b, text('four'))).rejects.toMatchObject({ code: 'conflict' })
  expect(nameIn(await begin(b, text('two')))).toBe('three')
})

test('what another one applied is taken over, once, and told to who listens', async () => {
  const [a, b] = [await begin(await open(), text('one')), await begin(await open(), text('one'))]
  const heard: (string | undefined)[] = []
  b.onChange(({ config }) => heard.push(config.local[0]?.identity.name))
  await a.apply(text('two'), 'ada')
  await Promise.all([b.refresh(), b.refresh()])
  expect(heard).toEqual(['two'])
  // Compared with what is in force now, not with what was when it began.
  await b.apply(text('three'), 'ada')
  await expect(a.apply(text('four'), 'ada')).rejects.toMatchObject({ code: 'conflict' })
  await a.refresh()
  await a.apply(text('four'), 'ada')
})

test('one that cannot be read here leaves what was in force, and is refused each time', async () => {
  const store = await open()
  const a = await begin(store, text('one'))
  const next = {
    version: brand<ConfigVersion>('cfg_new'),
    text: 'setting: of a newer version\n',
    at: 1,
    by: 'ada',
  }
  await store.configurations.activate(next, a.current.config.version)
  for (let i = 0; i < 2; i++) await expect(a.refresh()).rejects.toMatchObject({ code: 'invalid' })
  expect(nameIn(a)).toBe('one')
})

test('the store is not moved under a gateway that runs', async () => {
  const a = await begin(await open(), text('one'))
  for (const other of [text('one').replace(STORE, ''), text('one').replace('SLUICE_STORE', 'OTHER')])
    await expect(a.apply(other, 'ada')).rejects.toThrow('changes only when a gateway starts')
})
