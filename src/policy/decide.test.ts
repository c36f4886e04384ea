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
