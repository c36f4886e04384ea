/** The recipes of docs/policies.md: each is loaded, and every case below it comes to what it says. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../src/config/index.ts'
import type { IdentityChain } from '../src/core/index.ts'
import { brand, formatProblem } from '../src/core/index.ts'
import type { ConnectionName } from '../src/core/index.ts'
import { compilePolicy } from '../src/policy/index.ts'
import { PROTOCOLS } from '../src/protocols/index.ts'
import type { SqlAnalyser } from '../src/sql/index.ts'
import { createSqlAnalyser } from '../src/sql/index.ts'
import { sampleCatalogue } from '../src/testing/sample-catalogue.ts'

const REST = `
identities:
  local:
    - { name: ada, kind: person, groups: [engineers] }
    - { name: support-agent, kind: agent, groups: [support-agents], actsFor: [ada] }
labels: { pii.email: {}, pii.phone: {}, secret: {} }
connections:
  crm: { protocol: postgres, upstream: { host: db, user: app } }
`

const cases = z.array(
  z.strictObject({
    as: z.string(),
    for: z.string().optional(),
    at: z.string().optional(),
    sql: z.string(),
    expect: z.enum(['allow', 'hold', 'deny']),
    masked: z.array(z.string()).optional(),
  }),
)

const page = readFileSync(new URL('../docs/policies.md', import.meta.url), 'utf8')
const recipes = page
  .slice(page.indexOf('\n## Eleven recipes'))
  .split(/^### /m)
  .slice(1)
  .map((text) => ({
    title: text.split('\n')[0] ?? '',
    rules: /^```yaml\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '',
    cases: cases.parse(parse(/^```yaml cases\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '[]')),
  }))

let analyser: SqlAnalyser

beforeAll(async () => {
  analyser = await createSqlAnalyser()
})
afterAll(() => analyser.close())

describe('the recipes of docs/policies.md', () => {
  it('are eleven, each with cases', () => {
    expect(recipes.map(({ title }) => title)).toHaveLength(11)
    expect(recipes.filter((each) => each.cases.length < 2)).toEqual([])
  })

  it.each(recipes)('$title', async ({ rules, cases: all }) => {
    const protocols = Object.fromEntries(PROTOCOLS.map((each) => [each.name, each]))
    const loaded = loadConfig({ file: 'sluice.yaml', text: REST + rules }, { protocols })
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    const compiled = compilePolicy(loaded.config.policy)
    if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join('\n'))
    const named = (name: string): IdentityChain[0] => {
      const found = loaded.config.local.find(({ identity }) => identity.name === name)
      if (found === undefined) throw new Error(`nobody is called ${name}`)
      return found.identity
    }
    for (const each of all) {
      const facts = analyser.analyse(await analyser.parse(each.sql), {
        catalogue: sampleCatalogue(),
        searchPath: ['public'],
      })
      const decision = compiled.policy.decide({
        chain: each.for === undefined ? [named(each.as)] : [named(each.as), named(each.for)],
        connection: brand<ConnectionName>('crm'),
        facts,
        now: Date.parse(each.at ?? '2026-03-04T12:00:00Z'),
      })
      expect(decision.kind, `${each.sql}: ${decision.kind === 'allow' ? '' : decision.reason.message}`).toBe(
        each.expect,
      )
      if (each.masked === undefined || decision.kind === 'deny') continue
      const masked = facts.statements
        .flatMap(({ outputs }) => outputs ?? [])
        .filter(({ labels }) => labels?.some((label) => decision.masks.has(label)))
      expect(
        masked.map(({ name }) => name),
        each.sql,
      ).toEqual(each.masked)
    }
  })
})
