import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ConnectionName, Identity } from '../core/index.ts'
import { brand, GatewayError, identityKey, LIMITS } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryBlockStore } from '../testing/memory-block-store.ts'
import { MemoryCredentialStore } from '../testing/memory-credential-store.ts'
import { IdentityBlocks } from './blocks.ts'
import { BuiltInIssuer } from './builtin.ts'
import { Credentials } from './credentials.ts'
import type { ExchangeRequest } from './exchange.ts'
import { TokenExchange } from './exchange.ts'
import type { VerifiedToken } from './tokens.ts'
import { TokenVerifier } from './tokens.ts'

const crm = brand<ConnectionName>('crm')
const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: [] }
const bob: Identity = { kind: 'person', name: 'bob@example.com', issuer: 'local', groups: [] }
const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] }
const HOUR = 3_600_000

let clock: FakeClock
let issuer: BuiltInIssuer
let credentials: Credentials
let blocks: IdentityBlocks
let exchange: TokenExchange
let blockStore: MemoryBlockStore

/** Adds what an issuer may put into a token, which the built-in one does not. */
class Verifier extends TokenVerifier {
  mayAct: VerifiedToken['mayAct']

  override async verify(token: string): Promise<VerifiedToken> {
    const verified = await super.verify(token)
    return this.mayAct === undefined ? verified : { ...verified, mayAct: this.mayAct }
  }
}
let verifier: Verifier

beforeEach(async () => {
  clock = new FakeClock()
  blockStore = new MemoryBlockStore()
  const identities = new Map([ada, bob, agent].map((each) => [identityKey(each), each]))
  issuer = await BuiltInIssuer.open({
    vault: { get: () => undefined, keepFirst: async (_name, value) => value },
    clock,
    random: randomBytes,
    find: (key) => identities.get(key),
  })
  blocks = await IdentityBlocks.open({
    store: blockStore,
    clock,
    end: (identity, by) => credentials.revokeHeldBy(identity, by),
  })
  const isBlocked = (identity: Identity) => blocks.isBlocked(identity)
  credentials = await Credentials.open({
    store: new MemoryCredentialStore(),
    clock,
    random: randomBytes,
    report: (error) => {
      throw error
    },
    isBlocked,
  })
  verifier = new Verifier([issuer.trusted], clock, isBlocked)
  exchange = new TokenExchange({
    verifier,
    credentials,
    knows: (connection) => connection === crm,
    mayAct: (actor, subject) => actor.name === 'support-agent' && subject.name === 'ada@example.com',
  })
})

async function tokenOf(...chain: [Identity, ...Identity[]]): Promise<string> {
  return (await issuer.issue(chain, HOUR)).token.reveal()
}

async function ask(request: Partial<ExchangeRequest>) {
  const subjectToken = request.subjectToken ?? (await tokenOf(ada))
  return await exchange.exchange({ use: 'database', connection: crm, subjectToken, ...request })
}

describe('a token exchange', () => {
  it('gives a credential for the one the token is about', async () => {
    const { credential, secret } = await ask({ subjectToken: await tokenOf(agent, ada), database: 'crm' })
    expect(credential).toMatchObject({
      use: 'database',
      chain: [agent, ada],
      connection: 'crm',
      database: 'crm',
      expiresAt: clock.now() + LIMITS.credentialTtlMs,
      mintedBy: 'token exchange',
    })
    expect(secret.reveal()).toMatch(/^slu_/)
    expect(credentials.find(credential.id)).toBe(credential)
  })

  it('makes the actor act for the subject, and keeps who acted before', async () => {
    const joined = await ask({ subjectToken: await tokenOf(ada), actorToken: await tokenOf(agent) })
    expect(joined.credential.chain).toEqual([agent, ada])
    const http = await ask({ use: 'http', ttlMs: 60_000 })
    expect(http.credential).toMatchObject({ chain: [ada], use: 'http', expiresAt: clock.now() + 60_000 })
    expect(credentials.admitToken(http.secret.reveal(), crm)).toBe(http.credential)
  })

  it('is refused where the actor may not act for the subject', async () => {
    for (const [actor, subject] of [
      [agent, bob],
      [bob, ada],
      [ada, agent],
    ] as const) {
      const attempt = ask({ subjectToken: await tokenOf(subject), actorToken: await tokenOf(actor) })
      await expect(attempt, `${actor.name} for ${subject.name}`).rejects.toMatchObject({ code: 'denied' })
    }
    expect(credentials.list()).toEqual([])
  })

  it('asks the subject’s token as well, when it names who may act', async () => {
    const attempt = async () => ask({ subjectToken: await tokenOf(ada), actorToken: await tokenOf(agent) })
    verifier.mayAct = { sub: 'agent:another' }
    await expect(attempt()).rejects.toMatchObject({ code: 'denied' })
    verifier.mayAct = { sub: 'agent:support-agent', iss: 'https://id.example' }
    await expect(attempt()).rejects.toMatchObject({ code: 'denied' })
    verifier.mayAct = {}
    await expect(attempt()).rejects.toMatchObject({ code: 'denied' })
    verifier.mayAct = { sub: 'agent:support-agent' }
    expect((await attempt()).credential.chain).toEqual([agent, ada])
  })

  it('is refused for bad tokens, unknown connections and lives outside the limits', async () => {
    const expired = await tokenOf(ada)
    clock.advance(HOUR)
    const refused: [Partial<ExchangeRequest>, string][] = [
      [{ subjectToken: expired }, 'expired'],
      [{ subjectToken: 'x' }, 'malformed'],
      [{ actorToken: expired }, 'expired'],
      [{ actorToken: '' }, 'malformed'],
      [{ connection: brand<ConnectionName>('erp') }, 'connection_unknown'],
      [{ ttlMs: LIMITS.credentialTtlMsMax + 1 }, 'invalid'],
      [{ ttlMs: 0 }, 'invalid'],
    ]
    for (const [request, reason] of refused) {
      const error: unknown = await ask(request).catch((error: unknown) => error)
      if (!(error instanceof GatewayError)) throw new Error(`not refused: ${reason}`)
      expect(error.facts.reason ?? error.code).toBe(reason)
    }
    expect(credentials.list()).toEqual([])
  })
})

describe('a block', () => {
  it('ends what the identity holds, gives it nothing new, and outlives a restart', async () => {
    const token = await tokenOf(ada)
    const { credential } = await ask({ subjectToken: token })
    await blocks.block('person:ada@example.com', 'operator')
    expect(credentials.endingOf(credential.id)).toMatchObject({ reason: 'revoked', by: 'operator' })
    await expect(ask({ subjectToken: token })).rejects.toMatchObject({ facts: { reason: 'blocked' } })
    const mint = { use: 'http', chain: [agent, ada], connection: crm, ttlMs: HOUR, mintedBy: 'x' } as const
    await expect(credentials.mint(mint)).rejects.toMatchObject({ code: 'denied' })

    const restarted = await IdentityBlocks.open({ store: blockStore, clock, end: async () => 0 })
    expect(restarted.isBlocked(ada)).toBe(true)
    expect(restarted.isBlocked(bob)).toBe(false)
    expect(restarted.list()).toEqual([
      { identity: 'person:ada@example.com', by: 'operator', at: clock.now() },
    ])

    await blocks.unblock('person:ada@example.com')
    await expect(ask({ subjectToken: token })).resolves.toBeDefined()
    expect(await blockStore.all()).toEqual([])
  })

  it('holds although it cannot be written, and says so', async () => {
    class Broken extends MemoryBlockStore {
      override async add(): Promise<void> {
        throw new Error('the disk is full')
      }
    }
    const ended: string[] = []
    const fragile = await IdentityBlocks.open({
      store: new Broken(),
      clock,
      end: async (identity) => ended.push(identity),
    })
    await expect(fragile.block('person:ada@example.com', 'operator')).rejects.toThrow('the disk is full')
    expect(fragile.isBlocked(ada)).toBe(true)
    expect(ended).toEqual(['person:ada@example.com'])
  })
})
