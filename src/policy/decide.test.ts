import { describe, expect, it } from 'vitest'
import type {
  CommandClass,
  ConnectionName,
  Decision,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  MaskingRule,
  PolicyConnection,
  PolicySource,
  Rule,
  SourceText,
} from '../core/index.ts'
import { brand, UNLIMITED } from '../core/index.ts'
import type { Fault, Policy } from './index.ts'
import { compilePolicy } from './index.ts'

const label = (name: string) => brand<LabelName>(name)
const EMAIL = label('pii.email')
const NAME = label('pii.name')
const CRM = brand<ConnectionName>('crm')
const API = brand<ConnectionName>('api')
const LIMIT = { rowsMax: 100, bytesMax: 1000 }
const LABELS = new Map<LabelName, MaskingRule>([
  [EMAIL, { kind: 'partial', of: 'email' }],
  [NAME, { kind: 'null' }],
])
const CONNECTIONS: PolicyConnection[] = [
  { name: CRM, protocol: 'postgres', limit: LIMIT, attributes: {} },
  { name: API, protocol: 'http', limit: LIMIT, attributes: { method: 'string', size: 'long?' } },
]

const ADA: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: ['engineers'] }
const AGENT: Identity = { kind: 'agent', name: 'helper', issuer: 'local', groups: ['helpers'] }
const OTHER: Identity = { kind: 'service', name: 'cron', issuer: 'https://id.example.com', groups: [] }

let line = 0
const at = (text: string): SourceText => ({ file: 'sluice.yaml', text, starts: [{ line: 7, column: 11 }] })

type Short = Partial<Omit<Rule, 'what' | 'when' | 'ref' | 'on'>> &
  Partial<Rule['what']> & { name?: string; when?: string; on?: readonly ConnectionName[] }

function rule(short: Short): Rule {
  line += 1
  return {
    ref: { name: short.name ?? `rule ${line}`, file: 'sluice.yaml', line },
    effect: short.effect ?? 'permit',
    who: short.who ?? 'everyone',
    on: short.on ?? [CRM],
    what: {
      run: short.run ?? [],
      unreviewed: short.unreviewed ?? [],
      see: short.see ?? [],
      filter: short.filter ?? [],
      unlimited: short.unlimited ?? false,
    },
    ...(short.when === undefined ? {} : { when: at(short.when) }),
    agents: short.agents ?? false,
    mode: short.mode ?? 'enforce',
  }
}

const permit = (short: Short) => rule({ ...short, effect: 'permit' })
const forbid = (short: Short) => rule({ ...short, effect: 'forbid' })
const observed = (short: Short) => rule({ ...short, mode: 'observe' })

function source(rules: readonly Rule[], cedar?: string): PolicySource {
  return {
    version: 'cfg_1',
    rules,
    ...(cedar === undefined ? {} : { cedar: at(cedar) }),
    connections: CONNECTIONS,
    labels: LABELS,
  }
}

const faults: Fault[] = []
const failures: unknown[] = []

function policyOf(rules: readonly Rule[], cedar?: string): Policy {
  faults.length = 0
  failures.length = 0
  const result = compilePolicy(source(rules, cedar), {
    onFault: (fault) => faults.push(fault),
    onFailure: (error) => failures.push(error),
  })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.policy
}

function factsOf(short: Partial<Facts> = {}): Facts {
  const own = short.class ?? 'read'
  return {
    class: own,
    statements: [{ class: own }],
    reads: ['public.customers'],
    writes: [],
    calls: [],
    labels: [],
    filters: [],
    unbounded: false,
    writesEverything: false,
    redefines: false,
    attributes: {},
    ...short,
  }
}

const NOON = Date.UTC(2026, 0, 5, 12, 30)

function ask(
  policy: Policy,
  facts: Partial<Facts> = {},
  chain: IdentityChain = [ADA],
  connection = CRM,
  now = NOON,
): Decision {
  return policy.decide({ chain, connection, facts: factsOf(facts), now })
}

const names = (decision: Decision) => decision.rules.map((ref) => ref.name)
const masksOf = (decision: Decision) => (decision.kind === 'deny' ? undefined : [...decision.masks.keys()])

const RUN = { run: ['read'], unreviewed: ['read'] } as const satisfies Short

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

describe('observe', () => {
  it.each<[string, Rule[], Partial<Facts>, Decision['kind'], string[]]>([
    [
      'reports a forbid',
      [permit(RUN), observed({ effect: 'forbid', run: ['read'], name: 'o' })],
      {},
      'allow',
      ['o'],
    ],
    ['reports a permit', [observed({ ...RUN, name: 'o' })], {}, 'deny', ['o']],
    [
      'reports a hold',
      [permit(RUN), observed({ effect: 'forbid', unreviewed: ['read'], name: 'o' })],
      {},
      'allow',
      ['o'],
    ],
    [
      'reports a mask',
      [permit({ ...RUN, see: [EMAIL] }), observed({ effect: 'forbid', see: [EMAIL], name: 'o' })],
      { labels: [EMAIL] },
      'allow',
      ['o'],
    ],
    ['reports a limit', [permit(RUN), observed({ unlimited: true, name: 'o' })], {}, 'allow', ['o']],
    ['is silent where it changes nothing', [permit(RUN), observed({ ...RUN, name: 'o' })], {}, 'allow', []],
    [
      'is silent about others',
      [permit(RUN), observed({ effect: 'forbid', run: ['write'], name: 'o' })],
      {},
      'allow',
      [],
    ],
    [
      'is silent where it is denied anyway',
      [forbid({ run: ['read'] }), observed({ effect: 'forbid', run: ['read'], name: 'o' })],
      {},
      'deny',
      [],
    ],
    [
      'names only the rule that would have changed it',
      [
        permit(RUN),
        observed({ ...RUN, name: 'same' }),
        observed({ effect: 'forbid', unreviewed: ['read'], name: 'o' }),
      ],
      {},
      'allow',
      ['o'],
    ],
  ])('%s', (_what, rules, facts, kind, expected) => {
    const decision = ask(policyOf(rules), facts)
    expect(decision.kind).toBe(kind)
    expect(decision.observed.map((ref) => ref.name)).toEqual(expected)
    expect(names(decision)).not.toContain('o')
  })

  it('never changes what the same rules without it decide', () => {
    const base = [permit({ ...RUN, see: [EMAIL] })]
    const also = [
      observed({ effect: 'forbid', run: ['read'] }),
      observed({ effect: 'forbid', see: [EMAIL] }),
      observed({ run: ['write'], unreviewed: ['write'], see: [NAME], unlimited: true }),
    ]
    for (const facts of [
      {},
      { labels: [EMAIL, NAME] },
      { class: 'write' as CommandClass },
      { filters: [NAME] },
    ]) {
      const { observed: _, ...expected } = ask(policyOf(base), facts)
      expect(ask(policyOf([...base, ...also]), facts)).toMatchObject(expected)
    }
  })
})

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
    ['unbounded', 'context.unbounded', { unbounded: true }],
    ['redefines', 'context.redefines', { redefines: true }],
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

describe('raw Cedar', () => {
  const readers = `
    // Who reads.
    @name("readers")
    permit (principal in Group::"engineers", action in [Action::"run", Action::"unreviewed"], resource == Connection::"crm")
    when { context.class == "read" }; // the end; really
  `

  it('decides beside the rules and is named', () => {
    const decision = ask(policyOf([], readers))
    expect(decision.kind).toBe('allow')
    expect(decision.rules).toEqual([{ name: 'readers', file: 'sluice.yaml', line: 7 }])
    expect(ask(policyOf([], readers), { class: 'write' }).kind).toBe('deny')
    expect(ask(policyOf([], readers), { attributes: { method: 'GET' } }, [ADA], API).kind).toBe('deny')
  })

  it('has no name but its number when it gives none', () => {
    const decision = ask(policyOf([], 'permit (principal, action, resource);'))
    expect(names(decision)).toEqual(['cedar policy 1'])
  })

  it('forbids over every permit', () => {
    const policy = policyOf(
      [permit(RUN)],
      'forbid (principal, action == Action::"run", resource) unless { principal.name == "eve" };',
    )
    expect(ask(policy)).toMatchObject({ kind: 'deny', rules: [{ name: 'cedar policy 1' }] })
  })

  it('answers see and filter by label', () => {
    const policy = policyOf(
      [permit(RUN)],
      'permit (principal, action in [Action::"see", Action::"filter"], resource) when { context.label == "pii.email" };',
    )
    expect(masksOf(ask(policy, { labels: [EMAIL, NAME], filters: [EMAIL] }))).toEqual([NAME])
    expect(ask(policy, { filters: [NAME] }).kind).toBe('deny')
  })

  it('takes @agents and @mode', () => {
    const passing = '@agents("true") permit (principal in Group::"engineers", action, resource);'
    expect(ask(policyOf([], passing), {}, [AGENT, ADA]).kind).toBe('allow')
    expect(ask(policyOf([], passing.replace('true', 'false')), {}, [AGENT, ADA]).kind).toBe('deny')
    const observing = '@mode("observe") @name("o") forbid (principal, action, resource);'
    const decision = ask(policyOf([permit(RUN)], observing))
    expect(decision.kind).toBe('allow')
    expect(decision.observed.map((ref) => ref.name)).toEqual(['o'])
  })
})

describe('reasons (P-09)', () => {
  const long = `rule ${'x'.repeat(300)} é`
  const decisions: [string, Decision][] = [
    ['no rule', ask(policyOf([]))],
    [
      'another class',
      ask(policyOf([permit({ run: ['read', 'write', 'define', 'administer'] })]), { class: 'opaque' }),
    ],
    ['a forbid', ask(policyOf([forbid({ run: ['read'], name: long })]))],
    ['a filter', ask(policyOf([permit(RUN)]), { filters: [label('l'.repeat(128))] })],
    [
      'a forbidden filter',
      ask(policyOf([permit(RUN), forbid({ filter: [EMAIL], name: long })]), { filters: [EMAIL] }),
    ],
    [
      'an escape',
      ask(policyOf([permit(RUN)]), { escape: { labels: [EMAIL], reason: `${'Remove it. '.repeat(40)}é\n` } }),
    ],
    ['a hold', ask(policyOf([permit({ run: ['read'] })]))],
    ['an unknown fact', ask(policyOf([permit({ ...RUN, on: [API] })]), {}, [ADA], API)],
    ['an unknown connection', ask(policyOf([]), {}, [ADA], brand<ConnectionName>('no'))],
  ]

  it.each(decisions)('are short plain sentences: %s', (_what, decision) => {
    if (decision.kind === 'allow') throw new Error('expected a reason')
    for (const text of [decision.reason.message, decision.reason.remedy]) {
      expect(text).toMatch(/^[A-Z][\x20-\x7e]{9,198}$/)
    }
  })

  it('never repeat what the client sent', () => {
    const secret = 'hunter2'
    const facts = {
      reads: [secret],
      writes: [secret],
      calls: [secret],
      statements: [{ class: 'write' as const, outputs: [{ name: secret }] }],
      attributes: { method: secret },
      class: 'write' as const,
    }
    const who: Identity = { ...ADA, name: secret, groups: [secret] }
    for (const rules of [[], [permit({ run: ['write'] })], [forbid({ run: ['write'] })], [permit(RUN)]]) {
      expect(JSON.stringify(ask(policyOf(rules), facts, [who]))).not.toContain(secret)
    }
  })

  it('tell which classes may run instead', () => {
    const policy = policyOf([permit({ run: ['read', 'write'] })])
    expect(ask(policy, { class: 'define' })).toMatchObject({
      reason: {
        message:
          'Do not send commands that change definitions to crm: no rule permits them. You may send read commands and commands that change rows.',
        retry: 'only-if-changed',
      },
    })
    expect(ask(policyOf([]), { class: 'define' })).toMatchObject({
      reason: {
        message: 'Stop: no rule permits you to run commands that change definitions on crm.',
        retry: 'never',
      },
    })
  })
})
