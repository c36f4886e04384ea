import { randomBytes } from 'node:crypto'
import type { Approvals } from '../approvals/index.ts'
import { createApprovals } from '../approvals/index.ts'
import { Budgets } from '../budgets/index.ts'
import type { Ready } from '../composition/configuration.ts'
import { readConfiguration } from '../composition/configuration.ts'
import { ConfiguredSecrets, maskingKeys, parseMasterKeys } from '../connections/index.ts'
import type {
  Connection,
  ConnectionName,
  Entry,
  Identity,
  Network,
  Secret,
  SecretRef,
  ServerTls,
  Ticket,
} from '../core/index.ts'
import { brand, GatewayError, Secret as SecretValue } from '../core/index.ts'
import type { Minted } from '../identity/index.ts'
import { Credentials } from '../identity/index.ts'
import type { ProtocolContext } from '../session/index.ts'
import { Gateway } from '../session/index.ts'
import { FakeClock } from './fake-clock.ts'
import { MemoryApprovalStore } from './memory-approvals.ts'
import { MemoryBudgetStore } from './memory-budget-store.ts'
import { MemoryCredentialStore } from './memory-credential-store.ts'
import { MemoryJournal } from './memory-journal.ts'

/** What hashes and pseudonyms are made with. */
const KEYS = maskingKeys(parseMasterKeys(Buffer.alloc(32, 1).toString('base64'), 'test'))

/** The agent whose credentials tests use, and the person who answers for nobody but herself. */
export const AGENT: Identity = { kind: 'agent', name: 'agent', issuer: 'local', groups: ['agents'] }
export const APPROVER: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: [] }

/** What stands around the connections of a test: an agent that reads masked, writes after approval, defines nothing. */
export function configurationOf(connections: string, rules: string = AGENT_RULES): string {
  return `identities:
  local:
    - { name: agent, kind: agent, groups: [agents] }
    - { name: ada, kind: person, roles: [approver] }
labels:
  pii.email: { mask: { kind: partial, of: email } }
  secret: { mask: full }
connections:
${connections}
rules:
${rules}`
}

export const AGENT_RULES = `  - { name: agents read, who: { kinds: [agent] }, on: all, permit: { run: [read], unreviewed: [read] } }
  - { name: agents ask before they write, who: { kinds: [agent] }, on: all, permit: { run: [write] } }
  - { name: agents define nothing, who: { kinds: [agent] }, on: all, forbid: { run: [define, administer, opaque] } }
`
/** A connection for tests that do not care what is behind it; of each result it keeps ten bytes. */
export const ANY_CONNECTION = `  crm:
    protocol: postgres
    upstream: { host: db.test, user: role, sslmode: disable }
    databases: [crm]
    resultBytesKept: 10B`

/** Nothing may run any more. */
export const STRICT_RULES = `  - { name: closed, who: everyone, on: all, forbid: { run: all } }
`
/** Reading is looked at first, and what is read is not masked. */
export const SEEING_RULES = `  - { name: agents see, who: { kinds: [agent] }, on: all, permit: { run: all, unreviewed: all, see: all, filter: all } }
`
/** Reading waits for approval too. */
export const REVIEWED_RULES = `  - { name: agents ask, who: { kinds: [agent] }, on: all, permit: { run: [read, write] } }
`

/**
 * Everything around a protocol, in memory: clock, journal, approvals, credentials, policy from a real configuration.
 * Leaves the network and the protocol's server to the stage that is built on it.
 */
export class World {
  readonly clock = new FakeClock()
  readonly journal = new MemoryJournal()
  readonly reports: unknown[] = []
  readonly gateway: Gateway
  readonly approvals: Approvals
  readonly credentials: Credentials
  readonly budgets: Budgets
  readonly #secrets: Readonly<Record<string, string>>
  readonly #inForce: { ready: Ready }

  private constructor(
    parts: {
      approvals: Approvals
      credentials: Credentials
      budgets: Budgets
      network: Network
      inForce: { ready: Ready }
    },
    base: { clock: FakeClock; journal: MemoryJournal; secrets: Readonly<Record<string, string>> },
  ) {
    this.clock = base.clock
    this.journal = base.journal
    this.#secrets = base.secrets
    this.#inForce = parts.inForce
    const { ready } = parts.inForce
    this.approvals = parts.approvals
    this.credentials = parts.credentials
    this.budgets = parts.budgets
    this.gateway = new Gateway({
      clock: this.clock,
      journal: this.journal,
      approvals: parts.approvals,
      budgets: parts.budgets,
      network: parts.network,
      random: randomBytes,
      policy: ready.policy,
      config: ready.config.version,
    })
    this.credentials.onEnd((credential, { reason }) => {
      this.gateway.terminate(
        ({ opening }) => opening.credential === credential.id,
        new GatewayError('unauthenticated', `Get a new credential: this one was ${reason}.`),
      )
    })
  }

  /** `secrets`: what `${env:NAME}` in the configuration stands for. */
  static async open(options: {
    readonly configuration: string
    readonly network: Network
    readonly secrets?: Readonly<Record<string, string>>
    readonly budgetStore?: MemoryBudgetStore
  }): Promise<World> {
    const clock = new FakeClock()
    const journal = new MemoryJournal()
    const faults: unknown[] = []
    const credentials = await Credentials.open({
      store: new MemoryCredentialStore(),
      clock,
      random: randomBytes,
      report: (error) => faults.push(error),
    })
    const ready = readConfiguration('sluice.yaml', options.configuration, (error) => faults.push(error), KEYS)
    const inForce = { ready }
    const approvals = await createApprovals({
      routes: () => inForce.ready.config.approvals,
      store: new MemoryApprovalStore(),
      clock,
      random: randomBytes,
      mayAnswer: (person) => person.name === APPROVER.name,
      record: async (head) => {
        journal.append(undefined, { kind: 'admin', head })
        journal.sync()
      },
      onFault: (error) => faults.push(error),
    })
    const budgets = await Budgets.open({
      store: options.budgetStore ?? new MemoryBudgetStore(),
      clock,
      key: Buffer.alloc(32, 'key'),
      budgets: ready.config.budgets,
      report: (error) => faults.push(error),
    })
    const parts = { approvals, credentials, budgets, network: options.network, inForce }
    return new World(parts, { clock, journal, secrets: options.secrets ?? {} })
  }

  /** Puts another configuration in force, as `sluice config apply` does. */
  adopt(configuration: string, address?: string): void {
    const ready = readConfiguration('sluice.yaml', configuration, (error) => this.reports.push(error), KEYS)
    this.#inForce.ready = ready
    this.gateway.adopt(ready.policy, ready.config.version, address)
    this.budgets.adopt(ready.config.budgets)
    void this.approvals.supersede(({ policyVersion }) => policyVersion === ready.config.version)
  }

  context(tls?: ServerTls, tlsRequired = false): ProtocolContext {
    const configured = new ConfiguredSecrets({
      settings: () => this.#inForce.ready.config,
      resolve: (reference) => this.#resolve(reference),
      clock: this.clock,
      report: (error) => this.reports.push(error),
    })
    return {
      configuredSecrets: () => configured.values(),
      gateway: this.gateway,
      credentials: this.credentials,
      random: randomBytes,
      tls,
      tlsRequired,
      resolveSecret: (reference) => this.#resolve(reference),
      forgetSecret: () => undefined,
      connection: (name) => this.connection(name),
      report: (error) => this.reports.push(error),
    }
  }

  /** In force now. */
  get config(): Ready['config'] {
    return this.#inForce.ready.config
  }

  connection(name: string): Connection | undefined {
    return this.#inForce.ready.config.connections.get(brand<ConnectionName>(name))
  }

  mint(
    use: 'database' | 'http',
    connection: string,
    more: { readonly database?: string; readonly ttlMs?: number } = {},
  ): Promise<Minted> {
    return this.credentials.mint({
      use,
      chain: [AGENT],
      connection: brand<ConnectionName>(connection),
      ...(more.database === undefined ? {} : { database: more.database }),
      ttlMs: more.ttlMs ?? 600_000,
      mintedBy: 'test',
    })
  }

  async answer(ticket: Ticket, verdict: 'approve' | 'refuse'): Promise<void> {
    const proof = { chain: [APPROVER], at: this.clock.now(), method: 'code' } as const
    await this.approvals.answer(ticket, { verdict, proof, through: 'test' })
  }

  /** The tickets that wait for people, newest first. */
  waiting(): readonly Ticket[] {
    return this.approvals.list({ states: ['pending'] }).map((each) => each.ticket)
  }

  /** What was recorded of the sessions, in order, flushed or not. */
  entries<K extends Entry['kind']>(kind: K): Extract<Entry, { kind: K }>[] {
    return this.journal.entries.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind)
  }

  close(): void {
    this.approvals.stop()
    this.credentials.close()
  }

  async #resolve(reference: SecretRef): Promise<Secret> {
    if (reference.kind === 'literal') return reference.value
    const value = reference.kind === 'env' ? this.#secrets[reference.name] : undefined
    if (value === undefined) throw new Error('the world has no such secret')
    return new SecretValue(value)
  }
}

/** Lets the event loop turn until something is so. Throws, with what was waited for, after a time no test should need. */
export async function until(what: string, so: () => boolean, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  while (!so()) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
