import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seed, tally, times } from '../../test/support/proof.ts'
import {
  brand,
  type ConnectionName,
  type Identity,
  isGatewayError,
  type RequestId,
  type SessionId,
  type Ticket,
} from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import { type Approval, type ApprovalState, isOpen } from './approval.ts'
import { type Approvals, createApprovals, type WaitOutcome } from './approvals.ts'
import type { ApprovalStore } from './port.ts'

/*
 * Two processes on one store, in any interleaving of their calls to it: asking, joining, waiting, going away,
 * answering by several people, taking, taking back, time passing, a process that dies, a store that fails before or
 * after it has done what it was asked.
 */

const agent: Identity = { kind: 'agent', name: 'agent', issuer: 'local', groups: [] }
const people: readonly Identity[] = ['ada', 'eve', 'bob', 'joe'].map((name) => ({
  kind: 'person',
  name,
  issuer: 'local',
  groups: [],
}))
const ada = people[0] ?? agent

const COMMANDS = 2
const PENDING_MS = 10_000
const USABLE_MS = 5_000

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), command: fc.nat(COMMANDS - 1) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('run' as const),
      command: fc.nat(COMMANDS - 1),
      patienceMs: fc.nat(4000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      command: fc.nat(COMMANDS - 1),
      who: fc.nat(people.length - 1),
      verdict: fc.constantFrom(...Array.from({ length: 9 }, () => 'approve' as const), 'refuse' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take' as const), command: fc.nat(COMMANDS - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('withdraw' as const), command: fc.nat(COMMANDS - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 1, 500, 500, 2500, USABLE_MS, PENDING_MS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), late: fc.boolean() }) },
)
const steps = fc.array(fc.record({ process: fc.nat(1), step, progress: fc.nat(8) }), {
  minLength: 10,
  maxLength: 60,
})

const ALLOWED: Record<ApprovalState, readonly ApprovalState[]> = {
  pending: ['pending', 'approved', 'refused', 'expired', 'withdrawn'],
  approved: ['used', 'expired', 'withdrawn'],
  refused: [],
  expired: [],
  withdrawn: [],
  used: [],
}

/** The disk that both share: checks every change that is made to it. */
class Disk extends MemoryApprovalStore {
  readonly made = new Set<Ticket>()
  readonly used = new Set<Ticket>()

  override async insert(approval: Approval): Promise<boolean> {
    const inserted = await super.insert(approval)
    if (inserted) this.made.add(approval.ticket)
    return inserted
  }

  override async replace(next: Approval, revision: number): Promise<boolean> {
    const before = await super.get(next.ticket)
    const replaced = await super.replace(next, revision)
    if (!replaced || before === undefined) return replaced
    expect(ALLOWED[before.state]).toContain(next.state)
    expect(next.revision).toBe(before.revision + 1)
    expect(next).toMatchObject({ fingerprint: before.fingerprint, text: before.text, chain: before.chain })
    const yes = next.answers.filter(({ verdict }) => verdict === 'approve').map(({ by }) => by.name)
    expect(new Set(yes).size).toBe(yes.length)
    expect(yes).not.toContain(ada.name)
    if (next.state === 'approved') expect(yes.length).toBeGreaterThanOrEqual(next.route.people)
    if (next.state === 'used') this.used.add(next.ticket)
    return replaced
  }
}

/** One process' way to the disk: slow in any order, failing at times, and cut off when the process dies. */
class Way implements ApprovalStore {
  dead = false
  failing: 'before' | 'after' | undefined
  readonly #disk: Disk
  readonly #scheduler: fc.Scheduler

  constructor(disk: Disk, scheduler: fc.Scheduler) {
    this.#disk = disk
    this.#scheduler = scheduler
  }

  load(endedMax: number): Promise<readonly Approval[]> {
    return this.#disk.load(endedMax)
  }

  insert(approval: Approval): Promise<boolean> {
    return this.#go('insert', () => this.#disk.insert(approval))
  }

  replace(approval: Approval, revision: number): Promise<boolean> {
    return this.#go('replace', () => this.#disk.replace(approval, revision))
  }

  get(ticket: Ticket): Promise<Approval | undefined> {
    return this.#go('get', () => this.#disk.get(ticket))
  }

  findOpen(fingerprint: string): Promise<Approval | undefined> {
    return this.#go('findOpen', () => this.#disk.findOpen(fingerprint))
  }

  async #go<T>(name: string, work: () => Promise<T>): Promise<T> {
    await this.#scheduler.schedule(Promise.resolve(), name)
    if (this.dead) throw new Error('disk')
    const failing = this.failing
    this.failing = undefined
    if (failing === 'before') throw new Error('disk')
    const result = await work()
    if (failing === 'after') throw new Error('disk')
    return result
  }
}

type Process = { way: Way; desk: Approvals; gone: AbortController }

const runs = times({ small: 200, full: 5000 })

test('never used twice, never used unapproved, never stuck, never lost (P-05)', {
  timeout: 20_000 + runs * 100,
}, async () => {
  let used = 0
  let played = 0
  await fc.assert(
    fc.asyncProperty(steps, fc.scheduler(), async (planned, scheduler) => {
      const clock = new FakeClock()
      const disk = new Disk()
      const ran = new Map<Ticket, number>()
      const work: Promise<void>[] = []
      const running: Promise<WaitOutcome | 'ran' | 'not'>[] = []

      const boot = async (): Promise<Process> => {
        const way = new Way(disk, scheduler)
        const desk = await createApprovals({
          store: way,
          clock,
          random: (length) => randomBytes(length),
          mayAnswer: () => true,
          record: () => {},
          onFault: (error) => expect(error).toEqual(new Error('disk')),
          pendingMs: PENDING_MS,
          usableMs: USABLE_MS,
        })
        return { way, desk, gone: new AbortController() }
      }
      /** Only what a store that fails, or a rule of the game, says may go wrong. */
      const expected = async <T>(promise: Promise<T>): Promise<T | undefined> => {
        try {
          return await promise
        } catch (error) {
          if (!isGatewayError(error)) expect(error).toEqual(new Error('disk'))
          return undefined
        }
      }
      const input = (command: number) => ({
        fingerprint: `command ${command}`,
        requestId: brand<RequestId>('01J00000000000000000000000.1'),
        session: brand<SessionId>('01J00000000000000000000000'),
        chain: [agent, ada] as const,
        connection: brand<ConnectionName>('crm'),
        text: `DELETE ${command}`,
        class: 'write' as const,
        reads: [],
        writes: [],
        rules: [],
        policyVersion: 'v1',
        // The first command needs one person, the second two.
        route: { people: command + 1, ownPerson: false },
      })
      const take = async ({ desk }: Process, ticket: Ticket): Promise<boolean> => {
        const taken = (await expected(desk.consume(ticket))) === true
        if (taken) {
          ran.set(ticket, (ran.get(ticket) ?? 0) + 1)
          expect(clock.now()).toBeLessThan((await disk.get(ticket))?.expiresAt ?? 0)
        }
        return taken
      }
      /** What a session does with a held command. */
      const run = async (
        one: Process,
        command: number,
        patienceMs: number,
      ): Promise<WaitOutcome | 'ran' | 'not'> => {
        const { signal } = one.gone
        const approval = await expected(one.desk.open(input(command)))
        if (approval === undefined) return 'not'
        expect(disk.made).toContain(approval.ticket)
        const outcome = await one.desk.wait(approval.ticket, patienceMs, signal)
        if (outcome === 'approved') return (await take(one, approval.ticket)) ? 'ran' : 'not'
        return outcome
      }
      const progress = async (count: number): Promise<void> => {
        for (let left = count; left > 0 && scheduler.count() > 0; left--) await scheduler.waitOne()
        await new Promise((resolve) => setImmediate(resolve))
      }

      const processes = [await boot(), await boot()]
      for (const { process: which, step, progress: count } of planned) {
        const one = processes[which] ?? (await boot())
        const open = (command: number): Ticket =>
          one.desk.list().find(({ fingerprint }) => fingerprint === `command ${command}`)?.ticket ??
          brand('T-NONE')
        switch (step.do) {
          case 'ask':
            work.push(expected(one.desk.open(input(step.command))).then(() => {}))
            break
          case 'run':
            running.push(run(one, step.command, step.patienceMs))
            break
          case 'answer': {
            const who = people[step.who] ?? agent
            const proof = { chain: [who] as const, at: clock.now(), method: 'passkey' as const }
            work.push(
              expected(
                one.desk.answer(open(step.command), { verdict: step.verdict, proof, through: 'api' }),
              ).then(() => {}),
            )
            break
          }
          case 'take':
            work.push(take(one, open(step.command)).then(() => {}))
            break
          case 'withdraw':
            work.push(expected(one.desk.withdraw(open(step.command), [agent, ada])).then(() => {}))
            break
          case 'leave':
            one.gone.abort()
            one.gone = new AbortController()
            break
          case 'pass':
            clock.advance(step.ms)
            break
          case 'kill':
            one.way.dead = true
            one.desk.stop()
            one.gone.abort()
            processes[which] = await boot()
            break
          case 'fail':
            one.way.failing = step.late ? 'after' : 'before'
            break
        }
        await progress(count)
      }

      // Never stuck: when everything has been given the time for it, everything has ended.
      const ends = { count: 0 }
      const all = [...work, ...running]
      for (const each of all) void each.then(() => ends.count++)
      for (let round = 0; round < 100 && ends.count < all.length; round++) {
        await progress(1000)
        clock.advance(1000)
      }
      expect(ends.count).toBe(all.length)
      for (const { desk } of processes) desk.stop()

      // Never twice: not by the count of those who were told to run, and not by what the disk saw.
      for (const [ticket, times] of ran) {
        expect(times).toBe(1)
        expect(disk.used).toContain(ticket)
      }
      used += ran.size
      played += planned.length
      // Never lost: every request is there, and a process that starts now knows those that are open.
      const fresh = await boot()
      fresh.desk.stop()
      for (const ticket of disk.made) {
        const approval = await disk.get(ticket)
        expect(approval).toBeDefined()
        if (approval !== undefined && isOpen(approval)) expect(fresh.desk.get(ticket)).toBeDefined()
      }
    }),
    { numRuns: runs, seed },
  )
  tally('runs', runs)
  tally('steps', played)
  tally('commands run', used)
  // The game was worth it: commands did run.
  expect(used).toBeGreaterThan(runs / 20)
})
