/**
 * The composition root: reads the configuration, builds every part, starts the listeners, and stops them again.
 * Nothing imports it but the command that starts a gateway.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { ApiParts } from './api/index.ts'
import { apiRoutes, createApiServer, OPERATOR } from './api/index.ts'
import { OPERATOR_SOCKET } from './api/client.ts'
import type { Approvals } from './approvals/index.ts'
import { createApprovals } from './approvals/index.ts'
import type { Config, Listener as ListenerConfig } from './config/index.ts'
import { loadConfig } from './config/index.ts'
import type { MasterKeySource } from './connections/index.ts'
import { loadMasterKeys, SealedSecrets, SecretResolver } from './connections/index.ts'
import type { Clock, Identity, Problem, RandomBytes, ServerTls } from './core/index.ts'
import { formatProblem, GatewayError, identityKey, LIMITS, systemClock } from './core/index.ts'
import { Credentials } from './identity/index.ts'
import type { Listener } from './net/index.ts'
import { createCertificates, listen, network } from './net/index.ts'
import type { Policy } from './policy/index.ts'
import { compilePolicy } from './policy/index.ts'
import { PROTOCOLS } from './protocols/index.ts'
import type { FileJournal } from './recording/index.ts'
import { openJournal } from './recording/index.ts'
import type { ProtocolServer } from './session/index.ts'
import { Gateway } from './session/index.ts'
import { claimDataDirectory, Store } from './store/index.ts'

export type StartOptions = {
  readonly dataDirectory: string
  /** The configuration file. Absent: the active version of the store. */
  readonly configFile: string
  readonly masterKey: Omit<MasterKeySource, 'dataDirectory'>
  /** Faults, for the log. */
  readonly report: (error: unknown) => void
}

/** A gateway that listens. */
export type RunningGateway = {
  /** By protocol name: where it really listens. */
  readonly endpoints: Readonly<Record<string, { readonly address: string; readonly port: number }>>
  /** Refuses new sessions, drains the live ones, writes everything out. */
  stop(): Promise<void>
}

const random: RandomBytes = (length) => randomBytes(length)

/** Starts everything. Throws GatewayError; nothing is left running when it does. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const undo: (() => void | Promise<void>)[] = []
  try {
    return await build(options, undo)
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}

async function build(options: StartOptions, undo: (() => void | Promise<void>)[]): Promise<RunningGateway> {
  const clock: Clock = systemClock
  const { dataDirectory, report } = options
  const configuration = readConfiguration(options.configFile)
  const data = claimDataDirectory(dataDirectory)
  undo.push(() => data.release())
  const store = await Store.open(dataDirectory, report)
  undo.push(() => store.close())
  const journal: FileJournal = openJournal({ directory: dataDirectory, clock, onFault: report })
  undo.push(() => journal.close())
  const keys = await loadMasterKeys({ ...options.masterKey, dataDirectory })
  const sealed = await SealedSecrets.open({ store: store.sealedSecrets, keys, clock, random })
  const secrets = new SecretResolver({
    environment: process.env,
    directory: dirname(options.configFile),
    sealed,
    clock,
    warn: (message) => report(new Error(message)),
  })
  const credentials = await Credentials.open({
    store: store.credentials,
    clock,
    random,
    report,
    isBlocked: () => false,
  })
  undo.push(() => credentials.close())
  const approvals: Approvals = await createApprovals({
    store: store.approvals,
    clock,
    random,
    mayAnswer: () => true,
    record: (head) => {
      journal.append(undefined, { kind: 'admin', head })
      journal.sync()
    },
    onFault: report,
  })
  undo.push(() => approvals.stop())
  const gateway = new Gateway({
    clock,
    journal,
    approvals,
    network,
    random,
    policy: configuration.policy,
    config: configuration.config.version,
  })
  credentials.onEnd((credential, ending) => {
    const reason = new GatewayError(
      'unauthenticated',
      `Your credential has ${ending.reason === 'expired' ? 'expired' : 'been revoked'}.`,
    )
    gateway.terminate((session) => session.opening.credential === credential.id, reason)
  })
  let { config } = configuration
  const endpoints: Record<string, { address: string; port: number }> = {}
  const servers: { listener: Listener; server: ProtocolServer }[] = []
  for (const protocol of PROTOCOLS) {
    const wanted = config.listeners.get(protocol.name)
    if (wanted === undefined) continue
    const server = protocol.serve({
      gateway,
      credentials,
      random,
      tls: await certificateOf(wanted, secrets, clock),
      tlsRequired: wanted.tlsRequired,
      resolveSecret: (reference) => secrets.resolve(reference),
      connection: (name) => {
        const connection = config.connections.get(name)
        return connection?.protocol === protocol.name ? connection : undefined
      },
      report,
    })
    const listener = await listen(
      server.takes === 'pipe'
        ? { ...wanted, onPipe: ({ pipe, admitted }) => server.accept(pipe, admitted) }
        : { ...wanted, onSocket: (socket, admitted) => server.accept(socket, admitted) },
    )
    undo.push(
      () => listener.destroy(),
      () => server.close(),
    )
    servers.push({ listener, server })
    endpoints[protocol.name] = { address: listener.address, port: listener.port }
  }
  const parts: ApiParts = {
    clock,
    journal,
    gateway,
    credentials,
    approvals,
    sealed,
    sessions: store.sessions,
    config: () => config,
    localIdentity: (name) => localIdentity(config, name),
    endpoints: () => endpoints,
  }
  const socket = await openOperatorSocket(parts, dataDirectory, report)
  undo.push(() => socket.close())
  return {
    endpoints,
    async stop() {
      for (const { listener } of servers) listener.close()
      await gateway.drain(LIMITS.drainMs)
      for (const step of undo.reverse()) await step()
    },
  }
}

/** Reads and compiles a configuration, or throws GatewayError `invalid` with every problem in its message. */
export function readConfiguration(file: string): { config: Config; policy: Policy } {
  const protocols = Object.fromEntries(PROTOCOLS.map((each) => [each.name, each]))
  const loaded = loadConfig({ file, text: readFileSync(file, 'utf8') }, { protocols })
  if (!loaded.ok) throw invalid(loaded.problems)
  const compiled = compilePolicy(loaded.config.policy)
  if (!compiled.ok) throw invalid(compiled.problems)
  return { config: loaded.config, policy: compiled.policy }
}

function invalid(problems: readonly Problem[]): GatewayError {
  return new GatewayError(
    'invalid',
    `The configuration is not valid:\n${problems.map(formatProblem).join('\n')}`,
  )
}

/** The socket of whoever sits at the machine: in the data directory, for its owner only. */
async function openOperatorSocket(
  parts: ApiParts,
  dataDirectory: string,
  report: (error: unknown) => void,
): Promise<FastifyInstance> {
  const path = join(dataDirectory, OPERATOR_SOCKET)
  // Left by a gateway that was killed; the claim on the directory says that nobody serves it.
  rmSync(path, { force: true })
  const server = createApiServer({
    routes: apiRoutes(parts),
    journal: parts.journal,
    identify: () => Promise.resolve(OPERATOR),
    tls: undefined,
    report,
  })
  await server.listen({ path })
  chmodSync(path, 0o600)
  return server
}

/** `agent:support-agent`, or the bare name where only one identity has it. */
function localIdentity(config: Config, name: string): Identity | undefined {
  const found = config.local.filter(
    ({ identity }) => identityKey(identity) === name || identity.name === name,
  )
  return found.length === 1 ? found[0]?.identity : undefined
}

/** The configured certificate, or one the gateway makes for itself. */
async function certificateOf(
  wanted: ListenerConfig,
  secrets: SecretResolver,
  clock: Clock,
): Promise<ServerTls> {
  if (wanted.certificate === undefined) {
    const made = createCertificates({ names: ['localhost', '127.0.0.1'], now: clock.now() })
    return { certificate: made.certificate, key: made.key }
  }
  const certificate = await secrets.resolve(wanted.certificate.certificate)
  return { certificate: certificate.reveal(), key: await secrets.resolve(wanted.certificate.key) }
}
