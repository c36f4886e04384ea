import { describe, expect, it } from 'vitest'
import type { Budget, ConnectionName, Facts, Identity, IdentityChain, LabelName } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryBudgetStore } from '../testing/memory-budget-store.ts'
import { Budgets } from './index.ts'
import { KeyedHash } from './keyed-hash.ts'
import { Sketch } from './sketch.ts'
import { fewer } from '../../test/support/fewer.ts'

const CRM = brand<ConnectionName>('crm')
const OTHER = brand<ConnectionName>('other')
const EMAIL = brand<LabelName>('pii.email')
const NAME = brand<LabelName>('pii.name')
const AGENT: Identity = { kind: 'agent', name: 'bot', issuer: 'local', groups: ['bots'] }
const ADA: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: [] }

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

function budget(max: Budget['max'], more: Partial<Budget> = {}): Budget {
  return {
    ref: { name: 'daily', file: 'sluice.yaml', line: 3 },
    who: 'everyone',
    on: [CRM],
    labels: [EMAIL],
    max,
    ...more,
  }
}

class Stage {
  readonly store = new MemoryBudgetStore()
  readonly clock = new FakeClock()
  readonly reports: unknown[] = []
  readonly budgets: readonly Budget[]

  constructor(budgets: readonly Budget[]) {
    this.budgets = budgets
  }

  async open(): Promise<Budgets> {
    return await Budgets.open({
      store: this.store,
      clock: this.clock,
      key: Buffer.alloc(16, 7),
      budgets: this.budgets,
      report: (error) => this.reports.push(error),
    })
  }

  async ledger(chain: IdentityChain = [AGENT], connection = CRM) {
    const budgets = await this.open()
    const ledger = budgets.open(chain, connection)
    await settled()
    return { budgets, ledger }
  }

  taken(kind: 'rows' | 'bytes' | 'records' | 'questions' = 'rows'): number {
    return [...this.store.accounts.values()].reduce((sum, each) => sum + each[kind], 0)
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

type Counting = { spend(rows: number, bytes: number): string; more(): Promise<void> }

/** Uses row after row, waiting where it is told to; how many could be used. */
async function useRows(ledger: Counting, wanted: number): Promise<number> {
  let used = 0
  while (used < wanted) {
    const answer = ledger.spend(1, 10)
    if (answer === 'spent') return used
    if (answer === 'wait') await ledger.more()
    else used++
  }
  return used
}

describe('a budget', () => {
  it('is spent to its last row and no further, and says when it begins anew (P-09)', async () => {
    const { ledger } = await new Stage([budget({ rows: 1234 })]).ledger()
    expect(await useRows(ledger, 5000)).toBe(1234)
    const refused = ledger.admit(FACTS)
    expect(refused).toMatchObject({
      rule: { name: 'daily', line: 3 },
      reason: { retry: 'later' },
    })
    expect(refused?.reason.message).toMatch(
      /^Stop until \d{4}-\d\d-\d\d 00:00 UTC: the daily budget "daily" of 1234 rows is spent\.$/,
    )
  })

  it('lets a transaction be ended when it is spent', async () => {
    const { ledger } = await new Stage([budget({ rows: 1 })]).ledger()
    await useRows(ledger, 2)
    expect(ledger.admit({ ...FACTS, reads: [] })).toBeUndefined()
    expect(ledger.admit({ ...FACTS, reads: [], class: 'opaque' })).toBeDefined()
  })

  it('is one for all sessions of an identity, and another for each identity', async () => {
    const stage = new Stage([budget({ rows: 100 })])
    const budgets = await stage.open()
    const first = budgets.open([AGENT], CRM)
    const second = budgets.open([AGENT], CRM)
    const other = budgets.open([ADA], CRM)
    await settled()
    expect((await useRows(first, 60)) + (await useRows(second, 60))).toBe(100)
    expect(await useRows(other, 60)).toBe(60)
  })

  it('is charged to every identity of the chain', async () => {
    const stage = new Stage([budget({ rows: 100 })])
    const budgets = await stage.open()
    const both = budgets.open([AGENT, ADA], CRM)
    const person = budgets.open([ADA], CRM)
    const agent = budgets.open([AGENT], CRM)
    await settled()
    expect(await useRows(person, 70)).toBe(70)
    expect(await useRows(both, 100)).toBe(30)
    expect(await useRows(agent, 100)).toBe(70)
  })

  it('is about whom, where and what it says', async () => {
    const few = { rows: 1 }
    const of = async (more: Partial<Budget>, chain: IdentityChain = [AGENT], connection = CRM) => {
      const { ledger } = await new Stage([budget(few, more)]).ledger(chain, connection)
      return await useRows(ledger, 3)
    }
    expect(await of({})).toBe(1)
    expect(await of({}, [AGENT], OTHER)).toBe(3)
    expect(await of({ who: { kinds: ['person'] } })).toBe(3)
    expect(await of({ who: { kinds: ['person'] } }, [AGENT, ADA])).toBe(1)
    expect(await of({ who: { groups: ['bots'], kinds: ['agent'] } })).toBe(1)
    expect(await of({ who: { groups: ['others'], kinds: ['agent'] } })).toBe(3)
    expect(await of({ who: {} })).toBe(3)
  })

  it('of several the first that is spent stops everything, and none is charged for what did not happen', async () => {
    const small = budget({ bytes: 55 }, { ref: { name: 'bytes', file: 'f', line: 1 } })
    const stage = new Stage([budget({ rows: 100 }), small])
    const { ledger, budgets } = await stage.ledger()
    expect(await useRows(ledger, 100)).toBe(5)
    for (let i = 0; i < 50; i++) expect(ledger.spend(1, 10)).toBe('spent')
    expect(ledger.refusal().rule.name).toBe('bytes')
    await budgets.stop()
    expect(stage.taken('rows')).toBe(5)
    expect(stage.taken('bytes')).toBe(50)
  })

  it('counts every label asked about in every statement', async () => {
    const { ledger } = await new Stage([budget({ questions: 5 })]).ledger()
    const ask = (facts: Partial<Facts>) => ledger.admit({ ...FACTS, ...facts })
    for (let i = 0; i < 20; i++) expect(ask({ touches: [NAME] })).toBeUndefined()
    expect(ask({ touches: [EMAIL] })).toBeUndefined()
    expect(ask({ touches: [EMAIL], filters: [EMAIL] })).toBeUndefined()
    expect(
      ask({ touches: [EMAIL], statements: [{ class: 'read' }, { class: 'read' }, { class: 'read' }] }),
    ).toBeDefined()
    expect(ask({ touches: [EMAIL], statements: [{ class: 'read' }, { class: 'read' }] })).toBeUndefined()
    const { ledger: other } = await new Stage([budget({ questions: 5 })]).ledger()
    const many = { ...FACTS, touches: [EMAIL], asked: { [EMAIL]: 4 } }
    expect(other.admit(many)).toBeUndefined()
    expect(other.admit(many)).toBeDefined()
    expect(ask({ filters: [EMAIL] })?.reason.message).toContain('questions about protected data')
    // Everything else goes on.
    expect(ask({})).toBeUndefined()
  })

  it('counts distinct values of its labels', async () => {
    const { ledger } = await new Stage([budget({ records: 50 })]).ledger()
    const see = (value: string, label = EMAIL) => {
      const bytes = Buffer.from(value)
      ledger.record([label], bytes, 0, bytes.length)
    }
    for (let round = 0; round < 10; round++) for (let i = 0; i < 40; i++) see(`person ${i}`)
    for (let i = 0; i < 1000; i++) see(`name ${i}`, NAME)
    expect(await useRows(ledger, 1)).toBe(1)
    for (let i = 0; i < 20; i++) see(`person ${100 + i}`)
    expect(await useRows(ledger, 1)).toBe(0)
    expect(ledger.admit(FACTS)?.reason.message).toContain('of 50 protected records is spent')
  })
})

describe('spending', () => {
  it('survives a restart exactly', async () => {
    const stage = new Stage([budget({ rows: 10_000, records: 100 })])
    const { budgets, ledger } = await stage.ledger()
    const see = (of: typeof ledger, value: number) => {
      const bytes = Buffer.from(`person ${value}`)
      of.record([EMAIL], bytes, 0, bytes.length)
    }
    for (let i = 0; i < 30; i++) see(ledger, i)
    expect(await useRows(ledger, 123)).toBe(123)
    await budgets.stop()
    expect(stage.taken()).toBe(123)
    expect(stage.taken('records')).toBe(30)
    const { ledger: after, budgets: again } = await stage.ledger()
    // What was seen before the restart is known again.
    for (let i = 0; i < 40; i++) see(after, i)
    expect(await useRows(after, 20_000)).toBe(10_000 - 123)
    await again.stop()
    expect(stage.taken('records')).toBe(40)
  })

  it('is never less after a crash than it was, and at most the blocks more (P-07)', async () => {
    for (const used of [0, 1, 99, 250, 500, 501, 4999, 9500]) {
      const stage = new Stage([budget({ rows: 10_000 })])
      const { ledger } = await stage.ledger()
      expect(await useRows(ledger, used)).toBe(used)
      await settled()
      // Nobody says goodbye.
      const { ledger: after } = await stage.ledger()
      const left = await useRows(after, 20_000)
      expect(left).toBeLessThanOrEqual(10_000 - used)
      expect(left).toBeGreaterThanOrEqual(10_000 - used - 1000)
    }
  })

  it('is on the disk before it is used', async () => {
    const stage = new Stage([budget({ rows: 1000 })])
    const { ledger } = await stage.ledger()
    for (let i = 0; i < 1000; i++) {
      await useRows(ledger, 1)
      expect(stage.taken()).toBeGreaterThan(i)
    }
  })

  it('begins anew with the UTC day, without a wait at midnight', async () => {
    const stage = new Stage([budget({ rows: 100, questions: 1 })])
    const { ledger } = await stage.ledger()
    expect(await useRows(ledger, 200)).toBe(100)
    expect(ledger.admit({ ...FACTS, reads: [], touches: [EMAIL] })).toBeUndefined()
    expect(ledger.admit(FACTS)).toBeDefined()
    stage.clock.advance(86_400_000 - (stage.clock.now() % 86_400_000) - 10_000)
    await settled()
    expect(ledger.admit(FACTS)).toBeDefined()
    stage.clock.advance(10_000)
    expect(ledger.admit({ ...FACTS, touches: [EMAIL] })).toBeUndefined()
    expect(ledger.spend(1, 1)).toBe('go')
  })

  it('is refused while it cannot be written down, and goes on when it can (P-03)', async () => {
    const stage = new Stage([budget({ rows: 1000, questions: 10 })])
    const gate = Promise.withResolvers<void>()
    gate.promise.catch(() => undefined)
    stage.store.gate = gate.promise
    const { ledger } = await stage.ledger()
    expect(ledger.spend(1, 1)).toBe('wait')
    expect(ledger.admit({ ...FACTS, touches: [EMAIL] })?.reason.message).toMatch(/^Try again in a moment/)
    expect(ledger.spend(1, 1)).toBe('wait')
    const more = ledger.more()
    gate.reject(new Error('the disk is full'))
    await expect(more).rejects.toMatchObject({ code: 'limit_exceeded', retry: 'later' })
    expect(stage.reports).toHaveLength(1)
    stage.store.gate = undefined
    expect(await useRows(ledger, 10)).toBe(10)
    expect(ledger.admit({ ...FACTS, touches: [EMAIL] })).toBeUndefined()
  })

  it('is shared by the nodes of one store, and never more than the budget', async () => {
    const stage = new Stage([budget({ rows: 1000 })])
    const nodes = await Promise.all([stage.ledger(), stage.ledger(), stage.ledger()])
    const used = await Promise.all(nodes.map(({ ledger }) => useRows(ledger, 1000)))
    const sum = used.reduce((a, b) => a + b, 0)
    expect(sum).toBeLessThanOrEqual(1000)
    expect(sum).toBeGreaterThan(900)
  })

  it('counts on under the same name when the budget changes', async () => {
    const stage = new Stage([budget({ rows: 1000 })])
    const { ledger, budgets } = await stage.ledger()
    expect(await useRows(ledger, 300)).toBe(300)
    budgets.adopt([budget({ rows: 400 })])
    await settled()
    expect(ledger.admit(FACTS)).toBeUndefined()
    const left = await useRows(ledger, 1000)
    expect(left).toBeLessThanOrEqual(200)
    budgets.adopt([])
    expect(ledger.admit(FACTS)).toBeUndefined()
    expect(await useRows(ledger, 1000)).toBe(1000)
  })

  it('costs next to nothing where no budget is about somebody', async () => {
    const { ledger } = await new Stage([budget({ rows: 1 }, { on: [OTHER] })]).ledger()
    expect(ledger.countsRecords).toBe(false)
    expect(ledger.admit({ ...FACTS, touches: [EMAIL] })).toBeUndefined()
    expect(ledger.spend(1, 1)).toBe('go')
  })
})

describe('a sketch', () => {
  const hash = new KeyedHash(Buffer.from('a key of sixteen'))
  const add = (sketch: Sketch, value: string, prefix = 1) => {
    const bytes = Buffer.from(value)
    hash.of(prefix, bytes, 0, bytes.length)
    return sketch.add(hash.high, hash.low)
  }

  it.each([0, 1, 10, 100, 1000, 10_000, fewer(100_000)])(
    'counts %d different values to within 5 %%',
    (count) => {
      const sketch = new Sketch()
      for (let i = 0; i < count; i++) add(sketch, `person-${i}@example.com`)
      for (let i = 0; i < count; i++) expect(add(sketch, `person-${i}@example.com`)).toBe(false)
      expect(Math.abs(sketch.estimate - count)).toBeLessThanOrEqual(Math.max(1, count * 0.05))
      expect(Sketch.parse(sketch.toString()).estimate).toBe(sketch.estimate)
    },
  )

  it.each([
    [4, 'd5e78a175be52ea1'],
    [5, 'cb9d7c3f2f3db580'],
    [6, 'ce3e91358aa2bc25'],
    [7, 'ff202728b07bc684'],
    [8, 'edfee820bce4858c'],
  ])('hashes %d bytes as the vectors of HalfSipHash have it', (length, expected) => {
    const counting = Buffer.from(Array.from({ length: 8 }, (_, i) => i))
    const siphash = new KeyedHash(counting)
    // The first four bytes are the prefix.
    siphash.of(counting.readInt32LE(0), counting, 4, length)
    const out = Buffer.alloc(8)
    out.writeInt32LE(siphash.low, 0)
    out.writeInt32LE(siphash.high, 4)
    expect(out.toString('hex')).toBe(expected)
  })

  it('keeps labels, values and cut values apart', () => {
    const results = new Set<string>()
    for (const prefix of [1, 2])
      for (const value of ['', 'a', 'ab', 'abc', 'abcd', 'abcd\0', 'abcde']) {
        const bytes = Buffer.from(value)
        hash.of(prefix, bytes, 0, bytes.length)
        results.add(`${hash.high} ${hash.low}`)
      }
    expect(results.size).toBe(14)
  })
})
