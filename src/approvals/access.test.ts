/** Access that is granted for a time: hoop.md 3.4 and 6.3, and what an emergency is. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { ConnectionName, IdentityChain, Ticket } from '../core/index.ts'
import { brand, LIMITS } from '../core/index.ts'
import { ADA, AGENT, ApprovalStage, approver } from '../testing/approval-stage.ts'
import { AccessGrants, accessInput } from './access.ts'
import type { ApprovalInput } from './approval.ts'

const code = (value: string): unknown => expect.objectContaining({ code: value })
const crm = brand<ConnectionName>('crm')
const grace = approver('grace')
const HALF_HOUR = 30 * 60_000

let stage: ApprovalStage
let grants: AccessGrants
beforeEach(async () => {
  stage = await ApprovalStage.open()
  grants = new AccessGrants(stage.desk, stage.clock)
})

function input(
  chain: IdentityChain,
  rest: { name?: string; emergency?: boolean; ms?: number } = {},
): ApprovalInput {
  const { name = 'repair', emergency = false, ms = HALF_HOUR } = rest
  return accessInput({
    access: { name, ms, emergency },
    chain,
    connection: crm,
    reason: 'ticket 7',
    class: 'write',
    rules: [],
    review: stage.via({ ownPerson: true }),
    digest: 'd1',
  })
}

const names = (chain: IdentityChain = [AGENT, grace], connection = crm): readonly string[] =>
  grants.of(chain, connection).names

async function granted(chain: IdentityChain = [AGENT, grace]): Promise<Ticket> {
  const { ticket } = await stage.desk.open(input(chain))
  await stage.answer(ticket, 'approve', ADA)
  return ticket
}

describe('a grant', () => {
  it('J-08 and hoop 6.3: begins with the answer and ends at a time, whoever connects when', async () => {
    const { ticket } = await stage.desk.open(input([AGENT, grace]))
    stage.clock.advance(600_000)
    expect(names()).toEqual([])
    await stage.answer(ticket, 'approve', ADA)
    expect(names()).toEqual(['repair'])
    stage.clock.advance(HALF_HOUR - 1)
    expect(names()).toEqual(['repair'])
    await stage.restart()
    grants = new AccessGrants(stage.desk, stage.clock)
    expect(names()).toEqual(['repair'])
    stage.clock.advance(1)
    expect(names()).toEqual([])
  })

  it('has ended for everybody even when that cannot be stored', async () => {
    await granted()
    stage.store.replace = () => Promise.reject(new Error('disk'))
    stage.clock.advance(HALF_HOUR)
    await stage.settled()
    expect(names()).toEqual([])
  })

  it('tells once that it has ended: at its time, stored or not, and when it is taken back', async () => {
    const ended: unknown[] = []
    grants.onEnd(({ ticket, name }) => ended.push([ticket, name]))
    const first = await granted()
    const { replace } = stage.store
    stage.store.replace = () => Promise.reject(new Error('disk'))
    stage.clock.advance(HALF_HOUR - 1)
    expect(ended).toEqual([])
    stage.clock.advance(1)
    expect(ended).toEqual([[first, 'repair']])
    stage.store.replace = replace
    stage.clock.advance(60_000)
    await stage.settled()
    expect(stage.desk.get(first)?.state).toBe('expired')
    const second = await granted()
    await stage.desk.revoke(second, 'person:ada')
    stage.clock.advance(HALF_HOUR)
    expect(ended).toEqual([
      [first, 'repair'],
      [second, 'repair'],
    ])
  })

  it('is not for a chain whose names only look the same', async () => {
    await granted()
    const [look, issuer] = [`${AGENT.name} for person:grace`, 'local']
    expect(names([{ ...AGENT, name: look, issuer }])).toEqual([])
  })

  it('is of the very chain, on the connection', async () => {
    await granted()
    expect(names([grace])).toEqual([])
    expect(names([AGENT])).toEqual([])
    expect(names([{ ...AGENT, name: 'other' }, grace])).toEqual([])
    expect(names([AGENT, { ...grace, issuer: 'https://id.example.com' }])).toEqual([])
    expect(names([AGENT, grace], brand<ConnectionName>('billing'))).toEqual([])
  })

  it('is told of by a number that changes, and is one object while it is the same', async () => {
    const before = grants.changes
    const ticket = await granted()
    expect(grants.changes).toBeGreaterThan(before)
    expect(grants.of([AGENT, grace], crm)).toBe(grants.of([AGENT, grace], crm))
    const during = grants.changes
    await stage.desk.revoke(ticket, 'person:ada')
    expect(grants.changes).toBeGreaterThan(during)
    expect(names()).toEqual([])
  })

  it('ends by being taken back by who asked, and when the configuration changes it', async () => {
    await stage.desk.withdraw(await granted(), [grace])
    expect(names()).toEqual([])
    await granted()
    await stage.desk.supersede(({ policyVersion }) => policyVersion === 'd2')
    expect(names()).toEqual([])
  })

  it('is joined while it lasts, and asked for anew after it', async () => {
    const ticket = await granted()
    expect((await stage.desk.open(input([AGENT, grace]))).ticket).toBe(ticket)
    stage.clock.advance(HALF_HOUR)
    expect((await stage.desk.open(input([AGENT, grace]))).ticket).not.toBe(ticket)
  })

  it('is two beside each other when it is two', async () => {
    const { ticket } = await stage.desk.open(input([AGENT, grace], { name: 'look', ms: 60_000 }))
    await stage.answer(ticket, 'approve', ADA)
    await granted()
    expect(names()).toEqual(['look', 'repair'])
    stage.clock.advance(60_000)
    expect(names()).toEqual(['repair'])
  })

  it('lets no command run by itself, and nobody grants it to the own agent', async () => {
    const { ticket } = await stage.desk.open(input([AGENT, grace]))
    await expect(stage.answer(ticket, 'approve', grace)).rejects.toEqual(code('denied'))
    await stage.answer(ticket, 'approve', ADA)
    const { fingerprint, shape } = input([AGENT, grace])
    expect(await stage.take(ticket, { fingerprint, shape })).toBe(false)
  })
})

describe('breaking the glass', () => {
  const proof = (chain: IdentityChain, at = stage.clock.now()) => ({ chain, at, method: 'code' as const })

  it('opens at once, is recorded as what it is, and everybody is told', async () => {
    const told: unknown[] = []
    stage.desk.onChange(({ access, state }) => told.push([access?.emergency, state]))
    const taken = await stage.desk.breakGlass(input([grace], { emergency: true }), {
      proof: proof([grace]),
      reason: 'the shop is down',
    })
    expect(names([grace])).toEqual(['repair'])
    expect(told).toEqual([[true, 'approved']])
    expect(stage.recorded).toEqual([
      {
        action: 'approval.emergency',
        by: 'person:grace',
        target: taken.ticket,
        details: expect.objectContaining({ access: 'repair', connection: 'crm', reason: 'the shop is down' }),
      },
    ])
    stage.clock.advance(HALF_HOUR)
    expect(names([grace])).toEqual([])
  })

  it('is for an hour at most', async () => {
    const ms = LIMITS.accessMsMax
    const answer = { proof: proof([grace]), reason: 'fire' }
    const taken = await stage.desk.breakGlass(input([grace], { emergency: true, ms }), answer)
    expect(taken.expiresAt).toBe(stage.clock.now() + LIMITS.emergencyMsMax)
  })

  it('is for a person alone, with a fresh login and a reason', async () => {
    const reason = 'fire'
    for (const [chain, login, error] of [
      [[grace], undefined, 'unauthenticated'],
      [[grace], proof([grace], stage.clock.now() - LIMITS.loginFreshMs - 1), 'unauthenticated'],
      [[AGENT, grace], proof([grace]), 'denied'],
      [[grace], proof([ADA]), 'denied'],
      [[AGENT], proof([AGENT]), 'denied'],
    ] as const) {
      const answer = { proof: login, reason }
      await expect(stage.desk.breakGlass(input(chain, { emergency: true }), answer)).rejects.toEqual(
        code(error),
      )
    }
    for (const why of ['', ' ', 'x'.repeat(LIMITS.answerReasonMax + 1)]) {
      const answer = { proof: proof([grace]), reason: why }
      await expect(stage.desk.breakGlass(input([grace], { emergency: true }), answer)).rejects.toEqual(
        code('invalid'),
      )
    }
    expect(stage.recorded).toEqual([])
    expect(names([grace])).toEqual([])
  })

  it('is ended by an approver', async () => {
    const answer = { proof: proof([grace]), reason: 'fire' }
    const { ticket } = await stage.desk.breakGlass(input([grace], { emergency: true }), answer)
    await stage.desk.revoke(ticket, 'person:ada')
    expect(names([grace])).toEqual([])
  })

  it('once it was taken back, is not taken again before it would have ended', async () => {
    const answer = { proof: proof([grace]), reason: 'fire' }
    const { ticket } = await stage.desk.breakGlass(input([grace], { emergency: true }), answer)
    await stage.desk.revoke(ticket, 'person:ada')
    stage.clock.advance(60_000)
    await stage.restart()
    for (const rest of [{}, { name: 'look' }, { ms: 60_000 }]) {
      const again = stage.desk.breakGlass(input([grace], { emergency: true, ...rest }), {
        proof: proof([grace], stage.clock.now()),
        reason: 'fire',
      })
      await expect(again).rejects.toMatchObject({ code: 'approval_refused', ticket })
    }
    // Others may, and whoever asks in the ordinary way.
    const other = { proof: proof([ADA], stage.clock.now()), reason: 'fire' }
    expect(await stage.desk.breakGlass(input([ADA], { emergency: true }), other)).toMatchObject({
      state: 'approved',
    })
    expect(await stage.desk.open(input([grace]))).toMatchObject({ state: 'pending' })
    stage.clock.advance(HALF_HOUR)
    const late = { proof: proof([grace], stage.clock.now()), reason: 'fire' }
    expect(await stage.desk.breakGlass(input([grace], { emergency: true }), late)).toMatchObject({
      state: 'approved',
    })
  })

  it('is not for who may not ask for anything more', async () => {
    const { ticket } = await stage.desk.open(input([grace]))
    await stage.answer(ticket, 'refuse', ADA, { muteMs: HALF_HOUR })
    const answer = { proof: proof([grace]), reason: 'fire' }
    const asked = stage.desk.breakGlass(input([grace], { emergency: true }), answer)
    await expect(asked).rejects.toEqual(code('approval_refused'))
  })
})
