import type { ProposedLabel } from './labels.ts'
import { MASKS, patternOf } from './labels.ts'
import type { Survey, Target } from './survey.ts'

export type Wanted = {
  readonly target: Target
  readonly survey: Survey
  readonly labels: readonly ProposedLabel[]
  readonly connection: string
  readonly agent: string
  readonly person: string
  /** The name of the sealed password; absent: the server asks for none. */
  readonly passwordName: string | undefined
  /** Where the certificates lie, as seen from the configuration's folder. */
  readonly tls: string
  readonly ports: { readonly postgres: number; readonly api: number }
}

/** sluice.yaml for somebody's own database: what is not permitted here is refused. */
export function configurationText(wanted: Wanted): string {
  const { target, survey, labels, connection, agent, person, ports } = wanted
  const used = new Set(labels.map(({ label }) => label))
  const masks = Object.entries(MASKS).filter(([name]) => used.has(name))
  const password =
    wanted.passwordName === undefined ? [] : [`      password: ${text(`\${store:${wanted.passwordName}}`)}`]
  return `${[
    '# Written by sluice init. Nothing is allowed but what a rule below permits.',
    '# Check it after a change: sluice config check. Put it in force: sluice config apply.',
    'listen:',
    '  postgres:',
    `    port: ${ports.postgres}`,
    `    tls: { certificate: ${text(`\${file:${wanted.tls}/server.pem}`)}, key: ${text(`\${file:${wanted.tls}/server-key.pem}`)} }`,
    `  api: { port: ${ports.api} }`,
    '',
    'identities:',
    '  local:',
    `    - { name: ${text(agent)}, kind: agent, groups: [agents] }`,
    `    - { name: ${text(person)}, kind: person, groups: [people], roles: [admin, approver] }`,
    '',
    '# What data is, and how its values are hidden from whoever may not see them.',
    ...(masks.length === 0
      ? ['labels: {}']
      : ['labels:', ...masks.map(([name, mask]) => `  ${name}: { mask: ${mask} }`)]),
    '',
    'connections:',
    `  ${connection}:`,
    '    protocol: postgres',
    '    upstream:',
    `      host: ${text(target.host)}`,
    `      port: ${target.port}`,
    `      user: ${text(target.user)}`,
    ...password,
    `      sslmode: ${survey.sslmode}`,
    `    databases: [${text(target.database)}]`,
    '    limit: { rows: 1000 }',
    '    # Proposed by the names of the columns. Names lie: look through your tables for more.',
    ...(labels.length === 0
      ? ['    labels: {}']
      : ['    labels:', ...labels.map((each) => `      ${key(patternOf(each))}: ${each.label}`)]),
    '',
    'budgets:',
    '  - name: agents ask for so many protected values in a day # each value of a list is one; guessing takes many',
    '    who: { kinds: [agent] }',
    `    on: [${connection}]`,
    '    questions: 1000',
    '',
    'rules:',
    '  - name: agents read, with protected values masked',
    '    who: { groups: [agents] }',
    `    on: [${connection}]`,
    '    permit: { run: [read], unreviewed: [read] }',
    '  - name: agents change rows after a person has looked',
    '    who: { groups: [agents] }',
    `    on: [${connection}]`,
    '    permit: { run: [write] }',
  ].join('\n')}\n`
}

function text(value: string): string {
  return JSON.stringify(value)
}

function key(value: string): string {
  return /^[A-Za-z_][A-Za-z0-9_.]*$/.test(value) ? value : JSON.stringify(value)
}
