/** Plants secrets in everything that keeps something, then looks for them in every byte of the data directory. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { TOTP, URI } from 'otpauth'
import { expect, it } from 'vitest'
import { createMasterKeyFile, loadMasterKeys, SealedSecrets } from '../connections/index.ts'
import type { ConnectionName, Identity } from '../core/index.ts'
import { brand, identityKey, Secret, systemClock } from '../core/index.ts'
import { BuiltInIssuer, Credentials, People } from '../identity/index.ts'
import { claimDataDirectory, Store } from './index.ts'

const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: [] }

/** The forms in which text could lie about. */
function formsOf(secret: string): Buffer[] {
  const bytes = Buffer.from(secret)
  return [
    bytes,
    Buffer.from(secret, 'utf16le'),
    Buffer.from(bytes.toString('base64').replace(/=+$/, '')),
    Buffer.from(bytes.toString('base64url')),
    Buffer.from(bytes.toString('hex')),
    Buffer.from(JSON.stringify(secret).slice(1, -1)),
  ]
}

async function bytesOf(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) files.set(entry.name, await readFile(join(entry.parentPath, entry.name)))
  }
  return files
}

it('leaves no secret in any file of the data directory, open or closed, nor where objects are shown (P-08)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
  const data = join(folder, 'data')
  const keyFile = join(folder, 'master.key')
  const options = { clock: systemClock, random: randomBytes }
  claimDataDirectory(data)
  await createMasterKeyFile(keyFile, randomBytes)
  const store = await Store.open(data, (error) => {
    throw error
  })
  const warn = (message: string) => {
    throw new Error(message)
  }
  const keys = await loadMasterKeys({ environment: {}, keyFile, dataDirectory: data, demo: false, warn })
  const sealed = await SealedSecrets.open({ store: store.sealedSecrets, keys, ...options })
  const find = (key: string) => (key === identityKey(ada) ? ada : undefined)

  const planted: string[] = []
  const plant = (secret: Secret) => {
    planted.push(secret.reveal())
    return secret
  }
  const upstream = plant(new Secret(`upstream-${randomBytes(12).toString('hex')}`))
  await sealed.set('crm', upstream, 'operator')
  await sealed.set('old', plant(new Secret(`replaced-${randomBytes(12).toString('hex')}`)), 'operator')
  await sealed.set('old', new Secret('something else'), 'operator')
  await sealed.remove('old')
  plant(new Secret((await readFile(keyFile, 'utf8')).trim().replace('sluice-key-', '')))

  const credentials = await Credentials.open({ store: store.credentials, report: warn as never, ...options })
  const request = {
    chain: [ada],
    connection: brand<ConnectionName>('crm'),
    ttlMs: 60_000,
    mintedBy: 'test',
  } as const
  const database = await credentials.mint({ ...request, use: 'database' })
  const http = await credentials.mint({ ...request, use: 'http' })
  plant(database.secret)
  planted.push(database.secret.reveal().slice(4), http.secret.reveal().slice(-43))

  const people = new People({ store: store.people, vault: sealed.vault('people'), find, ...options })
  const { code } = await people.invite(identityKey(ada), 'test')
  const { secret, uri } = await people.begin(plant(code).reveal())
  planted.push(code.reveal().replaceAll('-', ''))
  const app = URI.parse(plant(uri).reveal())
  if (!(app instanceof TOTP)) throw new Error('not for an authenticator app')
  await people.confirm(code.reveal(), app.generate())
  plant(secret)

  const issuer = await BuiltInIssuer.open({ vault: sealed.vault('issuer'), find, ...options })
  const { token } = await issuer.issue([ada], 60_000)
  plant(token)
  const key = sealed.vault('issuer').get('signing key')!
  planted.push((JSON.parse(key.reveal()) as { d: string }).d)

  for (const text of [
    inspect([store, sealed, credentials, people, issuer, database, http], { depth: 12, showHidden: true }),
    JSON.stringify([sealed.list(), credentials.list(), database, http, { upstream }]),
  ]) {
    for (const each of planted) expect(text.includes(each), `shown: ${each}`).toBe(false)
  }

  const search = async () => {
    const files = await bytesOf(data)
    expect([...files.keys()]).toContain('store.sqlite')
    const all = Buffer.concat([...files.values()])
    // What is no secret is found: the search itself works.
    expect(all.includes('ada@example.com')).toBe(true)
    for (const each of planted) {
      for (const form of formsOf(each)) expect(all.includes(form), `on the disk: ${each}`).toBe(false)
    }
  }
  expect(planted).toHaveLength(12)
  await search()
  credentials.close()
  await store.close()
  await search()
  await rm(folder, { recursive: true })
})
