import { describe, expect, it } from 'vitest'
import type { ConnectionName, Decision, Identity } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { label, EMAIL, API, ADA, permit, forbid, policyOf, ask, RUN } from '../testing/policies.ts'

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
