import { afterEach, describe, expect, it } from 'vitest'
import type { Command, ConnectionName, Facts } from '../core/index.ts'
import { brand, GatewayError, LIMITS } from '../core/index.ts'
import { FakeNetwork } from '../testing/fake-network.ts'
import type { MemoryPipe } from '../testing/pipe-pair.ts'
import { pipePair, turns } from '../testing/pipe-pair.ts'
import { AGENT, ANY_CONNECTION, configurationOf, World } from '../testing/world.ts'
import type { Permitted } from './flights.ts'
import { housekeeping, isHeld } from './flights.ts'
import { MemoryJournal } from '../testing/memory-journal.ts'
import { boundTo, fingerprintOf, kinOf, shapeOf } from './asking.ts'
import type { Session } from './session.ts'

const worlds: World[] = []
afterEach(() => {
  for (const world of worlds.splice(0)) world.close()
})

type Opened = {
  readonly world: World
  readonly session: Session
  /** What has arrived at each end. */
  readonly client: Buffer[]
  readonly upstream: Buffer[]
  readonly clientPipe: MemoryPipe
}

async function open(durability = 'written'): Promise<Opened> {
  const world = await World.open({
    configuration: configurationOf(`${ANY_CONNECTION}\n    durability: ${durability}`),
    network: new FakeNetwork(),
  })
  worlds.push(world)
  const connection = world.connection('crm')
  if (connection === undefined) throw new Error('the world has no such connection')
  const session = world.gateway.open({
    chain: [AGENT],
    connection,
    credential: 'c_0123456789abcdef',
    mintedBy: 'test',
    clientAddress: '192.0.2.1:5432',
    program: 'test',
    database: 'crm',
    isIdle: () => false,
    onTerminate: () => undefined,
  })
  const [client, clientPipe] = pipePair()
  const [upstream, upstreamPipe] = pipePair()
  const got = { client: new Array<Buffer>(), upstream: new Array<Buffer>() }
  client.onData = (bytes) => got.client.push(Buffer.from(bytes))
  upstream.onData = (bytes) => got.upstream.push(Buffer.from(bytes))
  session.attach({ client: clientPipe, upstream: upstreamPipe })
  return { world, session, ...got, clientPipe }
}

const FACTS: Facts = {
  class: 'read',
  statements: [{ class: 'read' }],
  reads: [],
  writes: [],
  calls: [],
  labels: [],
  touches: [],
  filters: [],
  stores: [],
  unbounded: false,
  writesEverything: false,
  redefines: false,
  attributes: {},
}

function command(text: string, facts: Partial<Facts> = {}): Command {
  return { form: 'query', text, facts: { ...FACTS, ...facts } }
}

function permit(session: Session, text: string): Permitted {
  const asked = command(text)
  const step = session.step(asked, session.judge('', undefined, asked.facts))
  if (isHeld(step)) throw new Error('it is held')
  return step
}

const hello = Buffer.from('hello')

describe('a session', () => {
  it('forwards nothing for who has no permit (P-04)', async () => {
    const { session, upstream } = await open()
    const real = permit(session, 'SELECT 1')
    const forged: Permitted = Object.assign(Object.create(Object.getPrototypeOf(real)), { ...real })
    expect(() => session.forward(forged, hello)).toThrow('without a permit')
    expect(() => session.perform(forged, () => undefined)).toThrow('without a permit')
    expect(() => session.forward(Object.create(housekeeping), hello)).toThrow('without a permit')
    await turns()
    expect(upstream).toEqual([])
  })

  it('sends what was forwarded only once it is written, and in order (P-04)', async () => {
    const { world, session, upstream } = await open()
    session.forward(permit(session, 'SELECT 1'), Buffer.from('one '))
    session.forward(permit(session, 'SELECT 2'), Buffer.from('two '))
    expect(world.journal.tape).toHaveLength(1)
    await turns()
    expect(Buffer.concat(upstream).toString()).toBe('one two ')
    expect(world.journal.tape.map((each) => (each.kind === 'written' ? each.entry.kind : each.kind))).toEqual(
      ['open', 'intent', 'intent'],
    )
  })

  it('records what a command was judged by where that is another than of the command before', async () => {
    const { world, session } = await open()
    const [one, two] = ['a'.repeat(64), 'b'.repeat(64)]
    const bases = () => world.entries('intent').map(({ head }) => head.basis)
    permit(session, 'SELECT 1')
    expect(bases()).toEqual([undefined])
    const configuration = configurationOf(`${ANY_CONNECTION}\n    durability: written`)
    world.adopt(configuration, one)
    const { version: policy } = world.gateway.policy
    permit(session, 'SELECT 2')
    permit(session, 'SELECT 3')
    expect(bases().slice(1)).toEqual([{ policy, configuration: one }, undefined])
    const names = { path: ['public'] }
    session.rests('epoch 1', { catalogue: two, names })
    const asked = command('SELECT 4')
    const judgement = session.judge('epoch 1', undefined, asked.facts)
    session.step(asked, judgement)
    session.step(asked, judgement)
    session.stepUnreadable('query', 'SELEC 5', new GatewayError('invalid', 'It cannot be parsed.'))
    permit(session, 'SELECT 6')
    const known = { policy, configuration: one, catalogue: two, names }
    expect(bases().slice(3)).toEqual([known, undefined, undefined, { policy, configuration: one }])
  })

  it('copies what it is given: the buffer may be used again at once', async () => {
    const { session, upstream, client } = await open()
    const bytes = Buffer.from('first')
    session.forward(permit(session, 'SELECT 1'), bytes)
    session.reply(bytes)
    bytes.fill(0x78)
    await turns()
    expect(Buffer.concat(upstream).toString()).toBe('first')
    expect(Buffer.concat(client).toString()).toBe('first')
  })

  it('sends, performs and replies nothing of a turn that cannot be written, and says so (P-04)', async () => {
    const { world, session, upstream, client } = await open()
    const told: unknown[] = []
    let performed = false
    session.watch(
      () => undefined,
      (error) => told.push(error),
    )
    world.journal.broken = true
    const permitted = permit(session, 'SELECT 1')
    session.forward(permitted, hello)
    session.reply(hello)
    session.perform(permitted, () => {
      performed = true
    })
    await expect(session.afterTurn()).rejects.toMatchObject({ code: 'recording_unavailable' })
    await turns()
    expect({ upstream, client, performed }).toEqual({ upstream: [], client: [], performed: false })
    expect(told).toHaveLength(1)
    world.journal.broken = false
    session.reply(Buffer.from('later'))
    await turns()
    expect(Buffer.concat(client).toString()).toBe('later')
  })

  it('keeps of a result what the connection keeps, as the client got it, and counts the rest', async () => {
    const { world, session, client } = await open()
    const flight = permit(session, 'SELECT 1')
    session.result(flight, Buffer.from('0123456'))
    await turns()
    session.result(flight, Buffer.from('789abcdef'))
    session.finish(flight, 'ok', 'SELECT 1')
    session.finish(flight, 'error', 'once is enough')
    await turns()
    expect(Buffer.concat(client).toString()).toBe('0123456789abcdef')
    const bodies = world.journal.entries.flatMap((entry) =>
      'body' in entry && entry.body ? [Buffer.from(entry.body)] : [],
    )
    expect(Buffer.concat(bodies).toString()).toBe('0123456789')
    expect(world.entries('outcome').map(({ head }) => head)).toMatchObject([
      { bytes: 16, unkept: 6, outcome: 'ok' },
    ])
  })

  it('records its end last and once, whatever was on its way', async () => {
    const { world, session } = await open()
    const flight = permit(session, 'SELECT 1')
    session.result(flight, hello)
    session.close('client left')
    session.close('again')
    await turns()
    expect(world.journal.entries.at(-1)).toMatchObject({
      kind: 'close',
      head: { reason: 'client left', commands: 1 },
    })
    expect(world.gateway.sessions()).toEqual([])
  })

  it('counts every attempt, refused and unreadable ones too, under ids of their own', async () => {
    const { world, session } = await open()
    const denied = command('DROP TABLE x', { class: 'define' })
    expect(() => session.step(denied, session.judge('', undefined, denied.facts))).toThrow(
      expect.objectContaining({ code: 'denied', requestId: `${session.id}.1` }),
    )
    const unread = session.stepUnreadable('query', 'SELEC', new GatewayError('invalid', 'no'))
    expect(unread.requestId).toBe(`${session.id}.2`)
    expect(permit(session, 'SELECT 1').n).toBe(3)
    expect(world.entries('intent').map(({ head }) => head.decision)).toEqual(['deny', 'deny', 'allow'])
  })

  it('is written to the disk before anything is sent where its connection asks for that', async () => {
    const { world, session } = await open('fsync')
    let synced = 0
    const { sync } = world.journal
    world.journal.sync = () => {
      synced++
      sync.call(world.journal)
    }
    session.forward(permit(session, 'SELECT 1'), hello)
    await turns()
    expect(synced).toBe(1)
  })
})

describe('what is decided', () => {
  it('is kept for the same policy, people and scope, and for nothing else', async () => {
    const { world, session } = await open()
    const judgement = session.judge('a', 'key', FACTS)
    expect(session.cached('a', 'key')).toBe(judgement)
    expect(session.stands('a', judgement)).toBe(true)
    expect(session.cached('b', 'key')).toBeUndefined()
    expect(session.stands('b', judgement)).toBe(false)
    expect(session.cached('a', 'key')).toBe(judgement)
    world.adopt(
      configurationOf(ANY_CONNECTION, '  - { name: closed, who: everyone, on: all, forbid: { run: all } }\n'),
    )
    expect(session.stands('a', judgement)).toBe(false)
    expect(session.cached('a', 'key')).toBeUndefined()
    expect(session.judge('a', 'key', FACTS).decision.kind).toBe('deny')
  })
})

describe('what an approval is bound to', () => {
  const base = {
    chain: [AGENT] as const,
    connection: 'crm' as never,
    database: 'crm',
    policyVersion: 'v1',
    command: { ...command('UPDATE x'), parameters: [Buffer.from('ab'), Buffer.from('c')] },
  }

  it.each([
    ['another identity', { chain: [{ ...AGENT, name: 'other' }] as const }],
    ['another database', { database: 'hr' }],
    ['another policy', { policyVersion: 'v2' }],
    ['another text', { command: { ...base.command, text: 'UPDATE y' } }],
    ['other parameters', { command: { ...base.command, parameters: [Buffer.from('a'), Buffer.from('bc')] } }],
    ['NULL for empty', { command: { ...base.command, parameters: [Buffer.from('ab'), null] } }],
    ['one parameter more', { command: { ...base.command, parameters: [...base.command.parameters, null] } }],
    ['the same bytes in binary', { command: { ...base.command, readings: ['binary', 'text'] } }],
    ['another declared type', { command: { ...base.command, readings: ['text integer', 'text'] } }],
    ['reading something else', { command: { ...base.command, facts: { ...FACTS, reads: ['other'] } } }],
    ['another meaning of its names', { command: { ...base.command, meaning: 'other path' } }],
  ])('%s makes it another command (P-05)', (_name, change) => {
    expect(fingerprintOf({ ...base, ...change })).not.toBe(fingerprintOf(base))
  })

  it('is told under a key, so that nobody can try a guess of a value', () => {
    const told = boundTo(base, new MemoryJournal())
    expect(told.fingerprint).not.toBe(fingerprintOf(base))
    expect(told.shape).not.toBe(shapeOf(base))
    expect(told.kin).not.toBe(kinOf(base))
    expect(told).toEqual(boundTo(base, new MemoryJournal()))
  })
})

describe('what commands share', () => {
  const base = {
    chain: [AGENT] as const,
    connection: 'crm' as never,
    database: 'crm',
    policyVersion: 'v1',
    command: {
      ...command('DELETE 1'),
      shape: 'DELETE ?',
      varying: { parameters: [0], varies: ['WHERE id = ...'] },
      parameters: [Buffer.from('a'), Buffer.from('fixed')],
      meaning: 'path',
    },
  }
  const other = {
    ...base,
    command: { ...base.command, text: 'DELETE 2', parameters: [Buffer.from('b'), Buffer.from('fixed')] },
  }

  it('is their shape, whatever their values', () => {
    expect(shapeOf(other)).toBe(shapeOf(base))
    expect(fingerprintOf(other)).not.toBe(fingerprintOf(base))
  })

  it.each([
    ['another identity', { chain: [{ ...AGENT, name: 'other' }] as const }],
    ['another connection', { connection: 'hr' as never }],
    ['another database', { database: 'hr' }],
    ['another policy', { policyVersion: 'v2' }],
    ['another key', { command: { ...base.command, shape: 'DELETE ? LIMIT' } }],
    ['other facts', { command: { ...base.command, facts: { ...FACTS, unbounded: true } } }],
    ['another meaning', { command: { ...base.command, meaning: 'other path' } }],
    ['parameters read otherwise', { command: { ...base.command, readings: ['binary'] } }],
    ['one parameter more', { command: { ...base.command, parameters: [...base.command.parameters, null] } }],
    ['NULL', { command: { ...base.command, parameters: [null, Buffer.from('fixed')] } }],
    [
      'another value where one does more than another',
      { command: { ...base.command, parameters: [Buffer.from('a'), Buffer.from('other')] } },
    ],
    ['the rest of a result', { rest: '10 rows' }],
  ])('J-03: %s makes it another shape (P-05)', (_name, change) => {
    expect(shapeOf({ ...other, ...change })).not.toBe(shapeOf(base))
  })

  it('is nothing where the protocol knows no shape: only itself', () => {
    const { shape: _, ...plain } = base.command
    expect(shapeOf({ ...base, command: plain })).toBe(fingerprintOf({ ...base, command: plain }))
  })

  it('is being the same command under other rules and definitions', () => {
    const elsewhere = { ...base.command, meaning: 'other path', facts: { ...FACTS, unbounded: true } }
    expect(kinOf({ ...base, policyVersion: 'v2', command: elsewhere })).toBe(kinOf(base))
    expect(kinOf(other)).not.toBe(kinOf(base))
    expect(kinOf({ ...base, rest: '10 rows' })).not.toBe(kinOf(base))
  })
})

describe('what an approval is bound to', () => {
  it('holds how people look at it: by another route it is another request, for its shape as well', () => {
    const bound = {
      chain: [AGENT] as const,
      connection: brand<ConnectionName>('crm'),
      database: 'crm',
      policyVersion: 'v1',
      command: { ...command('DELETE FROM notes WHERE id = 5'), shape: 'DELETE FROM notes WHERE id = ?' },
    }
    const strict = { ...bound, review: [{ route: 'two-leads', reuse: {} }] }
    const same = { ...bound, review: [] }
    for (const digest of [fingerprintOf, shapeOf]) {
      expect(digest(bound)).toBe(digest(same))
      expect(digest(bound)).not.toBe(digest(strict))
    }
    expect(kinOf(bound)).toBe(kinOf(strict))
  })
})

describe('what people are asked about', () => {
  it.each([
    ['in its text', { text: `DELETE /* ${'x'.repeat(LIMITS.askedBytesMax)} */` }],
    ['in a parameter', { text: 'DELETE $1', parameters: [Buffer.alloc(LIMITS.askedBytesMax)] }],
  ])('is not longer than anybody reads, %s', async (_, asked) => {
    const { world, session } = await open()
    const facts: Facts = { ...FACTS, class: 'write', statements: [{ class: 'write' }] }
    const step = session.step({ form: 'query', ...asked, facts }, session.judge('', undefined, facts))
    if (!isHeld(step)) throw new Error('it is not held')
    const observer = { patienceMs: 1, signal: AbortSignal.timeout(1_000), told: () => undefined }
    await expect(session.hold(step, observer)).rejects.toMatchObject({
      code: 'limit_exceeded',
      retry: 'only-if-changed',
    })
    expect(world.approvals.list()).toEqual([])
  })
})

describe('the gateway', () => {
  it('opens nothing while it stops, tells those who are there, and waits for them', async () => {
    const { world, session } = await open()
    const drained = world.gateway.drain(1_000)
    expect(() => world.gateway.open({ ...session.opening })).toThrow(
      expect.objectContaining({ code: 'shutting_down' }),
    )
    session.close('client left')
    await drained
    expect(world.gateway.sessions()).toEqual([])
  })

  it('gives one identity no more sessions on a connection than the connection says, and each back that ends', async () => {
    const { world, session } = await open()
    const { sessionsPerIdentity } = session.opening.connection
    const more = Array.from({ length: sessionsPerIdentity - 1 }, () => world.gateway.open(session.opening))
    expect(() => world.gateway.open(session.opening)).toThrow(
      expect.objectContaining({ code: 'limit_exceeded', retry: 'later' }),
    )
    const [first] = session.opening.chain
    world.gateway.open({ ...session.opening, chain: [{ ...first, name: 'another' }] }).close('client left')
    more[0]?.close('client left')
    expect(() => world.gateway.open(session.opening)).not.toThrow()
    expect(() => world.gateway.open(session.opening)).toThrow()
  })

  it('ends those who idle at once, and those who work when they have come to rest', async () => {
    const { world, session } = await open()
    let busy = true
    const told: string[] = []
    const leaving = (name: string, isIdle: () => boolean): void => {
      const opened = world.gateway.open({
        ...session.opening,
        isIdle,
        onTerminate: () => {
          told.push(name)
          opened.close('shutting_down')
        },
      })
    }
    leaving('idle', () => true)
    leaving('working', () => !busy)
    session.close('client left')
    const drained = world.gateway.drain(10_000)
    expect(told).toEqual(['idle'])
    world.clock.advance(100)
    expect(told).toEqual(['idle'])
    busy = false
    world.clock.advance(100)
    await drained
    expect(told).toEqual(['idle', 'working'])
  })

  it('ends those who stay too long', async () => {
    const { world, session } = await open()
    const told: GatewayError[] = []
    const other = world.gateway.open({ ...session.opening, onTerminate: (reason) => told.push(reason) })
    const drained = world.gateway.drain(1_000)
    world.clock.advance(1_000)
    await drained
    expect(told.map((reason) => reason.code)).toEqual(['shutting_down'])
    other.close('shutting_down')
  })
})
