import { describe, expect, it } from 'vitest'
import type { CommandClass, Decision, Facts, Rule } from '../core/index.ts'
import {
  EMAIL,
  NAME,
  API,
  ADA,
  AGENT,
  permit,
  forbid,
  observed,
  policyOf,
  ask,
  names,
  masksOf,
  RUN,
} from '../testing/policies.ts'

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
