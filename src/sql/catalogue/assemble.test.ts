import { describe, expect, it } from 'vitest'
import type { LabelAssignment } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { CatalogueParts } from './parts.ts'
import { assembleCatalogue } from './assemble.ts'
import type { Catalogue } from './catalogue.ts'
import { labelledReach, labelsOfColumn } from './catalogue.ts'

function label(pattern: string, name = 'pii'): LabelAssignment {
  return { pattern, label: brand(name) }
}

/** `email=pii` for the labelled columns of one table. */
function labels(catalogue: Catalogue, name: string, schema = 'public'): string {
  const columns = catalogue.schemas.get(schema)?.get(name)?.columns ?? []
  return columns
    .filter((column) => column.label !== undefined)
    .map((column) => `${column.name}=${column.label}`)
    .join(' ')
}

function reached(catalogue: Catalogue): string[] {
  return [...labelledReach(catalogue)].map((oid) => catalogue.relations.get(oid)?.name ?? '?').sort()
}

describe('labels', () => {
  it.each([
    ['public.customers.email', 'customers', 'email=pii'],
    ['*.customers.email', 'customers', 'email=pii'],
    ['public.*.email', 'leads', 'email=pii'],
    ['*.*.email', 'audited', 'email=pii'],
    ['public.customers.*', 'orders', ''],
    ['crm.public.customers.email', 'customers', 'email=pii'],
    ['*.public.customers.email', 'customers', 'email=pii'],
    ['other.public.customers.email', 'customers', ''],
    ['"public"."customers"."email"', 'customers', 'email=pii'],
    ['public.customers.EMAIL', 'customers', ''],
    ['app.customers.email', 'customers', ''],
  ])('%s gives %s: %s', (pattern, table, expected) => {
    expect(labels(sampleCatalogue({}, [label(pattern)]), table)).toBe(expected)
  })

  it.each([
    'customers.email',
    'a.b.c.d.e',
    'public..email',
    'public.customers.',
    '',
    'public.cust*.email',
    'public.customers.email ',
    'public."customers.email',
  ])('%j is no pattern', (pattern) => {
    expect(() => sampleCatalogue({}, [label(pattern)])).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('quoted parts may hold dots, stars and quotes', () => {
    const relations = [
      { oid: 1, schema: 'a.b', name: 'c"*', kind: 'r', hasTriggers: false, hasRules: false },
    ] as const
    const columns = [{ relation: 1, attribute: 1, name: '*', type: 25 }]
    const parts: CatalogueParts = { ...sampleParts(), relations, columns, inherits: [] }
    expect(labels(assembleCatalogue(parts, [label('"a.b"."c""*"."*"')]), 'c"*', 'a.b')).toBe('*=pii')
  })

  it('the pattern with the fewest stars decides, then the first', () => {
    const assignments = [
      label('*.*.email', 'any'),
      label('public.*.email', 'some'),
      label('public.customers.email', 'one'),
      label('public.customers.email', 'two'),
    ]
    const catalogue = sampleCatalogue({}, assignments)
    expect(labels(catalogue, 'customers')).toBe('email=one')
    expect(labels(catalogue, 'leads')).toBe('email=some')
    expect(catalogue.labels).toEqual(['one', 'some'])
    expect(catalogue.unmatched).toEqual([])
  })

  it('that name nothing are told', () => {
    const assignments = [label('public.customers.email'), label('public.nowhere.email')]
    expect(sampleCatalogue({}, assignments).unmatched).toEqual([assignments[1]])
  })

  it('go from a table to its partitions and children, by name', () => {
    const catalogue = sampleCatalogue({}, [label('public.events.contact_email'), label('public.people.ssn')])
    expect(labels(catalogue, 'events_2024')).toBe('contact_email=pii')
    expect(labels(catalogue, 'staff')).toBe('ssn=pii')
  })

  it('go from a partition to its table and on to the others', () => {
    const parts = sampleParts()
    const other = {
      oid: 30001,
      schema: 'public',
      name: 'events_2025',
      kind: 'r',
      hasTriggers: false,
      hasRules: false,
    } as const
    const catalogue = sampleCatalogue(
      {
        relations: [...parts.relations, other],
        columns: [...parts.columns, { relation: 30001, attribute: 1, name: 'contact_email', type: 25 }],
        inherits: [...parts.inherits, { child: 30001, parent: 20004 }],
      },
      [label('public.events_2024.contact_email')],
    )
    expect(labels(catalogue, 'events')).toBe('contact_email=pii')
    expect(labels(catalogue, 'events_2025')).toBe('contact_email=pii')
  })

  it('do not change those a child has of its own', () => {
    const catalogue = sampleCatalogue({}, [label('public.people.ssn', 'a'), label('public.staff.ssn', 'b')])
    expect([labels(catalogue, 'people'), labels(catalogue, 'staff')]).toEqual(['ssn=a', 'ssn=b'])
  })

  it('go to columns that are computed from labelled ones', () => {
    const generated = [
      { relation: 20001, attribute: 3, from: 4 },
      { relation: 20001, attribute: 6, from: 3 },
    ]
    const parts = sampleParts({ generated })
    const columns = [...parts.columns, { relation: 20001, attribute: 3, name: 'folded', type: 25 }]
    expect(
      labels(sampleCatalogue({ generated, columns }, [label('public.customers.email')]), 'customers'),
    ).toBe('email=pii plan=pii folded=pii')
  })

  it('are said to be of others there, but where the column has been given one itself', () => {
    const generated = [{ relation: 20001, attribute: 3, from: 4 }]
    const columns = [...sampleParts().columns, { relation: 20001, attribute: 3, name: 'folded', type: 25 }]
    const isGenerated = (...given: LabelAssignment[]) =>
      sampleCatalogue({ generated, columns }, given)
        .relations.get(20001)
        ?.columns.filter(({ generated: of }) => of === true)
        .map(({ name }) => name)
    expect(isGenerated(label('public.customers.email'))).toEqual(['folded'])
    expect(isGenerated(label('public.customers.email'), label('public.customers.folded', 'own'))).toEqual([])
  })

  it('of several columns go together to what is computed from them', () => {
    const both = (order: readonly number[]) => {
      const generated = order.map((from) => ({ relation: 20001, attribute: 3, from }))
      const parts = sampleParts({ generated })
      const columns = [...parts.columns, { relation: 20001, attribute: 3, name: 'folded', type: 25 }]
      const given = [label('public.customers.email', 'a'), label('public.customers.plan', 'b')]
      const { relations } = sampleCatalogue({ generated, columns }, given)
      const folded = relations.get(20001)?.columns.find(({ name }) => name === 'folded')
      return folded === undefined ? [] : labelsOfColumn(folded)
    }
    const attributes = new Map(
      sampleParts()
        .columns.filter((each) => each.relation === 20001)
        .map((each) => [each.name, each.attribute]),
    )
    const [email, plan] = [attributes.get('email') ?? 0, attributes.get('plan') ?? 0]
    expect(both([email, plan])).toEqual(['a', 'b'])
    expect(both([plan, email])).toEqual(['a', 'b'])
  })
})

describe('labelled reach', () => {
  it('is what carries a label and all that reads it, through views of views', () => {
    expect(reached(sampleCatalogue({}, [label('public.customers.email')]))).toEqual([
      'calls_function',
      'customer_list',
      'customer_mat',
      'customer_names',
      'customers',
      'ruled',
      'stats_view',
    ])
  })

  it('has nothing of unlabelled tables and the views over them', () => {
    const catalogue = sampleCatalogue()
    for (const name of ['orders', 'leads', 'order_totals', 'feelings', 'ledger']) {
      expect(reached(catalogue)).not.toContain(name)
    }
  })

  it('has views that call functions of users, but not of extensions known to be harmless', () => {
    const call = { relation: 20011, schema: 'public', name: 'f', builtin: false, operator: false }
    const reach = (extension: string | null, operator = false): string[] =>
      reached(sampleCatalogue({ ruleCalls: [{ ...call, extension, operator }] }))
    expect(reach(null)).toContain('order_totals')
    expect(reach('tablefunc')).toContain('order_totals')
    expect(reach('pg_trgm')).not.toContain('order_totals')
    expect(reach('postgis')).toContain('order_totals')
    expect(reach('postgis', true)).not.toContain('order_totals')
  })

  it('has views that call built-in functions which run text as SQL', () => {
    const call = {
      relation: 20011,
      schema: 'pg_catalog',
      name: 'query_to_xml',
      builtin: true,
      operator: false,
      extension: null,
    }
    expect(reached(sampleCatalogue({ ruleCalls: [call] }))).toContain('order_totals')
  })

  it('knows the names that stand both in it and outside', () => {
    const parts = sampleParts()
    const twin = {
      oid: 30001,
      schema: 'app',
      name: 'customers',
      kind: 'r',
      hasTriggers: false,
      hasRules: false,
    } as const
    expect(sampleCatalogue().shadowed.size).toBe(0)
    expect([...sampleCatalogue({ relations: [...parts.relations, twin] }).shadowed]).toEqual(['customers'])
  })
})

describe('types', () => {
  it('are harmless when no code of a user stands behind them', () => {
    const harmless = [...(sampleCatalogue().types.get('public') ?? [])].filter(([, type]) => type.harmless)
    expect(harmless.map(([name]) => name)).toEqual(['mood', '_mood', 'posint', 'orders', 'citext'])
  })

  const field = (type: number) => {
    const pair = {
      oid: 20100,
      schema: 'public',
      name: 'pair',
      kind: 'c',
      hasTriggers: false,
      hasRules: false,
    } as const
    const parts = sampleParts()
    const plain = { schema: 'public', base: 0, userChecks: false, extension: null }
    const catalogue = sampleCatalogue({
      relations: [...parts.relations, pair],
      columns: [...parts.columns, { relation: 20100, attribute: 1, name: 'a', type }],
      types: [
        ...parts.types,
        { ...plain, oid: 20110, name: 'pair', form: 'c', relation: 20100 },
        { ...plain, oid: 20111, name: '_pair', form: 'b', base: 20110 },
        { ...plain, oid: 20112, name: 'span', form: 'r', base: 20103 },
        { ...plain, oid: 20113, name: 'coded', form: 'r' },
      ],
    })
    return (name: string) => catalogue.types.get('public')?.get(name)?.harmless
  }

  it.each([
    ['a built-in type', 25, true],
    ['a domain without code of a user', 20103, true],
    ['a row that holds nothing protected', 20108, true],
    ['a domain with code of a user', 20104, false],
    ['a type with code of a user', 20107, false],
    ['a row of a protected table', 20105, false],
    ['what is not known', 29999, false],
  ])('that are composite are as harmless as their fields: %s', (_what, type, harmless) => {
    const of = field(type)
    expect(of('pair')).toBe(harmless)
    expect(of('_pair')).toBe(harmless)
  })

  it('that are ranges are as harmless as what they range over, without functions of users', () => {
    expect(field(25)('span')).toBe(true)
    expect(field(25)('coded')).toBe(false)
  })

  it('are not when a function of a user casts them', () => {
    const catalogue = sampleCatalogue({ casts: [{ source: 20101, target: 25, extension: null }] })
    expect(catalogue.types.get('public')?.get('mood')?.harmless).toBe(false)
    expect(catalogue.types.get('public')?.get('_mood')?.harmless).toBe(false)
    expect(catalogue.builtinTypesRecast).toBe(false)
    expect([...(catalogue.recast ?? [])]).toEqual([20101, 20102])
  })
})

describe('code of users that runs without being named', () => {
  const hung = (more: object = {}) => [
    { relation: 20002, reading: false, of: 'pg_proc', oid: 30000, extension: null, ...more },
  ]
  const relations = (more: Partial<CatalogueParts>) =>
    Object.fromEntries(sampleCatalogue(more).userCode?.relations ?? [])
  const triggered = { 20008: 'write' }

  it('is that of triggers, where there is none other', () => {
    expect(sampleCatalogue().userCode).toMatchObject({ copied: false, comparing: false })
    expect(relations({})).toEqual(triggered)
  })

  it.each([
    ['a check', {}, 'write'],
    ['a policy', { reading: true }, 'any'],
    ['what came with the server', { oid: 1299 }, undefined],
    ['a function of an extension known to be harmless', { extension: 'uuid-ossp' }, undefined],
    [
      'an operator of an extension known to be harmless',
      { of: 'pg_operator', extension: 'postgis' },
      undefined,
    ],
    ['an operator class', { of: 'pg_opclass', reading: true }, 'any'],
    ['a harmless type', { of: 'pg_type', oid: 20101 }, undefined],
    ['a type with code', { of: 'pg_type', oid: 20104 }, 'write'],
    ['a policy that reads what is protected', { of: 'pg_class', oid: 20001, reading: true }, 'any'],
    ['a policy that reads what is not', { of: 'pg_class', oid: 20003, reading: true }, undefined],
  ])('hangs on a relation by %s, and shows through views of it', (_what, more, when) => {
    const expected = when === undefined ? {} : { 20002: when, 20011: when }
    expect(relations({ hung: hung(more) })).toEqual({ ...triggered, ...expected })
  })

  it('goes from partitions to their table, and where a write cascades', () => {
    expect(relations({ hung: hung({ relation: 20005 }) })).toMatchObject({ 20004: 'write', 20005: 'write' })
    expect(relations({ cascades: [{ from: 20008, to: 20003 }] })).toEqual({ ...triggered, 20003: 'change' })
    expect(relations({ cascades: [{ from: 20001, to: 20003 }] })).toEqual({ ...triggered, 20003: 'change' })
    expect(relations({ cascades: [{ from: 20002, to: 20003 }] })).toEqual(triggered)
  })

  it('stands behind types, those made of them, and relations with columns of them', () => {
    const { columns } = sampleParts()
    const withType = (type: number, more: Partial<CatalogueParts> = {}) =>
      relations({
        ...more,
        columns: columns.map((each) =>
          each.relation === 20015 && each.name === 'mood' ? { ...each, type } : each,
        ),
      })
    for (const type of [20104, 20107]) expect(withType(type)).toEqual({ ...triggered, 20015: 'any' })
    for (const type of [20101, 20102, 20103, 20106]) expect(withType(type)).toEqual(triggered)
    const compared = [{ type: 20101, extension: null }]
    for (const type of [20101, 20102]) expect(withType(type, { compared })).toHaveProperty('20015', 'any')
    expect(withType(20101, { compared: [{ type: 20101, extension: 'hstore' }] })).toEqual(triggered)
  })

  it('stands behind ranges over such a type, and behind multiranges then', () => {
    const type = { schema: 'public', userChecks: false, extension: null }
    const coded = (base: number) =>
      sampleCatalogue({
        types: [
          ...sampleParts().types,
          { ...type, oid: 20112, name: 'span', form: 'r', base },
          { ...type, oid: 20113, name: 'spans', form: 'm', base: 0 },
        ],
      }).userCode?.types
    for (const oid of [20112, 20113])
      expect([coded(25)?.has(oid), coded(20104)?.has(oid), coded(0)?.has(oid)]).toEqual([false, true, true])
  })

  it('may be looked for by the server itself', () => {
    const operator = (name: string, extension: string | null = null) =>
      sampleCatalogue({ operators: [{ name, extension }] }).userCode?.comparing
    expect(['=', '<=', '<>'].map((name) => operator(name))).toEqual([true, true, true])
    expect([operator('==='), operator('=', 'citext')]).toEqual([false, false])
    expect(sampleCatalogue({ compared: [{ type: 600, extension: null }] }).userCode?.comparing).toBe(true)
  })
})

describe('functions', () => {
  it('of one name count as the least known of them', () => {
    const catalogue = sampleCatalogue({
      functions: [
        { schema: 'a', name: 'f', volatile: false, takesOne: false, extension: 'citext' },
        { schema: 'b', name: 'f', volatile: true, extension: null },
        { schema: 'c', name: 'f', volatile: false, extension: 'citext' },
      ],
    })
    expect(catalogue.functions.get('f')).toMatchObject({
      schemas: new Set(['a', 'b', 'c']),
      volatile: true,
      takesOne: true,
      harmless: false,
    })
  })
})

describe('labels of paths inside columns', () => {
  const patterns = [
    label('public.customers.plan: contact.email', 'a'),
    label('*.*.plan: contact.email', 'b'),
    label('*.*.plan: "card no".**', 'c'),
    label('crm.public.people.ssn: x', 'd'),
    label('public."staff"."ssn":  y.z', 'e'),
  ]

  function paths(catalogue: Catalogue, name: string): string[] {
    const columns = catalogue.schemas.get('public')?.get(name)?.columns ?? []
    return columns.flatMap((column) =>
      (column.paths ?? []).map((each) => `${column.name}: ${each.path}=${each.label}`),
    )
  }

  it('are beside that of the whole; the most specific pattern of a path counts', () => {
    const catalogue = sampleCatalogue({}, [...patterns, label('public.customers.plan', 'whole')])
    expect(paths(catalogue, 'customers')).toEqual(['plan: contact.email=a', 'plan: "card no".**=c'])
    expect(labels(catalogue, 'customers')).toBe('plan=whole')
    expect(catalogue.labels).toEqual(['a', 'c', 'd', 'e', 'whole'])
    expect(catalogue.unmatched).toEqual([])
  })

  it('are those of parents and children as well', () => {
    const catalogue = sampleCatalogue({}, patterns)
    expect(paths(catalogue, 'people')).toEqual(['ssn: x=d', 'ssn: y.z=e'])
    expect(paths(catalogue, 'staff')).toEqual(['ssn: y.z=e', 'ssn: x=d'])
  })

  it('are anywhere in what is generated from the column', () => {
    const generated = [{ relation: 20001, attribute: 7, from: 6 }]
    expect(paths(sampleCatalogue({ generated }, patterns), 'customers')).toEqual([
      'plan: contact.email=a',
      'plan: "card no".**=c',
      'country: **=a',
      'country: **=c',
    ])
  })

  it.each([
    'public.customers.plan:',
    'public.customers.plan: ',
    'public.customers.plan:a',
    'customers.plan: a',
    'public.customers.: a',
  ])('%j is no pattern', (pattern) => {
    expect(() => sampleCatalogue({}, [label(pattern)])).toThrow(expect.objectContaining({ code: 'invalid' }))
  })
})
