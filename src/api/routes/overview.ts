import { z } from 'zod'
import type { ChannelFigures } from '../../notifications/index.ts'
import { identityKey } from '../../core/index.ts'
import type { OutletReport, SealerReport, StoreReport } from '../../recording/index.ts'
import { databasesOf } from '../databases.ts'
import type { ApiParts, SharedDesk } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'
import { connectionNamed } from './credentials.ts'

const READERS = ['operator socket', 'admin', 'operator', 'auditor', 'approver'] as const

const endpoint = z.object({ address: z.string(), port: z.int() })

/** A store that several gateways share. */
const shared = z.object({
  /** This one. */
  node: z.string(),
  /** How long ago all was seen that others changed, and how far the clock of the store is ahead. */
  behindMs: z.number(),
  clockAheadMs: z.number(),
  /** Absent while the store is away. */
  nodes: z
    .array(
      z.object({
        node: z.string(),
        version: z.string(),
        address: z.string().optional(),
        startedAt: z.int(),
        seenAt: z.int(),
        isRunning: z.boolean(),
      }),
    )
    .optional(),
})

const status = z.object({
  status: z.literal('ok'),
  pid: z.int(),
  startedAt: z.int(),
  configuration: z.object({ version: z.string(), file: z.string() }),
  endpoints: z.record(z.string(), endpoint),
  sessions: z.int(),
  approvalsPending: z.int(),
  credentials: z.int(),
  /** Ids of the keys of the recording: the first is for new files, the others are for reading. */
  recordingKeys: z.array(z.string()),
  /** The log of the recording: what it is signed with, how long it is, and how far it is behind what was written. */
  log: z.object({
    key: z.string().optional(),
    entries: z.int(),
    through: z.int(),
    lagFrames: z.int(),
    lagMs: z.number(),
    /** The last fault, until it is over; `stopped`: nothing is sealed any more. */
    fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    stopped: z.boolean(),
    witnesses: z.object({ cosigned: z.array(z.string()), failed: z.array(z.string()) }),
    /** Frames that the log covers and that the journal had lost when the gateway started. */
    gap: z.object({ first: z.int(), last: z.int() }).optional(),
  }),
  /** Legal holds that no recording is under, such as `connection crmm`, and erasures that are not done yet. */
  retention: z.object({ emptyHolds: z.array(z.string()), erasuresWaiting: z.int() }),
  /** The object store of recordings: what is not in it yet, and the last fault, until it takes something. */
  store: z
    .object({
      place: z.string(),
      waitingFiles: z.number(),
      waitingBytes: z.number(),
      spoolBytes: z.number(),
      spoolBytesMax: z.number(),
      logEntries: z.number(),
      refused: z.number(),
      undeleted: z.number(),
      fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    })
    .optional(),
  /** Where events go: how far each outlet is behind what was written, and the last fault, until something is taken. */
  outlets: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['syslog', 'http', 'otlp']),
      lagFrames: z.int(),
      delivered: z.int(),
      /** Frames or events that it will never get. */
      missed: z.int(),
      /** It was refused: it is tried again every ten minutes. */
      parked: z.boolean(),
      fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    }),
  ),
  /** Through which people are told of requests: what waits to be told, and the last fault, until something was told. */
  channels: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      waiting: z.int(),
      /** Since the start of the gateway. */
      sent: z.int(),
      failures: z.int(),
      /** Given up: nobody was told of them this way. */
      undelivered: z.int(),
      fault: z.string().optional(),
    }),
  ),
  /** Absent where the store is a file of this gateway's own. */
  shared: shared.optional(),
})

const connections = z.object({
  connections: z.array(
    z.object({
      name: z.string(),
      protocol: z.string(),
      databases: z.array(z.string()).optional(),
      labels: z.int(),
      rowsMax: z.number(),
      bytesMax: z.number(),
      patienceMs: z.number(),
      /** Where clients reach it; absent when nothing listens for its protocol. */
      endpoint: endpoint.optional(),
      tlsRequired: z.boolean(),
      /** What it shows its upstream: where each secret is kept, and since when (ms since 1970), where that can be told. */
      secrets: z.array(
        z.object({
          source: z.enum(['env', 'file', 'store', 'command', 'vault', 'literal']),
          setAt: z.int().optional(),
        }),
      ),
    }),
  ),
})

const finding = z.object({
  level: z.enum(['ok', 'warning', 'problem']),
  message: z.string(),
  remedy: z.string().optional(),
})

const identities = z.object({
  identities: z.array(
    z.object({
      identity: z.string(),
      groups: z.array(z.string()),
      actsFor: z.array(z.string()),
      enrolledAt: z.int().optional(),
    }),
  ),
  blocked: z.array(z.object({ identity: z.string(), by: z.string(), at: z.int() })),
})

function logOf(sealer: SealerReport): z.output<typeof status>['log'] {
  const { vkey, size, through, lagFrames, lagMs, fault, stopped, witnesses, gap } = sealer
  return {
    ...(vkey === undefined ? {} : { key: vkey }),
    entries: size,
    through,
    lagFrames,
    lagMs,
    ...faultIn(fault),
    stopped,
    witnesses: { cosigned: [...witnesses.cosigned], failed: [...witnesses.failed] },
    ...(gap === undefined ? {} : { gap: { first: gap.first, last: gap.last } }),
  }
}

async function sharedOf(desk: SharedDesk, now: number): Promise<z.output<typeof shared>> {
  const { upToDateAt, clockAheadMs } = desk.state
  const nodes = await desk.nodes().catch(() => undefined)
  return {
    node: desk.node,
    behindMs: Math.max(0, now - upToDateAt),
    clockAheadMs,
    ...(nodes === undefined ? {} : { nodes: nodes.map((each) => ({ ...each })) }),
  }
}

function outletOf(outlet: OutletReport): z.output<typeof status>['outlets'][number] {
  const { name, kind, lagFrames, delivered, missed, parked, fault } = outlet
  return { name, kind, lagFrames, delivered, missed, parked, ...faultIn(fault) }
}

function channelOf({ fault, ...figures }: ChannelFigures): z.output<typeof status>['channels'][number] {
  return { ...figures, ...(fault === undefined ? {} : { fault }) }
}

function storeIn(store: StoreReport | undefined): Pick<z.output<typeof status>, 'store'> {
  if (store === undefined) return {}
  const {
    place,
    waitingFiles,
    waitingBytes,
    spoolBytes,
    spoolBytesMax,
    logEntries,
    refused,
    undeleted,
    fault,
  } = store
  const figures = {
    place,
    waitingFiles,
    waitingBytes,
    spoolBytes,
    spoolBytesMax,
    logEntries,
    refused,
    undeleted,
  }
  return { store: { ...figures, ...faultIn(fault) } }
}

function faultIn(fault: OutletReport['fault']): { fault?: { message: string; remedy?: string } } {
  if (fault === undefined) return {}
  const { message, remedy } = fault
  return { fault: { message, ...(remedy === undefined ? {} : { remedy }) } }
}

/** What there is, and how it is doing. */
export function overviewRoutes(parts: ApiParts): readonly AnyRoute[] {
  const nothing = { params: none, query: none, body: none }
  return [
    route({
      ...nothing,
      method: 'GET',
      path: '/healthz',
      summary: 'Whether the gateway serves.',
      access: 'public',
      answer: z.object({ status: z.literal('ok') }),
      handle: () => ({ status: 'ok' as const }),
    }),
    route({
      ...nothing,
      method: 'GET',
      path: '/metrics',
      // Numbers without names: who may scrape them is a matter of who reaches the port.
      summary: 'Figures for Prometheus. They name no identity, no connection and no value.',
      access: 'public',
      produces: 'text/plain; version=0.0.4',
      answer: z.string(),
      handle: () => parts.metrics(),
    }),
    route({
      ...nothing,
      method: 'GET',
      path: '/v1/status',
      summary: 'What runs, where it listens, and how much is going on.',
      access: READERS,
      answer: status,
      handle: async () => ({
        status: 'ok' as const,
        pid: process.pid,
        startedAt: parts.startedAt,
        configuration: { version: parts.config().version, file: parts.config().file },
        endpoints: parts.endpoints(),
        sessions: parts.gateway.sessions().length,
        approvalsPending: parts.approvals.list({ states: ['pending'] }).length,
        credentials: parts.credentials.list().length,
        recordingKeys: [...parts.recording.keyIds],
        log: logOf(parts.recording.sealer()),
        retention: await parts.recording.retention(),
        outlets: parts.recording.outlets().map(outletOf),
        channels: parts.channels().map(channelOf),
        ...storeIn(parts.recording.store()),
        ...(parts.shared === undefined ? {} : { shared: await sharedOf(parts.shared, parts.clock.now()) }),
      }),
    }),
    route({
      ...nothing,
      method: 'GET',
      path: '/v1/connections',
      summary: 'The configured connections.',
      access: READERS,
      answer: connections,
      handle: async () => ({
        connections: await Promise.all(
          [...parts.config().connections.values()].map(async (each) => {
            const at = parts.endpoints()[each.protocol]
            const databases = databasesOf(each)
            return {
              name: each.name,
              protocol: each.protocol,
              ...(databases === undefined ? {} : { databases: [...databases] }),
              labels: each.labels.length,
              rowsMax: each.limit.rowsMax,
              bytesMax: each.limit.bytesMax,
              patienceMs: each.patienceMs,
              ...(at === undefined ? {} : { endpoint: at }),
              tlsRequired: parts.config().listeners.get(each.protocol)?.tlsRequired ?? false,
              secrets: [...(await parts.rotation.keptSecrets(each))],
            }
          }),
        ),
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/connections/{name}/probe',
      summary: 'Log in to the upstream of a connection and look at what could be safer. No row is read.',
      access: ['operator socket', 'admin', 'operator'],
      params: z.object({ name: z.string().min(1).max(64) }),
      query: none,
      body: none,
      answer: z.object({ connection: z.string(), findings: z.array(finding) }),
      records: ({ params }) => ({ action: 'connection.probe', target: params.name }),
      async handle({ params }) {
        const connection = connectionNamed(parts, params.name)
        return { connection: connection.name, findings: [...(await parts.probe(connection))] }
      },
    }),
    route({
      ...nothing,
      method: 'GET',
      path: '/v1/identities',
      summary: 'The local identities, who of them has enrolled a device, and who is blocked.',
      access: ['operator socket', 'admin', 'operator', 'auditor'],
      answer: identities,
      async handle() {
        const enrolled = new Map(
          (await parts.people.enrolled()).map((each) => [each.person, each.enrolledAt]),
        )
        return {
          identities: parts.config().local.map(({ identity, actsFor }) => {
            const enrolledAt = enrolled.get(identityKey(identity))
            return {
              identity: identityKey(identity),
              groups: [...identity.groups],
              actsFor: [...actsFor],
              ...(enrolledAt === undefined ? {} : { enrolledAt }),
            }
          }),
          blocked: [...parts.blocks.list()],
        }
      },
    }),
  ]
}
