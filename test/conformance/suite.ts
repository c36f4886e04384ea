/**
 * What every protocol owes, whatever its bytes look like: one suite, run by each protocol through a small harness.
 *
 * It knows no protocol. A harness gives five commands a meaning under the rules of `src/testing/world.ts` (agents read
 * masked, write after approval, define nothing) and says what of the suite does not apply to it, with the reason.
 */
import { afterEach, describe, expect, test } from 'vitest'
import type { ErrorCode, Ticket } from '../../src/core/index.ts'
import { turns } from '../../src/testing/pipe-pair.ts'
import type { World } from '../../src/testing/world.ts'
import { until } from '../../src/testing/world.ts'

/** How a command ended for the client. */
export type Reply =
  | { readonly kind: 'result' }
  | {
      readonly kind: 'refused'
      readonly code: ErrorCode
      /** Everything the client was told, as text. */
      readonly told: string
      readonly ticket?: string
    }
  /** The session ended without a word about the command. */
  | { readonly kind: 'ended' }

export type ConformanceClient = {
  send(command: string): Promise<Reply>
  /** A farewell as polite clients say it. */
  leave(): void
  /** The client's machine is switched off. */
  abort(): void
  /** Every byte it got. */
  received(): Buffer
  readonly ended: boolean
}

export type Admission = 'good' | 'revoked' | 'expired' | 'wrong-connection' | 'unknown' | 'wrong-place'

export type Harness = {
  readonly world: World
  /** How long the credentials it mints live. */
  readonly lifeMs: number
  /** The commands by what they do under the rules; each is one text, as recorded and as it reaches the upstream. */
  readonly commands: {
    /** Reads a masked field among clear ones; its result holds the canaries. */
    readonly read: string
    /** Defines something: refused. */
    readonly denied: string
    /** Writes: held. Two of them, that are different commands. */
    readonly held: readonly [string, string]
    /** Reads more than the connection's limit. */
    readonly tooMuch: string
    /** Reads, and the upstream never answers. */
    readonly slow: string
  }
  /** Every way in which a result can hold protected values, by name. */
  readonly maskedPaths: Readonly<Record<string, (client: ConformanceClient) => Promise<void>>>
  /** Protected values that the upstream has sent by then. */
  readonly canaries: readonly string[]
  /** What is shown in clear besides them, so that an empty result proves nothing. */
  readonly clear: string
  /** The gateway's own credential for the upstream. */
  readonly upstreamSecret: string
  /** The credential the last client came with is ended by this. */
  revoke(): Promise<void>
  connect(admission?: Admission): Promise<ConformanceClient>
  /** Commands of clients that reached the upstream, in order, by their texts. */
  upstreamSaw(): readonly string[]
  /** Cuts every connection to the upstream. */
  loseUpstream(): void
  /** Puts rules in force that forbid everything; then the usual ones again. */
  forbidEverything(): void
  permitAgain(): void
  close(): Promise<void>
}

/** Cases that do not apply to a protocol, by their titles, with the reasons. They stand in the report with these. */
export type Exceptions = Readonly<Record<string, string>>

const PATIENCE_MS = 30_000

/** Runs the suite for one protocol. */
export function conformance(name: string, start: () => Promise<Harness>, exceptions: Exceptions = {}): void {
  describe(`${name} conforms`, () => {
    let harness: Harness | undefined
    const seen = new Set<string>()
    afterEach(async () => {
      await harness?.close()
      harness = undefined
    })
    owe((title, run) => {
      const reason = exceptions[title]
      seen.add(title)
      if (reason === undefined) {
        test(title, async () => {
          harness = await start()
          await run(harness)
        })
      } else {
        test(`does not apply: ${title}: ${reason}`, () => expect(reason).not.toBe(''))
      }
    })
    test('makes no exception of what is not in the suite', () => {
      expect(Object.keys(exceptions).filter((title) => !seen.has(title))).toEqual([])
    })
  })
}

type It = (title: string, run: (harness: Harness) => Promise<void>) => void

/** What is owed, case by case. */
function owe(it: It): void {
  it('a refused command never reaches the upstream, and is recorded with its decision and reason (P-03, P-04)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = await client.send(commands.denied)
    expect(reply).toMatchObject({ kind: 'refused', code: 'denied' })
    expect(harness.upstreamSaw()).toEqual([])
    const [intent] = intents(world, commands.denied)
    expect(intent?.head.decision).toBe('deny')
    expect(intent?.head.rules.join()).toContain('agents define nothing')
    expect(intent?.head.reason).not.toBe('')
    expect(outcomes(world)).toEqual(['refused denied'])
  })
  it('a refused command leaves the session usable', async (harness) => {
    const client = await harness.connect()
    await client.send(harness.commands.denied)
    expect(await client.send(harness.commands.read)).toEqual({ kind: 'result' })
    expect(harness.upstreamSaw()).toEqual([harness.commands.read])
  })
  it('a command and its decision are written before a byte of it leaves for the upstream (P-04)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    await client.send(commands.read)
    const { tape } = world.journal
    const left = tape.findIndex((each) => each.kind === 'upstream' && each.bytes.includes(commands.read))
    const written = tape.findIndex(
      (each) =>
        each.kind === 'written' && each.entry.kind === 'intent' && each.entry.head.text === commands.read,
    )
    expect(written).toBeGreaterThan(-1)
    expect(left).toBeGreaterThan(written)
  })
  it('nothing is forwarded when the recording cannot be written, and the client is told (P-04)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    await client.send(commands.read)
    world.journal.broken = true
    const reply = await client.send(commands.read)
    expect(reply).toMatchObject({ kind: 'refused', code: 'recording_unavailable' })
    expect(harness.upstreamSaw()).toEqual([commands.read])
    await until('the session has ended', () => world.gateway.sessions().length === 0)
    world.journal.broken = false
    await (await harness.connect()).send(commands.read)
    expect(harness.upstreamSaw()).toEqual([commands.read, commands.read])
  })
  it('no session begins when the recording cannot be written (P-04)', async (harness) => {
    harness.world.journal.broken = true
    const reply = await attempt(harness, 'good')
    expect(reply).toMatchObject({ kind: 'refused', code: 'recording_unavailable' })
    expect(harness.upstreamSaw()).toEqual([])
    expect(harness.world.gateway.sessions()).toEqual([])
  })
  it('a held command that is approved runs, exactly once (P-05)', async (harness) => {
    const { world, commands } = harness
    const [held] = commands.held
    const client = await harness.connect()
    const reply = client.send(held)
    const ticket = await ticketOf(world)
    await turns()
    expect(harness.upstreamSaw()).toEqual([])
    await world.answer(ticket, 'approve')
    expect(await reply).toEqual({ kind: 'result' })
    expect(harness.upstreamSaw()).toEqual([held])
    expect(answers(world)).toEqual(['approved'])
    // The approval is used up: the same command asks again.
    const again = client.send(held)
    expect(await ticketOf(world)).not.toBe(ticket)
    expect(harness.upstreamSaw()).toEqual([held])
    await world.answer(await ticketOf(world), 'refuse')
    await again
  })
  it('a held command that is refused does not run, and the client is told so (P-05, P-09)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = client.send(commands.held[0])
    const ticket = await ticketOf(world)
    await world.answer(ticket, 'refuse')
    expect(await reply).toMatchObject({ kind: 'refused', code: 'approval_refused', ticket })
    expect(harness.upstreamSaw()).toEqual([])
    expect(answers(world)).toEqual(['refused'])
    expect(await client.send(commands.read)).toEqual({ kind: 'result' })
  })
  it('a held command that nobody answers ends as pending; the same command joins its ticket and runs once approved (P-05)', async (harness) => {
    const { world, commands } = harness
    const [held] = commands.held
    const client = await harness.connect()
    const reply = client.send(held)
    const ticket = await ticketOf(world)
    world.clock.advance(PATIENCE_MS)
    expect(await reply).toMatchObject({ kind: 'refused', code: 'approval_pending', ticket })
    expect(harness.upstreamSaw()).toEqual([])
    await world.answer(ticket, 'approve')
    await turns()
    expect(harness.upstreamSaw()).toEqual([])
    expect(await client.send(held)).toEqual({ kind: 'result' })
    expect(harness.upstreamSaw()).toEqual([held])
    expect(answers(world)).toEqual(['pending', 'approved'])
  })
  it('an approval that came too late runs nothing (P-05)', async (harness) => {
    const { world, commands } = harness
    const [held] = commands.held
    const client = await harness.connect()
    const reply = client.send(held)
    const ticket = await ticketOf(world)
    world.clock.advance(PATIENCE_MS)
    await reply
    await world.answer(ticket, 'approve')
    world.clock.advance(16 * 60 * 1000)
    const fresh = await harness.connect()
    const again = fresh.send(held)
    expect(await ticketOf(world)).not.toBe(ticket)
    expect(harness.upstreamSaw()).toEqual([])
    await world.answer(await ticketOf(world), 'refuse')
    await again
  })
  it('an approval is for one command: another one is held (P-05)', async (harness) => {
    const { world, commands } = harness
    const [held, other] = commands.held
    const client = await harness.connect()
    const reply = client.send(held)
    const ticket = await ticketOf(world)
    world.clock.advance(PATIENCE_MS)
    await reply
    await world.answer(ticket, 'approve')
    const second = client.send(other)
    await until('the other command is held', () => world.waiting().length === 1)
    expect(harness.upstreamSaw()).toEqual([])
    await world.answer(await ticketOf(world), 'refuse')
    expect(await second).toMatchObject({ kind: 'refused', code: 'approval_refused' })
    expect(await client.send(held)).toEqual({ kind: 'result' })
  })
  it('a held command whose client is gone never runs (P-05)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    void client.send(commands.held[0])
    const ticket = await ticketOf(world)
    client.abort()
    await until('the end is recorded', () => world.entries('close').length === 1)
    await world.answer(ticket, 'approve')
    await turns(50)
    expect(harness.upstreamSaw()).toEqual([])
    expect(answers(world)).toEqual(['abandoned'])
    expectClosedInOrder(world)
  })
  it('a command held under one policy does not run under another (P-05)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = client.send(commands.held[0])
    const ticket = await ticketOf(world)
    harness.forbidEverything()
    // What was shown is not what would be decided now: nobody can say yes to it any more.
    await expect(world.answer(ticket, 'approve')).rejects.toMatchObject({ code: 'conflict' })
    expect(await reply).toMatchObject({ kind: 'refused', code: 'approval_expired' })
    expect(harness.upstreamSaw()).toEqual([])
  })
  it('a live session takes a new policy at its next command, and the old one again', async (harness) => {
    const { commands } = harness
    const client = await harness.connect()
    expect(await client.send(commands.read)).toEqual({ kind: 'result' })
    harness.forbidEverything()
    expect(await client.send(commands.read)).toMatchObject({ kind: 'refused', code: 'denied' })
    harness.permitAgain()
    expect(await client.send(commands.read)).toEqual({ kind: 'result' })
    expect(harness.upstreamSaw()).toEqual([commands.read, commands.read])
  })
  it('on every result path no protected value reaches client or recording, and the rest does (P-02)', async (harness) => {
    const client = await harness.connect()
    for (const [name, run] of Object.entries(harness.maskedPaths)) {
      const before = client.received().length
      await run(client)
      const since = client.received().subarray(before)
      expect(since.includes(harness.clear), `${name} shows what is not protected`).toBe(true)
      for (const canary of harness.canaries) expect(since.includes(canary), name).toBe(false)
    }
    await turns()
    const recorded = harness.world.journal.bytes()
    expect(recorded.includes(harness.clear)).toBe(true)
    for (const canary of harness.canaries) expect(recorded.includes(canary)).toBe(false)
  })
  it('the recording says which labels were masked (P-09)', async (harness) => {
    const client = await harness.connect()
    await client.send(harness.commands.read)
    const [intent] = intents(harness.world, harness.commands.read)
    expect(intent?.head.masked).toContain('pii.email')
  })
  it('a result beyond the limit is cut off, says so, and is recorded as cut (P-03)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = await client.send(commands.tooMuch)
    expect(reply).toMatchObject({ kind: 'refused', code: 'limit_exceeded' })
    await until('the outcome is recorded', () => world.entries('outcome').length === 1)
    expect(outcomes(world)).toEqual(['cut limit_exceeded'])
  })
  it('the end of a session is its last entry when the client leaves', async (harness) => {
    const client = await harness.connect()
    await client.send(harness.commands.read)
    client.leave()
    await until('the end is recorded', () => harness.world.entries('close').length === 1)
    expectClosedInOrder(harness.world)
  })
  it('the end of a session is its last entry when the client is cut off in the middle of a command', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    void client.send(commands.slow)
    await until('the upstream has the command', () => harness.upstreamSaw().length === 1)
    client.abort()
    await until('the end is recorded', () => world.entries('close').length === 1)
    await turns(50)
    expect(outcomes(world)).toHaveLength(1)
    expect(outcomes(world)[0]).toMatch(/^lost/)
    expectClosedInOrder(world)
  })
  it('what a lost upstream still owed is recorded as an outcome, and the client is not left waiting', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = client.send(commands.slow)
    await until('the upstream has the command', () => harness.upstreamSaw().length === 1)
    harness.loseUpstream()
    const ended = await reply
    expect(ended.kind).not.toBe('result')
    client.leave()
    await until('the end is recorded', () => world.entries('close').length === 1)
    expect(outcomes(world)).toHaveLength(1)
    expectClosedInOrder(world)
  })
  it('a revoked credential ends its live session within two seconds, with a command on its way', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = client.send(commands.slow)
    await until('the upstream has the command', () => harness.upstreamSaw().length === 1)
    await harness.revoke()
    world.clock.advance(2_000)
    await until('the client has been cut off', () => client.ended)
    expect((await reply).kind).not.toBe('result')
    await until('the end is recorded', () => world.entries('close').length === 1)
    expectClosedInOrder(world)
  })
  it('a command held for a credential that is revoked never runs (P-05)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const reply = client.send(commands.held[0])
    const ticket = await ticketOf(world)
    await harness.revoke()
    world.clock.advance(2_000)
    await until('the client has been cut off', () => client.ended)
    await reply
    await world.answer(ticket, 'approve')
    await turns(50)
    expect(harness.upstreamSaw()).toEqual([])
    await until('the end is recorded', () => world.entries('close').length === 1)
    expectClosedInOrder(world)
  })
  it('an expired credential ends its live session within two seconds', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    expect(await client.send(commands.read)).toEqual({ kind: 'result' })
    world.clock.advance(harness.lifeMs + 2_000)
    await until('the client has been cut off', () => client.ended)
    await until('the end is recorded', () => world.entries('close').length === 1)
  })
  it('a credential that is unknown, expired, revoked or for another connection opens nothing', async (harness) => {
    for (const admission of ['unknown', 'expired', 'revoked', 'wrong-connection', 'wrong-place'] as const) {
      const reply = await attempt(harness, admission)
      expect(reply.kind, admission).toBe('refused')
      if (reply.kind !== 'refused') continue
      // Which of the two is the protocol's affair: whether the credential is looked at first, or where it leads.
      expect(['unauthenticated', 'connection_unknown'], admission).toContain(reply.code)
    }
    expect(harness.upstreamSaw()).toEqual([])
    expect(harness.world.gateway.sessions()).toEqual([])
  })
  it("the upstream's credential is in no byte a client gets and in no entry (P-08)", async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    await client.send(commands.read)
    await client.send(commands.denied)
    await client.send(commands.tooMuch)
    harness.loseUpstream()
    await client.send(commands.read)
    await turns()
    expect(client.received().length).toBeGreaterThan(0)
    expect(client.received().includes(harness.upstreamSecret)).toBe(false)
    expect(world.journal.bytes().includes(harness.upstreamSecret)).toBe(false)
    for (const report of world.reports) expect(inspected(report)).not.toContain(harness.upstreamSecret)
  })
  it('a refusal names the request, the reason, what to do instead and whether to retry (P-09)', async (harness) => {
    const { world, commands } = harness
    const client = await harness.connect()
    const denied = await client.send(commands.denied)
    if (denied.kind !== 'refused') throw new Error('it was not refused')
    const [session] = world.gateway.sessions()
    expect(denied.told).toContain(`${session?.id}.1`)
    expect(denied.told).toContain(intents(world, commands.denied)[0]?.head.reason)
    expect(denied.told).toMatch(/retry/i)
    expect(denied.told).toContain('agents define nothing')
    const pending = client.send(commands.held[0])
    const ticket = await ticketOf(world)
    world.clock.advance(PATIENCE_MS)
    const told = await pending
    if (told.kind !== 'refused') throw new Error('it was not refused')
    expect(told.told).toContain(ticket)
    expect(told.told).toContain('sluice approvals approve')
    expect(told.told).toMatch(/retry/i)
  })
  it('nothing went wrong inside the gateway meanwhile', async (harness) => {
    const client = await harness.connect()
    await client.send(harness.commands.read)
    await client.send(harness.commands.denied)
    client.leave()
    await until('the end is recorded', () => harness.world.entries('close').length === 1)
    expect(harness.world.reports).toEqual([])
  })
}

async function attempt(harness: Harness, admission: Admission): Promise<Reply> {
  const client = await harness.connect(admission)
  return client.send(harness.commands.read)
}

/** The one ticket that waits. */
async function ticketOf(world: World): Promise<Ticket> {
  await until('a command is held', () => world.waiting().length === 1)
  const [ticket] = world.waiting()
  if (ticket === undefined) throw new Error('no ticket waits')
  return ticket
}

function intents(world: World, text: string) {
  return world.entries('intent').filter((entry) => entry.head.text === text)
}

function outcomes(world: World): string[] {
  return world.entries('outcome').map(({ head }) => `${head.outcome} ${head.tag}`)
}

function answers(world: World): string[] {
  return world.entries('answer').map(({ head }) => head.answer)
}

/** Each session that has ended: its end is its last entry, it says how many commands there were, each has an outcome. */
function expectClosedInOrder(world: World): void {
  const { journal } = world
  for (const session of new Set(journal.sessions)) {
    if (session === undefined) continue
    const entries = journal.of(session)
    const ends = entries.filter((entry) => entry.kind === 'close')
    if (ends.length === 0) continue
    expect(entries.map((entry) => entry.kind).lastIndexOf('close')).toBe(entries.length - 1)
    expect(ends).toHaveLength(1)
    const commands = entries.filter((entry) => entry.kind === 'intent').length
    expect(ends[0]?.head).toMatchObject({ commands })
    expect(entries.filter((entry) => entry.kind === 'outcome')).toHaveLength(commands)
  }
}

function inspected(value: unknown): string {
  return value instanceof Error ? `${value.stack} ${String(value.cause)}` : String(value)
}
