import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Config } from './index.ts'
import { diffConfigs, formatChange, loadConfig } from './index.ts'

const protocols = {
  postgres: {
    settings: z.strictObject({ upstream: z.string(), databases: z.array(z.string()).default([]) }),
  },
}

function config(text: string): Config {
  const result = loadConfig({ file: 'sluice.yaml', text }, { protocols })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

const BASE = `
labels: { pii.email: {}, pii.name: {} }
connections:
  crm: { protocol: postgres, upstream: "db", databases: [a, b], limit: { rows: 10 } }
rules:
  - { name: read, who: everyone, on: [crm], permit: { run: [read] } }
  - { name: write, who: everyone, on: [crm], permit: { run: [write] } }
`

const changes = (from: string, to: string) => diffConfigs(config(from), config(to)).map(formatChange)

describe('what changed', () => {
  it('is nothing but for spacing, comments and the order of what has a name', () => {
    const moved = `
# moved
rules:
  - { permit: { run: [write] }, name: write, who: everyone, on: [crm] }
  - { name: read, who: everyone, on: [crm], permit: { run: [read] } }
connections:
  crm: { protocol: postgres, upstream: db, databases: [a, b], limit: { rows: 10 } }
labels: { pii.name: {}, pii.email: {} }
`
    expect(changes(BASE, BASE)).toEqual([])
    expect(changes(BASE, moved)).toEqual([])
  })

  it.each([
    ['rows: 10', 'rows: 20', '~ connections.crm.limit.rows: 10 -> 20'],
    ['[a, b]', '[b, a]', '~ connections.crm.databases: ["a","b"] -> ["b","a"]'],
    [', pii.name: {}', '', '- labels["pii.name"]: {}'],
    ['pii.email: {}', 'pii.email: { mask: "null" }', '+ labels["pii.email"].mask: "null"'],
    [
      'name: write, who: everyone',
      'name: write, who: { kinds: [agent] }',
      '~ rules.write.who: "everyone" -> {"kinds":["agent"]}',
    ],
    ['run: [write]', 'run: [write], unlimited: true', '+ rules.write.permit.unlimited: true'],
  ])('%s becoming %s', (before, after, expected) => {
    expect(changes(BASE, BASE.replace(before, after))).toEqual([expected])
  })

  it('names a rule that came or went', () => {
    const without = BASE.split('\n')
      .filter((line) => !line.includes('name: write'))
      .join('\n')
    const rule = '{"name":"write","who":"everyone","on":["crm"],"permit":{"run":["write"]}}'
    expect(changes(without, BASE)).toEqual([`+ rules.write: ${rule}`])
    expect(changes(BASE, without)).toEqual([`- rules.write: ${rule}`])
  })

  it('keeps a line short', () => {
    const [line = ''] = changes('{}', `cedar: "// ${'x'.repeat(5_000)}"`)
    expect(line.length).toBeLessThan(250)
  })
})
