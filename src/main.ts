/**
 * The composition root: reads the configuration, builds every part, starts the listeners, and stops them again.
 * Nothing imports it but the command that starts a gateway.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import type { ApiParts } from './api/index.ts'
import { FreshLogins, stillOpens } from './api/index.ts'
import { Budgets } from './budgets/index.ts'
import type { Approvals } from './approvals/index.ts'
import { AccessGrants, createApprovals, Previews } from './approvals/index.ts'
import { openApi } from './composition/api.ts'
import { openChannels } from './composition/channels.ts'
import type { Ready } from './composition/configuration.ts'
import { Configurations } from './composition/configuration.ts'
import { GroupCommit } from './composition/group-commit.ts'
import { openIdentities, rolesOf } from './composition/identities.ts'
import { certificateOf, openListeners } from './composition/listeners.ts'
import { rotationDesk } from './composition/rotation.ts'
import { programVersion } from './composition/version.ts'
import { SealedApprovals } from './composition/sealed-approvals.ts'
import { followStore, openStore } from './composition/store.ts'
import type { Config } from './config/index.ts'
import type { MasterKeySource } from './connections/index.ts'
import {
  ConfiguredSecrets,
  deriveKey,
  loadMasterKeys,
  logSeeds,
  maskingKeys,
  recordingKeys,
  SealedSecrets,
  SecretResolver,
} from './connections/index.ts'
import type { Clock, Identity, RandomBytes, SecretRef, Ticket } from './core/index.ts'
import { brand, chainKey, GatewayError, identityKey, LIMITS, systemClock } from './core/index.ts'
import { Credentials, IdentityBlocks } from './identity/index.ts'
import { network } from './net/index.ts'
import { PROTOCOLS } from './protocols/index.ts'
import { openRecording, SnapshotStore, Tail } from './recording/index.ts'
import { Gateway } from './session/index.ts'
import { claimDataDirectory } from './store/index.ts'
import { Metrics, meteredJournal } from './telemetry/index.ts'

export type StartOptions = {
  readonly dataDirectory: string
  readonly configFile: string
  readonly masterKey: Omit<MasterKeySource, 'dataDirectory'>
  /** Faults, for the log. */
  readonly report: (error: unknown) => void
}

/** A gateway that listens. */
export type RunningGateway = {
  /** By protocol name, and `api`: where it really listens. */
  readonly endpoints: Readonly<Record<string, { readonly address: string; readonly port: number }>>
  /** The same that the control API is made of; for who runs a gateway in its own process (the demonstration). */
  readonly parts: ApiParts
  /** Refuses new sessions, drains the live ones, writes everything out. */
  stop(): Promise<void>
}

type Undo = (() => unknown)[]

const random: RandomBytes = (length) => randomBytes(length)

/** Starts everything. Throws GatewayError; nothing is left running when it does. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const undo: Undo = []
  try {
    return await build(options, undo)
  } catch (error) {
    await unwind(undo)
    throw error
  }
}

async function unwind(undo: Undo): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
}

async function build(options: StartOptions, undo: Undo): Promise<RunningGateway> {
  const clock: Clock = systemClock
  const { dataDirectory, report } = options
  const data = claimDataDirectory(dataDirectory)
  undo.push(() => data.release())
  const store = await openStore({ ...options, clock, random })
  undo.push(() => store.close())
  const { shared } = store
  const keys = await loadMasterKeys({ ...options.masterKey, dataDirectory })
  const snapshots = new SnapshotStore({
    directory: dataDirectory,
    keys: recordingKeys(keys),
    clock,
    random,
    onFault: report,
  })
  const configurations = await Configurations.open({
    store,
    clock,
    file: options.configFile,
    report,
    keys: maskingKeys(keys),
    snapshots,
  })
  const config = (): Config => configurations.current.config
  const sealed = await SealedSecrets.open({ store: store.sealedSecrets, keys, clock, random })
  const secrets = new SecretResolver({
    environment: process.env,
    directory: dirname(options.configFile),
    sealed,
    clock,
    warn: (message) => report(new Error(message)),
    vault: () => config().vault,
    report,
  })
  undo.push(() => secrets.close())
  const recording = await openRecording({
    directory: dataDirectory,
    keys: recordingKeys(keys),
    seeds: logSeeds(keys),
    settings: config().recording,
    program: programVersion(),
    resolveSecret: (ref) => secrets.resolve(ref),
    clock,
    random,
    node: shared?.node,
    index: store.sessions,
    snapshots,
    onErased: async (tickets) => {
      for (const ticket of tickets) await approvals.forget(brand<Ticket>(ticket))
    },
    onFault: report,
  })
  undo.push(() => recording.stop())
  configurations.onChange((ready) => recording.adopt(ready.config.recording))
  const metrics = new Metrics({
    sessions: () => gateway.sessions().length,
    heldNow: () => approvals.list({ states: ['pending'] }).length,
    sealer: () => recording.sealer(),
    outlets: () => recording.outlets(),
    store: () => recording.store(),
    channels: () => channels.figures(),
  })
  const tail = new Tail(meteredJournal(recording.journal, metrics), clock)
  const { journal } = tail
  const blocks: IdentityBlocks = await IdentityBlocks.open({
    store: store.blocks,
    clock,
    end: (identity, by) => credentials.revokeHeldBy(identity, by),
  })
  const credentials: Credentials = await Credentials.open({
    store: store.credentials,
    clock,
    random,
    report,
    isBlocked: (identity) => blocks.isBlocked(identity),
  })
  undo.push(() => credentials.close())
  const committed = new GroupCommit(journal)
  const approvals: Approvals = await createApprovals({
    store: new SealedApprovals(store.approvals, recordingKeys(keys), random),
    clock,
    random,
    routes: () => config().approvals,
    mayAnswer: (person) => rolesOf([person], config()).has('approver') && !blocks.isBlocked(person),
    record: (head) => committed.record(head),
    onFault: report,
  })
  undo.push(() => approvals.stop())
  // What was asked under other rules stands no more, whether they changed now or while the gateway was not there.
  const supersede = ({ policy, config: { approvals: block } }: Ready): Promise<void> =>
    approvals.supersede(
      ({ access: asked, policyVersion }) =>
        policyVersion === (asked === undefined ? policy.version : block.access.get(asked.name)?.digest),
    )
  await supersede(configurations.current)
  configurations.onChange((ready) => void supersede(ready))
  const previews = new Previews({
    clock,
    record: (head) => {
      journal.append(undefined, { kind: 'admin', head })
      journal.sync()
    },
  })
  approvals.onChange((approval) => {
    if (approval.state !== 'pending') previews.forget(approval.ticket)
  })
  const channels = openChannels({
    store: store.notifications,
    approvals,
    configurations,
    blocks,
    clock,
    random,
    resolve: (ref) => secrets.resolve(ref),
    record: (head) => {
      journal.append(undefined, { kind: 'admin', head })
      journal.sync()
    },
    report,
  })
  undo.push(() => channels.stop())
  const access = new AccessGrants(approvals, clock)
  undo.push(() => access.stop())
  const budgets = await Budgets.open({
    store: store.budgets,
    clock,
    key: deriveKey(keys, 'budget records'),
    budgets: config().budgets,
    report,
  })
  undo.push(() => budgets.stop())
  const identities = await openIdentities({ store, sealed, credentials, blocks, clock, random, config })
  const { policy, snapshot } = configurations.current
  const gateway: Gateway = new Gateway({
    clock,
    journal,
    approvals,
    access,
    budgets,
    network,
    random,
    policy,
    config: config().version,
    configuration: snapshot,
    refuses: () => shared?.refusal(),
  })
  configurations.onChange((ready) => budgets.adopt(ready.config.budgets))
  followEndings(gateway, credentials, configurations, report)
  access.onEnd(({ ticket, name, connection, chain }) => {
    const whose = chainKey(chain)
    gateway.terminate(
      ({ opening, accessUsed }) =>
        accessUsed.has(name) && opening.connection.name === connection && chainKey(opening.chain) === whose,
      new GatewayError('denied', `Your access ${name} has ended, and this session with it.`, {
        remedy: 'Connect again for what you may do without it, or ask for it anew: sluice approvals request',
        ticket,
        retry: 'only-if-changed',
      }),
    )
  })
  if (shared !== undefined)
    undo.push(
      followStore(shared, { approvals, blocks, configurations, credentials, sealed }, { gateway, clock }),
    )
  const configured = new ConfiguredSecrets({
    settings: config,
    resolve: (reference) => secrets.resolve(reference),
    clock,
    report,
  })
  const configuredSecrets = (): Promise<readonly string[]> => configured.values()
  const listeners = await openListeners(
    {
      gateway,
      credentials,
      random,
      secrets,
      configuredSecrets,
      clock,
      config,
      snapshots,
      previews,
      report,
    },
    undo,
  )
  const endpoints: Record<string, { address: string; port: number }> = { ...listeners.endpoints }
  const parts: ApiParts = {
    clock,
    journal,
    gateway,
    credentials,
    approvals,
    previews,
    channelAnswers: channels.answers,
    channels: () => channels.figures(),
    sealed,
    recording,
    tail,
    people: identities.people,
    issuer: identities.issuer,
    exchange: identities.exchange,
    blocks,
    configurations,
    logins: new FreshLogins(clock),
    startedAt: clock.now(),
    config,
    verify: async (token) => (await identities.verifier().verify(token)).chain,
    metrics: () => metrics.text(),
    probe: async (connection) => {
      const protocol = PROTOCOLS.find(({ name }) => name === connection.protocol)
      const ports = { network, random, resolveSecret: (ref: SecretRef) => secrets.resolve(ref) }
      return protocol === undefined ? [] : await protocol.probe(ports, connection)
    },
    rotation: rotationDesk({
      sealed,
      random,
      config,
      ports: { network, random, resolveSecret: (ref) => secrets.resolve(ref) },
    }),
    explain: (connection, question) => {
      const protocol = PROTOCOLS.find(({ name }) => name === connection.protocol)
      const ports = {
        network,
        random,
        resolveSecret: (ref: SecretRef) => secrets.resolve(ref),
        configuredSecrets,
      }
      return protocol?.explain?.(ports, connection, question)
    },
    policy: () => configurations.current.policy,
    localIdentity: (name) => localIdentity(config(), name),
    endpoints: () => endpoints,
    shared,
  }
  const api = await openApi(
    {
      parts,
      identities,
      dataDirectory,
      report,
      certificate: (listener) => certificateOf(listener, secrets, dataDirectory, clock),
    },
    undo,
  )
  if (api !== undefined) {
    endpoints.api = api
    await shared?.announce(`${api.address}:${api.port}`)
  }
  return {
    endpoints,
    parts,
    async stop() {
      listeners.close()
      await gateway.drain(LIMITS.drainMs)
      await unwind(undo)
    },
  }
}

/** Live sessions end with the credential they came by, and with the connection they use. */
function followEndings(
  gateway: Gateway,
  credentials: Credentials,
  configurations: Configurations,
  report: (error: unknown) => void,
): void {
  credentials.onEnd((credential, { reason }) => {
    const ended = reason === 'expired' ? 'has expired' : 'was revoked'
    gateway.terminate(
      (session) => session.opening.credential === credential.id,
      new GatewayError('unauthenticated', `Get a new credential: the one of this session ${ended}.`, {
        remedy: 'Get a fresh one with: sluice dsn CONNECTION --as IDENTITY',
        retry: 'only-if-changed',
      }),
    )
  })
  configurations.onChange(({ config, policy, snapshot }) => {
    gateway.adopt(policy, config.version, snapshot)
    const known = new Set(config.local.map(({ identity }) => identityKey(identity)))
    credentials
      .revokeUnknown(
        (identity) => identity.issuer !== 'local' || known.has(identityKey(identity)),
        'configuration',
      )
      .catch(report)
    gateway.terminate(
      (session) => !config.connections.has(session.opening.connection.name),
      new GatewayError('connection_unknown', 'This connection is configured no more.'),
    )
    gateway.terminate(
      ({ opening }) => {
        const now = config.connections.get(opening.connection.name)
        return now !== undefined && !stillOpens(opening.connection, now, opening.database)
      },
      new GatewayError('connection_unknown', 'This connection leads to something else now.', {
        remedy: 'Connect again.',
        retry: 'later',
      }),
    )
  })
}

/** `agent:support-agent`, or the bare name where only one identity has it. */
function localIdentity(config: Config, name: string): Identity | undefined {
  const found = config.local.filter(
    ({ identity }) => identityKey(identity) === name || identity.name === name,
  )
  return found.length === 1 ? found[0]?.identity : undefined
}

export { createMasterKeyFile } from './connections/index.ts'
export { prepareGateway } from './composition/prepare.ts'
