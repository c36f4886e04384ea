import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type AdminHead,
  brand,
  type ConnectionName,
  type Identity,
  LIMITS,
  type RequestId,
  type ReuseOffer,
  type Review,
  type SessionId,
  type Ticket,
} from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import type { Answer, Approval, ApprovalInput, LoginProof } from './approval.ts'
import { type Approvals, type ApprovalsOptions, createApprovals } from './approvals.ts'
import type { Use } from './reuse.ts'
import type { NamedRoute } from './route.ts'

const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: ['agents'] }
const person = (name: string): Identity => ({ kind: 'person', name, issuer: 'local', groups: ['approvers'] })
const ada = person('ada@example.com')
const eve = person('eve@example.com')
const bob = person('bob@example.com')

let clock: FakeClock
let store: MemoryApprovalStore
let recorded: AdminHead[]
let faults: unknown[]
let desk: Approvals
let routes: Map<string, NamedRoute>

async function start(rest: Partial<ApprovalsOptions> = {}): Promise<Approvals> {
  return await createApprovals({
    store,
    clock,
    random: (length) => randomBytes(length),
    routes: () => ({ routes, default: undefined }),
    mayAnswer: (who) => who.groups.includes('approvers'),
    record: async (head) => void recorded.push(head),
    onFault: (error) => faults.push(error),
    ...rest,
  })
}

beforeEach(async () => {
  clock = new FakeClock()
  store = new MemoryApprovalStore()
  recorded = []
  faults = []
  routes = new Map()
  desk = await start()
})

let asked = 0
function command(rest: Partial<ApprovalInput & Use> = {}): ApprovalInput & Use {
  return {
    fingerprint: 'delete',
    shape: 'shape',
    kin: 'kin',
    requestId: brand<RequestId>(`01J00000000000000000000000.${++asked}`),
    session: brand<SessionId>('01J00000000000000000000000'),
    chain: [agent, ada],
    connection: brand<ConnectionName>('crm'),
    text: 'DELETE FROM t',
    class: 'write',
    reads: [],
    writes: ['public.t'],
    rules: [],
    policyVersion: 'v1',
    ...rest,
  }
}

function login(who: Identity, rest: Partial<LoginProof> = {}): LoginProof {
  return { chain: [who], at: clock.now(), method: 'code', ...rest }
}

function says(verdict: Answer['verdict'], who: Identity, rest: Partial<Answer> = {}): Answer {
  return { verdict, proof: login(who), through: 'cli', ...rest }
}

const anyone = (people = 1) => ({ groups: [], identities: [], anyone: true, people })
/** What a rule says that names a route such as this. */
function via(rest: Partial<NamedRoute>, reuse: ReuseOffer = {}): Review[] {
  const name = `route-${routes.size}`
  const usual = {
    steps: [anyone()],
    escalation: undefined,
    hours: undefined,
    reason: false,
    ownPerson: false,
  }
  routes.set(name, { ...usual, ...rest, name })
  return [{ route: name, reuse }]
}
const use = (rest: Partial<Use> = {}): Use => {
  const { fingerprint, shape, requestId, session } = command()
  return { fingerprint, shape, requestId, session, ...rest }
}
const never = new AbortController().signal
const code = (value: string): unknown => expect.objectContaining({ code: value })
const states = (): [string, string][] => desk.list().map(({ ticket, state }) => [ticket, state])
/** Lets everything that is under way in memory come to its end. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('asking', () => {
  test('the same command joins the open request, and the approved one until it is used', async () => {
    const first = await desk.open(command())
    expect(await desk.open(command())).toEqual(first)
    await desk.answer(first.ticket, says('approve', eve))
    expect((await desk.open(command())).ticket).toBe(first.ticket)
    expect(await desk.consume(first.ticket, use())).toBe(true)
    expect((await desk.open(command())).ticket).not.toBe(first.ticket)
  })

  test('many at once make one request', async () => {
    const tickets = await Promise.all(
      Array.from({ length: 20 }, async () => (await desk.open(command())).ticket),
    )
    expect(new Set(tickets).size).toBe(1)
    expect(desk.list()).toHaveLength(1)
  })

  test('another command, or a refused or lapsed one, makes another request', async () => {
    const a = await desk.open(command())
    const b = await desk.open(command({ fingerprint: 'other' }))
    expect(b.ticket).not.toBe(a.ticket)
    await desk.answer(a.ticket, says('refuse', eve))
    const c = await desk.open(command())
    expect(c.ticket).not.toBe(a.ticket)
    clock.advance(LIMITS.ticketMs)
    expect((await desk.open(command())).ticket).not.toBe(c.ticket)
  })

  test('one identity can have only so many open, in whatever guise it asks', async () => {
    for (let n = 0; n < LIMITS.ticketsOpenMax; n++) {
      const helper: Identity = { ...agent, name: `helper-${n}` }
      await desk.open(command({ fingerprint: `${n}`, chain: [helper, agent, ada] }))
    }
    await expect(desk.open(command({ fingerprint: 'more' }))).rejects.toEqual(code('limit_exceeded'))
    // Joining is not asking, and others are not concerned.
    await desk.open(command({ fingerprint: '0' }))
    await desk.open(command({ fingerprint: 'more', chain: [agent, bob] }))
    const [latest] = desk.list({ identity: 'person:ada@example.com' })
    await desk.withdraw(latest?.ticket ?? brand<Ticket>(''), [agent, ada])
    await desk.open(command({ fingerprint: 'again' }))
  })

  test('the limit holds against requests made at the same moment', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: LIMITS.ticketsOpenMax + 10 }, (_, n) =>
        desk.open(command({ fingerprint: `${n}` })),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(LIMITS.ticketsOpenMax)
  })

  test('a request that could not be stored, or not be recorded, is none', async () => {
    store.insert = () => Promise.reject(new Error('disk'))
    await expect(desk.open(command())).rejects.toThrow('disk')
    expect(desk.list()).toEqual([])
    desk = await start({
      record: async () => {
        throw new Error('recording')
      },
    })
    await expect(desk.open(command())).rejects.toThrow('recording')
    expect(await store.load(10, 0)).toEqual([])
  })

  test('when another process asked first, its request is joined', async () => {
    const other = await start()
    const theirs = await other.open(command())
    expect((await desk.open(command())).ticket).toBe(theirs.ticket)
  })

  test('a ticket that exists is not given again', async () => {
    let calls = 0
    desk = await start({ random: (length) => new Uint8Array(length).fill(calls++ < 2 ? 7 : calls) })
    const a = await desk.open(command({ fingerprint: 'a' }))
    const b = await desk.open(command({ fingerprint: 'b' }))
    expect(a.ticket).not.toBe(b.ticket)
  })
})

describe('answering', () => {
  test('approved: usable once, and the clock starts at the approval (P-05)', async () => {
    const { ticket } = await desk.open(command())
    clock.advance(LIMITS.ticketMs - 1)
    const approved = await desk.answer(ticket, says('approve', eve, { reason: 'agreed on the phone' }))
    expect(approved).toMatchObject({
      state: 'approved',
      expiresAt: clock.now() + LIMITS.approvalUsableMs,
      answers: [
        {
          verdict: 'approve',
          by: eve,
          at: clock.now(),
          method: 'code',
          through: 'cli',
          step: 0,
          reason: 'agreed on the phone',
        },
      ],
    })
    clock.advance(LIMITS.approvalUsableMs - 1)
    expect(await desk.consume(ticket, use())).toBe(true)
    expect(await desk.consume(ticket, use())).toBe(false)
    expect(desk.get(ticket)?.state).toBe('used')
  })

  test('J-08: an approval lapses', async () => {
    const { ticket } = await desk.open(command())
    await desk.answer(ticket, says('approve', eve))
    clock.advance(LIMITS.approvalUsableMs)
    expect(await desk.consume(ticket, use())).toBe(false)
    await settled()
    expect((await store.get(ticket))?.state).toBe('expired')
  })

  test('refused is the end of it', async () => {
    const { ticket } = await desk.open(command())
    await desk.answer(ticket, says('refuse', eve))
    expect(await desk.consume(ticket, use())).toBe(false)
    await expect(desk.answer(ticket, says('approve', bob))).rejects.toEqual(code('conflict'))
  })

  test('not without a login, not with an old one, not with one from the future', async () => {
    const { ticket } = await desk.open(command())
    const proofs: (LoginProof | undefined)[] = [
      undefined,
      login(eve, { at: clock.now() - LIMITS.loginFreshMs - 1 }),
      login(eve, { at: clock.now() + 1 }),
      login(eve, { at: Number.NaN }),
    ]
    for (const proof of proofs) {
      await expect(desk.answer(ticket, says('approve', eve, { proof }))).rejects.toEqual(
        code('unauthenticated'),
      )
    }
    await desk.answer(
      ticket,
      says('approve', eve, { proof: login(eve, { at: clock.now() - LIMITS.loginFreshMs }) }),
    )
    expect(desk.get(ticket)?.state).toBe('approved')
  })

  test('never by an agent or a service, whatever groups it has, nor by anyone on behalf of another', async () => {
    const { ticket } = await desk.open(command({ chain: [agent] }))
    for (const kind of ['agent', 'service'] as const) {
      await expect(desk.answer(ticket, says('approve', { ...eve, kind }))).rejects.toEqual(code('denied'))
    }
    for (const chain of [
      [agent, eve],
      [eve, bob],
    ] as const) {
      const proof: LoginProof = { chain, at: clock.now(), method: 'passkey' }
      await expect(desk.answer(ticket, says('approve', eve, { proof }))).rejects.toEqual(code('denied'))
    }
    expect(desk.get(ticket)?.state).toBe('pending')
  })

  test('only with the role for it', async () => {
    const { ticket } = await desk.open(command())
    await expect(desk.answer(ticket, says('approve', { ...eve, groups: [] }))).rejects.toEqual(code('denied'))
    await expect(desk.answer(ticket, says('refuse', { ...eve, groups: [] }))).rejects.toEqual(code('denied'))
  })

  test('never by anyone in the chain of who asked, under any spelling or issuer', async () => {
    const { ticket } = await desk.open(command())
    const spellings = [
      ada,
      { ...ada, issuer: 'https://id.example.com' },
      person('ADA@Example.com'),
      person('ａｄａ@example.com'),
    ]
    for (const who of spellings) {
      await expect(desk.answer(ticket, says('approve', who))).rejects.toEqual(code('denied'))
      await expect(
        desk.answer(ticket, says('approve', who, { proof: login(who, { method: 'passkey' }) })),
      ).rejects.toEqual(code('denied'))
    }
  })

  test('hoop 6.3: several means several people, at least that many, and one no is enough', async () => {
    const { ticket } = await desk.open(command({ review: via({ steps: [anyone(2)] }) }))
    expect((await desk.answer(ticket, says('approve', eve))).state).toBe('pending')
    expect(await desk.consume(ticket, use())).toBe(false)
    for (const same of [
      eve,
      { ...eve, issuer: 'https://id.example.com' },
      { ...eve, groups: ['approvers', 'more'] },
    ]) {
      await expect(desk.answer(ticket, says('approve', same))).rejects.toEqual(code('conflict'))
    }
    expect((await desk.answer(ticket, says('approve', bob))).state).toBe('approved')
    expect(await desk.consume(ticket, use())).toBe(true)

    const other = await desk.open(command({ review: via({ steps: [anyone(2)] }) }))
    await desk.answer(other.ticket, says('approve', eve))
    expect((await desk.answer(other.ticket, says('refuse', bob))).state).toBe('refused')
  })

  test('of two who answer at once neither is lost', async () => {
    const { ticket } = await desk.open(command({ review: via({ steps: [anyone(2)] }) }))
    await Promise.all([desk.answer(ticket, says('approve', eve)), desk.answer(ticket, says('approve', bob))])
    expect(desk.get(ticket)).toMatchObject({ state: 'approved', revision: 3 })
  })

  test('nor in two processes on one store', async () => {
    const other = await start()
    const { ticket } = await desk.open(command({ review: via({ steps: [anyone(2)] }) }))
    await Promise.all([desk.answer(ticket, says('approve', eve)), other.answer(ticket, says('approve', bob))])
    expect(await store.get(ticket)).toMatchObject({ state: 'approved', revision: 3 })
    expect(
      (await Promise.all([desk.consume(ticket, use()), other.consume(ticket, use())])).toSorted(),
    ).toEqual([false, true])
  })

  test('a double click is told so', async () => {
    const { ticket } = await desk.open(command())
    const outcomes = await Promise.allSettled([1, 2].map(() => desk.answer(ticket, says('approve', eve))))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  test('a request nobody knows, one that lapsed, and a reason without end', async () => {
    await expect(desk.answer(brand<Ticket>('T-UNKNOWN0'), says('approve', eve))).rejects.toEqual(
      code('not_found'),
    )
    const { ticket } = await desk.open(command())
    const reason = 'x'.repeat(LIMITS.answerReasonMax + 1)
    await expect(desk.answer(ticket, says('approve', eve, { reason }))).rejects.toEqual(code('invalid'))
    clock.advance(LIMITS.ticketMs)
    await expect(desk.answer(ticket, says('approve', eve))).rejects.toEqual(code('conflict'))
    expect(await desk.consume(ticket, use())).toBe(false)
  })

  test('an answer that could not be recorded or stored does not count', async () => {
    const { ticket } = await desk.open(command())
    const broken = await start({
      record: async () => {
        throw new Error('recording')
      },
    })
    await expect(broken.answer(ticket, says('approve', eve))).rejects.toThrow('recording')
    store.replace = () => Promise.reject(new Error('disk'))
    await expect(desk.answer(ticket, says('approve', eve))).rejects.toThrow('disk')
    expect(desk.get(ticket)?.state).toBe('pending')
    expect((await store.get(ticket))?.state).toBe('pending')
  })

  test('an approval that could not be marked as used is not given (P-05)', async () => {
    const { ticket } = await desk.open(command())
    await desk.answer(ticket, says('approve', eve))
    const { replace } = store
    store.replace = () => Promise.reject(new Error('disk'))
    await expect(desk.consume(ticket, use())).rejects.toThrow('disk')
    store.replace = replace
    expect(await desk.consume(ticket, use())).toBe(true)
  })
})

describe('withdrawing', () => {
  test('by anyone in the chain that asked, and by nobody else', async () => {
    const { ticket } = await desk.open(command())
    await expect(desk.withdraw(ticket, [bob])).rejects.toEqual(code('denied'))
    await expect(desk.withdraw(ticket, [{ ...ada, issuer: 'https://elsewhere.example' }])).rejects.toEqual(
      code('denied'),
    )
    expect((await desk.withdraw(ticket, [ada])).state).toBe('withdrawn')
    await expect(desk.withdraw(ticket, [ada])).rejects.toEqual(code('conflict'))
    await expect(desk.answer(ticket, says('approve', eve))).rejects.toEqual(code('conflict'))
    expect(await desk.consume(ticket, use())).toBe(false)
  })

  test('an approved one, too', async () => {
    const { ticket } = await desk.open(command())
    await desk.answer(ticket, says('approve', eve))
    await desk.withdraw(ticket, [agent, ada])
    expect(await desk.consume(ticket, use())).toBe(false)
  })
})

describe('waiting', () => {
  const ends: [string, string, (ticket: Ticket) => Promise<unknown>][] = [
    ['approved', 'approved', (ticket) => desk.answer(ticket, says('approve', eve))],
    ['refused', 'refused', (ticket) => desk.answer(ticket, says('refuse', eve))],
    ['withdrawn', 'refused', (ticket) => desk.withdraw(ticket, [ada])],
  ]
  for (const [how, outcome, act] of ends) {
    test(`ends at once when it is ${how}`, async () => {
      const { ticket } = await desk.open(command())
      const waits = [desk.wait(ticket, 45_000, never), desk.wait(ticket, 45_000, never)]
      await act(ticket)
      expect(await Promise.all(waits)).toEqual([outcome, outcome])
      expect(await desk.wait(ticket, 45_000, never)).toBe(outcome)
    })
  }

  test('ends as pending when patience does, and the request stays', async () => {
    const { ticket } = await desk.open(command())
    const wait = desk.wait(ticket, 45_000, never)
    clock.advance(45_000)
    expect(await wait).toBe('pending')
    expect(desk.get(ticket)?.state).toBe('pending')
    const none = desk.wait(ticket, 0, never)
    clock.advance(0)
    expect(await none).toBe('pending')
  })

  test('ends as expired when the request does', async () => {
    desk = await start({ pendingMs: 10_000 })
    const { ticket } = await desk.open(command())
    const wait = desk.wait(ticket, 45_000, never)
    clock.advance(10_000)
    expect(await wait).toBe('expired')
    expect(await desk.wait(ticket, 45_000, never)).toBe('expired')
    expect(await desk.wait(brand<Ticket>('T-UNKNOWN0'), 45_000, never)).toBe('expired')
  })

  test('a client that has gone is told nothing else, and the request stays for a retry (P-05)', async () => {
    const { ticket } = await desk.open(command())
    const gone = new AbortController()
    const wait = desk.wait(ticket, 45_000, gone.signal)
    gone.abort()
    expect(await wait).toBe('abandoned')
    await desk.answer(ticket, says('approve', eve))
    expect(await desk.wait(ticket, 45_000, gone.signal)).toBe('abandoned')
    expect(desk.get(ticket)?.state).toBe('approved')
    expect((await desk.open(command())).ticket).toBe(ticket)
    expect(await desk.wait(ticket, 45_000, never)).toBe('approved')
  })

  test('of several that waited one gets it; the others find it spent', async () => {
    const { ticket } = await desk.open(command())
    const waits = [desk.wait(ticket, 45_000, never), desk.wait(ticket, 45_000, never)]
    const late = desk.wait(ticket, 45_000, never)
    await desk.answer(ticket, says('approve', eve))
    expect(await Promise.all(waits)).toEqual(['approved', 'approved'])
    expect(await Promise.all([desk.consume(ticket, use()), desk.consume(ticket, use())])).toEqual([
      true,
      false,
    ])
    expect(await late).toBe('approved')
    expect(await desk.wait(ticket, 45_000, never)).toBe('expired')
  })

  test('nothing is left behind: no timer, no listener', async () => {
    const { ticket } = await desk.open(command())
    const timers = clock.waiting
    const gone = new AbortController()
    const waits = [desk.wait(ticket, 45_000, gone.signal), desk.wait(ticket, 45_000, gone.signal)]
    expect(clock.waiting).toBe(timers + 1)
    gone.abort()
    await Promise.all(waits)
    expect(clock.waiting).toBe(timers)
  })
})

describe('restarting', () => {
  test('what is open is still open, and an approval can be redeemed until it lapses (P-05)', async () => {
    const pending = await desk.open(command({ fingerprint: 'pending' }))
    const approved = await desk.open(command({ fingerprint: 'approved' }))
    const used = await desk.open(command({ fingerprint: 'used' }))
    await desk.answer(approved.ticket, says('approve', eve))
    await desk.answer(used.ticket, says('approve', eve))
    await desk.consume(used.ticket, use({ fingerprint: 'used' }))
    const before = await Promise.all([pending, approved, used].map(({ ticket }) => store.get(ticket)))
    desk.stop()

    desk = await start()
    await settled()
    const after = await Promise.all([pending, approved, used].map(({ ticket }) => store.get(ticket)))
    expect(after).toEqual(before)
    expect((await desk.open(command({ fingerprint: 'pending' }))).ticket).toBe(pending.ticket)
    expect((await desk.open(command({ fingerprint: 'approved' }))).ticket).toBe(approved.ticket)
    expect(await desk.wait(approved.ticket, 0, never)).toBe('approved')
    expect(await desk.consume(used.ticket, use({ fingerprint: 'used' }))).toBe(false)
    expect(await desk.consume(approved.ticket, use({ fingerprint: 'approved' }))).toBe(true)
  })

  test('what lapsed meanwhile is ended', async () => {
    const { ticket } = await desk.open(command())
    await desk.answer(ticket, says('approve', eve))
    desk.stop()
    clock.advance(LIMITS.approvalUsableMs)
    desk = await start()
    expect(desk.get(ticket)?.state).toBe('expired')
    expect(await desk.consume(ticket, use())).toBe(false)
    clock.advance(0)
    await settled()
    expect((await store.get(ticket))?.state).toBe('expired')
  })
})

describe('watching', () => {
  test('every change is told, and recorded before it takes effect', async () => {
    const told: string[] = []
    const stop = desk.onChange(({ state, answers }) => told.push(`${state} ${answers.length}`))
    desk.onChange(() => {
      throw new Error('listener')
    })
    const { ticket, requestId } = await desk.open(command({ review: via({ steps: [anyone(2)] }) }))
    await desk.answer(ticket, says('approve', eve, { reason: 'fine' }))
    await desk.answer(ticket, says('approve', bob))
    const run = use()
    await desk.consume(ticket, run)
    stop()
    const other = await desk.open(command())
    clock.advance(LIMITS.ticketMs)
    await settled()
    expect(told).toEqual(['pending 0', 'pending 1', 'approved 2', 'used 2'])
    expect(faults).toHaveLength(6)
    const details = (revision: number) => ({ requestId, fingerprint: 'delete', revision })
    const given = { verdict: 'approve', through: 'cli', login: 'code', step: 1 }
    const who = 'agent:support-agent for person:ada@example.com'
    expect(recorded).toEqual([
      { action: 'approval.pending', by: who, target: ticket, details: details(1) },
      {
        action: 'approval.answered',
        by: 'person:eve@example.com',
        target: ticket,
        details: { ...details(2), ...given, reason: 'fine' },
      },
      {
        action: 'approval.approved',
        by: 'person:bob@example.com',
        target: ticket,
        details: { ...details(3), ...given },
      },
      {
        action: 'approval.used',
        by: who,
        target: ticket,
        details: { ...details(4), requestId: run.requestId, use: 1, command: 'delete' },
      },
      expect.objectContaining({ action: 'approval.pending', target: other.ticket }),
      expect.objectContaining({ action: 'approval.expired', by: 'gateway', target: other.ticket }),
    ])
  })

  test('an expiry that could not be stored is told of and tried again', async () => {
    const { ticket } = await desk.open(command())
    const { replace } = store
    store.replace = () => Promise.reject(new Error('disk'))
    clock.advance(LIMITS.ticketMs)
    await settled()
    expect(faults).toHaveLength(1)
    expect(desk.get(ticket)?.state).toBe('expired')
    store.replace = replace
    clock.advance(1000)
    await settled()
    expect((await store.get(ticket))?.state).toBe('expired')
    expect(clock.waiting).toBe(0)
  })

  test('lists are filtered, newest first, and keep so many that ended', async () => {
    const a = await desk.open(command({ fingerprint: 'a' }))
    clock.advance(1)
    const b = await desk.open(
      command({ fingerprint: 'b', chain: [bob], connection: brand<ConnectionName>('billing') }),
    )
    await desk.answer(a.ticket, says('refuse', eve))
    expect(states()).toEqual([
      [b.ticket, 'pending'],
      [a.ticket, 'refused'],
    ])
    const tickets = (list: readonly Approval[]): Ticket[] => list.map(({ ticket }) => ticket)
    expect(tickets(desk.list({ states: ['pending', 'approved'] }))).toEqual([b.ticket])
    expect(tickets(desk.list({ identity: 'agent:support-agent' }))).toEqual([a.ticket])
    expect(tickets(desk.list({ connection: 'billing' }))).toEqual([b.ticket])
    for (let n = 0; n < LIMITS.ticketsAnsweredKept; n++) {
      const { ticket } = await desk.open(command({ fingerprint: `${n}` }))
      await desk.withdraw(ticket, [ada])
    }
    expect(desk.get(a.ticket)).toBeUndefined()
    expect(await desk.find(a.ticket)).toMatchObject({ state: 'refused' })
    expect(desk.list()).toHaveLength(LIMITS.ticketsAnsweredKept + 1)
  })
})

describe('a command that was erased from the recording', () => {
  test('leaves nothing of its text with the request, once that has ended', async () => {
    const { ticket } = await desk.open(command({ text: 'SELECT marker', parameters: ['marker'] }))
    await desk.forget(ticket)
    // It may still run: whoever answers has to see it.
    expect(desk.get(ticket)?.text).toBe('SELECT marker')
    await desk.answer(ticket, says('refuse', eve, { reason: 'marker' }))
    await desk.forget(ticket)
    const again = await start()
    for (const found of [desk.get(ticket), await store.get(ticket), again.get(ticket)]) {
      expect(JSON.stringify(found)).not.toContain('marker')
      expect(found).toMatchObject({ ticket, state: 'refused', text: '[erased]' })
    }
    await desk.forget(brand<Ticket>('T-00000000'))
  })
})
