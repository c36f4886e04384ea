import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { TOTP, URI } from 'otpauth'
import { beforeEach, describe, expect, it } from 'vitest'
import { SealedSecrets } from '../connections/sealed.ts'
import { parseMasterKeys } from '../connections/master-key.ts'
import type { Identity } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryPeopleStore } from '../testing/memory-people-store.ts'
import { MemorySealedSecretStore } from '../testing/memory-sealed-secret-store.ts'
import { People } from './people.ts'

const ADA: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: ['support'] }
const BOT: Identity = { kind: 'agent', name: 'bot', issuer: 'local', groups: [] }
const ada = 'person:ada@example.com'
const STEP_MS = 30_000

let clock: FakeClock
let store: MemoryPeopleStore
let sealedStore: MemorySealedSecretStore
let configured: Map<string, Identity>
let people: People

async function restart(): Promise<People> {
  const keys = parseMasterKeys(Buffer.alloc(32, 1).toString('base64'), 'test')
  const sealed = await SealedSecrets.open({ store: sealedStore, keys, clock, random: randomBytes })
  return new People({
    store,
    vault: sealed.vault('people'),
    clock,
    random: randomBytes,
    find: (key) => configured.get(key),
  })
}

beforeEach(async () => {
  clock = new FakeClock()
  store = new MemoryPeopleStore()
  sealedStore = new MemorySealedSecretStore()
  configured = new Map([
    [ada, ADA],
    ['agent:bot', BOT],
  ])
  people = await restart()
})

async function reasonOf(attempt: Promise<unknown>): Promise<unknown> {
  try {
    await attempt
    return 'done'
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return error.facts.reason ?? error.code
  }
}

/** An authenticator app that scanned the QR code. */
function scan(uri: string): (at?: number) => string {
  const app = URI.parse(uri)
  if (!(app instanceof TOTP)) throw new Error('not for an authenticator app')
  return (at = clock.now()) => app.generate({ timestamp: at })
}

async function enrol(): Promise<(at?: number) => string> {
  const { code } = await people.invite(ada, 'operator')
  const { uri } = await people.begin(code.reveal())
  const app = scan(uri.reveal())
  await people.confirm(code.reveal(), app())
  return app
}

/** A code that is none of those that count now. */
function wrong(app: (at?: number) => string): string {
  const right = [-1, 0, 1].map((steps) => app(clock.now() + steps * STEP_MS))
  return ['000000', '000001', '000002', '000003'].find((code) => !right.includes(code)) ?? ''
}

describe('enrolment', () => {
  it('takes a one-time code and the first code of the device, and is a login', async () => {
    const { code, expiresAt } = await people.invite(ada, 'operator')
    expect(code.reveal()).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/)
    expect(expiresAt).toBe(clock.now() + LIMITS.invitationMs)
    const enrolment = await people.begin(code.reveal())
    expect(enrolment.person).toBe(ada)
    expect(enrolment.uri.reveal()).toContain('otpauth://totp/Sluice:ada%40example.com?')
    const app = scan(enrolment.uri.reveal())
    expect(await people.confirm(code.reveal(), app())).toEqual({
      chain: [ADA],
      at: clock.now(),
      method: 'code',
    })
    expect(await people.enrolled()).toEqual([{ person: ada, enrolledAt: clock.now() }])
  })

  it('shows its secrets to nobody else', async () => {
    const { code } = await people.invite(ada, 'operator')
    const { secret, uri } = await people.begin(code.reveal())
    await people.confirm(code.reveal(), scan(uri.reveal())())
    const kept = inspect([store, sealedStore, await sealedStore.all()], { depth: 9, maxStringLength: null })
    for (const each of [code.reveal(), secret.reveal()]) expect(kept).not.toContain(each)
    const [sealed] = await sealedStore.all()
    expect(Buffer.from(sealed!.sealed).toString('latin1')).not.toContain(secret.reveal())
  })

  it('understands the code as people type it', async () => {
    const { code } = await people.invite(ada, 'operator')
    const typed = ` ${code.reveal().toLowerCase().replaceAll('-', ' ').replaceAll('1', 'l').replaceAll('0', 'o')} `
    expect((await people.begin(typed)).person).toBe(ada)
  })

  it('may be begun again with the same secret, and is over when confirmed', async () => {
    const { code } = await people.invite(ada, 'operator')
    const first = await people.begin(code.reveal())
    const second = await people.begin(code.reveal())
    expect(second.secret.reveal()).toBe(first.secret.reveal())
    const app = scan(first.uri.reveal())
    expect(await reasonOf(people.confirm(code.reveal(), wrong(app)))).toBe('wrong_code')
    expect(await reasonOf(people.confirm(code.reveal(), app()))).toBe('done')
    expect(await reasonOf(people.confirm(code.reveal(), app()))).toBe('unknown_invitation')
    expect(await reasonOf(people.begin(code.reveal()))).toBe('unknown_invitation')
  })

  it('ends with the day, with a newer invitation, and is not for agents or strangers', async () => {
    const first = await people.invite(ada, 'operator')
    const second = await people.invite(ada, 'operator')
    expect(await reasonOf(people.begin(first.code.reveal()))).toBe('unknown_invitation')
    clock.advance(LIMITS.invitationMs)
    expect(await reasonOf(people.begin(second.code.reveal()))).toBe('unknown_invitation')
    expect(await reasonOf(people.begin(''))).toBe('unknown_invitation')
    expect(await reasonOf(people.invite('agent:bot', 'operator'))).toBe('not_found')
    expect(await reasonOf(people.invite('person:eve@example.com', 'operator'))).toBe('not_found')
  })

  it('of a new device ends the old one, and only when it is confirmed', async () => {
    const old = await enrol()
    const { code } = await people.invite(ada, 'operator')
    const { uri } = await people.begin(code.reveal())
    clock.advance(STEP_MS)
    expect(await reasonOf(people.login(ada, old()))).toBe('done')
    clock.advance(STEP_MS)
    const app = scan(uri.reveal())
    await people.confirm(code.reveal(), app())
    clock.advance(STEP_MS)
    expect(await reasonOf(people.login(ada, old()))).toBe('wrong_code')
    expect(await reasonOf(people.login(ada, app()))).toBe('done')
    expect(await sealedStore.all()).toHaveLength(1)
  })
})

describe('a login', () => {
  it('takes each code once, also after a restart and when many try at once', async () => {
    const app = await enrol()
    expect(await reasonOf(people.login(ada, app())), 'the code of the enrolment').toBe('used_code')
    clock.advance(STEP_MS)
    const code = app()
    const attempts = await Promise.all([1, 2, 3, 4].map(() => reasonOf(people.login(ada, code))))
    expect(attempts.filter((reason) => reason === 'done')).toHaveLength(1)
    expect(attempts.filter((reason) => reason === 'used_code')).toHaveLength(3)
    people = await restart()
    expect(await reasonOf(people.login(ada, code))).toBe('used_code')
    clock.advance(STEP_MS)
    const spaced = app().replace(/^.../, '$& ')
    expect(await people.login(ada, spaced)).toEqual({ chain: [ADA], at: clock.now(), method: 'code' })
  })

  it('takes the code before and after, and none of an older step once a newer was used', async () => {
    const app = await enrol()
    clock.advance(10 * STEP_MS)
    const late = app(clock.now() - STEP_MS)
    const early = app(clock.now() + STEP_MS)
    expect(await reasonOf(people.login(ada, app(clock.now() - 2 * STEP_MS)))).toBe('wrong_code')
    expect(await reasonOf(people.login(ada, app(clock.now() + 2 * STEP_MS)))).toBe('wrong_code')
    expect(await reasonOf(people.login(ada, early))).toBe('done')
    expect(await reasonOf(people.login(ada, app()))).toBe('used_code')
    expect(await reasonOf(people.login(ada, late))).toBe('used_code')
  })

  it('is refused for whoever is unknown, has no device or types no code', async () => {
    expect(await reasonOf(people.login('person:eve@example.com', '123456'))).toBe('unknown_person')
    expect(await reasonOf(people.login('agent:bot', '123456'))).toBe('unknown_person')
    expect(await reasonOf(people.login(ada, '123456'))).toBe('not_enrolled')
    await enrol()
    for (const text of ['', '12345', 'abcdef', '１２３４５６', '-12345']) {
      expect(await reasonOf(people.login(ada, text)), text).toBe('wrong_code')
    }
    expect(await reasonOf(people.login(ada, '123456'))).toBe('locked')
  })

  it('says the same to all of them', async () => {
    const app = await enrol()
    configured.set('person:bob@example.com', { ...ADA, name: 'bob@example.com' })
    const messages = await Promise.all(
      [
        people.login('person:eve@example.com', '123456'),
        people.login('person:bob@example.com', '123456'),
        people.login(ada, wrong(app)),
        people.login(ada, app()),
      ].map((attempt) => attempt.then(String, (error: unknown) => (error as Error).message)),
    )
    expect(new Set(messages)).toHaveLength(1)
  })

  it('ends with the configuration that named the person, and with forgetting the device', async () => {
    const app = await enrol()
    clock.advance(STEP_MS)
    configured.delete(ada)
    expect(await reasonOf(people.login(ada, app()))).toBe('unknown_person')
    configured.set(ada, ADA)
    await people.forget(ada)
    expect(await reasonOf(people.login(ada, app()))).toBe('not_enrolled')
    expect(await sealedStore.all()).toEqual([])
  })
})

describe('guessing', () => {
  it('locks after five wrong codes, longer with each more, and a restart does not help', async () => {
    const app = await enrol()
    for (let i = 0; i < LIMITS.loginFailuresMax; i++) {
      expect(await reasonOf(people.login(ada, wrong(app)))).toBe('wrong_code')
    }
    let lockMs: number = LIMITS.loginLockMs
    for (let i = 0; i < 9; i++) {
      people = await restart()
      expect(await reasonOf(people.login(ada, app(clock.now() + STEP_MS)))).toBe('locked')
      clock.advance(lockMs - 1)
      expect(await reasonOf(people.login(ada, wrong(app)))).toBe('locked')
      clock.advance(1)
      expect(await reasonOf(people.login(ada, wrong(app)))).toBe('wrong_code')
      lockMs = Math.min(lockMs * 2, LIMITS.loginLockMsMax)
    }
    expect(lockMs).toBe(LIMITS.loginLockMsMax)
    clock.advance(lockMs)
    expect(await reasonOf(people.login(ada, app()))).toBe('done')
    expect(await reasonOf(people.login(ada, wrong(app))), 'a right code begins anew').toBe('wrong_code')
    expect(await store.find(ada)).toMatchObject({ failures: 1, lockedUntil: clock.now() })
  })

  it('locks the source that it comes from, and nobody who has not guessed', async () => {
    const app = await enrol()
    clock.advance(STEP_MS)
    const from = (source: string, code = wrong(app)): Promise<unknown> =>
      reasonOf(people.login(ada, code, source))
    expect(await from('203.0.113.7', app())).toBe('done')
    // One request an hour held everybody out before.
    for (let i = 0; i < 80; i++) {
      await from('198.51.100.1')
      clock.advance(60_000)
    }
    expect(await from('198.51.100.1', app())).toBe('locked')
    expect(await from('203.0.113.7', app())).toBe('done')
    expect(await from('198.51.100.1', app(clock.now() + STEP_MS))).toBe('locked')
    clock.advance(2 * STEP_MS)
    expect(await from('192.0.2.9', app())).toBe('done')
  })

  it('from many sources is slowed down as well, and locks out none that was right before', async () => {
    const app = await enrol()
    clock.advance(STEP_MS)
    const from = (source: string, code = wrong(app)): Promise<unknown> =>
      reasonOf(people.login(ada, code, source))
    expect(await from('203.0.113.7', app())).toBe('done')
    let tried = 0
    for (let minute = 0; minute < 120; minute++) {
      for (let i = 0; i < 3; i++)
        if ((await from(`10.0.${minute >> 4}.${(minute % 16) * 16 + i}`)) === 'wrong_code') tried++
      clock.advance(60_000)
    }
    // One a minute, but for the first five and those that fall between two locks.
    expect(tried).toBeLessThanOrEqual(120 + LIMITS.loginFailuresMax + 10)
    expect(await from('203.0.113.7', app())).toBe('done')
  })

  it('counts all addresses of one IPv6 network as one source', async () => {
    const app = await enrol()
    for (let i = 0; i < LIMITS.loginFailuresMax; i++)
      await reasonOf(people.login(ada, wrong(app), `2001:db8::${i}:1`))
    await reasonOf(people.login(ada, wrong(app), '2001:db8:0:0:9::1'))
    expect(await reasonOf(people.login(ada, wrong(app), '2001:db8::77'))).toBe('locked')
    clock.advance(STEP_MS)
    expect(await reasonOf(people.login(ada, app(), '2001:db8:0:1::1'))).toBe('done')
  })

  it('in parallel is counted one by one', async () => {
    const app = await enrol()
    clock.advance(STEP_MS)
    const guesses = await Promise.all(
      Array.from({ length: 50 }, () => reasonOf(people.login(ada, wrong(app)))),
    )
    expect(guesses.filter((reason) => reason === 'wrong_code')).toHaveLength(LIMITS.loginFailuresMax)
    expect(guesses.filter((reason) => reason === 'locked')).toHaveLength(50 - LIMITS.loginFailuresMax)
  })
})
