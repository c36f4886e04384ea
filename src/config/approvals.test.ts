import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { formatProblem } from '../core/index.ts'
import type { Config } from './index.ts'
import { loadConfig } from './index.ts'

const protocols = { postgres: { settings: z.strictObject({}) } }
const load = (text: string) => loadConfig({ file: 'sluice.yaml', text }, { protocols })

function read(text: string): Config {
  const result = load(text)
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.config
}

const CONNECTION = 'connections: { crm: { protocol: postgres } }'

describe('approvals', () => {
  it('read routes, and rules that name them', () => {
    const config = read(`
identities:
  local:
    - { name: ada, kind: person, groups: [dbas], roles: [approver] }
    - { name: eve, kind: person, groups: [leads], roles: [approver] }
${CONNECTION}
approvals:
  default: quick
  routes:
    quick: { steps: [{ anyone: true }], ownPerson: true }
    careful:
      steps: [{ groups: [dbas] }, { identities: ["person:eve"] }]
      escalation: { after: 10m, groups: [leads] }
      hours: { days: [mon, fri], from: "08:30" }
      reason: true
rules:
  - { name: r, who: everyone, on: all, review: { route: careful, reuse: { shape: 1h, session: true, times: 5 } } }
`)
    const { routes, default: usual } = config.approvals
    expect(usual).toBe('quick')
    expect([...routes.values()]).toEqual([
      {
        name: 'quick',
        steps: [{ groups: [], identities: [], anyone: true, people: 1 }],
        escalation: undefined,
        hours: undefined,
        reason: false,
        ownPerson: true,
        channels: [],
        answers: [],
      },
      {
        name: 'careful',
        steps: [
          { groups: ['dbas'], identities: [], anyone: false, people: 1 },
          { groups: [], identities: ['person:eve'], anyone: false, people: 1 },
        ],
        escalation: { groups: ['leads'], identities: [], afterMs: 600_000 },
        hours: { days: [1, 5], from: 510, to: 1440 },
        reason: true,
        ownPerson: false,
        channels: [],
        answers: [],
      },
    ])
    expect(config.policy.rules[0]?.review).toEqual({
      route: 'careful',
      reuse: { times: 5, shapeMs: 3_600_000, session: true },
    })
  })

  it('read what can be granted for a time, and rules that hold then', () => {
    const text = (longest: string) => `${CONNECTION}
approvals:
  access:
    repair: { who: { kinds: [person] }, on: all, longest: ${longest}, emergency: true }
rules:
  - { name: r, who: { access: [repair] }, on: [crm], permit: { run: [write] } }
`
    const config = read(text('2h'))
    const repair = config.approvals.access.get('repair')
    expect(repair).toEqual({
      name: 'repair',
      who: { kinds: ['person'] },
      on: ['crm'],
      route: undefined,
      longestMs: 7_200_000,
      emergency: true,
      digest: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
    expect(config.policy.rules[0]?.who).toEqual({ access: ['repair'] })
    // What a grant is bound to: what the block says, and nothing else of the file.
    expect(read(`${text('2h')}cedar: ""\n`).approvals.access.get('repair')?.digest).toBe(repair?.digest)
    expect(read(text('3h')).approvals.access.get('repair')?.digest).not.toBe(repair?.digest)
  })

  it('may name people whom only an issuer knows', () => {
    const text = `identities: { issuers: [{ url: "https://a.example", audience: b }] }
approvals: { routes: { dba: { steps: [{ groups: [dbas], people: 3 }] } } }`
    expect(load(text)).toMatchObject({ ok: true })
  })
})
