import type { Command } from 'commander'
import { z } from 'zod'
import type { Common } from '../context.ts'
import { call, print, queryText } from '../context.ts'
import { instant, listing } from '../table.ts'
import { timeText } from '../times.ts'

const totals = { commands: z.number(), rows: z.number(), firstAt: z.number(), lastAt: z.number() }
const who = z.object({
  viewers: z.array(z.object({ chain: z.array(z.string()), shown: z.string(), ...totals })),
  sightings: z.array(
    z.looseObject({
      session: z.string(),
      n: z.number(),
      at: z.number(),
      chain: z.array(z.string()),
      connection: z.string(),
      column: z.string(),
      shown: z.string(),
      outcome: z.string().optional(),
      rows: z.number(),
    }),
  ),
  next: z.string().optional(),
})
const seen = z.object({
  columns: z.array(z.object({ column: z.string(), label: z.string(), shown: z.string(), ...totals })),
  tables: z.array(
    z.object({
      kind: z.string(),
      table: z.string(),
      commands: z.number(),
      firstAt: z.number(),
      lastAt: z.number(),
    }),
  ),
})

type Times = Common & { readonly since?: string; readonly until?: string }

export function addSeenCommands(group: Command): void {
  withTimes(
    group
      .command('who')
      .description('who got values of a column or label, masked or clear, and by which commands')
      .requiredOption('--saw <name>', 'a column, public.customers.email, or a label'),
  )
    .option('--before <place>', 'the page behind this one')
    .option('--limit <count>', 'commands to list at most', '30')
    .action(askWho)
  withTimes(
    group
      .command('seen')
      .description('what an identity got: labelled columns, masked or clear, and tables')
      .requiredOption('--by <identity>', 'anywhere in the chain, such as agent:support-agent'),
  ).action(askSeen)
}

function withTimes(command: Command): Command {
  return command
    .option('--since <time>', '2h or 7d ago, 2026-11-27, 2026-11-27T10:00Z')
    .option('--until <time>', 'before then, written the same way')
}

type WhoFlags = Times & { readonly saw: string; readonly before?: string; readonly limit: string }

async function askWho(flags: WhoFlags): Promise<void> {
  const { saw, before, limit } = flags
  const query = queryText({
    saw,
    since: timeText(flags.since),
    until: timeText(flags.until),
    before,
    limit,
  })
  const answer = await call(flags, who, 'GET', `/v1/audit/who${query}`)
  print(flags, answer, () => {
    if (answer.viewers.length === 0) return `Nobody got values of ${saw} in that time.`
    const viewers = listing(
      [{ title: 'WHO' }, { title: 'GOT IT' }, ...TOTALS],
      answer.viewers.map((each) => [each.chain.join(' for '), each.shown, ...totalsOf(each)]),
      '',
    )
    const commands = listing(
      [
        { title: 'TIME' },
        { title: 'SESSION' },
        { title: 'COMMAND', right: true },
        { title: 'WHO' },
        { title: 'CONNECTION' },
        { title: 'COLUMN' },
        { title: 'GOT IT' },
        { title: 'ROWS', right: true },
        { title: 'OUTCOME' },
      ],
      answer.sightings.map((each) => [
        instant(each.at),
        each.session,
        String(each.n),
        each.chain.join(' for '),
        each.connection,
        each.column,
        each.shown,
        String(each.rows),
        each.outcome ?? 'unknown',
      ]),
      'No more commands.',
    )
    const more = answer.next === undefined ? '' : `\nThere may be more: --before ${answer.next}`
    return `${viewers}\n\n${commands}${more}`
  })
}

type SeenFlags = Times & { readonly by: string }

async function askSeen(flags: SeenFlags): Promise<void> {
  const query = queryText({ by: flags.by, since: timeText(flags.since), until: timeText(flags.until) })
  const answer = await call(flags, seen, 'GET', `/v1/audit/seen${query}`)
  print(flags, answer, () => {
    const columns = listing(
      [{ title: 'LABEL' }, { title: 'COLUMN' }, { title: 'GOT IT' }, ...TOTALS],
      answer.columns.map((each) => [each.label, each.column, each.shown, ...totalsOf(each)]),
      'No value with a label.',
    )
    const tables = listing(
      [
        { title: 'TABLE' },
        { title: 'WAS' },
        { title: 'COMMANDS', right: true },
        { title: 'FIRST' },
        { title: 'LAST' },
      ],
      answer.tables.map((each) => [
        each.table,
        each.kind,
        String(each.commands),
        instant(each.firstAt),
        instant(each.lastAt),
      ]),
      'No table.',
    )
    return `${columns}\n\n${tables}`
  })
}

const TOTALS = [
  { title: 'COMMANDS', right: true },
  { title: 'ROWS', right: true },
  { title: 'FIRST' },
  { title: 'LAST' },
]

function totalsOf(of: {
  readonly commands: number
  readonly rows: number
  readonly firstAt: number
  readonly lastAt: number
}): string[] {
  return [String(of.commands), String(of.rows), instant(of.firstAt), instant(of.lastAt)]
}
