import { describe, expect, it } from 'vitest'
import type { ConnectionName, LabelName, PolicySource, Position, Rule, SourceText } from '../core/index.ts'
import { brand, formatProblem } from '../core/index.ts'
import { parseCedar, PreparedSets, tooComplicated, validateCedar } from './cedar.ts'
import { compilePolicy } from './index.ts'
import { schemaFor } from './vocabulary.ts'

const CRM = brand<ConnectionName>('crm')
const API = brand<ConnectionName>('api')
const EMAIL = brand<LabelName>('pii.email')
const LIMIT = { rowsMax: 1, bytesMax: 1 }

/** Text as a literal block at line 20, indented by four. */
function block(text: string): SourceText {
  const [first = { line: 20, column: 5 }, ...rest] = text
    .replace(/\n+$/, '')
    .split('\n')
    .map((_, index): Position => ({ line: 20 + index, column: 5 }))
  return { file: 'sluice.yaml', text, starts: [first, ...rest] }
}

function source(when: SourceText | undefined, cedar: SourceText | undefined, on = [CRM]): PolicySource {
  const rule: Rule = {
    ref: { name: 'r', file: 'sluice.yaml', line: 19 },
    effect: 'forbid',
    who: 'everyone',
    on,
    what: { run: ['read'], unreviewed: ['read'], see: [EMAIL], filter: [], store: [], unlimited: true },
    ...(when === undefined ? {} : { when }),
    agents: false,
    mode: 'enforce',
  }
  return {
    version: 'cfg_1',
    rules: when === undefined ? [] : [rule],
    ...(cedar === undefined ? {} : { cedar }),
    connections: [
      { name: CRM, protocol: 'postgres', limit: LIMIT, attributes: {} },
      { name: API, protocol: 'http', limit: LIMIT, attributes: { method: 'string', size: 'long?' } },
    ],
    labels: new Map([[EMAIL, { kind: 'full' }]]),
  }
}

function problems(from: PolicySource): string[] {
  const result = compilePolicy(from)
  return result.ok ? [] : result.problems.map(formatProblem)
}

const when = (text: string, on?: ConnectionName[]) => problems(source(block(text), undefined, on))
const cedar = (text: string) => problems(source(undefined, block(text)))
const R = 'rules["r"].when'

describe('a condition that is wrong', () => {
  it.each<[string, string, string]>([
    [
      'a misspelt fact',
      'context.unbouned && true',
      `sluice.yaml:20:5 ${R}: attribute \`unbouned\` in context not found; did you mean \`unbounded\`?`,
    ],
    [
      'another type, in the second line',
      'context.unbounded &&\n  context.hour == "12"',
      `sluice.yaml:21:7 ${R}: the types Long and String are not compatible; both operands to a \`==\` expression must have compatible types. Types must be exactly equal to be compatible`,
    ],
    ['no expression', 'context.hour >', `sluice.yaml:20:19 ${R}: unexpected token`],
    ['nothing', '// only a comment', `sluice.yaml:20:5 ${R}: \`when\` condition clause cannot be empty`],
    [
      'two expressions',
      'true } when { true',
      `sluice.yaml:20:5 ${R}: expected one expression, got several clauses; join them with && or ||`,
    ],
    [
      'a way out of the condition',
      'true } unless { false',
      `sluice.yaml:20:5 ${R}: expected one expression, got several clauses`,
    ],
    [
      'a second policy',
      'true }; permit (principal, action, resource) when { true',
      `sluice.yaml:20:13 ${R}: unexpected token \`permit\``,
    ],
    ['a template', 'principal == ?principal', `sluice.yaml:20:18 ${R}: `],
    [
      'what is never true',
      'context has methods',
      `sluice.yaml:20:5 ${R}: expected a condition that can be true, got one that is always false; remove the rule`,
    ],
    [
      'a fact of another protocol',
      'context.method == "GET"',
      `sluice.yaml:20:5 ${R}: attribute \`method\` in context not found`,
    ],
    [
      'an entity that does not exist',
      'principal in Grup::"x"',
      `sluice.yaml:20:18 ${R}: unrecognized entity type \`Grup\`; did you mean \`Group\`?`,
    ],
    [
      'a class that does not exist',
      'context.unbounded && context.class == "wirte"',
      `sluice.yaml:20:43 ${R}: expected a name that context.class can have, got "wirte"; use one of read, write, define, administer, opaque`,
    ],
    [
      'one in a set',
      '["read", "wirte"].contains(context.class)',
      `sluice.yaml:20:14 ${R}: expected a name that context.class can have, got "wirte"`,
    ],
    [
      'a label that does not exist',
      'context.labels.contains("pii.emial")',
      `sluice.yaml:20:29 ${R}: expected a name that context.labels can have, got "pii.emial"; use one of pii.email`,
    ],
    [
      'a kind that does not exist',
      '"robot" == principal.kind',
      `sluice.yaml:20:5 ${R}: expected a name that principal.kind can have, got "robot"; use one of person, agent, service`,
    ],
    [
      'after letters of several bytes',
      '"äöü€😀" == "" || context.nope',
      `sluice.yaml:20:23 ${R}: attribute \`nope\``,
    ],
  ])('names the place: %s', (_what, text, expected) => {
    const found = when(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })

  it('is held against every kind of connection of the rule', () => {
    expect(when('context.method == "GET"', [API])).toEqual([])
    expect(when('context.method == "GET"', [API, CRM])).toHaveLength(1)
    expect(when('context has method && context.method == "GET"', [API, CRM])).toEqual([])
    expect(when('context has method && context.method == "GET"', [CRM])).toHaveLength(1)
    expect(when('context.size > 3', [API])[0]).toContain('context has size && ..')
  })

  it('is reported at the start of text that the file folds', () => {
    const folded: SourceText = {
      file: 'f',
      text: 'context.unbounded ||\ncontext.nope',
      starts: [{ line: 3, column: 9 }],
    }
    expect(problems(source(folded, undefined))[0]).toMatch(/^f:3:9 /)
  })

  it('is reported for every rule', () => {
    const from = source(
      block('context.nope'),
      block('forbid (principal, action, resource) when { context.nope };'),
    )
    expect(problems(from)).toHaveLength(2)
  })

  it('is accepted when it is right', () => {
    expect(when('context.hour < 6 || context.class == "write"')).toEqual([])
  })
})

describe('raw Cedar that is wrong', () => {
  it.each<[string, string, string]>([
    [
      'in the second policy',
      'permit (principal, action, resource);\nforbid (principal, action, resource) when { context.x };',
      'sluice.yaml:21:49 cedar: attribute `x`',
    ],
    [
      'an unfinished policy',
      '// a\npermit (principal, action',
      'sluice.yaml:21:30 cedar: unexpected end of input',
    ],
    [
      'an action that does not exist',
      'permit (principal, action == Action::"rnu", resource);',
      'sluice.yaml:20:34 cedar: unrecognized action',
    ],
    [
      'a connection that does not exist',
      'permit (principal, action, resource == Connection::"crn");',
      'sluice.yaml:20:5 cedar: expected a connection of this configuration, got Connection::"crn"; use one of crm, api',
    ],
    [
      'an annotation we do not know',
      '@agent("true") permit (principal, action, resource);',
      'sluice.yaml:20:5 cedar: expected @name, @mode or @agents, got @agent; remove it',
    ],
    [
      'a mode we do not know',
      '@mode("observed") permit (principal, action, resource);',
      'sluice.yaml:20:5 cedar: expected @mode to be enforce or observe, got "observed"; write @mode("enforce")',
    ],
    [
      'what never applies',
      'permit (principal, action, resource) when { false };',
      'sluice.yaml:20:5 cedar: expected a policy that can apply',
    ],
    [
      'a misspelt class',
      '\n\nforbid (principal, action, resource) when { context.class == "raed" };',
      'sluice.yaml:22:66 cedar: expected a name that context.class can have, got "raed"',
    ],
    ['a template', 'permit (principal == ?principal, action, resource);', 'sluice.yaml:20:'],
  ])('names the place: %s', (_what, text, expected) => {
    const found = cedar(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })

  it('is cut at semicolons, but not in strings and comments', () => {
    const text =
      '// first; not yet\n@name("a;b") permit (principal, action, resource) // ;\nwhen { principal.name != "x\\";y" };\n;'
    expect(cedar(text)[0]).toContain('sluice.yaml:23:5')
    expect(cedar(text.slice(0, -2))).toEqual([])
  })
})

describe('a condition that would exhaust the engine', () => {
  const DEEP: [string, (n: number) => string][] = [
    ['brackets', (n) => `${'('.repeat(n)}true${')'.repeat(n)}`],
    ['sets', (n) => `${'['.repeat(n)}1${']'.repeat(n)} == []`],
    ['records', (n) => `${'{a:'.repeat(n)}1${'}'.repeat(n)} == {a: 1}`],
    ['and', (n) => Array(n).fill('context.unbounded').join('&&')],
    ['sums', (n) => `${Array(n).fill('1').join('+')} > 1`],
    ['if', (n) => `${'if true then '.repeat(n)}true${' else false'.repeat(n)}`],
    ['else', (n) => `${'if context.unbounded then true else '.repeat(n)}false`],
    ['members', (n) => `context${'.a'.repeat(n)}`],
    ['indexes', (n) => `context${'["a"]'.repeat(n)}`],
    ['calls', (n) => `[1]${'.contains(1)'.repeat(n)}`],
    ['not', (n) => `${'!('.repeat(n)}true${')'.repeat(n)}`],
    ['in', (n) => Array(n).fill('principal in Group::"x"').join('||')],
    ['has', (n) => Array(n).fill('context has x').join('||')],
  ]

  it.each(DEEP)('is refused with its place: %s', (_what, make) => {
    for (const n of [160, 1_000, 5_000]) {
      const [problem = '', ...others] = when(make(n))
      expect(others).toEqual([])
      expect(problem).toMatch(/^sluice\.yaml:20:\d+ .*: expected at most (24 levels|150 operators)/)
    }
    expect(cedar(`permit (principal, action, resource) when { ${make(1_000)} };`)[0]).toContain(
      'expected at most',
    )
  })

  it.each(DEEP)('leaves the engine well at the limit: %s', (_what, make) => {
    let n = 160
    while (n > 1 && tooComplicated(make(n)) !== undefined) n -= 1
    expect(n).toBeGreaterThanOrEqual(20)
    const policy = `permit (principal, action == Action::"run", resource) when {\n${make(n)}\n};`
    // Whether it is valid does not matter, only that every step ends.
    parseCedar(policy)
    validateCedar(schemaFor({}), [policy])
    const uid = { type: 'Identity', id: 'x' }
    new PreparedSets().ask('x', () => ({ policy }), {
      principal: uid,
      action: { type: 'Action', id: 'run' },
      resource: { type: 'Connection', id: 'crm' },
      context: { unbounded: false },
      entities: [{ uid, attrs: {}, parents: [] }],
    })
  })

  it('is not mistaken for one with long lists, texts or comments', () => {
    const list = Array.from({ length: 2_000 }, (_, index) => `"t${index}"`).join(', ')
    const groups = Array.from({ length: 1_000 }, (_, index) => `Group::"${index}"`).join(', ')
    expect(when(`[${list}].contains("t1") // ${'('.repeat(500)}`)).toEqual([])
    expect(when(`principal in [${groups}] || principal.name == "${'!('.repeat(500)}"`)).toEqual([])
  })
})

describe('the engine', () => {
  it('is renewed after it has failed, with every set in its place', () => {
    const uid = { type: 'Identity', id: 'x' }
    const ask = (sets: PreparedSets) =>
      sets.ask('x', () => ({ p: 'permit (principal, action, resource);' }), {
        principal: uid,
        action: { type: 'Action', id: 'run' },
        resource: { type: 'Connection', id: 'crm' },
        context: {},
        entities: [],
      })
    const sets = new PreparedSets()
    expect(ask(sets).allow).toBe(true)
    const deadly = `permit (principal, action, resource) when { ${'('.repeat(5_000)}true${')'.repeat(5_000)} };`
    expect(() => parseCedar(deadly)).toThrow()
    expect(ask(sets)).toEqual({ allow: true, reason: ['p'], errors: [] })
    expect(() => validateCedar(schemaFor({}), [deadly])).toThrow()
    expect(ask(sets).allow).toBe(true)
    expect(ask(new PreparedSets()).allow).toBe(true)
  })
})
