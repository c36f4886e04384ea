import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { ConnectionName, LabelName } from '../core/index.ts'
import { brand, formatProblem, LIMITS } from '../core/index.ts'
import type { Config, ProtocolSchema } from './index.ts'
import { loadConfig } from './index.ts'
import { duration, line, secretReference, size } from './values.ts'

const CRM = brand<ConnectionName>('crm')

/** Settings like those of a real protocol: config may not know the real ones. */
const protocols: Record<string, ProtocolSchema> = {
  postgres: {
    settings: z.strictObject({
      upstream: z.strictObject({
        host: line('a host'),
        port: z.int().min(1).max(65_535).default(5432),
        user: line('a role'),
        password: secretReference().optional(),
        sslmode: z.enum(['disable', 'require', 'verify-full']).default('verify-full'),
      }),
      databases: z.array(line('a database')).default([]),
    }),
  },
  http: { settings: z.strictObject({ upstream: z.url() }), attributes: { method: 'string' } },
}

const load = (text: string) => loadConfig({ file: 'sluice.yaml', text }, { protocols })

function read(text: string): Config {
  const result = load(text)
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.config
}

function problems(text: string): string[] {
  const result = load(text)
  return result.ok ? [] : result.problems.map(formatProblem)
}

const CONNECTION = `
connections:
  crm:
    protocol: postgres
    upstream: { host: db.internal, user: app, password: "\${store:crm}" }
`

describe('a broken configuration', () => {
  const folder = new URL('vectors/broken/', import.meta.url)
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))

  it('has a corpus', () => {
    expect(files.length).toBeGreaterThanOrEqual(50)
  })

  // Each file ends with what it must be answered with, one line for each problem.
  it.each(files)('gives line, column and fix: %s', (name) => {
    const text = readFileSync(new URL(name, folder), 'utf8')
    const expected = [...text.matchAll(/^# expect: (.*)$/gm)].map((match) => `${name}:${match[1]}`)
    expect(expected.length).toBeGreaterThan(0)
    const result = loadConfig({ file: name, text }, { protocols })
    expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual(expected)
  })

  it('never shows what could be a secret (P-08)', () => {
    for (const place of [
      'upstream: { host: h, user: u, password: hunter2 }',
      'upstream: { host: h, user: u, password: [hunter2] }',
      'upstream: { host: h, user: u, password: { hunter2: 1 } }',
      'upstream: { host: h, user: u, password: "${env:hunter2" }',
      'upstream: { host: h, user: u, password: "${store:hunter2 !}" }',
      'upstream: postgres://app:hunter2@db/crm',
      'upstream: { host: "app:hunter2@db\\n", user: u }',
    ]) {
      const found = problems(`connections:\n  crm:\n    protocol: postgres\n    ${place}\n`)
      expect(found).not.toEqual([])
      expect(found.join('\n')).not.toContain('hunter2')
    }
  })

  it('is refused as a whole, with every problem in the order of the file', () => {
    const found = problems(`${CONNECTION}    patience: 1\nlabels: { x: { mask: y } }\nrulez: []\n`)
    expect(found.map((each) => each.split(' ')[0])).toEqual([
      'sluice.yaml:6:15',
      'sluice.yaml:7:22',
      'sluice.yaml:8:1',
    ])
  })

  it('reports at most a hundred problems', () => {
    const list = Array.from({ length: 300 }, (_, index) => `  - { name: "${index}" }`).join('\n')
    expect(problems(`rules:\n${list}\n`)).toHaveLength(LIMITS.configProblemsMax)
  })

  it('is refused when it is too long, too deep or not a text', () => {
    expect(problems(`# ${'x'.repeat(LIMITS.configBytesMax)}`)[0]).toContain('expected at most 1048576 bytes')
    expect(problems(`cedar: ${'['.repeat(100)}${']'.repeat(100)}`)[0]).toContain('expected at most 64 levels')
    expect(problems('['.repeat(100_000))).toHaveLength(1)
    expect(problems('\0\u0001\ufffe')).not.toEqual([])
  })

  it.each(['&a [&b [&c [x, *c], *b], *a]', 'x: &x 1\ny: {z: *x}', '<<: &d {a: 1}'])(
    'is refused with aliases: %s',
    (text) => {
      expect(problems(text).join()).toMatch(/anchor|alias/)
    },
  )
})

describe('a whole configuration', () => {
  it('permits nothing when it says nothing', () => {
    const config = read('{}')
    expect(config).toMatchObject({
      issuers: [],
      local: [],
      api: undefined,
      policy: { rules: [], connections: [] },
    })
    expect(config.connections.size + config.labels.size + config.listeners.size).toBe(0)
    expect(config.roles).toEqual({
      admin: { groups: [], identities: [] },
      operator: { groups: [], identities: [] },
      approver: { groups: [], identities: [] },
      auditor: { groups: [], identities: [] },
    })
  })

  it('fills in what a connection does not say, on the safe side', () => {
    const connection = read(CONNECTION).connections.get(CRM)
    expect(connection).toEqual({
      name: 'crm',
      protocol: 'postgres',
      settings: {
        upstream: {
          host: 'db.internal',
          port: 5432,
          user: 'app',
          password: { kind: 'store', name: 'crm' },
          sslmode: 'verify-full',
        },
        databases: [],
      },
      labels: [],
      limit: { rowsMax: 1000, bytesMax: 10 * 1024 * 1024 },
      patienceMs: 45_000,
      sessionsPerIdentity: 50,
      durability: 'written',
      resultBytesKept: 64 * 1024,
    })
  })

  it('hands the settings to the protocol and the rest to everybody', () => {
    const config = read(`labels: { pii.email: { mask: "null" } }
connections:
  api:
    protocol: http
    upstream: http://127.0.0.1:9/
    labels: { "customers[].email": pii.email }
    limit: { rows: 7, bytes: 1KiB }
    patience: 0s
    patienceFor: { psql: 10m, "codex*": 20s }
    durability: fsync
    resultBytesKept: 0B
`)
    expect([...config.connections.values()]).toEqual([
      {
        name: 'api',
        protocol: 'http',
        settings: { upstream: 'http://127.0.0.1:9/' },
        labels: [{ pattern: 'customers[].email', label: 'pii.email' }],
        limit: { rowsMax: 7, bytesMax: 1024 },
        patienceMs: 0,
        patienceFor: [
          { program: 'psql', ms: 600_000 },
          { program: 'codex*', ms: 20_000 },
        ],
        sessionsPerIdentity: 50,
        durability: 'fsync',
        resultBytesKept: 0,
      },
    ])
    expect(config.policy.connections).toEqual([
      {
        name: 'api',
        protocol: 'http',
        limit: { rowsMax: 7, bytesMax: 1024 },
        attributes: { method: 'string' },
      },
    ])
  })

  it('asks the protocol about label patterns', () => {
    const result = loadConfig(
      {
        file: 'sluice.yaml',
        text: 'labels: { a: {} }\nconnections:\n  x:\n    protocol: p\n    labels: { good: a, bad: a }\n',
      },
      {
        protocols: {
          p: {
            settings: z.strictObject({}),
            labelFault: (pattern) =>
              pattern === 'bad' ? { expected: 'expected good', fix: 'write good' } : undefined,
          },
        },
      },
    )
    expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual([
      'sluice.yaml:5:24 connections.x.labels.bad: expected good; write good',
    ])
  })

  it('knows all masking rules', () => {
    const config = read(
      `labels:
  a: {}
  b: { mask: full }
  c: { mask: null }
  d: { mask: { kind: constant, text: "-" } }
  e: { mask: { kind: partial, of: email } }
  f: { mask: { kind: partial, of: first } }
  g: { mask: { kind: partial, of: last, keep: 4 }, description: card numbers }
  h: { mask: { kind: "null" } }
  i: { mask: hash }
  j: { mask: { kind: hash, prefix: "" } }
  k: { mask: { kind: pseudonym, of: phone } }
  l: { mask: year }
  m: { mask: { kind: bucket } }
  n: { mask: { kind: bucket, size: 500, unit: decade } }
  o: { mask: { kind: partial, of: name } }
`.replace('mask: null', 'mask: "null"'),
    )
    expect([...config.labels.values()]).toEqual([
      { kind: 'full' },
      { kind: 'full' },
      { kind: 'null' },
      { kind: 'constant', text: '-' },
      { kind: 'partial', of: 'email' },
      { kind: 'partial', of: 'first', keep: 1 },
      { kind: 'partial', of: 'last', keep: 4 },
      { kind: 'null' },
      { kind: 'hash', prefix: 'h_' },
      { kind: 'hash', prefix: '' },
      { kind: 'pseudonym', of: 'phone' },
      { kind: 'year' },
      { kind: 'bucket', size: 10, unit: 'month' },
      { kind: 'bucket', size: 500, unit: 'decade' },
      { kind: 'partial', of: 'name' },
    ])
    expect(config.policy.labels).toBe(config.labels)
  })

  it('reads a bare null as the mask it looks like, or says what to write', () => {
    expect(problems('labels: { a: { mask: null } }')).toEqual([
      'sluice.yaml:1:22 labels.a.mask: expected "full" or "null" or "hash" or "year" or a mapping, got nothing; write "full" or "null" or "hash" or "year" or a mapping',
    ])
  })

  it('reads issuers, identities and roles', () => {
    const config = read(`
identities:
  issuers: [{ url: "https://login.example.com", audience: sluice, clockSkew: 5s }]
  local:
    - { name: ada, kind: person, groups: [engineers], roles: [approver, admin] }
    - { name: helper, kind: agent, actsFor: [ada] }
roles:
  approver: { groups: [approvers], identities: ["person:ada", "person:eve (https://login.example.com)"] }
`)
    expect(config.issuers).toEqual([
      {
        url: 'https://login.example.com',
        audience: 'sluice',
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
        clockSkewMs: 5_000,
        claims: { name: 'sub', groups: 'groups', kind: 'sluice_kind' },
        kind: 'agent',
      },
    ])
    expect(config.local).toEqual([
      { identity: { kind: 'person', name: 'ada', issuer: 'local', groups: ['engineers'] }, actsFor: [] },
      { identity: { kind: 'agent', name: 'helper', issuer: 'local', groups: [] }, actsFor: ['ada'] },
    ])
    expect(config.roles.approver).toEqual({
      groups: ['approvers'],
      identities: ['person:ada', 'person:eve (https://login.example.com)'],
    })
    expect(config.roles.admin.identities).toEqual(['person:ada'])
  })

  it('reads listeners', () => {
    const config = read(`
listen:
  postgres: { port: 0, tls: { certificate: "\${file:c.pem}", key: "\${command:pass show key}", required: true } }
  api: { address: "::1", port: 18443 }
`)
    expect(config.listeners.get('postgres')).toEqual({
      address: '127.0.0.1',
      port: 0,
      certificate: {
        certificate: { kind: 'file', path: 'c.pem' },
        key: { kind: 'command', command: 'pass show key' },
      },
      tlsRequired: true,
    })
    expect(config.api).toEqual({ address: '::1', port: 18443, certificate: undefined, tlsRequired: false })
    expect([...config.listeners.keys()]).toEqual(['postgres'])
  })
})

describe('rules', () => {
  const rules = (text: string) =>
    read(`labels: { pii.a: {}, pii.b: {}, other: {} }\n${CONNECTION}rules:\n${text}`).policy.rules

  it('carry what they say and where they stand', () => {
    expect(
      rules(`  - name: r
    who: { kinds: [agent] }
    on: [crm]
    permit: { run: [read, write], unreviewed: [read], see: [pii.a], filter: [pii.b], store: [pii.b], unlimited: true }
    limit: { rows: 5, bytes: 1KiB, action: hold }
    agents: true
    mode: observe
`),
    ).toEqual([
      {
        ref: { name: 'r', file: 'sluice.yaml', line: 8 },
        effect: 'permit',
        who: { kinds: ['agent'] },
        on: ['crm'],
        what: {
          run: ['read', 'write'],
          unreviewed: ['read'],
          see: ['pii.a'],
          filter: ['pii.b'],
          store: ['pii.b'],
          unlimited: true,
        },
        limit: { rowsMax: 5, bytesMax: 1024, action: 'hold' },
        agents: true,
        mode: 'observe',
      },
    ])
  })

  it('take missing lists for empty ones', () => {
    const [rule] = rules('  - { name: r, who: {}, on: [], permit: {} }\n')
    expect(rule).toMatchObject({ who: {}, on: [] })
    expect(rule?.what).toEqual({ run: [], unreviewed: [], see: [], filter: [], store: [], unlimited: false })
  })

  it('take "all" and patterns only where they are written', () => {
    const [all, below] = rules(`  - { name: r, who: everyone, on: all, forbid: { run: all, see: all } }
  - { name: s, who: everyone, on: all, permit: { see: [pii.*] } }
`)
    expect(all).toMatchObject({ who: 'everyone', on: ['crm'] })
    expect(all?.what.run).toEqual(['read', 'write', 'define', 'administer', 'opaque'])
    expect(all?.what.see).toEqual(['pii.a', 'pii.b', 'other'])
    expect(below?.what.see).toEqual(['pii.a', 'pii.b'])
    expect(
      problems(
        'labels: { pii.a: {} }\nrules: [{ name: r, who: everyone, on: all, permit: { see: [pi.*] } }]',
      ),
    ).toHaveLength(1)
  })

  it.each([
    ['plain', 'when: context.unbounded', [{ line: 12, column: 11 }]],
    ['in quotes', "when:   'context.unbounded'", [{ line: 12, column: 14 }]],
    ['as a block', 'when: |\n      context.unbounded\n', [{ line: 13, column: 7 }]],
    ['folded', 'when: >\n      context.unbounded\n', [{ line: 12, column: 11 }]],
    ['escaped', 'when: "context\\x2eunbounded"', [{ line: 12, column: 11 }]],
  ])('know where the text of a condition begins: %s', (_what, text, starts) => {
    const [rule] = rules(
      `  - name: r\n    who: everyone\n    on: all\n    forbid: { run: all }\n    ${text}\n`,
    )
    expect(rule?.when?.text.trim()).toBe('context.unbounded')
    expect(rule?.when?.starts).toEqual(starts)
  })

  it('keep the lines of raw Cedar', () => {
    const config = read('cedar: |2\n  // a\n\n    permit (principal,\n  action, resource);\r\n')
    expect(config.policy.cedar?.starts).toEqual([
      { line: 2, column: 3 },
      { line: 3, column: 1 },
      { line: 4, column: 3 },
      { line: 5, column: 3 },
    ])
  })
})

describe('references', () => {
  it('take the issuer of an identity, or a local one, and nothing between', () => {
    const text = (who: string) => `
identities:
  issuers: [{ url: "https://login.example.com", audience: sluice }]
  local: [{ name: ada, kind: person }]
rules: [{ name: r, who: { identities: ["${who}"] }, on: all, permit: {} }]
`
    expect(problems(text('person:ada'))).toEqual([])
    expect(problems(text('agent:x (https://login.example.com)'))).toEqual([])
    expect(problems(text('person:grace'))[0]).toContain('; write "person:grace (https://login.example.com)"')
    expect(problems(text('person:ad'))[0]).toContain('; write "person:ada"')
    expect(problems(text('agent:ada'))[0]).toContain('; write "person:ada"')
    expect(problems(text('person:ada (https://login.example.org)'))[0]).toContain(
      '; write (https://login.example.com)',
    )
    expect(problems(text('robot:ada'))[0]).toContain('; write "person:ada"')
    expect(problems(text('::'))[0]).toContain('; write a kind, a colon and a name')
  })

  it('accept groups that an issuer may bring, when there is an issuer', () => {
    const rule = 'rules: [{ name: r, who: { groups: [x] }, on: all, permit: {} }]'
    expect(problems(rule)).toHaveLength(1)
    expect(problems(`identities: { issuers: [{ url: "https://a.example", audience: b }] }\n${rule}`)).toEqual(
      [],
    )
  })

  it.each([
    '{ name: ada, kind: agent, actsFor: [ada] }',
    '{ name: ada, kind: agent }, { name: ada, kind: person }',
  ])('refuse local identities that are unclear: %s', (text) => {
    expect(problems(`identities: { local: [${text}] }`)).toHaveLength(1)
  })
})

describe('the version', () => {
  const version = (text: string) => read(text).version

  it('is the same for the same content', () => {
    expect(version('labels: {}\nrules: []')).toBe(version('# x\nrules:   []\n\nlabels: {}'))
    expect(version('{}')).toMatch(/^cfg_[0-9a-f]{16}$/)
    expect(read('{}').policy.version).toBe(version('{}'))
  })

  it('is another for other content, in whatever depth', () => {
    const versions = [
      '{}',
      'labels: {}',
      'labels: { a: {} }',
      'labels: { a: { mask: full } }',
      'labels: { a: { mask: "null" } }',
      'labels: { b: {} }',
      'labels: { a: {}, b: {} }',
      'labels: { a: { description: "1" } }',
    ].map(version)
    expect(new Set(versions).size).toBe(versions.length)
  })

  it('is pinned', () => {
    expect(version('labels: { a: { mask: full } }')).toBe('cfg_cec86b5bbabfed50')
  })
})

describe('values', () => {
  const parse = (schema: z.ZodType, value: unknown) => {
    const result = schema.safeParse(value)
    return result.success ? result.data : result.error.issues.map((issue) => issue.message).join()
  }

  it.each([
    ['${env:PG_PASSWORD}', { kind: 'env', name: 'PG_PASSWORD' }],
    ['${file:/run/secrets/pg}', { kind: 'file', path: '/run/secrets/pg' }],
    ['${store:crm-password}', { kind: 'store', name: 'crm-password' }],
    ["${command:awk '{print $1}' file}", { kind: 'command', command: "awk '{print $1}' file" }],
  ])('read the reference %s', (text, ref) => {
    expect(parse(secretReference(), text)).toEqual(ref)
  })

  it.each([
    '',
    'plain',
    '${env:}',
    '${env:A B}',
    '${store:../x}',
    '${env:A',
    ' ${env:A}',
    '${env:A}x',
    '${ENV:A}',
    '${:}',
    '${file: }',
  ])('refuse the reference %j', (text) => {
    expect(parse(secretReference(), text)).toMatch(/^expected /)
  })

  it('read a literal only where one may stand', () => {
    expect(parse(secretReference({ literal: true }), 'x')).toMatchObject({ kind: 'literal' })
    expect(JSON.stringify(parse(secretReference({ literal: true }), 'x'))).not.toContain('"x"')
    expect(parse(secretReference({ literal: true }), ' ')).toMatch(/^expected /)
    expect(parse(secretReference({ literal: true }), '${stor:x}')).toMatch(/^expected env/)
  })

  const any = { min: 0, max: Number.MAX_SAFE_INTEGER }
  it.each([
    ['1ms', 1],
    ['45s', 45_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('read the duration %s', (text, ms) => {
    expect(parse(duration(any), text)).toBe(ms)
  })
  it.each([
    ['0B', 0],
    ['3KiB', 3072],
    ['10MiB', 10_485_760],
    ['1GiB', 1_073_741_824],
  ])('read the size %s', (text, bytes) => {
    expect(parse(size(any), text)).toBe(bytes)
  })
  it.each([
    '',
    '1',
    's',
    '1 s',
    '-1s',
    '1.5s',
    '1e3s',
    '1S',
    '1min',
    '0x1s',
    '99999999999999999999s',
    1,
    null,
  ])('refuse the duration %j', (text) => {
    expect(parse(duration(any), text)).toMatch(/^expected a duration/)
  })

  it('keep to their limits', () => {
    const range = { min: 1_000, max: 60_000 }
    expect(parse(duration(range), '1s')).toBe(1_000)
    expect(parse(duration(range), '1m')).toBe(60_000)
    expect(parse(duration(range), '999ms')).toBe(
      'expected a duration from 1s to 1m, got "999ms"; write at least 1s',
    )
    expect(parse(duration(range), '61s')).toBe(
      'expected a duration from 1s to 1m, got "61s"; write at most 1m',
    )
  })
})

describe('label names', () => {
  it('are those of the policy', () => {
    const config = read('labels: { pii.email: {} }')
    expect(config.policy.labels.get(brand<LabelName>('pii.email'))).toEqual({ kind: 'full' })
  })
})

describe('holds and rules of retention', () => {
  const LOCAL =
    'identities: { local: [{ name: ada, kind: person }], issuers: [{ url: "https://id.example.com", audience: x }] }'
  const CONNECTIONS =
    'labels: { pii.email: {}, pii.phone: {}, money: {} }\nconnections: { crm: { protocol: http, upstream: "http://x" } }'
  const under = (retention: string) => `${LOCAL}\n${CONNECTIONS}\nrecording: { retention: ${retention} }`

  it('that name what this file does not have are told, and no reason to refuse: its recordings may be there still', () => {
    const { doubts } = read(
      under(
        '{ hold: { connections: [crm, crmm], identities: ["person:ada", "person:adaa", ada, "agent:x (https://id.example.com)", "agent:x (https://id.exampl.com)"] } }',
      ),
    )
    expect(doubts.map(formatProblem)).toEqual([
      expect.stringMatching(/^sluice\.yaml:4:\d+ .*connections\[1\].*"crmm".*did you mean "crm"\?$/),
      expect.stringMatching(/identities\[1\].*"person:adaa".*did you mean "person:ada"\?$/),
      expect.stringMatching(/identities\[2\].*"ada".*did you mean "person:ada"\?$/),
      expect.stringMatching(/identities\[4\].*did you mean "agent:x \(https:\/\/id\.example\.com\)"\?$/),
    ])
  })

  it('remove payloads by labels that exist, or all', () => {
    const { payloads } = read(under('{ payloads: [{ after: 30d, labels: [pii.*] }, { after: 365d }] }'))
      .recording.retention
    const day = 24 * 60 * 60 * 1000
    expect(payloads).toEqual([
      { afterMs: 30 * day, labels: ['pii.email', 'pii.phone'] },
      { afterMs: 365 * day, labels: undefined },
    ])
    expect(problems(under('{ payloads: [{ after: 30d, labels: [pii.emial] }] }'))).toEqual([
      expect.stringContaining('write "pii.email"'),
    ])
    expect(problems(under('{ payloads: [{ labels: [money] }] }')).length).toBe(1)
  })
})
