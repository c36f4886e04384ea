/** What an answer may be that a channel vouches for, and what it never is. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Identity, Ticket } from '../core/index.ts'
import { ADA, AGENT, approver, ApprovalStage } from '../testing/approval-stage.ts'
import type { Answer, ApprovalInput } from './approval.ts'
import { routeFor } from './route.ts'

let stage: ApprovalStage

beforeEach(async () => {
  stage = await ApprovalStage.open()
})

const BOB = approver('bob')

function through(ticket: Ticket, who: Identity, rest: Partial<Answer> = {}) {
  const proof = { chain: [who], at: stage.clock.now(), method: 'channel' } as const
  return stage.desk.answer(ticket, { verdict: 'approve', proof, through: 'channel:chat', ...rest })
}

function open(input: Partial<ApprovalInput> = {}, route: Parameters<ApprovalStage['via']>[0] = {}) {
  const review = [stage.via({ channels: ['chat', 'mail'], answers: ['chat'], ...route })]
  return stage.ask({ review, ...input })
}

describe('an answer through a channel', () => {
  it('counts where the route lists the channel, and says through what it came', async () => {
    const ticket = await open()
    const answered = await through(ticket, ADA)
    expect(answered).toMatchObject({
      state: 'approved',
      answers: [{ by: ADA, method: 'channel', through: 'channel:chat' }],
    })
    expect(stage.recorded.at(-1)).toMatchObject({
      action: 'approval.approved',
      details: { through: 'channel:chat', login: 'channel' },
    })
    expect(await stage.take(ticket)).toBe(true)
  })

  it('counts nowhere else: not by default, and not through a channel that is only told', async () => {
    const plain = await stage.ask({ fingerprint: 'plain' })
    await expect(through(plain, ADA)).rejects.toMatchObject({ code: 'denied' })
    const ticket = await open()
    await expect(through(ticket, ADA, { through: 'channel:mail' })).rejects.toMatchObject({ code: 'denied' })
    await expect(through(ticket, ADA, { through: 'channel:' })).rejects.toMatchObject({ code: 'denied' })
    expect(stage.desk.get(ticket)?.answers).toEqual([])
  })

  it('counts for nothing that runs under another role or path than it looks, or under what nobody knows', async () => {
    const ticket = await open({ under: { changes: ['role = app2'], moved: true } })
    await expect(through(ticket, ADA)).rejects.toMatchObject({ code: 'denied' })
    const other = await open({
      fingerprint: 'other',
      under: { changes: ['app.tenant = a'], moved: false },
    })
    expect(await through(other, ADA)).toMatchObject({ state: 'approved' })
  })

  it('counts only where every route of the request lets it', async () => {
    const review = [stage.via({ channels: ['chat'], answers: ['chat'] }), stage.via({ channels: ['mail'] })]
    const ticket = await stage.ask({ review })
    expect(stage.desk.get(ticket)?.route).toMatchObject({ channels: ['chat', 'mail'] })
    await expect(through(ticket, ADA)).rejects.toMatchObject({ code: 'denied' })
  })

  it.each([
    ['administer', { class: 'administer' }],
    ['opaque', { class: 'opaque' }],
    ['access', { access: { name: 'repair', ms: 60_000, emergency: false } }],
    ['a sealed value, which the channel was not shown', { shown: { text: 'DELETE [sealed pii.email]' } }],
  ] as const)('J-04: never counts for %s, neither as a yes nor as a no', async (_what, input) => {
    const ticket = await open(input)
    await expect(through(ticket, ADA)).rejects.toMatchObject({ code: 'denied' })
    await expect(through(ticket, ADA, { verdict: 'refuse' })).rejects.toMatchObject({ code: 'denied' })
    expect(await stage.answer(ticket, 'approve', ADA)).toMatchObject({ state: 'approved' })
  })

  it('J-06: never counts of anybody in the chain that asked, even where a person may answer for the own agent', async () => {
    const ticket = await open({ chain: [AGENT, ADA] }, { ownPerson: true })
    await expect(through(ticket, ADA)).rejects.toMatchObject({ code: 'denied' })
    await expect(through(ticket, approver('Ada'))).rejects.toMatchObject({ code: 'denied' })
  })

  it('counts only of a person with the role, by one who acts for nobody', async () => {
    const ticket = await open()
    await expect(through(ticket, { ...ADA, groups: [] })).rejects.toMatchObject({ code: 'denied' })
    await expect(through(ticket, AGENT)).rejects.toMatchObject({ code: 'denied' })
  })

  it('J-06: is one at most of those that a request needs: a channel has one secret for all of its people', async () => {
    const ticket = await open({}, { steps: [{ groups: [], identities: [], anyone: true, people: 2 }] })
    expect(await through(ticket, ADA)).toMatchObject({ state: 'pending' })
    await expect(through(ticket, BOB)).rejects.toMatchObject({ code: 'denied' })
    expect(stage.desk.get(ticket)?.state).toBe('pending')
    expect(await stage.answer(ticket, 'approve', BOB)).toMatchObject({ state: 'approved' })
    const other = await open(
      { fingerprint: 'other' },
      { steps: [{ groups: [], identities: [], anyone: true, people: 2 }] },
    )
    await through(other, ADA)
    expect(await through(other, BOB, { verdict: 'refuse' })).toMatchObject({ state: 'refused' })
  })

  it('is for one use, and mutes nobody', async () => {
    const review = [{ ...stage.via({ channels: ['chat'], answers: ['chat'] }), reuse: { times: 3 } }]
    const ticket = await stage.ask({ review })
    const reuse = { kind: 'times', times: 2 } as const
    await expect(through(ticket, ADA, { reuse })).rejects.toMatchObject({ code: 'invalid' })
    await expect(through(ticket, ADA, { verdict: 'refuse', muteMs: 1 })).rejects.toMatchObject({
      code: 'invalid',
    })
    expect(await through(ticket, ADA)).toMatchObject({ state: 'approved' })
    expect(await stage.take(ticket)).toBe(true)
    expect(await stage.take(ticket)).toBe(false)
  })

  it('cannot pass for a login, nor a login for it', async () => {
    const ticket = await open()
    await expect(through(ticket, ADA, { through: 'cli' })).rejects.toMatchObject({ code: 'denied' })
    const login = { chain: [ADA], at: stage.clock.now(), method: 'code' } as const
    await expect(through(ticket, ADA, { proof: login })).rejects.toMatchObject({ code: 'denied' })
  })

  it('never breaks the glass', async () => {
    const input = stage.command({ chain: [ADA], access: { name: 'repair', ms: 60_000, emergency: true } })
    const proof = { chain: [ADA], at: stage.clock.now(), method: 'channel' } as const
    await expect(stage.desk.breakGlass(input, { proof, reason: 'it burns' })).rejects.toMatchObject({
      code: 'denied',
    })
  })
})

it('a route says which channels are told: those of all of its routes, each once', () => {
  const named = (name: string, channels: readonly string[], answers: readonly string[] = []) => ({
    name,
    steps: [{ groups: [], identities: [], anyone: true, people: 1 }],
    escalation: undefined,
    hours: undefined,
    reason: false,
    ownPerson: false,
    channels,
    answers,
  })
  const routes = new Map([
    ['a', named('a', ['x', 'y'], ['x', 'y'])],
    ['b', named('b', ['y', 'z'], ['y'])],
  ])
  const reviews = [
    { route: 'a', reuse: {} },
    { route: 'b', reuse: {} },
  ]
  expect(routeFor(reviews, { routes, default: undefined })).toMatchObject({
    channels: ['x', 'y', 'z'],
    answers: ['y'],
  })
  expect(routeFor([], { routes, default: undefined })).not.toHaveProperty('channels')
})
