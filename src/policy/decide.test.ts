import { describe, expect, it } from 'vitest'
import type {
  ConnectionName,
  Decision,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  Rule,
} from '../core/index.ts'
import { brand, UNLIMITED } from '../core/index.ts'
import type { Short } from '../testing/policies.ts'
import {
  label,
  EMAIL,
  NAME,
  API,
  LIMIT,
  LABELS,
  ADA,
  AGENT,
  OTHER,
  permit,
  forbid,
  policyOf,
  ask,
  names,
  masksOf,
  RUN,
} from '../testing/policies.ts'

describe('default deny (P-03)', () => {
  it.each<[string, Rule[]]>([
    ['no rules', []],
    ['a rule with empty lists', [permit({})]],
    ['a rule for no groups', [permit({ ...RUN, who: { groups: [] } })]],
    ['a rule for nobody', [permit({ ...RUN, who: {} })]],
    ['a rule for no identities', [permit({ ...RUN, who: { identities: [] } })]],
    ['a rule for no kinds', [permit({ ...RUN, who: { kinds: [] } })]],
    ['a rule on no connection', [permit({ ...RUN, on: [] })]],
    ['a rule on another connection', [permit({ ...RUN, on: [API] })]],
    ['a rule for another group', [permit({ ...RUN, who: { groups: ['helpers'] } })]],
    ['a rule for another class', [permit({ run: ['write'], unreviewed: ['write'] })]],
    ['unreviewed without run', [permit({ unreviewed: ['read'], see: [EMAIL], unlimited: true })]],
    [
      'a rule of which one list matches',
      [permit({ ...RUN, who: { groups: ['engineers'], kinds: ['agent'] } })],
    ],
  ])('%s', (_what, rules) => {
    const decision = ask(policyOf(rules))
    expect(decision).toMatchObject({ kind: 'deny', rules: [], observed: [], volatile: false })
  })

  it('holds what may run but not unreviewed, masks what may not be seen, limits what is not unlimited', () => {
    const decision = ask(policyOf([permit({ run: ['read'], name: 'run' })]), { labels: [EMAIL, NAME] })
    expect(decision).toMatchObject({
      kind: 'hold',
      limit: LIMIT,
      reason: { retry: 'unchanged-after-approval' },
    })
    expect(decision.kind === 'hold' && decision.masks).toEqual(LABELS)
    expect(names(decision)).toEqual(['run'])
  })

  it('refuses a connection that is not configured', () => {
    const decision = ask(policyOf([permit(RUN)]), {}, [ADA], brand<ConnectionName>('elsewhere'))
    expect(decision).toMatchObject({ kind: 'deny', reason: { retry: 'never' } })
  })

  it('hides whole a label that is not configured, whoever may see all others', () => {
    const decision = ask(policyOf([permit({ ...RUN, see: [EMAIL, NAME] })]), { labels: [label('new')] })
    expect(decision.kind === 'allow' && decision.masks).toEqual(new Map([[label('new'), { kind: 'full' }]]))
  })
})

describe('who', () => {
  const who = (who: Rule['who'], chain: IdentityChain) =>
    ask(policyOf([permit({ ...RUN, who })]), {}, chain).kind
  it.each<[string, Rule['who'], Identity, Decision['kind']]>([
    ['a group', { groups: ['x', 'engineers'] }, ADA, 'allow'],
    ['an identity', { identities: ['person:ada'] }, ADA, 'allow'],
    ['an identity of an issuer', { identities: ['service:cron (https://id.example.com)'] }, OTHER, 'allow'],
    ['the same name of another issuer', { identities: ['service:cron'] }, OTHER, 'deny'],
    ['the same name of another kind', { identities: ['agent:ada'] }, ADA, 'deny'],
    ['a kind', { kinds: ['agent', 'person'] }, ADA, 'allow'],
    ['another kind', { kinds: ['agent'] }, ADA, 'deny'],
    [
      'all that is given',
      { groups: ['engineers'], kinds: ['person'], identities: ['person:ada'] },
      ADA,
      'allow',
    ],
    ['all but one', { groups: ['engineers'], kinds: ['person'], identities: ['person:eve'] }, ADA, 'deny'],
    ['a group that looks like a kind', { groups: ['person'] }, ADA, 'deny'],
  ])('matches by %s', (_what, given, identity, expected) => {
    expect(who(given, [identity])).toBe(expected)
  })

  it('is not fooled by a name that holds quotes and Cedar', () => {
    const odd: Identity = {
      ...ADA,
      name: 'x"} || true || {"',
      groups: ['"]; permit(principal,action,resource);'],
    }
    expect(who({ groups: ['engineers'] }, [odd])).toBe('deny')
    expect(who({ identities: ['person:x"} || true || {"'] }, [odd])).toBe('allow')
  })
})

describe('merge order', () => {
  const everything = permit({
    name: 'all',
    run: ['read', 'write', 'define', 'administer', 'opaque'],
    unreviewed: ['read', 'write', 'define', 'administer', 'opaque'],
    see: [EMAIL, NAME],
    filter: [EMAIL, NAME],
    store: [EMAIL, NAME],
    unlimited: true,
  })
  const labelled: Partial<Facts> = { labels: [EMAIL, NAME], filters: [EMAIL] }

  it('allows all with a permit for each question', () => {
    const decision = ask(policyOf([everything]), labelled)
    expect(decision).toMatchObject({ kind: 'allow', limit: UNLIMITED })
    expect(masksOf(decision)).toEqual([])
    expect(names(decision)).toEqual(['all'])
  })

  it.each<[string, Short[], Decision['kind'], string[], LabelName[] | undefined]>([
    ['run beats all', [{ run: ['read'], name: 'f' }], 'deny', ['f'], undefined],
    [
      'filter beats review',
      [{ filter: [EMAIL], name: 'f' }, { unreviewed: ['read'] }],
      'deny',
      ['f'],
      undefined,
    ],
    ['review beats mask', [{ unreviewed: ['read'], name: 'f' }], 'hold', ['f', 'all'], []],
    ['a mask beats allow', [{ see: [NAME], name: 'f' }], 'allow', ['f', 'all'], [NAME]],
    ['a limit beats allow', [{ unlimited: true, name: 'f' }], 'allow', ['f', 'all'], []],
  ])('%s', (_what, shorts, kind, rules, masks) => {
    const decision = ask(policyOf([everything, ...shorts.map(forbid)]), labelled)
    expect(decision.kind).toBe(kind)
    expect(names(decision)).toEqual(rules)
    expect(masksOf(decision)).toEqual(masks)
  })

  it('keeps the limit where unlimited is forbidden', () => {
    const decision = ask(policyOf([everything, forbid({ unlimited: true })]))
    expect(decision).toMatchObject({ kind: 'allow', limit: LIMIT })
  })

  it('asks for every class of a batch', () => {
    const batch: Partial<Facts> = {
      class: 'define',
      statements: [{ class: 'read' }, { class: 'write' }, { class: 'define' }],
    }
    expect(
      ask(policyOf([permit({ run: ['read', 'define'], unreviewed: ['read', 'define'] })]), batch).kind,
    ).toBe('deny')
    expect(
      ask(policyOf([permit({ run: ['read', 'write', 'define'], unreviewed: ['read', 'define'] })]), batch)
        .kind,
    ).toBe('hold')
    expect(ask(policyOf([everything]), batch).kind).toBe('allow')
    expect(ask(policyOf([everything, forbid({ run: ['read'] })]), batch).kind).toBe('deny')
  })

  it('asks for the class of a batch without statements', () => {
    expect(ask(policyOf([permit(RUN)]), { class: 'opaque', statements: [] }).kind).toBe('deny')
  })

  it('lets an escape through only for who sees every label of it', () => {
    const escape = {
      labels: [EMAIL, NAME],
      reason: 'Remove upper(email): masking cannot follow it (pii.email).',
    }
    const half = ask(policyOf([permit({ ...RUN, see: [EMAIL] })]), { escape })
    expect(half).toMatchObject({ kind: 'deny', reason: { message: escape.reason, retry: 'only-if-changed' } })
    expect(ask(policyOf([permit({ ...RUN, see: [EMAIL, NAME] })]), { escape }).kind).toBe('allow')
    expect(ask(policyOf([everything, forbid({ see: [NAME] })]), { escape }).kind).toBe('deny')
  })

  it('lets nobody through with an escape of labels that are not known', () => {
    expect(ask(policyOf([everything]), { escape: { labels: [], reason: '' } }).kind).toBe('deny')
  })

  it('takes see for filter, but not past a forbid of filter', () => {
    const filters = [EMAIL]
    expect(ask(policyOf([permit(RUN)]), { filters }).kind).toBe('deny')
    expect(ask(policyOf([permit({ ...RUN, filter: [NAME] })]), { filters }).kind).toBe('deny')
    expect(ask(policyOf([permit({ ...RUN, filter: [EMAIL] })]), { filters }).kind).toBe('allow')
    expect(ask(policyOf([permit({ ...RUN, see: [EMAIL] })]), { filters }).kind).toBe('allow')
    expect(
      ask(policyOf([permit({ ...RUN, see: [EMAIL] }), forbid({ filter: [EMAIL] })]), { filters }).kind,
    ).toBe('deny')
    expect(ask(policyOf([permit({ ...RUN, filter: [EMAIL] })]), { filters, labels: [EMAIL] })).toMatchObject({
      kind: 'allow',
      masks: new Map([[EMAIL, { kind: 'partial', of: 'email' }]]),
    })
  })

  it('asks store, or see, for what a write puts into labelled columns (P-03)', () => {
    const change: Partial<Facts> = { class: 'write', stores: [EMAIL] }
    const run = { run: ['write'], unreviewed: ['write'] } as const
    const denied = ask(policyOf([permit(run)]), change)
    expect(denied).toMatchObject({ kind: 'deny', rules: [], reason: { retry: 'only-if-changed' } })
    expect(denied.kind === 'deny' && denied.reason.message).toMatch(/^Do not write to columns labelled pii/)
    expect(ask(policyOf([permit({ ...run, store: [NAME] })]), change).kind).toBe('deny')
    expect(ask(policyOf([permit({ ...run, filter: [EMAIL] })]), change).kind).toBe('deny')
    expect(ask(policyOf([permit({ ...run, store: [EMAIL] })]), change).kind).toBe('allow')
    expect(ask(policyOf([permit({ ...run, see: [EMAIL] })]), change).kind).toBe('allow')
    const forbidden = ask(policyOf([permit({ ...run, see: [EMAIL] }), forbid({ store: [EMAIL] })]), change)
    expect(forbidden.kind).toBe('deny')
    // Seeing what one may write is another question.
    expect(masksOf(ask(policyOf([permit({ ...RUN, store: [EMAIL] })]), { labels: [EMAIL] }))).toEqual([EMAIL])
  })

  it('asks nobody about what the touch rule allows', () => {
    expect(ask(policyOf([permit(RUN)]), { touches: [EMAIL] }).kind).toBe('allow')
    const rules = [permit(RUN), forbid({ run: ['read'], when: 'context.touches.contains("pii.email")' })]
    expect(ask(policyOf(rules), { touches: [EMAIL] }).kind).toBe('deny')
  })

  it('holds what goes beyond the touch rule where a rule says so', () => {
    const rules = [
      permit({ ...RUN, filter: [EMAIL] }),
      forbid({ unreviewed: ['read'], when: '!context.filters.isEmpty()', name: 'look first' }),
    ]
    expect(ask(policyOf(rules), { filters: [EMAIL] })).toMatchObject({ kind: 'hold' })
    expect(ask(policyOf(rules), { touches: [EMAIL] })).toMatchObject({ kind: 'allow' })
    expect(ask(policyOf(rules), { filters: [NAME] })).toMatchObject({ kind: 'deny' })
  })
})

describe('the estimate of rows', () => {
  const rules = (when: string, ...more: Rule[]) =>
    policyOf([permit(RUN), forbid({ unreviewed: ['read'], when, name: 'large' }), ...more])
  const large = rules('context.reads.contains("public.customers") && context.estimatedRows > 1000')

  it('that nobody knows is beyond every number, and asked for (P-03)', () => {
    expect(ask(large)).toMatchObject({ kind: 'hold', estimate: true, volatile: true })
  })

  it('decides once it is known, and is not kept', () => {
    const few = ask(large, { estimatedRows: 1000 })
    expect(few).toMatchObject({ kind: 'allow', volatile: true })
    expect(few.estimate).toBeUndefined()
    expect(ask(large, { estimatedRows: 1001 })).toMatchObject({ kind: 'hold', volatile: true })
  })

  it('is asked for only where a condition gets as far as to read it', () => {
    const other = ask(large, { reads: ['public.orders'] })
    expect(other).toMatchObject({ kind: 'allow', volatile: false })
    expect(other.estimate).toBeUndefined()
    expect(ask(large, {}, [ADA], API).estimate).toBeUndefined()
    const agents = policyOf([
      permit(RUN),
      forbid({ unreviewed: ['read'], when: 'context.estimatedRows > 5', who: { kinds: ['agent'] } }),
    ])
    expect(ask(agents)).toMatchObject({ kind: 'allow', volatile: false })
    expect(ask(agents, {}, [AGENT])).toMatchObject({ kind: 'hold', estimate: true })
  })

  it('is asked for also where it cannot be seen whether it is read', () => {
    for (const when of [
      'context has estimatedRows && context.estimatedRows > 5',
      'context has "estimatedRows"',
    ])
      expect(ask(rules(when))).toMatchObject({ kind: 'hold', estimate: true })
  })

  it('is asked for by rules that observe, and by limits', () => {
    const observing = policyOf([
      permit(RUN),
      forbid({ unreviewed: ['read'], when: 'context.estimatedRows > 5', mode: 'observe' }),
    ])
    expect(ask(observing)).toMatchObject({ kind: 'allow', estimate: true })
    const limiting = policyOf([
      permit({ ...RUN, unlimited: true }),
      permit({ limit: { rowsMax: 7, bytesMax: UNLIMITED.bytesMax }, when: 'context.estimatedRows > 5' }),
    ])
    expect(ask(limiting)).toMatchObject({ limit: { rowsMax: 7 }, estimate: true })
    expect(ask(limiting, { estimatedRows: 5 })).toMatchObject({ limit: UNLIMITED })
  })
})

describe('the limit of a rule', () => {
  const rows = (rowsMax: number, action: 'cut' | 'hold' = 'cut') => ({
    rowsMax,
    bytesMax: UNLIMITED.bytesMax,
    action,
  })
  const free = permit({ ...RUN, unlimited: true })

  it('holds whatever is permitted elsewhere, and the smallest wins', () => {
    const of = (...rules: Rule[]) => {
      const decision = ask(policyOf(rules))
      return decision.kind === 'deny' ? undefined : { limit: decision.limit, pause: decision.pause }
    }
    expect(of(free)).toEqual({ limit: UNLIMITED, pause: undefined })
    expect(of(free, permit({ limit: rows(50) }))?.limit.rowsMax).toBe(50)
    expect(of(free, permit({ limit: rows(50) }), permit({ limit: rows(20) }))?.limit.rowsMax).toBe(20)
    // The connection's own still counts for who may not read unlimited.
    expect(of(permit(RUN), permit({ limit: rows(500) }))).toEqual({ limit: LIMIT, pause: undefined })
    expect(of(permit(RUN), permit({ limit: rows(50) }))?.limit).toEqual({ ...LIMIT, rowsMax: 50 })
    expect(of(free, permit({ limit: rows(50, 'hold') }), permit({ limit: rows(90) }))).toEqual({
      limit: { ...UNLIMITED, rowsMax: 90 },
      pause: { ...UNLIMITED, rowsMax: 50 },
    })
  })

  it('counts for each identity of the chain, and only for whom and when it is about', () => {
    const limits = [
      permit({ limit: rows(50), who: { kinds: ['person'] } }),
      permit({ limit: rows(30), who: { kinds: ['service'] } }),
      permit({ limit: rows(10), when: 'context.reads.contains("public.payments")' }),
    ]
    const limit = (chain: IdentityChain, facts: Partial<Facts> = {}) => {
      const decision = ask(policyOf([free, ...limits]), facts, chain)
      return decision.kind === 'deny' ? undefined : decision.limit.rowsMax
    }
    expect(limit([AGENT])).toBe(UNLIMITED.rowsMax)
    expect(limit([AGENT, ADA])).toBe(50)
    expect(limit([AGENT, ADA], { reads: ['public.payments'] })).toBe(10)
  })

  it('holds when its condition cannot be evaluated (P-03)', () => {
    const when = 'context.statements * 9223372036854775807 * 2 > 0'
    const decision = ask(policyOf([free, permit({ limit: rows(10), when })]), {
      statements: [{ class: 'read' }, { class: 'read' }],
    })
    expect(decision).toMatchObject({ kind: 'allow', limit: { rowsMax: 10 } })
  })

  it('names the rule, and is only reported while it observes', () => {
    const decision = ask(policyOf([free, permit({ limit: rows(10), name: 'few' })]))
    expect(names(decision)).toContain('few')
    const trial = ask(policyOf([free, permit({ limit: rows(10), name: 'few', mode: 'observe' })]))
    expect(trial).toMatchObject({ limit: UNLIMITED, observed: [{ name: 'few' }] })
  })
})

describe('an agent acting for a person', () => {
  const people = { who: { groups: ['engineers'] } } as const satisfies Short
  const agents = { who: { groups: ['helpers'] } } as const satisfies Short
  const chain: IdentityChain = [AGENT, ADA]

  it.each<[string, Rule[], Decision['kind']]>([
    ['needs both permitted', [permit({ ...RUN, ...people }), permit({ ...RUN, ...agents })], 'allow'],
    ['is not helped by what permits the person', [permit({ ...RUN, ...people })], 'deny'],
    ['is not enough by itself', [permit({ ...RUN, ...agents })], 'deny'],
    [
      'is helped by what permits the person with agents: true',
      [permit({ ...RUN, ...people, agents: true })],
      'allow',
    ],
    [
      'may run and is held where only the person is unreviewed',
      [permit({ ...RUN, ...people }), permit({ run: ['read'], ...agents })],
      'hold',
    ],
    [
      'is refused what the agent is forbidden',
      [permit({ ...RUN, ...people, agents: true }), forbid({ run: ['read'], who: { kinds: ['agent'] } })],
      'deny',
    ],
    [
      'is refused what the person is forbidden',
      [
        permit({ ...RUN, ...people, agents: true }),
        permit({ ...RUN, ...agents }),
        forbid({ run: ['read'], ...people }),
      ],
      'deny',
    ],
  ])('%s', (_what, rules, kind) => {
    expect(ask(policyOf(rules), {}, chain).kind).toBe(kind)
  })

  it('sees only what both see', () => {
    const rules = [
      permit({ ...RUN }),
      permit({ see: [EMAIL], ...people, agents: true }),
      permit({ see: [NAME], ...people }),
    ]
    expect(masksOf(ask(policyOf(rules), { labels: [EMAIL, NAME] }, chain))).toEqual([NAME])
    expect(masksOf(ask(policyOf(rules), { labels: [EMAIL, NAME] }, [ADA]))).toEqual([])
    expect(masksOf(ask(policyOf(rules), { labels: [EMAIL, NAME] }, [AGENT]))).toEqual([EMAIL, NAME])
  })

  it('filters where each has its own leave', () => {
    const rules = [permit(RUN), permit({ filter: [EMAIL], ...agents }), permit({ see: [EMAIL], ...people })]
    expect(ask(policyOf(rules), { filters: [EMAIL] }, chain).kind).toBe('allow')
    expect(ask(policyOf(rules.slice(0, 2)), { filters: [EMAIL] }, chain).kind).toBe('deny')
  })

  it('passes agents: true to agents only, and only downwards', () => {
    const exempt = [permit({ ...RUN, ...people, agents: true })]
    expect(ask(policyOf(exempt), {}, [OTHER, ADA]).kind).toBe('deny')
    expect(ask(policyOf(exempt), {}, [ADA, AGENT]).kind).toBe('deny')
    const sub: Identity = { ...AGENT, name: 'sub', groups: [] }
    expect(ask(policyOf(exempt), {}, [sub, AGENT, ADA]).kind).toBe('allow')
    expect(ask(policyOf([permit({ ...RUN, ...agents, agents: true })]), {}, [sub, AGENT]).kind).toBe('allow')
  })

  it('does not mix two identities into one match', () => {
    const mixed = permit({ ...RUN, who: { groups: ['helpers'], kinds: ['person'] }, agents: true })
    expect(ask(policyOf([mixed]), {}, chain).kind).toBe('deny')
  })

  it('names the rules of both', () => {
    const rules = [permit({ ...RUN, ...people, name: 'p' }), permit({ ...RUN, ...agents, name: 'a' })]
    expect(names(ask(policyOf(rules), {}, chain))).toEqual(['a', 'p'])
  })

  it('tells apart agents that act for different people', () => {
    const policy = policyOf([
      permit(RUN),
      forbid({ run: ['read'], who: { kinds: ['agent'] }, when: 'principal.actsFor.contains("person:eve")' }),
    ])
    const eve: Identity = { ...ADA, name: 'eve' }
    for (const _ of [1, 2]) {
      expect(ask(policy, {}, [AGENT, ADA]).kind).toBe('allow')
      expect(ask(policy, {}, [AGENT, eve]).kind).toBe('deny')
    }
  })
})

describe('review', () => {
  const held = permit({ run: ['read', 'write'], name: 'held' })
  const dba = { route: 'dba', reuse: { times: 3 } } as const
  const lead = { route: 'lead', reuse: {} } as const
  const review = (rules: Rule[], facts: Partial<Facts> = {}, chain: IdentityChain = [ADA]) => {
    const decision = ask(policyOf(rules), facts, chain)
    return decision.kind === 'deny' ? undefined : decision.review
  }

  it('says how people look at what is held, and holds nothing by itself', () => {
    expect(review([held])).toBeUndefined()
    expect(review([held, { ...permit({}), review: dba }])).toEqual([dba])
    const open = ask(policyOf([permit(RUN), { ...permit({}), review: dba }]))
    expect(open).toMatchObject({ kind: 'allow' })
    expect(open).not.toHaveProperty('review')
  })

  it('is of the classes that its rule lets run, or holds', () => {
    expect(review([held, { ...permit({ run: ['write'] }), review: dba }])).toBeUndefined()
    expect(review([{ ...held, review: dba }])).toEqual([dba])
    expect(review([permit(RUN), { ...forbid({ unreviewed: ['read'] }), review: lead }])).toEqual([lead])
    expect(
      review([
        permit(RUN),
        forbid({ unreviewed: ['read'] }),
        { ...forbid({ unreviewed: ['write'] }), review: lead },
      ]),
    ).toBeUndefined()
  })

  it('is of all rules that match, for each identity of the chain: a looser one takes nothing away', () => {
    const forAda = { ...permit({ who: { identities: ['person:ada'] } }), review: dba }
    const forAgents = { ...permit({ who: { kinds: ['agent'] } }), review: lead }
    expect(review([held, forAda, forAgents], {}, [AGENT, ADA])).toEqual([lead, dba])
    expect(review([held, forAda, forAgents], {}, [ADA])).toEqual([dba])
  })

  it('is named among the rules that decided', () => {
    const decision = ask(policyOf([held, { ...permit({ name: 'look' }), review: dba }]))
    expect(names(decision)).toEqual(['held', 'look'])
  })

  it('is of the rest of a result as well', () => {
    const pausing = { ...permit({ name: 'p' }), limit: { rowsMax: 5, bytesMax: 5, action: 'hold' } as const }
    expect(review([permit(RUN), { ...pausing, review: dba }])).toEqual([dba])
  })
})

describe('access', () => {
  const rule = permit({ ...RUN, who: { access: ['repair'], kinds: ['person'] } })
  const asked = (access: readonly string[] | undefined, chain: IdentityChain = [ADA], rules = [rule]) =>
    ask(policyOf(rules), {}, chain, undefined, undefined, access).kind

  it('is what a rule holds by while it is granted, with all else that the rule says', () => {
    expect([asked(undefined), asked([]), asked(['other']), asked(['repair'])]).toEqual([
      'deny',
      'deny',
      'deny',
      'allow',
    ])
    expect(asked(['repair'], [AGENT])).toBe('deny')
  })

  it('is no group of that name, nor the other way round', () => {
    expect(asked(undefined, [{ ...ADA, groups: ['repair'] }])).toBe('deny')
    expect(
      asked(['engineers'], [{ ...ADA, groups: [] }], [permit({ ...RUN, who: { groups: ['engineers'] } })]),
    ).toBe('deny')
  })

  it('is asked about anew when it has ended, whatever was answered before', () => {
    const policy = policyOf([rule])
    const again = (access: readonly string[]) => ask(policy, {}, [ADA], undefined, undefined, access).kind
    expect([again(['repair']), again([]), again(['repair'])]).toEqual(['allow', 'deny', 'allow'])
  })
})
