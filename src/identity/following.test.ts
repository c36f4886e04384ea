/** Two gateways on one store: what one does, the other takes over when it is told to look. */
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ConnectionName, Identity } from '../core/index.ts'
import { brand, identityKey } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryBlockStore } from '../testing/memory-block-store.ts'
import { MemoryCredentialStore } from '../testing/memory-credential-store.ts'
import { IdentityBlocks } from './blocks.ts'
import type { MintRequest } from './credentials.ts'
import { Credentials } from './credentials.ts'

const ada: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: [] }
const request: MintRequest = {
  use: 'http',
  chain: [ada],
  connection: brand<ConnectionName>('crm'),
  ttlMs: 60_000,
  mintedBy: 'test',
}

let clock: FakeClock
let credentialStore: MemoryCredentialStore
let blockStore: MemoryBlockStore

type Node = { readonly credentials: Credentials; readonly blocks: IdentityBlocks; readonly ended: string[] }

async function node(): Promise<Node> {
  const ended: string[] = []
  const blocks: IdentityBlocks = await IdentityBlocks.open({
    store: blockStore,
    clock,
    end: (identity, by) => credentials.revokeHeldBy(identity, by),
  })
  const credentials: Credentials = await Credentials.open({
    store: credentialStore,
    clock,
    random: randomBytes,
    report: (error) => expect.fail(String(error)),
    isBlocked: (identity) => blocks.isBlocked(identity),
  })
  credentials.onEnd(({ id }, { reason, by }) => ended.push(`${id} ${reason} ${by ?? ''}`.trim()))
  return { credentials, blocks, ended }
}

let a: Node
let b: Node

beforeEach(async () => {
  clock = new FakeClock()
  credentialStore = new MemoryCredentialStore()
  blockStore = new MemoryBlockStore()
  a = await node()
  b = await node()
})

describe('a credential', () => {
  it.each([
    ['by its id', (id: string) => id],
    ['with all others', () => undefined],
  ])('minted and revoked at one node is so at the other, %s, and ends there once', async (_how, keyOf) => {
    const { credential, secret } = await a.credentials.mint(request)
    expect(b.credentials.find(credential.id)).toBeUndefined()
    await b.credentials.refresh(keyOf(credential.id))
    expect(b.credentials.admitToken(secret.reveal(), request.connection)).toEqual(credential)
    await a.credentials.revoke(credential.id, 'operator')
    await b.credentials.refresh(keyOf(credential.id))
    await b.credentials.refresh(keyOf(credential.id))
    expect(b.ended).toEqual([`${credential.id} revoked operator`])
    expect(() => b.credentials.admitToken(secret.reveal(), request.connection)).toThrow('was revoked')
  })

  it('counts once for its identity, however often it is heard of', async () => {
    const { credential } = await a.credentials.mint(request)
    for (let i = 0; i < 3; i++) await a.credentials.refresh(credential.id)
    expect(a.credentials.heldBy(identityKey(ada))).toEqual([credential])
    expect(a.credentials.list()).toEqual([credential])
  })

  it('that was revoked here stays so although the store does not know it yet', async () => {
    const { credential } = await a.credentials.mint(request)
    credentialStore.revoke = () => Promise.reject(new Error('the store is away'))
    await expect(a.credentials.revoke(credential.id, 'operator')).rejects.toThrow('away')
    await a.credentials.refresh()
    await a.credentials.refresh(credential.id)
    expect(a.credentials.find(credential.id)).toBeUndefined()
  })

  it('that expired is not taken over', async () => {
    const { credential } = await a.credentials.mint(request)
    clock.advance(request.ttlMs)
    await b.credentials.refresh(credential.id)
    await b.credentials.refresh()
    expect(b.credentials.list()).toEqual([])
    expect(b.ended).toEqual([])
  })
})

describe('a block', () => {
  it('made at one node ends at the other what is held there, and is lifted there too', async () => {
    const { credential } = await b.credentials.mint(request)
    await a.blocks.block(identityKey(ada), 'operator')
    await b.blocks.refresh()
    expect(b.ended).toEqual([`${credential.id} revoked operator`])
    await expect(b.credentials.mint(request)).rejects.toMatchObject({ code: 'denied' })
    await b.blocks.unblock(identityKey(ada))
    await a.blocks.refresh()
    expect(a.blocks.isBlocked(ada)).toBe(false)
  })

  it('that could not be written is not lifted, and is written later', async () => {
    const { add } = blockStore
    blockStore.add = () => Promise.reject(new Error('the store is away'))
    await expect(a.blocks.block(identityKey(ada), 'operator')).rejects.toThrow('away')
    await expect(a.blocks.refresh()).rejects.toThrow('away')
    expect(a.blocks.isBlocked(ada)).toBe(true)
    blockStore.add = add
    await a.blocks.refresh()
    expect(a.blocks.isBlocked(ada)).toBe(true)
    await b.blocks.refresh()
    expect(b.blocks.isBlocked(ada)).toBe(true)
  })

  it('made while a credential is minted ends that one, at either node', async () => {
    const { add } = credentialStore
    credentialStore.add = async (stored) => {
      await add.call(credentialStore, stored)
      await a.blocks.block(identityKey(ada), 'operator')
    }
    await expect(a.credentials.mint(request)).rejects.toMatchObject({ code: 'denied' })
    expect(a.credentials.list()).toEqual([])
    // The other did not know of the block when it minted; the one that did hears of the credential.
    credentialStore.add = add
    const { credential } = await b.credentials.mint(request)
    await a.credentials.refresh(credential.id)
    expect(a.credentials.find(credential.id)).toBeUndefined()
    await b.credentials.refresh(credential.id)
    expect(b.ended).toEqual([`${credential.id} revoked block`])
  })
})
