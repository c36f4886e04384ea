/** What the sample's configuration has to be told; everything else about it is fixed. */
export type SampleConfiguration = {
  readonly ports: { readonly postgres: number; readonly http: number; readonly api: number }
  readonly database: { readonly port: number; readonly role: string; readonly name: string }
  readonly apiUrl: string
}

/** Names of the sealed secrets that the sample's connections refer to. */
export const SAMPLE_SECRETS = { role: 'crm-password', apiToken: 'crm-api-token' } as const

/** The `sluice.yaml` of the sample: an agent that reads with masks, asks before it writes, and defines nothing. */
export function sampleConfiguration(options: SampleConfiguration): string {
  const { ports, database, apiUrl } = options
  return `# The configuration that "npm start" runs. Change it and see: sluice config check, diff, apply.
listen:
  postgres: { address: 127.0.0.1, port: ${ports.postgres} }
  http: { address: 127.0.0.1, port: ${ports.http} }
  api: { address: 127.0.0.1, port: ${ports.api} }

identities:
  local:
    - { name: support-agent, kind: agent, groups: [support-agents], actsFor: [ada] }
    - { name: ada, kind: person, groups: [engineers], roles: [approver, auditor] }

labels:
  pii.email: { mask: { kind: partial, of: email }, description: an e-mail address }
  pii.phone: { mask: { kind: partial, of: last, keep: 2 }, description: a telephone number }
  pii.name: { mask: { kind: partial, of: first, keep: 1 }, description: the name of a person }
  pii.bank: { mask: { kind: partial, of: last, keep: 4 }, description: an account or card number }
  secret: { mask: full, description: a credential }

connections:
  crm:
    protocol: postgres
    upstream:
      host: 127.0.0.1
      port: ${database.port}
      user: ${database.role}
      password: "\${store:${SAMPLE_SECRETS.role}}"
      sslmode: disable # the sample database is on this machine
    databases: [${database.name}]
    labels:
      public.customers.email: pii.email
      public.customers.phone: pii.phone
      public.customers.name: pii.name
      public.payment_methods.iban: pii.bank
      public.api_keys.key: secret
      "*.employees.email": pii.email
      public.employees.salary: secret
    limit: { rows: 100, bytes: 1MiB }
  crm-api:
    protocol: http
    upstream: { url: "${apiUrl}", bearer: "\${store:${SAMPLE_SECRETS.apiToken}}" }
    routes:
      - { method: GET, path: /customers, class: read }
      - { method: GET, path: "/customers/{id}", class: read }
      - { method: GET, path: /invoices, class: read }
      - { method: POST, path: "/invoices/{id}/refund", class: write }
      - { method: DELETE, path: "/customers/{id}", class: define }
    labels:
      "*: **.email": pii.email
      "*: **.phone": pii.phone
      "/customers: items[].name": pii.name
      "/customers/{id}: name": pii.name
      "*: **.iban": pii.bank
      "*: **.key": secret

budgets:
  - name: an agent asks for so many protected values in a day # each value of an IN list is one
    who: { kinds: [agent] }
    on: [crm]
    questions: 1000

rules:
  - name: support agents read, masked
    who: { groups: [support-agents] }
    on: [crm, crm-api]
    permit: { run: [read], unreviewed: [read] }
  - name: support agents change rows after somebody has looked
    who: { groups: [support-agents] }
    on: [crm, crm-api]
    permit: { run: [write] }
  - name: agents define and administer nothing
    who: { kinds: [agent] }
    on: [crm, crm-api]
    forbid: { run: [define, administer, opaque] }
  - name: types, functions and operators of the database are listed whole # some drivers do when they connect; psql can
    who: everyone
    on: [crm]
    when: >-
      context.reads.containsAny(["pg_type", "pg_proc", "pg_operator", "pg_cast"]) &&
      ["pg_type", "pg_proc", "pg_operator", "pg_cast", "pg_namespace", "pg_language", "pg_description"]
      .containsAll(context.reads)
    permit: { unlimited: true }
  - name: engineers see everything
    who: { groups: [engineers] }
    on: [crm, crm-api]
    permit: { run: all, unreviewed: all, see: all, filter: all, unlimited: true }
`
}
