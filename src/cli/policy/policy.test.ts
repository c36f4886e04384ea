import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../config/index.ts'
import { formatProblem } from '../../core/index.ts'
import { PROTOCOLS } from '../../protocols/index.ts'
import type { Explained } from './answer.ts'
import { differences, readCases } from './cases.ts'
import { warningsOf } from './check.ts'
import { explainedText } from './explain.ts'

const EXPLAINED: Explained = {
  identity: 'agent:a',
  connection: 'crm',
  policyVersion: 'v',
  decision: 'allow',
  rules: [{ name: 'agents read', file: 'sluice.yaml', line: 9 }],
  observed: [],
  class: 'read',
  classes: ['read'],
  reads: ['public.customers'],
  writes: [],
  calls: [],
  labels: ['pii.email'],
  touches: [],
  filters: [],
  stores: [],
  unbounded: true,
  writesEverything: false,
  outputs: [
    { statement: 1, name: 'id', labels: [], computed: false },
    {
      statement: 1,
      name: 'email',
      labels: ['pii.email'],
      computed: false,
      mask: { kind: 'partial', of: 'email' },
    },
  ],
  limit: { rows: 100 },
}

function caseOf(expect: string): ReturnType<typeof readCases>[0] {
  const [only] = readCases('t.yaml', `cases:\n  - { as: a, on: crm, sql: SELECT 1, expect: ${expect} }\n`)
  if (only === undefined) throw new Error('one case')
  return only
}

describe('cases of policy test', () => {
  it('agree with what was found', () => {
    const full = '{ decision: allow, masked: [email], rule: agents read, rows: 100, class: read }'
    expect(differences(caseOf(full), EXPLAINED)).toEqual([])
    expect(differences(caseOf('allow'), EXPLAINED)).toEqual([])
  })

  it.each([
    ['deny', /expected deny, found allow/],
    ['{ decision: allow, masked: [] }', /masked: expected nothing, found email/],
    ['{ decision: allow, masked: [email, id] }', /masked: expected email, id, found email/],
    ['{ decision: allow, rule: other }', /rule: expected other/],
    ['{ decision: allow, rows: unlimited }', /rows: expected unlimited, found 100/],
    ['{ decision: allow, class: write }', /class: expected write/],
  ])('differ: %s', (expected, told) => {
    expect(differences(caseOf(expected), EXPLAINED).join()).toMatch(told)
  })

  it('name file and line of what cannot be read', () => {
    expect(() => readCases('t.yaml', 'cases:\n  - { as: a, on: crm, sql: x, expect: maybe }\n')).toThrow(
      /^t\.yaml:2: cases\.0\.expect/,
    )
    expect(() => readCases('t.yaml', 'cases: [\n')).toThrow(/^t\.yaml:\d+: /)
    expect(() => readCases('t.yaml', 'cases: []\n')).toThrow(/cases/)
  })
})

describe('policy explain', () => {
  it('says what is shown, how, and by which rule', () => {
    const text = explainedText(EXPLAINED)
    expect(text).toMatch(/ALLOWED {2}agent:a on crm/)
    expect(text).toMatch(/sluice\.yaml:9 {2}agents read/)
    expect(text).toMatch(/^id +in clear$/m)
    expect(text).toMatch(/^email +pii\.email +masked: partial \(email\)$/m)
    expect(text).toMatch(/limit +100 rows/)
  })

  it('says where the rest is held, and that an estimate was not asked for', () => {
    const text = explainedText({ ...EXPLAINED, pause: { rows: 50 }, estimateUnknown: true })
    expect(text).toMatch(/rest held after +50 rows/)
    expect(text).toMatch(/estimate +a rule asks/)
  })

  it('says that nothing is shown of what is refused', () => {
    const text = explainedText({ ...EXPLAINED, decision: 'deny', message: 'Do not.', rules: [] })
    expect(text).toMatch(/REFUSED[\s\S]*Do not\.[\s\S]*No rule permits it/)
    expect(text).toMatch(/^email .*not at all$/m)
  })
})

describe('warnings of policy check', () => {
  const protocols = Object.fromEntries(PROTOCOLS.map((each) => [each.name, each]))
  const told = (rules: string): string[] => {
    const text = `identities: { local: [{ name: ada, kind: person, groups: [engineers] }] }
labels: { pii.email: {}, unused: {} }
connections:
  crm: { protocol: postgres, upstream: { host: db, user: app }, labels: { public.customers.email: pii.email } }
rules:\n${rules}`
    const loaded = loadConfig({ file: 's.yaml', text }, { protocols })
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join())
    return warningsOf(loaded.config).map((each) => `${each.line} ${each.message}`)
  }
  const UNUSED = '1 No connection gives the label unused to anything.'

  it('none for rules that do something', () => {
    expect(
      told(
        '  - { name: r, who: { groups: [engineers] }, on: [crm], permit: { run: [read], unreviewed: [read], see: [pii.email] } }\n',
      ),
    ).toEqual([UNUSED])
  })

  it.each([
    [
      '{ name: r, who: { groups: [engineers], kinds: [agent] }, on: [crm], permit: { run: [read] } }',
      /about nobody/,
    ],
    ['{ name: r, who: everyone, on: [crm], permit: { see: [unused] } }', /label unused, which none/],
    ['{ name: r, who: everyone, on: [crm], permit: { unreviewed: [write] } }', /review of write/],
    [
      '{ name: r, who: everyone, on: [crm], permit: { run: [write] } }\n  - { name: f, who: everyone, on: all, forbid: { run: all } }',
      /it is dead/,
    ],
  ])('%s', (rule, warning) => {
    const [first, ...others] = told(`  - ${rule}\n`)
    expect(first).toMatch(/^6 "r" /)
    expect(first).toMatch(warning)
    expect(others).toEqual([UNUSED])
  })
})
