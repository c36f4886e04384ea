import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type {
  CommandClass,
  ConnectionName,
  Decision,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  Rule,
} from '../core/index.ts'
import { brand, COMMAND_CLASSES, IDENTITY_KINDS, identityKey } from '../core/index.ts'
import { seed, tally, times } from '../../test/support/proof.ts'
import { compilePolicy } from './index.ts'

/** Random rules, chains and commands, held against a second, simple reading of what rules mean, and against its laws. */

const CRM = brand<ConnectionName>('crm')
const API = brand<ConnectionName>('api')
const LABELS = ['pii.email', 'pii.name', 'secret'].map((name) => brand<LabelName>(name))
const GROUPS = ['a', 'b']
const NAMES = ['ada', 'bot']
const LIMIT = { rowsMax: 10, bytesMax: 10 }

const some = <T>(values: readonly T[]) => fc.subarray([...values])
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

const identity: fc.Arbitrary<Identity> = fc.record({
  kind: fc.constantFrom(...IDENTITY_KINDS),
  name: fc.constantFrom(...NAMES),
  issuer: fc.constant('local'),
  groups: some(GROUPS),
})
const KEYS = NAMES.flatMap((name) => IDENTITY_KINDS.map((kind) => `${kind}:${name}`))

const chain: fc.Arbitrary<IdentityChain> = fc
  .tuple(identity, fc.array(identity, { maxLength: 2 }))
  .map(([first, rest]) => [first, ...rest])

const who: fc.Arbitrary<Rule['who']> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<'everyone'>('everyone') },
  {
    weight: 3,
    arbitrary: fc
      .tuple(maybe(some(GROUPS)), maybe(some(KEYS)), maybe(some(IDENTITY_KINDS)))
      .map(([groups, identities, kinds]) => ({
        ...(groups && { groups }),
        ...(identities && { identities }),
        ...(kinds && { kinds }),
      })),
  },
)

/** Without an effect of their own, so that properties can choose it. */
const body = fc.record({
  who,
  on: fc.constantFrom([CRM], [CRM, API], [API], []),
  what: fc.record({
    run: some(COMMAND_CLASSES),
    unreviewed: some(COMMAND_CLASSES),
    see: some(LABELS),
    filter: some(LABELS),
    store: some(LABELS),
    unlimited: fc.boolean(),
  }),
  limit: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    fc.record({
      rowsMax: fc.constantFrom(5, 20),
      bytesMax: fc.constantFrom(5, 20, Number.POSITIVE_INFINITY),
      action: fc.constantFrom<'cut' | 'hold'>('cut', 'hold'),
    }),
  ),
})
type Body = typeof body extends fc.Arbitrary<infer T> ? T : never

let line = 0
function ruleOf(from: Body, effect: Rule['effect'], agents = false, mode: Rule['mode'] = 'enforce'): Rule {
  line += 1
  const { limit, ...rest } = from
  const limited = limit === undefined || effect === 'forbid' ? {} : { limit }
  return { ...rest, ...limited, ref: { name: `rule ${line}`, file: 'f', line }, effect, agents, mode }
}

const rule: fc.Arbitrary<Rule> = fc
  .tuple(body, fc.constantFrom<Rule['effect']>('permit', 'permit', 'permit', 'forbid'), fc.boolean())
  .map(([from, effect, agents]) => ruleOf(from, effect, effect === 'permit' && agents))
const rules = fc.array(rule, { maxLength: 6 })

const facts: fc.Arbitrary<Facts> = fc
  .record({
    classes: fc.array(fc.constantFrom(...COMMAND_CLASSES), { minLength: 1, maxLength: 2 }),
    labels: some(LABELS),
    filters: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, some(LABELS)),
    stores: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, some(LABELS)),
    escape: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, some(LABELS)),
  })
  .map(({ classes, labels, filters, stores, escape }) => ({
    class: classes[0] ?? 'read',
    statements: classes.map((each) => ({ class: each })),
    reads: [],
    writes: [],
    calls: [],
    labels,
    touches: [],
    filters,
    stores,
    ...(escape && { escape: { labels: escape, reason: 'Remove it.' } }),
    unbounded: false,
    writesEverything: false,
    redefines: false,
    attributes: {},
  }))

let decisions = 0
afterAll(() => tally('decisions', decisions))

function decide(from: readonly Rule[], by: IdentityChain, command: Facts): Decision {
  const result = compilePolicy({
    version: 'v',
    rules: from,
    connections: [
      { name: CRM, protocol: 'p', limit: LIMIT, attributes: {} },
      { name: API, protocol: 'p', limit: LIMIT, attributes: {} },
    ],
    labels: new Map(LABELS.map((label) => [label, { kind: 'full' }])),
  })
  decisions += 1
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  const question = { chain: by, connection: CRM, facts: command, now: 0 }
  const decision = result.policy.decide(question)
  // What is kept from the first answer must not change the second.
  expect(result.policy.decide(question)).toEqual(decision)
  return decision
}

/** What a client notices. */
type Outcome = {
  readonly kind: Decision['kind']
  readonly masks: readonly LabelName[]
  readonly rows: number
  readonly bytes: number
  readonly pauseRows: number
  readonly pauseBytes: number
}

const FOR_EVER = Number.POSITIVE_INFINITY
const DENIED: Outcome = { kind: 'deny', masks: [], rows: 0, bytes: 0, pauseRows: 0, pauseBytes: 0 }

function outcomeOf(decision: Decision): Outcome {
  if (decision.kind === 'deny') return DENIED
  return {
    kind: decision.kind,
    masks: [...decision.masks.keys()],
    rows: decision.limit.rowsMax,
    bytes: decision.limit.bytesMax,
    pauseRows: decision.pause?.rowsMax ?? FOR_EVER,
    pauseBytes: decision.pause?.bytesMax ?? FOR_EVER,
  }
}

const RANK = { allow: 0, hold: 1, deny: 2 } as const

/** At least as strict in every respect. */
function stricterOrSame(a: Outcome, b: Outcome): boolean {
  if (RANK[a.kind] !== RANK[b.kind]) return RANK[a.kind] > RANK[b.kind]
  const ends = a.rows <= b.rows && a.bytes <= b.bytes
  const pauses = a.pauseRows <= b.pauseRows && a.pauseBytes <= b.pauseBytes
  return ends && pauses && b.masks.every((label) => a.masks.includes(label))
}

/** The same meaning again, without Cedar, slices or memory: a reading of docs/policies.md. */
function model(from: readonly Rule[], by: IdentityChain, command: Facts): Outcome {
  const matches = (each: Rule, one: Identity): boolean => {
    if (!each.on.includes(CRM)) return false
    if (each.who === 'everyone') return true
    const { groups, identities, kinds } = each.who
    if (groups === undefined && identities === undefined && kinds === undefined) return false
    return (
      (groups === undefined || groups.some((group) => one.groups.includes(group))) &&
      (identities === undefined || identities.includes(identityKey(one))) &&
      (kinds === undefined || kinds.includes(one.kind))
    )
  }
  type Test = (each: Rule) => boolean
  const may = (index: number, test: Test): 'yes' | 'no' | 'forbidden' => {
    const one = by[index]
    if (one === undefined) return 'no'
    const about = from.filter((each) => test(each))
    if (about.some((each) => each.effect === 'forbid' && matches(each, one))) return 'forbidden'
    const permits = about.filter((each) => each.effect === 'permit')
    if (permits.some((each) => matches(each, one))) return 'yes'
    // An exemption passes to an agent only from somebody to whom it is really given.
    const passed = by
      .slice(index + 1)
      .some(
        (later) =>
          !about.some((each) => each.effect === 'forbid' && matches(each, later)) &&
          permits.some((each) => each.agents && matches(each, later)),
      )
    return one.kind === 'agent' && passed ? 'yes' : 'no'
  }
  const all = (test: Test) => by.every((_, index) => may(index, test) === 'yes')
  const run = (each: CommandClass) => all((one) => one.what.run.includes(each))
  const see: (label: LabelName) => Test = (label) => (one) => one.what.see.includes(label)
  const classes = command.statements.map((each) => each.class)
  const deny = DENIED
  if (!classes.every(run)) return deny
  const escaping = command.escape?.labels
  if (escaping !== undefined && (escaping.length === 0 || !escaping.every((label) => all(see(label)))))
    return deny
  const needed = [
    ...command.filters.map((label) => ({ label, list: 'filter' as const })),
    ...command.stores.map((label) => ({ label, list: 'store' as const })),
  ]
  for (const { label, list } of needed) {
    for (const index of by.keys()) {
      const answer = may(index, (one) => one.what[list].includes(label))
      if (answer === 'forbidden' || (answer === 'no' && may(index, see(label)) !== 'yes')) return deny
    }
  }
  const limits = from.flatMap((each) => (by.some((one) => matches(each, one)) ? (each.limit ?? []) : []))
  const [cuts, pauses] = ['cut', 'hold'].map((action) => limits.filter((each) => each.action === action))
  const ends = [...(cuts ?? []), ...(all((one) => one.what.unlimited) ? [] : [LIMIT])]
  return {
    kind: classes.every((each) => all((one) => one.what.unreviewed.includes(each))) ? 'allow' : 'hold',
    masks: command.labels.filter((label) => !all(see(label))),
    rows: Math.min(...ends.map((each) => each.rowsMax)),
    bytes: Math.min(...ends.map((each) => each.bytesMax)),
    pauseRows: Math.min(...(pauses ?? []).map((each) => each.rowsMax)),
    pauseBytes: Math.min(...(pauses ?? []).map((each) => each.bytesMax)),
  }
}

const numRuns = times({ small: 500, full: 20_000 })
const runs = { numRuns, seed }

describe('rules', () => {
  it('mean what they say (P-03)', () => {
    const kinds = new Set<string>()
    fc.assert(
      fc.property(rules, chain, facts, (from, by, command) => {
        const expected = model(from, by, command)
        kinds.add(expected.kind)
        expect(outcomeOf(decide(from, by, command))).toEqual(expected)
      }),
      runs,
    )
    // Random commands must not all be refused, or this would prove little.
    expect([...kinds].sort()).toEqual(['allow', 'deny', 'hold'])
  })

  it('keep a refusal that a forbid made, whatever is permitted besides (P-03)', () => {
    let refused = 0
    fc.assert(
      fc.property(rules, body, body, fc.boolean(), chain, facts, (from, no, yes, agents, by, command) => {
        const before = [...from, ruleOf(no, 'forbid')]
        const decision = decide(before, by, command)
        if (decision.kind !== 'deny' || decision.rules.length === 0) return
        refused += 1
        const after = decide([...before, ruleOf(yes, 'permit', agents)], by, command)
        expect(after.kind).toBe('deny')
      }),
      runs,
    )
    expect(refused).toBeGreaterThan(numRuns / 20)
  })

  it('keep every mask when something is permitted to somebody else (P-02)', () => {
    fc.assert(
      fc.property(rules, body, chain, facts, (from, yes, by, command) => {
        // Nobody of the chain is in this group, so that the looser permit is not about any of them.
        const other = ruleOf({ ...yes, who: { groups: ['strangers'] } }, 'permit', true)
        expect(outcomeOf(decide([...from, other], by, command))).toEqual(outcomeOf(decide(from, by, command)))
      }),
      runs,
    )
  })

  it('become no looser with one more forbid, and no stricter with one more permit', () => {
    fc.assert(
      fc.property(rules, body, fc.boolean(), chain, facts, (from, more, agents, by, command) => {
        const before = outcomeOf(decide(from, by, command))
        const forbidden = outcomeOf(decide([...from, ruleOf(more, 'forbid')], by, command))
        // A limit is the one thing in a permit that makes anything stricter.
        const free = ruleOf({ ...more, limit: undefined }, 'permit', agents)
        const permitted = outcomeOf(decide([...from, free], by, command))
        expect(stricterOrSame(forbidden, before)).toBe(true)
        expect(stricterOrSame(before, permitted)).toBe(true)
      }),
      runs,
    )
  })

  it('change nothing while they only observe', () => {
    fc.assert(
      fc.property(
        rules,
        body,
        fc.constantFrom<Rule['effect']>('permit', 'forbid'),
        chain,
        facts,
        (from, more, effect, by, command) => {
          const before = decide(from, by, command)
          const watched = decide([...from, ruleOf(more, effect, false, 'observe')], by, command)
          expect({ ...watched, observed: [] }).toEqual(before)
          const enforced = outcomeOf(decide([...from, ruleOf(more, effect)], by, command))
          const changes = JSON.stringify(enforced) !== JSON.stringify(outcomeOf(before))
          expect(watched.observed.length > 0).toBe(changes)
        },
      ),
      runs,
    )
  })

  it('tell of what would forbid to see a value that is compared', () => {
    const label = brand<LabelName>('pii.email')
    const nothing = { run: [], unreviewed: [], see: [], filter: [], store: [], unlimited: false }
    const bodyOf = (what: Partial<Body['what']>): Body => ({
      who: 'everyone',
      on: [CRM],
      what: { ...nothing, ...what },
      limit: undefined,
    })
    const ada: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: [] }
    const command: Facts = {
      class: 'write',
      statements: [{ class: 'write' }],
      reads: [],
      writes: [],
      calls: [],
      labels: [],
      touches: [],
      filters: [label],
      stores: [],
      unbounded: false,
      writesEverything: false,
      redefines: false,
      attributes: {},
    }
    const sees = bodyOf({ see: [label] })
    const from = [ruleOf(bodyOf({ run: ['write'], unreviewed: ['write'] }), 'permit'), ruleOf(sees, 'permit')]
    const watched = decide([...from, ruleOf(sees, 'forbid', false, 'observe')], [ada], command)
    expect([watched.kind, watched.observed.length]).toEqual(['allow', 1])
    expect(decide([...from, ruleOf(sees, 'forbid')], [ada], command).kind).toBe('deny')
  })

  it('give whoever acts for somebody no more than that somebody has', () => {
    fc.assert(
      fc.property(rules, identity, identity, facts, (from, actor, subject, command) => {
        const together = outcomeOf(decide(from, [actor, subject], command))
        expect(stricterOrSame(together, outcomeOf(decide(from, [subject], command)))).toBe(true)
      }),
      runs,
    )
  })
})
