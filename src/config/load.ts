import type { z } from 'zod'
import type {
  AttributeType,
  Budget,
  BudgetKind,
  Connection,
  ConnectionName,
  HostNames,
  Identity,
  LabelName,
  MaskingRule,
  PolicySource,
  Problem,
  ReadFile,
  Rule,
  RuleLimit,
  RuleWhat,
  SettingsRead,
} from '../core/index.ts'
import { brand, BUDGET_KINDS, COMMAND_CLASSES, identityKey, LIMITS, UNLIMITED } from '../core/index.ts'
import { approvingOf, isNobodyAtAll, reviewOf } from './approvals-block.ts'
import type { Holders } from './approving.ts'
import type { Config, Listener, LocalIdentity, RecordingBlock } from './config.ts'
import { hostsOf } from './hosts-block.ts'
import { readPart } from './issues.ts'
import { References } from './references.ts'
import type { BudgetBlock, ConnectionBlock, Role, Root, RuleBlock } from './schema.ts'
import { CONNECTION_FIELDS, connectionSchema, ROLES, rootSchema } from './schema.ts'
import { maskingRule } from './schema-labels.ts'
import { bucketOf } from './schema-bucket.ts'
import { outletOf } from './schema-stream.ts'
import { NamedFiles } from './named-files.ts'
import type { Path, Tree } from './tree.ts'
import { readTree } from './tree.ts'
import { refuseWithoutVault } from './vault-references.ts'
import { configVersion } from './version.ts'

/** What config has to know of a protocol. */
export type ProtocolSchema = {
  /** Reads everything in a connection's block that is not common to all connections: a strict object. */
  readonly settings: z.ZodType
  /** Reads the files that settings name. Absent: they name none. */
  readonly readSettings?: (settings: unknown, read: ReadFile) => SettingsRead
  /** The facts it adds to those every command has, for the conditions of rules. */
  readonly attributes?: Readonly<Record<string, AttributeType>>
  /** Its clients say which host they want, so that a host may name a connection. */
  readonly namedByHost?: boolean
  /** Sessions that one identity may have on a connection that does not say how many; absent: as for a database. */
  readonly sessionsPerIdentity?: number
  /** What is wrong with a pattern under `labels`, and what to write; undefined when nothing is. */
  readonly labelFault?: (
    pattern: string,
    settings: unknown,
  ) => { readonly expected: string; readonly fix: string } | undefined
}

export type LoadOptions = {
  readonly protocols: Readonly<Record<string, ProtocolSchema>>
  /** Absent: no file is read, and a configuration that names one is refused. */
  readonly read?: ReadFile
}

export type LoadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Reads a configuration as a whole or not at all. `file` is the name that problems and rules carry. */
export function loadConfig(
  source: { readonly file: string; readonly text: string },
  options: LoadOptions,
): LoadResult {
  const read = readTree(source.file, source.text)
  if (!read.ok) return read
  const loader = new Loader(read.tree, options.protocols, new NamedFiles(read.tree, options.read))
  const config = loader.load()
  if (config !== undefined && loader.problems.length === 0) return { ok: true, config }
  const problems = [...loader.problems].sort((a, b) => a.line - b.line || a.column - b.column)
  return { ok: false, problems: problems.slice(0, LIMITS.configProblemsMax) }
}

class Loader {
  readonly problems: Problem[] = []
  readonly #tree: Tree
  readonly #protocols: Readonly<Record<string, ProtocolSchema>>
  readonly #files: NamedFiles

  constructor(tree: Tree, protocols: Readonly<Record<string, ProtocolSchema>>, files: NamedFiles) {
    this.#tree = tree
    this.#protocols = protocols
    this.#files = files
  }

  load(): Config | undefined {
    const names = Object.keys(this.#protocols)
    const root = this.#read(rootSchema(names, hostedOf(this.#protocols)), [], this.#tree.content)
    const connections = this.#connections()
    if (root === undefined || connections === undefined) return undefined
    return this.#build(root, connections)
  }

  /** Every connection block twice: the common part by our schema, the rest by its protocol's. */
  #connections(): Map<ConnectionName, ConnectionRead> | undefined {
    const written = this.#tree.get(['connections'])
    const found = new Map<ConnectionName, ConnectionRead>()
    if (typeof written !== 'object' || written === null || Array.isArray(written)) return found
    const schema = connectionSchema(Object.keys(this.#protocols))
    for (const [name, block] of Object.entries(written)) {
      if (typeof block !== 'object' || block === null || Array.isArray(block)) continue
      const path = ['connections', name]
      const common = this.#read(schema, path, block)
      const wanted: unknown = Object.entries(block).find(([key]) => key === 'protocol')?.[1]
      const protocol =
        typeof wanted === 'string' && Object.hasOwn(this.#protocols, wanted)
          ? this.#protocols[wanted]
          : undefined
      if (protocol === undefined) continue
      const own = Object.fromEntries(Object.entries(block).filter(([key]) => !COMMON.has(key)))
      const part = readPart(protocol.settings, this.#tree, path, own, [...COMMON])
      const settings = part.ok ? this.#files.settings(protocol, part.value, path) : part
      if (!settings.ok) this.problems.push(...settings.problems)
      if (common === undefined || !settings.ok) continue
      for (const pattern of Object.keys(common.labels)) {
        const fault = protocol.labelFault?.(pattern, settings.value)
        if (fault === undefined) continue
        const at = [...path, 'labels', pattern]
        this.problems.push(this.#tree.problem(this.#tree.keyAt(at), at, fault.expected, fault.fix))
      }
      found.set(brand<ConnectionName>(name), { common, settings: settings.value, protocol })
    }
    return this.problems.length === 0 ? found : undefined
  }

  #read<T>(schema: z.ZodType<T>, path: Path, value: unknown): T | undefined {
    const result = readPart(schema, this.#tree, path, value)
    if (result.ok) return result.value
    this.problems.push(...result.problems)
    return undefined
  }

  #build(root: Root, read: ReadonlyMap<ConnectionName, ConnectionRead>): Config {
    const local = root.identities.local.map(
      (each): Identity => ({ kind: each.kind, name: each.name, issuer: 'local', groups: each.groups }),
    )
    const references = new References(this.#tree, {
      connections: read.keys(),
      labels: Object.keys(root.labels),
      routes: Object.keys(root.approvals.routes),
      access: Object.keys(root.approvals.access),
      local,
      issuers: root.identities.issuers.map((issuer) => issuer.url),
    })
    if (root.vault === undefined) refuseWithoutVault(this.#tree.content, references)
    const labels = new Map<LabelName, MaskingRule>()
    for (const [name, { mask }] of Object.entries(root.labels)) {
      labels.set(brand<LabelName>(name), maskingRule(mask, ['labels', name, 'mask'], references))
    }
    const connections = new Map<ConnectionName, Connection>()
    for (const [name, each] of read) connections.set(name, connectionOf(name, each, references))
    const rules = this.#rules(root.rules, [...read.keys()], [...labels.keys()], references)
    const version = configVersion(this.#tree.content, this.#files.texts)
    const cedar = root.cedar === undefined ? undefined : this.#tree.sourceAt(['cedar'])
    const policy: PolicySource = {
      version,
      rules,
      ...(cedar === undefined ? {} : { cedar }),
      connections: [...read].map(([name, { common, protocol }]) => ({
        name,
        protocol: common.protocol,
        limit: limitOf(common),
        ...(common.tenant === undefined ? {} : { tenant: common.tenant }),
        attributes: protocol.attributes ?? {},
      })),
      labels,
    }
    const { api, ...listeners } = root.listen
    const roles = this.#roles(root, local, references)
    const hostsAt = (name: string, each: NonNullable<Root['listen'][string]>): HostNames | undefined => {
      if (!('hosts' in each) || each.hosts === undefined) return undefined
      const served = [...read].flatMap(([known, { common }]) => (common.protocol === name ? [known] : []))
      return hostsOf(each.hosts, served, ['listen', name, 'hosts'], references)
    }
    const config: Config = {
      version,
      file: this.#tree.file,
      listeners: new Map(
        Object.entries(listeners).flatMap(([name, each]) =>
          each === undefined ? [] : [[name, { ...listenerOf(each), hosts: hostsAt(name, each) }]],
        ),
      ),
      api: api === undefined ? undefined : { ...listenerOf(api), publicUrl: publicUrlOf(api) },
      issuers: root.identities.issuers.map(({ clockSkew, login, ...issuer }) => ({
        ...issuer,
        login,
        clockSkewMs: clockSkew,
      })),
      local: this.#local(root.identities.local, local, references),
      roles,
      labels,
      connections,
      budgets: this.#budgets(root.budgets, [...read.keys()], [...labels.keys()], references),
      approvals: approvingOf(
        root.approvals,
        {
          role: roles.approver,
          people: local
            .filter(({ kind }) => kind === 'person')
            .map((each) => ({ key: identityKey(each), groups: each.groups })),
          closed: root.identities.issuers.length === 0,
        },
        [...read.keys()],
        references,
      ),
      recording: recordingOf(root.recording, references),
      vault: root.vault,
      store: root.store === undefined ? undefined : { dsn: root.store.dsn, ca: root.store.ca },
      policy,
      content: this.#tree.content,
      files: this.#files.texts,
      doubts: references.doubts,
    }
    this.problems.push(...references.problems)
    return config
  }

  #local(
    blocks: Root['identities']['local'],
    identities: readonly Identity[],
    references: References,
  ): LocalIdentity[] {
    const names = new Set<string>()
    return blocks.flatMap((block, index) => {
      const path = ['identities', 'local', index]
      const identity = identities[index]
      if (identity === undefined) return []
      if (names.has(block.name)) {
        references.refuse(
          [...path, 'name'],
          `expected each name once, got "${block.name}" again`,
          'rename one of them',
        )
      }
      names.add(block.name)
      for (const [position, name] of block.actsFor.entries()) {
        const target = references.localName(name, [...path, 'actsFor', position])
        if (target?.name === block.name) {
          references.refuse(
            [...path, 'actsFor', position],
            'expected another identity, got itself',
            'remove it',
          )
        }
      }
      return [{ identity, actsFor: block.actsFor }]
    })
  }

  #roles(root: Root, local: readonly Identity[], references: References): Record<Role, Holders> {
    const roles: Record<Role, { groups: string[]; identities: string[] }> = {
      admin: { groups: [], identities: [] },
      operator: { groups: [], identities: [] },
      approver: { groups: [], identities: [] },
      auditor: { groups: [], identities: [] },
    }
    for (const role of ROLES) {
      const block = root.roles[role]
      for (const [index, group] of (block?.groups ?? []).entries()) {
        references.group(group, ['roles', role, 'groups', index])
        roles[role].groups.push(group)
      }
      for (const [index, text] of (block?.identities ?? []).entries()) {
        const path = ['roles', role, 'identities', index]
        const found = references.identity(text, path)
        if (found?.kind === 'agent')
          references.refuse(path, 'expected a person or a service, got an agent', NO_AGENTS)
        else if (found !== undefined) roles[role].identities.push(found.key)
      }
    }
    for (const [index, block] of root.identities.local.entries()) {
      const identity = local[index]
      if (identity === undefined || block.roles.length === 0) continue
      if (block.kind === 'agent') {
        references.refuse(
          ['identities', 'local', index, 'roles'],
          'expected no roles for an agent',
          NO_AGENTS,
        )
        continue
      }
      const key = identityKey(identity)
      for (const role of block.roles)
        if (!roles[role].identities.includes(key)) roles[role].identities.push(key)
    }
    return roles
  }

  #rules(
    blocks: readonly RuleBlock[],
    connections: readonly ConnectionName[],
    labels: readonly LabelName[],
    references: References,
  ): Rule[] {
    const names = new Set<string>()
    return blocks.map((block, index) => {
      const path = ['rules', index]
      if (names.has(block.name)) {
        references.refuse(
          [...path, 'name'],
          `expected each name once, got "${block.name}" again`,
          'rename one of them',
        )
      }
      names.add(block.name)
      return this.#rule(block, path, connections, labels, references)
    })
  }

  #rule(
    block: RuleBlock,
    path: Path,
    connections: readonly ConnectionName[],
    labels: readonly LabelName[],
    references: References,
  ): Rule {
    const effect = block.forbid === undefined ? 'permit' : 'forbid'
    const given = block.forbid ?? block.permit
    const only =
      (block.limit !== undefined || block.review !== undefined) &&
      block.permit === undefined &&
      block.forbid === undefined
    if (!only && (given === undefined || (block.forbid !== undefined && block.permit !== undefined))) {
      references.refuse(
        path,
        'expected either "permit" or "forbid"',
        'write one of them; for both, write two rules',
      )
    }
    if (block.limit !== undefined) {
      const limitPath = [...path, 'limit']
      if (effect === 'forbid')
        references.refuse(limitPath, 'expected no "limit" beside "forbid"', 'write two rules')
      if (block.limit.rows === undefined && block.limit.bytes === undefined)
        references.refuse(limitPath, 'expected "rows" or "bytes", got neither', 'write "rows: 1000"')
    }
    if (block.agents && effect === 'forbid') {
      references.refuse(
        [...path, 'agents'],
        'expected "agents" only with "permit"',
        'remove it: a forbid always holds',
      )
    }
    const whatPath = [...path, effect]
    const classes = (list: 'all' | RuleWhat['run'] | undefined) =>
      list === 'all' ? COMMAND_CLASSES : (list ?? [])
    const labelled = (list: 'all' | readonly string[] | undefined, name: string): readonly LabelName[] =>
      list === 'all'
        ? labels
        : (list ?? []).flatMap((each, index) => references.labelPattern(each, [...whatPath, name, index]))
    const what: RuleWhat = {
      run: classes(given?.run),
      unreviewed: classes(given?.unreviewed),
      see: labelled(given?.see, 'see'),
      filter: labelled(given?.filter, 'filter'),
      store: labelled(given?.store, 'store'),
      unlimited: given?.unlimited ?? false,
    }
    const who = references.who(block.who, [...path, 'who'])
    const on = block.on === 'all' ? connections : block.on.map((name) => brand<ConnectionName>(name))
    if (block.on !== 'all')
      for (const [i, name] of block.on.entries()) references.connection(name, [...path, 'on', i])
    if (effect === 'forbid') this.#refuseVainForbid(block, path, references)
    const when = block.when === undefined ? undefined : this.#tree.sourceAt([...path, 'when'])
    return {
      ref: { name: block.name, file: this.#tree.file, line: this.#tree.valueAt(path).line },
      effect,
      who,
      on,
      what,
      ...(block.limit === undefined ? {} : { limit: ruleLimitOf(block.limit) }),
      ...(block.review === undefined
        ? {}
        : { review: reviewOf(block.review, [...path, 'review'], references) }),
      ...(when === undefined ? {} : { when }),
      agents: block.agents,
      mode: block.mode,
    }
  }

  #budgets(
    blocks: readonly BudgetBlock[],
    connections: readonly ConnectionName[],
    labels: readonly LabelName[],
    references: References,
  ): Budget[] {
    const names = new Set<string>()
    return blocks.map((block, index) => {
      const path = ['budgets', index]
      if (names.has(block.name)) {
        references.refuse(
          [...path, 'name'],
          `expected each name once, got "${block.name}" again`,
          'rename one of them',
        )
      }
      names.add(block.name)
      const max: Partial<Record<BudgetKind, number>> = {}
      for (const kind of BUDGET_KINDS) if (block[kind] !== undefined) max[kind] = block[kind]
      if (Object.keys(max).length === 0) {
        references.refuse(path, 'expected something to count, got nothing', 'write "rows: 100000"')
      }
      if (isNobodyAtAll(block.who)) {
        references.refuse(
          [...path, 'who'],
          'expected somebody whose use counts, got nobody',
          'write "who: everyone" for all',
        )
      }
      if (block.on !== 'all')
        for (const [i, name] of block.on.entries()) references.connection(name, [...path, 'on', i])
      return {
        ref: { name: block.name, file: this.#tree.file, line: this.#tree.valueAt(path).line },
        who: references.who(block.who, [...path, 'who']),
        on: block.on === 'all' ? connections : block.on.map((name) => brand<ConnectionName>(name)),
        labels:
          block.labels === 'all'
            ? labels
            : block.labels.flatMap((each, i) => references.labelPattern(each, [...path, 'labels', i])),
        max,
      }
    })
  }

  /** An empty list permits nothing, which is safe. A forbid that forbids nothing is a mistake with consequences. */
  #refuseVainForbid(block: RuleBlock, path: Path, references: References): void {
    if (isNobodyAtAll(block.who)) {
      references.refuse(
        [...path, 'who'],
        'expected somebody to forbid it to, got nobody',
        'write "who: everyone" for all',
      )
    }
    if (block.on.length === 0) {
      references.refuse(
        [...path, 'on'],
        'expected a connection to forbid it on, got none',
        'write "on: all" for all',
      )
    }
    const {
      run = [],
      unreviewed = [],
      see = [],
      filter = [],
      store = [],
      unlimited = false,
    } = block.forbid ?? {}
    if (!unlimited && [run, unreviewed, see, filter, store].every((list) => list.length === 0)) {
      references.refuse([...path, 'forbid'], 'expected something to forbid, got nothing', 'write "run: all"')
    }
  }
}

const NO_AGENTS = 'remove it: agents never use the control API'

type ConnectionRead = {
  readonly common: ConnectionBlock
  readonly settings: unknown
  readonly protocol: ProtocolSchema
}

/** The protocols whose listeners may name connections by host. */
export function hostedOf(protocols: Readonly<Record<string, ProtocolSchema>>): readonly string[] {
  return Object.entries(protocols).flatMap(([name, { namedByHost }]) => (namedByHost === true ? [name] : []))
}

const COMMON: ReadonlySet<string> = new Set(['protocol', ...Object.keys(CONNECTION_FIELDS)])

function connectionOf(
  name: ConnectionName,
  { common, settings, protocol }: ConnectionRead,
  references: References,
): Connection {
  const patientPrograms = Object.entries(common.patienceFor).map(([program, ms]) => ({ program, ms }))
  return {
    name,
    protocol: common.protocol,
    settings,
    labels: Object.entries(common.labels).map(([pattern, label]) => ({
      pattern,
      label: references.label(label, ['connections', name, 'labels', pattern]),
    })),
    limit: limitOf(common),
    patienceMs: common.patience,
    ...(patientPrograms.length === 0 ? {} : { patienceFor: patientPrograms }),
    sessionsPerIdentity:
      common.sessionsPerIdentity ?? protocol.sessionsPerIdentity ?? LIMITS.sessionsPerIdentity,
    durability: common.durability,
    resultBytesKept: common.resultBytesKept,
  }
}

function limitOf(common: ConnectionBlock): Connection['limit'] {
  return ruleLimitOf(common.limit)
}

function ruleLimitOf(block: NonNullable<RuleBlock['limit']>): RuleLimit {
  return {
    rowsMax: block.rows ?? UNLIMITED.rowsMax,
    bytesMax: block.bytes ?? UNLIMITED.bytesMax,
    ...(block.action === 'hold' ? { action: 'hold' } : {}),
  }
}

/** Links are made by putting a path behind it. */
function publicUrlOf(block: NonNullable<Root['listen'][string]>): string | undefined {
  return 'publicUrl' in block ? block.publicUrl?.replace(/\/$/, '') : undefined
}

function listenerOf(block: NonNullable<Root['listen'][string]>): Listener {
  const { tls } = block
  return {
    address: block.address,
    port: block.port,
    certificate: tls === undefined ? undefined : { certificate: tls.certificate, key: tls.key },
    tlsRequired: tls?.required ?? false,
  }
}

function recordingOf(
  { log, witnesses, publish, retention, stream, store }: Root['recording'],
  references: References,
): RecordingBlock {
  const { file, url, stdout, every } = publish
  const { after, size, payloads, hold } = retention
  const labelsOf = (names: readonly string[], rule: number): LabelName[] =>
    names.flatMap((name, at) =>
      references.labelPattern(name, ['recording', 'retention', 'payloads', rule, 'labels', at]),
    )
  const at = ['recording', 'retention', 'hold']
  for (const [i, each] of hold.connections.entries())
    references.heldConnection(each, [...at, 'connections', i])
  for (const [i, each] of hold.identities.entries()) references.heldIdentity(each, [...at, 'identities', i])
  return {
    name: log.name,
    witnesses,
    publish: { file, url, stdout, everyMs: every },
    retention: {
      afterMs: after,
      bytesMax: size,
      payloads: payloads.map((rule, at) => ({
        afterMs: rule.after,
        labels: rule.labels === undefined ? undefined : labelsOf(rule.labels, at),
      })),
      hold,
    },
    stream: stream.map(outletOf),
    store: store === undefined ? undefined : bucketOf(store),
  }
}
