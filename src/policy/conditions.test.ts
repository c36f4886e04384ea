import { describe, expect, it } from 'vitest'
import type { Decision, Facts, Rule } from '../core/index.ts'
import type { Short } from '../testing/policies.ts'
import {
  EMAIL,
  CRM,
  API,
  LIMIT,
  ADA,
  AGENT,
  permit,
  forbid,
  observed,
  source,
  faults,
  failures,
  policyOf,
  NOON,
  ask,
  names,
  masksOf,
  RUN,
} from '../testing/policies.ts'
import { compilePolicy } from './index.ts'

describe('when', () => {
  it('reads the facts of the command', () => {
    const policy = policyOf([
      permit({ run: ['write'], unreviewed: ['write'] }),
      forbid({
        run: ['write'],
        when: 'context.writesEverything && context.writes.contains("public.orders")',
      }),
    ])
    const write = { class: 'write', writes: ['public.orders'] } as const
    expect(ask(policy, write).kind).toBe('allow')
    expect(ask(policy, { ...write, writesEverything: true }).kind).toBe('deny')
    expect(ask(policy, { ...write, writesEverything: true, writes: ['public.other'] }).kind).toBe('allow')
  })

  it.each<[string, string, Partial<Facts>]>([
    ['class', 'context.class == "read"', {}],
    ['classes', 'context.classes.contains("read")', {}],
    ['statements', 'context.statements == 1', {}],
    ['reads', 'context.reads.contains("public.customers")', {}],
    ['calls', 'context.calls.containsAll(["count"])', { calls: ['count'] }],
    ['labels', 'context.labels.contains("pii.email")', { labels: [EMAIL] }],
    ['filters', 'context.filters.isEmpty()', {}],
    ['touches', 'context.touches.contains("pii.email")', { touches: [EMAIL] }],
    ['stores', 'context.stores.isEmpty()', {}],
    ['unbounded', 'context.unbounded', { unbounded: true }],
    ['redefines', 'context.redefines', { redefines: true }],
    ['estimatedRows', 'context.estimatedRows == 5', { estimatedRows: 5 }],
    ['now', `context.now == ${NOON}`, {}],
    ['hour', 'context.hour == 12', {}],
    ['weekday', 'context.weekday == 1', {}],
    [
      'the identity',
      'principal.name == "ada" && principal.kind == "person" && principal.issuer == "local"',
      {},
    ],
    ['groups', 'principal in Group::"engineers"', {}],
    ['the connection', 'resource == Connection::"crm" && resource.protocol == "postgres"', {}],
    ['several clauses and a comment', 'context.unbounded == false\n  || false // why', {}],
  ])('knows %s', (_what, when, facts) => {
    expect(ask(policyOf([permit({ ...RUN, when })]), facts).kind).toBe('allow')
    expect(ask(policyOf([permit({ ...RUN, when: `!(${when.replace(/ \/\/.*/, '')})` })]), facts).kind).toBe(
      'deny',
    )
  })

  it('asks see again for every command where a rule reads its facts', () => {
    const policy = policyOf([permit(RUN), permit({ see: [EMAIL], when: '!context.unbounded' })])
    const labels = [EMAIL]
    for (const _ of [1, 2]) {
      expect(masksOf(ask(policy, { labels }))).toEqual([])
      expect(masksOf(ask(policy, { labels, unbounded: true }))).toEqual([EMAIL])
    }
  })

  it('gives the strictest class to questions that are not about a class', () => {
    const policy = policyOf([
      permit({ run: ['read', 'write'], unreviewed: ['read', 'write'] }),
      permit({ see: [EMAIL], when: 'context.class == "read"' }),
    ])
    const batch = {
      class: 'write',
      statements: [{ class: 'read' }, { class: 'write' }],
      labels: [EMAIL],
    } as const
    expect(masksOf(ask(policy, batch))).toEqual([EMAIL])
    expect(masksOf(ask(policy, { labels: [EMAIL] }))).toEqual([])
  })

  it('marks what reads time as volatile, and nothing else', () => {
    const timed = policyOf([permit({ ...RUN, when: 'context.hour < 18' })])
    expect(ask(timed)).toMatchObject({ kind: 'allow', volatile: true })
    expect(ask(timed, {}, [ADA], CRM, Date.UTC(2026, 0, 5, 20))).toMatchObject({
      kind: 'deny',
      volatile: true,
    })
    expect(ask(policyOf([permit({ ...RUN, when: 'context.statements < 18' })])).volatile).toBe(false)
    expect(ask(policyOf([permit(RUN), permit({ see: [EMAIL], when: 'context.weekday < 6' })])).volatile).toBe(
      false,
    )
    const seen = ask(policyOf([permit(RUN), permit({ see: [EMAIL], when: 'context.weekday < 6' })]), {
      labels: [EMAIL],
    })
    expect(seen.volatile).toBe(true)
    const watched = policyOf([
      permit(RUN),
      observed({ effect: 'forbid', run: ['read'], when: 'context.hour > 13' }),
    ])
    expect(ask(watched)).toMatchObject({ kind: 'allow', observed: [], volatile: true })
  })

  it('takes a context that is used whole for volatile', () => {
    const policy = policyOf([], 'permit (principal, action, resource) when { context == context };')
    expect(ask(policy)).toMatchObject({ kind: 'allow', volatile: true })
  })
})

describe('facts of one protocol', () => {
  const http = (attributes: Facts['attributes'], rules: Rule[]) =>
    ask(policyOf(rules), { attributes }, [ADA], API)
  const get = [permit({ ...RUN, on: [API], when: 'context.method == "GET"' })]

  it('are read by name', () => {
    expect(http({ method: 'GET' }, get).kind).toBe('allow')
    expect(http({ method: 'POST' }, get).kind).toBe('deny')
  })

  it('are needed, whether a rule reads them or not', () => {
    expect(http({}, get)).toMatchObject({
      kind: 'deny',
      reason: { message: expect.stringContaining('"method"') },
    })
    expect(http({ method: 7 }, [permit({ ...RUN, on: [API] })]).kind).toBe('deny')
    expect(http({ method: 'GET', size: 1.5 }, get).kind).toBe('deny')
    expect(http({ method: 'GET', size: 'big' }, get).kind).toBe('deny')
    expect(http({ method: 'GET', size: 3 }, get).kind).toBe('allow')
  })

  it('may be unknown when the protocol says so, and then permit nothing', () => {
    const rules = [permit({ ...RUN, on: [API], when: 'context has size && context.size < 10' })]
    expect(http({ method: 'GET', size: 3 }, rules).kind).toBe('allow')
    expect(http({ method: 'GET', size: 30 }, rules).kind).toBe('deny')
    expect(http({ method: 'GET' }, rules).kind).toBe('deny')
  })

  it('cannot pass for the facts of every command', () => {
    const attributes = { method: 'GET', writesEverything: false, class: 'read', hour: 3 }
    const rules = [
      permit({ run: ['write'], unreviewed: ['write'], on: [API] }),
      forbid({ run: ['write'], on: [API], when: 'context.writesEverything' }),
    ]
    const facts = { class: 'write', writesEverything: true, attributes } as const
    expect(ask(policyOf(rules), facts, [ADA], API).kind).toBe('deny')
  })

  it('may not be declared under a name of theirs', () => {
    const connections = [{ name: CRM, protocol: 'x', limit: LIMIT, attributes: { hour: 'long' as const } }]
    expect(() => compilePolicy({ ...source([]), connections })).toThrow('hour')
  })
})

describe('conditions that cannot be evaluated (P-03)', () => {
  const overflow = 'context.statements + 9223372036854775807 > 0'

  it('do not permit', () => {
    const policy = policyOf([permit({ ...RUN, when: overflow, name: 'broken' })])
    expect(ask(policy).kind).toBe('deny')
    expect(faults).toEqual(
      expect.arrayContaining([
        {
          rule: expect.objectContaining({ name: 'broken' }),
          effect: 'permit',
          message: 'a number became too large',
        },
      ]),
    )
  })

  it('do not spoil another permit', () => {
    expect(ask(policyOf([permit({ ...RUN, when: overflow }), permit({ ...RUN, name: 'fine' })])).kind).toBe(
      'allow',
    )
    expect(faults.length).toBeGreaterThan(0)
  })

  it.each<[string, Short, Decision['kind']]>([
    ['run', { run: ['read'] }, 'deny'],
    ['unreviewed', { unreviewed: ['read'] }, 'hold'],
    ['filter', { filter: [EMAIL] }, 'deny'],
  ])('forbid %s', (_what, short, kind) => {
    const all = permit({ ...RUN, see: [EMAIL], filter: [EMAIL], unlimited: true })
    const policy = policyOf([all, forbid({ ...short, when: overflow, name: 'broken' })])
    const decision = ask(policy, { filters: [EMAIL] })
    expect(decision.kind).toBe(kind)
    expect(names(decision)[0]).toBe('broken')
    expect(faults).toContainEqual({
      rule: expect.objectContaining({ name: 'broken' }),
      effect: 'forbid',
      message: 'a number became too large',
    })
  })

  it('forbid see and unlimited', () => {
    const all = permit({ ...RUN, see: [EMAIL], unlimited: true })
    const policy = policyOf([all, forbid({ see: [EMAIL], unlimited: true, when: overflow })])
    const decision = ask(policy, { labels: [EMAIL] })
    expect(masksOf(decision)).toEqual([EMAIL])
    expect(decision).toMatchObject({ kind: 'allow', limit: LIMIT })
  })

  it('concern only those whom the rule is about', () => {
    const policy = policyOf([
      permit(RUN),
      forbid({ run: ['read'], when: overflow, who: { groups: ['helpers'] } }),
    ])
    expect(ask(policy).kind).toBe('allow')
    expect(ask(policy, {}, [AGENT]).kind).toBe('deny')
  })

  it('in a rule that observes change nothing', () => {
    const policy = policyOf([
      permit(RUN),
      observed({ effect: 'forbid', run: ['read'], when: overflow, name: 'o' }),
    ])
    const decision = ask(policy)
    expect(decision.kind).toBe('allow')
    expect(decision.observed.map((ref) => ref.name)).toEqual(['o'])
  })

  it('never show values of the command', () => {
    ask(policyOf([permit({ ...RUN, when: 'context.statements + 9223372036854775807 > 0' })]))
    expect(JSON.stringify(faults)).not.toContain('9223372036854775807')
  })

  it('do not refuse when only a rule that observes makes the engine fail', () => {
    const policy = policyOf([
      permit(RUN),
      observed({ effect: 'forbid', run: ['read'], when: 'context.now > 0' }),
    ])
    expect(ask(policy, {}, [ADA], CRM, Number.NaN)).toMatchObject({
      kind: 'allow',
      observed: [],
      volatile: true,
    })
    expect(failures).toHaveLength(1)
  })

  it('refuse when the engine itself fails', () => {
    const policy = policyOf([permit({ ...RUN, when: 'context.now > 0' })])
    expect(ask(policy, {}, [ADA], CRM, Number.NaN)).toMatchObject({ kind: 'deny', volatile: true })
    expect(failures).toHaveLength(1)
    expect(ask(policy).kind).toBe('allow')
  })
})
