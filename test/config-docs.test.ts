/** Every configuration in the documentation is read and compiled, and every fact is documented. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config/index.ts'
import { formatProblem } from '../src/core/index.ts'
import { compilePolicy } from '../src/policy/index.ts'
import { FACTS } from '../src/policy/vocabulary.ts'
import { PROTOCOLS } from '../src/protocols/index.ts'

const protocols = Object.fromEntries(PROTOCOLS.map((protocol) => [protocol.name, protocol]))

function page(name: string): string {
  return readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')
}

function blocks(name: string): string[] {
  return [...page(name).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '')
}

function problems(text: string): string[] {
  const loaded = loadConfig({ file: 'sluice.yaml', text }, { protocols })
  if (!loaded.ok) return loaded.problems.map(formatProblem)
  const compiled = compilePolicy(loaded.config.policy)
  return compiled.ok ? [] : compiled.problems.map(formatProblem)
}

/** What the examples of rules stand in. */
const REST = `
identities:
  local:
    - { name: ada, kind: person, groups: [engineers], roles: [approver] }
    - { name: support-agent, kind: agent, groups: [support-agents] }
labels: { pii.email: {}, pii.name: {}, pii.phone: {}, secret: {} }
connections:
  crm: { protocol: postgres, upstream: { host: db, user: app } }
  api: { protocol: http, upstream: { url: "http://127.0.0.1:1" } }
`

describe('docs/formats/config.md', () => {
  it.each(blocks('formats/config.md'))('shows what can be loaded: %#', (text) => {
    expect(problems(text)).toEqual([])
  })
})

describe('docs/streaming.md', () => {
  it.each(blocks('streaming.md'))('shows outlets that can be loaded: %#', (text) => {
    expect(problems(text)).toEqual([])
  })
})

describe('docs/approvals-channels.md', () => {
  it.each(blocks('approvals-channels.md'))('shows channels that can be loaded: %#', (text) => {
    expect(problems(text.includes('identities:') ? text : REST + text)).toEqual([])
  })
})

describe('docs/policies.md', () => {
  it('has examples', () => {
    expect(blocks('policies.md').length).toBeGreaterThan(3)
  })

  it.each(blocks('policies.md'))('shows rules that compile: %#', (text) => {
    expect(problems(REST + text)).toEqual([])
  })

  it('documents every fact, and none that does not exist', () => {
    const documented = [...page('policies.md').matchAll(/`context\.(\w+)`/g)].map((match) => match[1] ?? '')
    const common = [...Object.keys(FACTS), 'label']
    const own = PROTOCOLS.flatMap((protocol) => Object.keys(protocol.attributes))
    expect(common.filter((fact) => !documented.includes(fact))).toEqual([])
    expect(documented.filter((fact) => ![...common, ...own].includes(fact))).toEqual([])
  })
})
