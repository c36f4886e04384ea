/** Who may answer, in which order, and when: hoop.md 3.5 and 6.3, agents.md table J. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Ticket } from '../core/index.ts'
import { ADA, AGENT, ApprovalStage, approver } from '../testing/approval-stage.ts'
import { routeFor } from './route.ts'

const code = (value: string): unknown => expect.objectContaining({ code: value })
const of = (groups: string[], people = 1) => ({ groups, identities: [], anyone: false, people })

const dan = approver('dan', 'dbas')
const eve = approver('eve', 'dbas', 'leads')
const lea = approver('lea', 'leads')

let stage: ApprovalStage
beforeEach(async () => {
  stage = await ApprovalStage.open()
})

async function approves(ticket: Ticket, ...who: Parameters<ApprovalStage['answer']>[2][]): Promise<string[]> {
  const states: string[] = []
  for (const each of who) states.push((await stage.answer(ticket, 'approve', each)).state)
  return states
}

describe('steps', () => {
  it('are answered by their people alone', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])] })] })
    await expect(stage.answer(ticket, 'approve', ADA)).rejects.toEqual(code('denied'))
    await expect(stage.answer(ticket, 'refuse', ADA)).rejects.toEqual(code('denied'))
    expect(await approves(ticket, dan)).toEqual(['approved'])
  })

  it('want the role as well: a route gives none', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])] })] })
    const outsider = { ...dan, groups: ['dbas'] }
    await expect(stage.answer(ticket, 'approve', outsider)).rejects.toEqual(code('denied'))
  })

  it('follow one another: the second is not answered before the first', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'], 2), of(['leads'])] })] })
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('conflict'))
    expect(await approves(ticket, dan, eve, lea)).toEqual(['pending', 'pending', 'approved'])
    expect(stage.desk.get(ticket)?.answers.map(({ step }) => step)).toEqual([0, 0, 1])
  })

  it('are not all met by one human in several groups', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas']), of(['leads'])] })] })
    expect(await approves(ticket, eve)).toEqual(['pending'])
    await expect(stage.answer(ticket, 'approve', eve)).rejects.toEqual(code('conflict'))
    await expect(
      stage.answer(ticket, 'approve', { ...eve, issuer: 'https://id.example.com' }),
    ).rejects.toEqual(code('conflict'))
    expect(await stage.take(ticket)).toBe(false)
    expect(await approves(ticket, lea)).toEqual(['approved'])
  })

  it('are refused by anybody of any of them, at any time', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas']), of(['leads'])] })] })
    expect((await stage.answer(ticket, 'refuse', lea)).state).toBe('refused')
  })

  it('take identities by their key, with the issuer', async () => {
    const key = 'person:dan (https://id.example.com)'
    const steps = [{ groups: [], identities: [key], anyone: false, people: 1 }]
    const ticket = await stage.ask({ review: [stage.via({ steps })] })
    await expect(stage.answer(ticket, 'approve', dan)).rejects.toEqual(code('denied'))
    expect(await approves(ticket, { ...dan, issuer: 'https://id.example.com' })).toEqual(['approved'])
  })

  it('are not met by the yes of who is blocked by the time that it would count', async () => {
    const review = stage.via({ steps: [of(['dbas'], 2), of(['leads'])] })
    const ticket = await stage.ask({ review: [review] })
    expect(await approves(ticket, dan)).toEqual(['pending'])
    stage.blocked.add('dan')
    expect(await approves(ticket, eve)).toEqual(['pending'])
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('conflict'))
    expect(await approves(ticket, approver('pia', 'dbas'), lea)).toEqual(['pending', 'approved'])
    expect(await stage.take(ticket)).toBe(true)
  })

  it('let nothing run any more when who said yes is blocked before it is used', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])] })] })
    expect(await approves(ticket, dan)).toEqual(['approved'])
    stage.blocked.add('dan')
    expect(await stage.take(ticket)).toBe(false)
    expect(stage.desk.get(ticket)?.state).toBe('revoked')
    // What is asked for again is asked about by itself.
    stage.blocked.clear()
    expect(await stage.take(ticket)).toBe(false)
  })

  it('of the way it was when it was asked', async () => {
    const review = stage.via({ steps: [of(['dbas'])] })
    const ticket = await stage.ask({ review: [review] })
    stage.routes.clear()
    await stage.restart()
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('denied'))
    expect(await approves(ticket, dan)).toEqual(['approved'])
  })
})

describe('several rules', () => {
  it('are stricter together: all of their routes, one after the other, each once', async () => {
    const dba = stage.via({ steps: [of(['dbas'])], reason: true })
    const lead = stage.via({ steps: [of(['leads'])], ownPerson: true })
    const ticket = await stage.ask({ review: [dba, lead, dba] })
    expect(stage.desk.get(ticket)?.route).toMatchObject({
      steps: [{ groups: ['dbas'] }, { groups: ['leads'] }],
      reason: true,
      ownPerson: false,
    })
  })

  it('without a route take the default, and that is one person where there is none', async () => {
    expect(routeFor([], { routes: stage.routes, default: undefined }).steps).toMatchObject([
      { anyone: true, people: 1 },
    ])
    stage.usual = stage.via({ steps: [of(['dbas'])] }).route
    const ticket = await stage.ask({ review: [{ reuse: {} }] })
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('denied'))
  })

  it('that name what there is not ask nobody, rather than anybody', async () => {
    await expect(stage.ask({ review: [{ route: 'gone', reuse: {} }] })).rejects.toThrow('no route gone')
  })
})

describe('escalation', () => {
  const escalation = { groups: ['leads'], identities: [], afterMs: 60_000 }

  it('lets others answer after its delay, and is an entry and an event of its own', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])], escalation })] })
    const told: unknown[] = []
    stage.desk.onChange(({ escalatedAt }) => told.push(escalatedAt))
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('denied'))
    stage.clock.advance(59_999)
    await expect(stage.answer(ticket, 'approve', lea)).rejects.toEqual(code('denied'))
    stage.clock.advance(1)
    await stage.settled()
    expect(stage.actions(ticket)).toEqual(['approval.pending', 'approval.escalated'])
    expect(told).toEqual([stage.clock.now()])
    expect(await approves(ticket, lea)).toEqual(['approved'])
    expect(stage.clock.waiting).toBe(1)
  })

  it('that was due while nobody was there begins with the start', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])], escalation })] })
    stage.desk.stop()
    stage.clock.advance(60_000)
    await stage.restart()
    stage.clock.advance(0)
    await stage.settled()
    expect(stage.actions(ticket)).toContain('approval.escalated')
    expect(await approves(ticket, lea)).toEqual(['approved'])
  })

  it('is none for what has been answered', async () => {
    const ticket = await stage.ask({ review: [stage.via({ steps: [of(['dbas'])], escalation })] })
    await approves(ticket, dan)
    stage.clock.advance(60_000)
    await stage.settled()
    expect(stage.actions(ticket)).not.toContain('approval.escalated')
  })
})

describe('hours and reasons', () => {
  it('count for a yes, in UTC, and never for a no', async () => {
    // A Friday.
    stage.clock.advance(Date.UTC(2027, 0, 1, 7, 59, 59) - stage.clock.now())
    const hours = { days: [1, 2, 3, 4, 5], from: 8 * 60, to: 18 * 60 }
    const review = [stage.via({ hours })]
    const ticket = await stage.ask({ review })
    await expect(stage.answer(ticket, 'approve', dan)).rejects.toEqual(code('denied'))
    stage.clock.advance(1000)
    expect(await approves(ticket, dan)).toEqual(['approved'])
    stage.clock.advance(10 * 3_600_000 - 1)
    const late = await stage.ask({ review, fingerprint: 'late' })
    stage.clock.advance(1)
    await expect(stage.answer(late, 'approve', dan)).rejects.toEqual(code('denied'))
    expect((await stage.answer(late, 'refuse', dan)).state).toBe('refused')
    // A Saturday at ten.
    stage.clock.advance(16 * 3_600_000)
    const weekend = await stage.ask({ review, fingerprint: 'weekend' })
    await expect(stage.answer(weekend, 'approve', dan)).rejects.toEqual(code('denied'))
  })

  it('a reason is given, and is more than blanks', async () => {
    const ticket = await stage.ask({ review: [stage.via({ reason: true })] })
    for (const reason of [undefined, '', '  ']) {
      const rest = reason === undefined ? {} : { reason }
      await expect(stage.answer(ticket, 'approve', dan, rest)).rejects.toEqual(code('invalid'))
    }
    expect((await stage.answer(ticket, 'approve', dan, { reason: 'CHG-7' })).state).toBe('approved')
  })
})

describe('the requester', () => {
  it('J-06: never answers in any step, whatever group escalation or route names', async () => {
    const grace = approver('grace', 'dbas', 'leads')
    const steps = [of(['dbas'])]
    const escalation = { groups: ['leads'], identities: ['person:grace'], afterMs: 1 }
    const ticket = await stage.ask({ chain: [AGENT, grace], review: [stage.via({ steps, escalation })] })
    stage.clock.advance(1000)
    await expect(stage.answer(ticket, 'approve', grace)).rejects.toEqual(code('denied'))
    await expect(stage.answer(ticket, 'approve', AGENT)).rejects.toEqual(code('denied'))
  })

  it('may be the person behind an agent where the route says so: with a passkey, or a code on a terminal', async () => {
    const grace = approver('grace')
    const review = [stage.via({ ownPerson: true })]
    const passkey = { chain: [grace], at: stage.clock.now(), method: 'passkey' } as const
    const ticket = await stage.ask({ review })
    await expect(stage.answer(ticket, 'approve', grace, { through: 'api' })).rejects.toEqual(code('denied'))
    const old = { ...passkey, at: 0 }
    await expect(stage.answer(ticket, 'approve', grace, { proof: old })).rejects.toEqual(
      code('unauthenticated'),
    )
    expect((await stage.answer(ticket, 'approve', grace)).state).toBe('approved')
    const another = await stage.ask({ review, fingerprint: 'b' })
    const through = 'web'
    expect((await stage.answer(another, 'approve', grace, { proof: passkey, through })).state).toBe(
      'approved',
    )
    const [agent] = stage.command().chain
    for (const [fingerprint, rest] of Object.entries({
      administer: { class: 'administer' },
      opaque: { class: 'opaque' },
      'no agent': { chain: [grace] },
      'a service': { chain: [{ ...agent, kind: 'service' }, grace] },
      'a route that does not': { review: [...review, stage.via({})] },
    } as const)) {
      const dangerous = await stage.ask({ review, fingerprint, ...rest })
      await expect(stage.answer(dangerous, 'approve', grace, { proof: passkey })).rejects.toEqual(
        code('denied'),
      )
    }
  })
})
