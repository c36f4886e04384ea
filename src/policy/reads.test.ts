import { describe, expect, it } from 'vitest'
import { parseCedar } from './cedar.ts'
import { readsOf, unionOfReads } from './reads.ts'

function reads(condition: string) {
  const parsed = parseCedar(`permit (principal, action, resource) when { ${condition} };`)
  if (!parsed.ok) throw new Error(parsed.error.message)
  const { principal, resource, context } = readsOf(parsed.json)
  const show = (names: ReadonlySet<string> | 'all') => (names === 'all' ? 'all' : [...names].sort().join(' '))
  return { principal: show(principal), resource: show(resource), context: show(context) }
}

const NONE = { principal: '', resource: '', context: '' }

describe('what a condition reads', () => {
  it.each([
    ['true', NONE],
    ['context.hour > 3', { ...NONE, context: 'hour' }],
    ['context["hour"] > 3', { ...NONE, context: 'hour' }],
    ['context has method && context.method like "G*"', { ...NONE, context: 'method' }],
    ['context.reads.contains("x") || !context.unbounded', { ...NONE, context: 'reads unbounded' }],
    ['principal in Group::"x"', NONE],
    ['principal == Identity::"x" && resource == Connection::"y"', NONE],
    ['principal is Identity in Group::"x"', NONE],
    ['principal.name == resource.name', { ...NONE, principal: 'name', resource: 'name' }],
    ['[Identity::"x"].contains(principal)', { ...NONE, principal: 'all' }],
    ['(if true then principal else principal).name == "x"', { ...NONE, principal: 'all' }],
    ['(if context.unbounded then context else context).hour == 1', { ...NONE, context: 'all' }],
    ['context == {a: 1}', { ...NONE, context: 'all' }],
    ['{Value: context.now, Var: 1} == {Value: 1, Var: 1}', { ...NONE, context: 'now' }],
    ['{left: {Var: "context"}, attr: "x"} == {left: {Var: "y"}, attr: "x"}', NONE],
    ['{x: context}.x.hour == 1', { ...NONE, context: 'all' }],
    ['[context.hour, context.weekday].contains(3)', { ...NONE, context: 'hour weekday' }],
    [
      'decimal("1.0").lessThan(decimal("2.0")) && -context.hour < context.statements * 2',
      { ...NONE, context: 'hour statements' },
    ],
    ['"context.now" == "principal.name"', NONE],
  ])('%s', (condition, expected) => {
    expect(reads(condition)).toEqual(expected)
  })

  it('is all as soon as one of several reads all', () => {
    const some = { principal: new Set(['a']), resource: new Set<string>(), context: new Set(['x']) }
    const all = { principal: new Set(['b']), resource: new Set<string>(), context: 'all' as const }
    expect(unionOfReads([some, all, some])).toEqual({
      principal: new Set(['a', 'b']),
      resource: new Set(),
      context: 'all',
    })
  })
})
