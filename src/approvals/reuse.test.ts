/** More than one use: what rules offer, what approvers choose, and what it is good for. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Identity } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import { ADA, AGENT, ApprovalStage, approver, OTHER_SESSION, SESSION } from '../testing/approval-stage.ts'
import type { Reuse } from './reuse.ts'

const code = (value: string): unknown => expect.objectContaining({ code: value })
const eve = approver('eve')
const ALL = { times: 5, shapeMs: 3_600_000, session: true } as const
const HOUR: Reuse = { kind: 'shape', ms: 3_600_000 }

let stage: ApprovalStage
beforeEach(async () => {
  stage = await ApprovalStage.open()
})

describe('what is offered', () => {
  it('is nothing without a rule that says so', async () => {
    const ticket = await stage.ask()
    for (const reuse of [{ kind: 'times', times: 2 }, HOUR, { kind: 'session' }] as const) {
      await expect(stage.answer(ticket, 'approve', ADA, { reuse })).rejects.toEqual(code('denied'))
    }
    await stage.answer(ticket, 'approve', ADA)
    expect([await stage.run(), await stage.run()]).toEqual([true, false])
  })

  it('is what all rules offer, and no more than the least of it', async () => {
    const review = [stage.via({}, ALL), stage.via({}, { times: 3 })]
    const ticket = await stage.ask({ review })
    expect(stage.desk.get(ticket)?.offer).toEqual({ times: 3 })
    await expect(stage.answer(ticket, 'approve', ADA, { reuse: HOUR })).rejects.toEqual(code('denied'))
    const reuse = { kind: 'times', times: 4 } as const
    await expect(stage.answer(ticket, 'approve', ADA, { reuse })).rejects.toEqual(code('denied'))
    for (const times of [0, 1.5, Number.NaN]) {
      const odd = { kind: 'times', times } as const
      await expect(stage.answer(ticket, 'approve', ADA, { reuse: odd })).rejects.toEqual(code('invalid'))
    }
  })

  it('counts when all who approve choose the same, and then the shortest', async () => {
    const two = { steps: [{ groups: [], identities: [], anyone: true, people: 2 }] }
    const ticket = await stage.ask({ review: [stage.via(two, ALL)] })
    await stage.answer(ticket, 'approve', ADA, { reuse: HOUR })
    await stage.answer(ticket, 'approve', eve, { reuse: { kind: 'shape', ms: 60_000 } })
    expect(stage.desk.get(ticket)).toMatchObject({
      reuse: { kind: 'shape', ms: 60_000 },
      expiresAt: stage.clock.now() + 60_000,
    })
    const other = await stage.ask({ fingerprint: 'b', shape: 'b', review: [stage.via(two, ALL)] })
    await stage.answer(other, 'approve', ADA, { reuse: HOUR })
    await stage.answer(other, 'approve', eve)
    expect(stage.desk.get(other)?.reuse).toBeUndefined()
  })
})

describe('so many times', () => {
  it('is for the very same command, counted, and each use is recorded', async () => {
    const ticket = await stage.ask({ review: [stage.via({}, ALL)] })
    await stage.answer(ticket, 'approve', ADA, { reuse: { kind: 'times', times: 3 } })
    expect(await stage.take(ticket, { fingerprint: 'delete 2' })).toBe(false)
    const ran = await Promise.all(Array.from({ length: 5 }, () => stage.take(ticket)))
    expect(ran.filter(Boolean)).toHaveLength(3)
    const uses = stage.recorded.filter(({ action }) => action === 'approval.used')
    expect(uses.map(({ details }) => details?.['use'])).toEqual([1, 2, 3])
    expect(new Set(uses.map(({ details }) => details?.['requestId'])).size).toBe(3)
    expect(stage.desk.get(ticket)?.state).toBe('used')
  })

  it('outlives a restart with what is left of it', async () => {
    const ticket = await stage.ask({ review: [stage.via({}, ALL)] })
    await stage.answer(ticket, 'approve', ADA, { reuse: { kind: 'times', times: 2 } })
    expect(await stage.run()).toBe(true)
    await stage.restart()
    expect([await stage.run(), await stage.run()]).toEqual([true, false])
  })
})

describe('one shape for a time', () => {
  beforeEach(async () => {
    const ticket = await stage.ask({ review: [stage.via({}, ALL)] })
    await stage.answer(ticket, 'approve', ADA, { reuse: HOUR })
  })

  it('lets other values run, in any session, until the time from the approval on is over', async () => {
    expect(await stage.run({ fingerprint: 'delete 2', session: OTHER_SESSION })).toBe(true)
    stage.clock.advance(3_600_000 - 1)
    expect(await stage.run({ fingerprint: 'delete 3' })).toBe(true)
    stage.clock.advance(1)
    expect(await stage.run({ fingerprint: 'delete 4' })).toBe(false)
  })

  it('J-03: is for nothing of another shape', async () => {
    expect(await stage.run({ fingerprint: 'delete all', shape: 'delete' })).toBe(false)
    const ticket = stage.desk.list({ states: ['approved'] })[0]?.ticket
    expect(ticket && (await stage.take(ticket, { fingerprint: 'x', shape: 'delete' }))).toBe(false)
  })

  it('has an end by uses as well', async () => {
    const [approval] = stage.desk.list({ states: ['approved'] })
    if (approval === undefined) throw new Error('nothing approved')
    const spent = { ...approval, uses: LIMITS.approvalUsesMax - 1, revision: approval.revision + 1 }
    await stage.store.replace(spent, approval.revision)
    await stage.restart()
    expect([await stage.run({ fingerprint: 'a' }), await stage.run({ fingerprint: 'b' })]).toEqual([
      true,
      false,
    ])
  })

  it('ends when somebody revokes it', async () => {
    const [approval] = stage.desk.list({ states: ['approved'] })
    if (approval === undefined) throw new Error('nothing approved')
    expect((await stage.desk.revoke(approval.ticket, 'person:ada')).state).toBe('revoked')
    expect(await stage.run({ fingerprint: 'delete 2' })).toBe(false)
    await expect(stage.desk.revoke(approval.ticket, 'person:ada')).rejects.toEqual(code('conflict'))
  })
})

describe('one session', () => {
  beforeEach(async () => {
    const ticket = await stage.ask({ review: [stage.via({}, ALL)] })
    await stage.answer(ticket, 'approve', ADA, { reuse: { kind: 'session' } })
  })

  it('runs what has the shape in that session, and in no other', async () => {
    expect(await stage.run({ fingerprint: 'delete 2' })).toBe(true)
    expect(await stage.run({ fingerprint: 'delete 2', session: OTHER_SESSION })).toBe(false)
  })

  it('is in nobody else\u2019s way: the same command elsewhere is asked about', async () => {
    const elsewhere = await stage.ask({ session: OTHER_SESSION })
    expect(stage.desk.get(elsewhere)?.state).toBe('pending')
    await stage.answer(elsewhere, 'approve', ADA)
    expect(await stage.run({ session: OTHER_SESSION })).toBe(true)
    expect(await stage.run()).toBe(true)
  })

  it('J-08: ends with the session, and after a restart at the latest by time', async () => {
    stage.desk.sessionEnded(OTHER_SESSION)
    await stage.settled()
    expect(await stage.run()).toBe(true)
    stage.desk.sessionEnded(SESSION)
    await stage.settled()
    expect(stage.desk.list({ states: ['approved'] })).toEqual([])
    expect(await stage.run()).toBe(false)
  })

  it('lapses by itself', async () => {
    stage.clock.advance(LIMITS.approvalSessionMs)
    expect(await stage.run()).toBe(false)
  })
})

describe('another configuration', () => {
  it('supersedes what is open, pending or approved, and wakes who waits', async () => {
    const pending = await stage.ask()
    const approved = await stage.ask({ fingerprint: 'b' })
    const kept = await stage.ask({ fingerprint: 'c', policyVersion: 'v2' })
    await stage.answer(approved, 'approve', ADA)
    const waiting = stage.desk.wait(pending, 45_000, new AbortController().signal)
    await stage.desk.supersede(({ policyVersion }) => policyVersion === 'v2')
    expect(await waiting).toBe('superseded')
    expect([pending, approved, kept].map((ticket) => stage.desk.get(ticket)?.state)).toEqual([
      'superseded',
      'superseded',
      'pending',
    ])
    expect(await stage.take(approved, { fingerprint: 'b' })).toBe(false)
    await expect(stage.answer(pending, 'approve', ADA)).rejects.toEqual(code('conflict'))
    expect(stage.actions(pending)).toEqual(['approval.pending', 'approval.superseded'])
  })

  it('that cannot be noted is told of, and uses up nothing', async () => {
    const ticket = await stage.ask()
    stage.store.replace = () => Promise.reject(new Error('disk'))
    await stage.desk.supersede(() => false)
    expect(stage.faults).toEqual([new Error('disk')])
    expect(stage.desk.get(ticket)?.state).toBe('pending')
  })
})

describe('other definitions', () => {
  it('supersede what was asked under the earlier ones, when it is asked again', async () => {
    const then = await stage.ask({ definitions: 'a' })
    const now = await stage.ask({ definitions: 'b', fingerprint: 'delete 1 under b' })
    expect(stage.desk.get(then)?.state).toBe('superseded')
    expect(stage.desk.get(now)?.state).toBe('pending')
  })

  it('supersede nothing where they are the same, unknown, or those of another command', async () => {
    const tickets = [
      await stage.ask({ definitions: 'a' }),
      await stage.ask({ definitions: 'a', fingerprint: 'other path' }),
      await stage.ask({ fingerprint: 'unknown' }),
      await stage.ask({ definitions: 'b', fingerprint: 'else', kin: 'update' }),
    ]
    expect(tickets.map((ticket) => stage.desk.get(ticket)?.state)).toEqual(Array(4).fill('pending'))
  })
})

describe('J-01: who is muted', () => {
  const muteMs = 3_600_000

  it('asks for nothing more on the connection, in whatever guise, until the time is over', async () => {
    const ticket = await stage.ask()
    await stage.answer(ticket, 'refuse', ADA, { muteMs })
    const [agent, person] = stage.command().chain
    if (person === undefined) throw new Error('no person')
    await expect(stage.ask({ fingerprint: 'b' })).rejects.toEqual(code('approval_refused'))
    await expect(
      stage.ask({ fingerprint: 'b', chain: [{ ...agent, name: 'helper' }, person] }),
    ).rejects.toEqual(code('approval_refused'))
    await stage.ask({ fingerprint: 'b', connection: 'billing' as never })
    await stage.ask({ fingerprint: 'b', chain: [agent, eve] })
    await stage.restart()
    await expect(stage.ask({ fingerprint: 'd' })).rejects.toEqual(code('approval_refused'))
    stage.clock.advance(muteMs)
    await stage.ask({ fingerprint: 'd' })
  })

  it('asks again once somebody who may answer has lifted it, and nobody else can', async () => {
    const ticket = await stage.ask()
    await stage.answer(ticket, 'refuse', ADA, { muteMs })
    const other = await stage.ask({ fingerprint: 'b', connection: 'billing' as never })
    await stage.answer(other, 'refuse', ADA, { muteMs })
    const lift = (who: Identity, of = ticket) =>
      stage.desk.unmute(of, {
        proof: { chain: [who], at: stage.clock.now(), method: 'code' },
        through: 'cli',
      })
    const grace = approver('grace')
    await expect(lift(grace)).rejects.toEqual(code('denied'))
    await expect(lift({ ...ADA, groups: [] })).rejects.toEqual(code('denied'))
    await expect(lift(AGENT)).rejects.toEqual(code('denied'))
    await expect(stage.desk.unmute(ticket, { proof: undefined, through: 'cli' })).rejects.toEqual(
      code('unauthenticated'),
    )
    await lift(eve)
    expect(stage.recorded.at(-1)).toMatchObject({
      action: 'approval.unmuted',
      by: 'person:eve',
      target: ticket,
    })
    await expect(lift(eve)).rejects.toEqual(code('conflict'))
    await stage.ask({ fingerprint: 'c' })
    await stage.restart()
    await stage.ask({ fingerprint: 'd' })
    await expect(stage.ask({ fingerprint: 'e', connection: 'billing' as never })).rejects.toEqual(
      code('approval_refused'),
    )
  })

  it('is still muted by another refusal', async () => {
    const [short, long] = [await stage.ask(), await stage.ask({ fingerprint: 'b' })]
    await stage.answer(short, 'refuse', ADA, { muteMs: muteMs / 2 })
    await stage.answer(long, 'refuse', ADA, { muteMs })
    const proof = { chain: [eve], at: stage.clock.now(), method: 'code' } as const
    await stage.desk.unmute(long, { proof, through: 'cli' })
    await expect(stage.ask({ fingerprint: 'c' })).rejects.toEqual(code('approval_refused'))
    stage.clock.advance(muteMs / 2)
    await stage.ask({ fingerprint: 'c' })
  })

  it('only a refusal does it, and for a day at most', async () => {
    const ticket = await stage.ask()
    await expect(stage.answer(ticket, 'approve', ADA, { muteMs })).rejects.toEqual(code('invalid'))
    for (const odd of [0, Number.NaN, LIMITS.muteMsMax + 1]) {
      await expect(stage.answer(ticket, 'refuse', ADA, { muteMs: odd })).rejects.toEqual(code('invalid'))
    }
  })
})
