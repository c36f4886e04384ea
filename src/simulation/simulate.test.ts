import { describe, expect, it } from 'vitest'
import type { Basis, Connection, Entry, Facts, IntentHead, OutcomeHead } from '../core/index.ts'
import { brand, type SessionId } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { RecordedEntry } from '../recording/index.ts'
import type { Rejudge, Rejudged } from '../session/index.ts'
import { intentEntry, openEntry, outcomeEntry } from '../testing/entries.ts'
import { ADA, CRM, EMAIL, forbid, permit, policyOf } from '../testing/policies.ts'
import { PolicyChecker } from './check.ts'
import { type Deciding, type Simulation, Simulator } from './simulate.ts'

const session = brand<SessionId>('01KG9YS7G0WZ1PM1Z6QPQ83PSD')
const ADDRESS = 'a'.repeat(64)

const FACTS: Facts = {
  class: 'read',
  statements: [{ class: 'read' }],
  reads: ['public.customers'],
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

const CONNECTION: Connection = {
  name: CRM,
  protocol: 'postgres',
  settings: {},
  labels: [],
  limit: { rowsMax: 100, bytesMax: 1_000 },
  patienceMs: 0,
  sessionsPerIdentity: 1,
  durability: 'written',
  resultBytesKept: 0,
}

const READS = permit({ name: 'reads', run: ['read'], unreviewed: ['read'] })
const WRITES = permit({ name: 'writes', run: ['write'] })

/** What the analysis says of a text, in place of one. */
const KNOWN: Readonly<Record<string, Rejudged>> = {
  read: { kind: 'facts', facts: FACTS },
  email: {
    kind: 'facts',
    facts: { ...FACTS, labels: [EMAIL], columns: [{ column: 'c.email', label: EMAIL }] },
  },
  write: {
    kind: 'facts',
    facts: { ...FACTS, class: 'write', statements: [{ class: 'write' }], reads: [], writes: ['t'] },
  },
  nonsense: { kind: 'refused', message: 'It cannot be parsed.' },
  own: { kind: 'own' },
  lost: { kind: 'unknown', why: 'session' },
}

const rejudge: Rejudge = {
  session: () => ({
    next: ({ intent }) => Promise.resolve(KNOWN[intent.text] ?? { kind: 'unknown', why: 'catalogue' }),
  }),
  close: () => Promise.resolve(),
}

const by = (policy: Policy): Deciding => ({ policy, connections: new Map([[CRM, CONNECTION]]) })

const BASIS: Basis = { policy: 'cfg_1', configuration: ADDRESS }
const RULES = { read: ['reads (sluice.yaml:1)'], write: ['writes (sluice.yaml:2)'] }

let n = 0
/** A command that was decided as `then` decides. */
function recorded(text: string, head: Partial<IntentHead> = {}, outcome: Partial<OutcomeHead> = {}): Entry[] {
  n++
  const own: Partial<IntentHead> = {
    text,
    rules: RULES.read,
    reads: ['public.customers'],
    basis: BASIS,
    ...head,
  }
  return [intentEntry(n, own), outcomeEntry(n, outcome)]
}
const read = () => recorded('read')
const email = () => recorded('email', { masked: [EMAIL], columns: [{ column: 'c.email', label: EMAIL }] })
const write = () => {
  const [intent, outcome] = recorded('write', {
    class: 'write',
    decision: 'hold',
    rules: RULES.write,
    reads: [],
    writes: ['t'],
  })
  return [intent, outcome].flatMap((each) => each ?? [])
}
const refusal = (text: string): Entry[] =>
  recorded(
    text,
    { class: 'opaque', decision: 'deny', rules: [], reads: [] },
    { outcome: 'refused', tag: 'invalid' },
  )

async function* entries(all: readonly Entry[]): AsyncGenerator<RecordedEntry> {
  const open = openEntry({ connection: 'crm', chain: [ADA] })
  for (const [at, entry] of [open, ...all].entries())
    yield await Promise.resolve({ sequence: at + 1, time: at, session, entry })
}

async function simulated(draft: Policy, ...all: readonly Entry[][]): Promise<Simulation> {
  const then = by(policyOf([READS, WRITES]))
  const simulator = new Simulator({
    draft: by(draft),
    configuration: (address) => Promise.resolve(address === ADDRESS ? then : undefined),
    rejudge: () => Promise.resolve(rejudge),
    since: 0,
    until: Number.MAX_SAFE_INTEGER,
    connection: undefined,
  })
  await simulator.session(entries(all.flat()))
  return simulator.result()
}

const whys = ({ unjudged }: Simulation) => unjudged.map(({ why, count }) => [why, count])

describe('a simulation', () => {
  it('counts each command once: the same, changed, or not to be judged', async () => {
    const draft = policyOf([READS, permit({ name: 'writes', run: ['write'], unreviewed: ['write'] })])
    const result = await simulated(
      draft,
      read(),
      email(),
      write(),
      write(),
      refusal('nonsense'),
      recorded('lost'),
    )
    expect(result).toMatchObject({ sessions: 1, commands: 6, unchanged: 3, changed: 2 })
    expect(result.groups).toMatchObject([
      {
        change: { what: 'hold -> allow' },
        count: 2,
        shape: 'write',
        before: { decision: 'hold' },
        after: { decision: 'allow' },
      },
    ])
    expect(whys(result)).toEqual([['session', 1]])
  })

  it('says nothing of the draft where the own configuration does not give what was recorded', async () => {
    const draft = policyOf([forbid({ run: ['read', 'write'] })])
    const other = { decision: 'hold' as const, reason: 'Somebody looks first.' }
    const result = await simulated(
      draft,
      recorded('read', other),
      recorded('read', { rules: ['another (sluice.yaml:9)'] }),
      recorded('read', { reads: ['public.orders'] }),
      recorded('email', { masked: [] }),
      recorded('read', { class: 'write' }),
    )
    expect(result).toMatchObject({ commands: 5, changed: 0, unchanged: 0 })
    expect(whys(result)).toEqual([['differs', 5]])
  })

  it('tells refusals by a budget, and for what no rule decides, from those by a rule', async () => {
    const budget = recorded(
      'read',
      { decision: 'deny', rules: ['so many (sluice.yaml:3)'] },
      { tag: 'limit_exceeded' },
    )
    const value = recorded(
      'read',
      { class: 'opaque', decision: 'deny', rules: [], reads: [] },
      { tag: 'denied' },
    )
    expect(whys(await simulated(policyOf([READS]), budget, value))).toEqual([
      ['budget', 1],
      ['refused', 1],
    ])
  })

  it('knows no command without what it was judged by', async () => {
    n++
    const early = [[intentEntry(n, { text: 'read' }), outcomeEntry(n)]]
    expect(whys(await simulated(policyOf([READS]), ...early))).toEqual([['basis', 1]])
    const gone = recorded('read', { basis: { ...BASIS, configuration: 'b'.repeat(64) } })
    expect(whys(await simulated(policyOf([READS]), gone))).toEqual([['configuration', 1]])
  })

  it('decides by the estimate that was given then, and not without one', async () => {
    const many = forbid({ unreviewed: ['read'], when: 'context.estimatedRows > 5' })
    const asked = (tag: string): Entry[] =>
      recorded('EXPLAIN (FORMAT JSON) read', { form: 'estimate', rules: [] }, { tag })
    expect(await simulated(policyOf([READS, many]), asked('4 rows'), read())).toMatchObject({
      commands: 1,
      changed: 0,
    })
    expect(await simulated(policyOf([READS, many]), asked('6 rows'), read())).toMatchObject({
      changed: 1,
      groups: [{ change: { what: 'allow -> hold' } }],
    })
    expect(whys(await simulated(policyOf([READS, many]), read()))).toEqual([['estimate', 1]])
  })

  it('refuses everything on a connection that the draft does not have', async () => {
    const simulator = new Simulator({
      draft: { policy: policyOf([READS]), connections: new Map() },
      configuration: () => Promise.resolve(by(policyOf([READS, WRITES]))),
      rejudge: () => Promise.resolve(rejudge),
      since: 0,
      until: Number.MAX_SAFE_INTEGER,
      connection: undefined,
    })
    await simulator.session(entries([...read(), ...refusal('nonsense')]))
    const { groups, changed, unchanged } = simulator.result()
    expect({ changed, unchanged }).toEqual({ changed: 1, unchanged: 1 })
    expect(groups).toMatchObject([
      { change: { what: 'allow -> deny' }, after: { reason: expect.stringContaining('crm') } },
    ])
  })
})

describe('a policy held against what it decided', () => {
  async function checked(...all: readonly Entry[][]) {
    const checker = new PolicyChecker({
      given: by(policyOf([READS, WRITES])),
      configuration: () => Promise.resolve(undefined),
      rejudge: () => Promise.resolve(rejudge),
    })
    await checker.session(entries(all.flat()))
    return checker.result()
  }

  it('gives what was recorded, wherever its rules stand by now', async () => {
    const elsewhere = recorded('read', { rules: ['reads (/etc/sluice/other.yaml:77)'] })
    expect(await checked(read(), email(), write(), refusal('nonsense'), elsewhere)).toMatchObject({
      policy: 'cfg_1',
      commands: 5,
      byThis: 5,
      same: 5,
      differingCount: 0,
      unjudged: [],
      others: {},
    })
  })

  it('names each decision that it does not give', async () => {
    const wrong = recorded('write', { class: 'write', rules: RULES.write, reads: [], writes: ['t'] })
    const unmasked = recorded('email', { columns: [{ column: 'c.email', label: EMAIL }] })
    const found = await checked(read(), wrong, unmasked)
    expect(found).toMatchObject({ same: 1, differingCount: 2 })
    expect(found.differing).toMatchObject([
      { connection: 'crm', recorded: { decision: 'allow' }, judged: { decision: 'hold' } },
      { connection: 'crm', recorded: { decision: 'allow' }, judged: { decision: 'allow' } },
    ])
  })

  it('says what it was not asked: other versions, and what no rule decided', async () => {
    const other = recorded('read', { basis: { ...BASIS, policy: 'cfg_2' } })
    const budget = recorded(
      'read',
      { decision: 'deny', rules: ['so many (sluice.yaml:3)'] },
      { tag: 'limit_exceeded' },
    )
    expect(await checked(other, budget, recorded('lost'))).toMatchObject({
      commands: 3,
      byThis: 2,
      same: 0,
      byNoRule: 1,
      differingCount: 0,
      others: { cfg_2: 1 },
      unjudged: [{ why: 'session', count: 1 }],
    })
  })
})
