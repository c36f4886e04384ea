import type { Command } from 'commander'
import { z } from 'zod'
import type { Common } from './context.ts'
import { call, endpoint, print } from './context.ts'
import { bytesText } from './findings.ts'
import { facts, listing, relative } from './table.ts'

const connections = z.object({
  connections: z.array(
    z.object({
      name: z.string(),
      protocol: z.string(),
      databases: z.array(z.string()).optional(),
      labels: z.number(),
      rowsMax: z.number(),
      patienceMs: z.number(),
      endpoint: endpoint.optional(),
      secrets: z.array(z.object({ source: z.string(), setAt: z.number().optional() })),
    }),
  ),
})

/** Where the secrets of a connection are kept, and the age of the oldest. */
function secretsText(secrets: z.output<typeof connections>['connections'][number]['secrets']): string {
  const sources = [...new Set(secrets.map(({ source }) => source))].join(', ')
  const times = secrets.flatMap(({ setAt }) => setAt ?? [])
  if (sources === '') return 'none'
  return times.length === 0 ? sources : `${sources}, ${relative(Math.min(...times))}`
}

const status = z.object({
  pid: z.number(),
  startedAt: z.number(),
  configuration: z.object({ version: z.string(), file: z.string() }),
  endpoints: z.record(z.string(), endpoint),
  sessions: z.number(),
  approvalsPending: z.number(),
  credentials: z.number(),
  store: z
    .object({
      place: z.string(),
      waitingFiles: z.number(),
      waitingBytes: z.number(),
      spoolBytes: z.number(),
      fault: z.object({ message: z.string() }).optional(),
    })
    .optional(),
  retention: z.object({ emptyHolds: z.array(z.string()), erasuresWaiting: z.number() }),
  outlets: z.array(
    z.object({
      name: z.string(),
      lagFrames: z.number(),
      delivered: z.number(),
      missed: z.number(),
      parked: z.boolean(),
      fault: z.object({ message: z.string() }).optional(),
    }),
  ),
  shared: z
    .object({
      node: z.string(),
      behindMs: z.number(),
      nodes: z.array(z.object({ node: z.string(), isRunning: z.boolean() })).optional(),
    })
    .optional(),
})

function outletLine({ lagFrames, delivered, missed, parked, fault }: Outlet): string {
  const figures = `${delivered} events delivered, ${lagFrames} entries behind`
  const lost = missed === 0 ? '' : `, ${missed} missed`
  const trouble = fault === undefined ? '' : `; ${parked ? 'refused: ' : ''}${fault.message}`
  return `${figures}${lost}${trouble}`
}

function storeLine({ place, waitingFiles, waitingBytes, spoolBytes, fault }: Store): string {
  const figures = `${place}, ${waitingFiles} files wait (${bytesText(waitingBytes)}), ${bytesText(spoolBytes)} here`
  return `${figures}${fault === undefined ? '' : `; ${fault.message}`}`
}

type Store = NonNullable<z.output<typeof status>['store']>

function nodeLine({ node, behindMs, nodes }: NonNullable<z.output<typeof status>['shared']>): string {
  if (nodes === undefined) return `${node}; its store is away, for ${Math.round(behindMs / 1000)} s`
  const others = nodes.filter((each) => each.isRunning && each.node !== node).map((each) => each.node)
  return others.length === 0 ? `${node}, alone on its store` : `${node}, with ${others.join(', ')}`
}

type Outlet = z.output<typeof status>['outlets'][number]

export function addOverviewCommands(program: Command): void {
  program
    .command('status')
    .description('whether the gateway runs, where it listens, and how much is going on')
    .action(async (common: Common) => {
      const answer = await call(common, status, 'GET', '/v1/status')
      print(common, answer, () =>
        facts([
          ['gateway', `running, process ${answer.pid}, started ${relative(answer.startedAt)}`],
          ...(answer.shared === undefined ? [] : [['node', nodeLine(answer.shared)] as const]),
          ...Object.entries(answer.endpoints).map(
            ([name, at]) => [name, `${at.address}:${at.port}`] as const,
          ),
          ['configuration', `${answer.configuration.version} (${answer.configuration.file})`],
          ['sessions', `${answer.sessions} open`],
          ['approvals', `${answer.approvalsPending} waiting`],
          ['credentials', `${answer.credentials} live`],
          ...(answer.store === undefined ? [] : [['object store', storeLine(answer.store)] as const]),
          ...answer.retention.emptyHolds.map((each) => ['legal hold', `${each}: holds nothing`] as const),
          ...(answer.retention.erasuresWaiting === 0
            ? []
            : [['erasures', `${answer.retention.erasuresWaiting} waiting`] as const]),
          ...answer.outlets.map((each) => [`outlet ${each.name}`, outletLine(each)] as const),
        ]),
      )
    })
  program
    .command('connections')
    .description('what can be reached through the gateway')
    .command('ls')
    .description('list the connections')
    .action(async (common: Common) => {
      const answer = await call(common, connections, 'GET', '/v1/connections')
      print(common, answer, () =>
        listing(
          [
            { title: 'CONNECTION' },
            { title: 'PROTOCOL' },
            { title: 'DATABASES' },
            { title: 'LABELS', right: true },
            { title: 'ROWS', right: true },
            { title: 'ADDRESS' },
            { title: 'SECRET' },
          ],
          answer.connections.map((each) => [
            each.name,
            each.protocol,
            each.databases?.join(', ') ?? '',
            String(each.labels),
            String(each.rowsMax),
            each.endpoint === undefined ? 'no listener' : `${each.endpoint.address}:${each.endpoint.port}`,
            secretsText(each.secrets),
          ]),
          'No connections are configured.',
        ),
      )
    })
}
