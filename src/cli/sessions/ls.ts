import type { Command } from 'commander'
import { Option } from 'commander'
import { z } from 'zod'
import { COMMAND_CLASSES } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { call, print, queryText } from '../context.ts'
import { instant, listing, relative } from '../table.ts'
import { timeText } from '../times.ts'

const session = z.looseObject({
  session: z.string(),
  node: z.string().optional(),
  openedAt: z.number(),
  closedAt: z.number().optional(),
  connection: z.string(),
  chain: z.array(z.string()),
  program: z.string(),
  commands: z.number(),
  denied: z.number(),
  held: z.number(),
  rows: z.number(),
  matches: z.array(z.number()).optional(),
})
const sessions = z.object({
  sessions: z.array(session),
  searched: z.number().optional(),
  next: z.string().optional(),
})

type ListFlags = Common & {
  readonly connection?: string
  readonly identity?: string
  readonly group?: string
  readonly open?: boolean
  readonly since?: string
  readonly until?: string
  readonly class?: string
  readonly decision?: string
  readonly table?: string
  readonly read?: string
  readonly written?: string
  readonly masked?: string
  readonly clear?: string
  readonly text?: string
  readonly before?: string
  readonly limit: string
}

export function addList(group: Command): void {
  group
    .command('ls')
    .description('list sessions, newest first; of several options all must fit')
    .option('--connection <name>', 'of one connection')
    .option('--identity <identity>', 'with this identity in the chain, such as agent:support-agent')
    .option('--group <group>', 'with somebody of this group in the chain')
    .option('--open', 'only those that are open')
    .option('--since <time>', 'opened since: 2h or 7d ago, 2026-11-27, 2026-11-27T10:00Z')
    .option('--until <time>', 'opened before, written the same way')
    .addOption(new Option('--class <class>', 'with a command of this class').choices(COMMAND_CLASSES))
    .addOption(
      new Option('--decision <decision>', 'with a command decided so').choices(['allow', 'hold', 'deny']),
    )
    .option('--table <name>', 'that read or wrote a table (public.customers) or a route, or tried to')
    .option('--read <name>', 'that read it')
    .option('--written <name>', 'that wrote it')
    .option('--masked <label>', 'that had a label masked')
    .option('--clear <label>', 'that got a label in clear')
    .option('--text <text>', 'with this text in a statement; reads the recordings, which is recorded')
    .option('--before <id>', 'the page behind this session')
    .option('--limit <count>', 'at most so many', '30')
    .action(list)
}

async function list(flags: ListFlags): Promise<void> {
  const path = flags.text === undefined ? '/v1/sessions' : '/v1/sessions/search'
  const answer = await call(flags, sessions, 'GET', `${path}${queryText(filters(flags))}`)
  print(flags, answer, () => {
    const hasNodes = answer.sessions.some(({ node }) => node !== undefined)
    const table = listing(
      [
        { title: 'SESSION' },
        ...(hasNodes ? [{ title: 'NODE' }] : []),
        { title: 'OPENED' },
        { title: 'STATE' },
        { title: 'WHO' },
        { title: 'CONNECTION' },
        { title: 'PROGRAM' },
        { title: 'COMMANDS', right: true },
        { title: 'DENIED', right: true },
        { title: 'HELD', right: true },
        { title: 'ROWS', right: true },
        ...(flags.text === undefined ? [] : [{ title: 'IN COMMANDS' }]),
      ],
      answer.sessions.map((each) => [
        each.session,
        ...(hasNodes ? [each.node ?? ''] : []),
        instant(each.openedAt),
        each.closedAt === undefined ? 'open' : `ended ${relative(each.closedAt)}`,
        each.chain.join(' for '),
        each.connection,
        each.program,
        String(each.commands),
        String(each.denied),
        String(each.held),
        String(each.rows),
        ...(each.matches === undefined ? [] : [each.matches.join(' ')]),
      ]),
      isFiltered(flags) ? 'No session fits.' : 'No session has been opened yet.',
    )
    if (answer.next === undefined) return table
    const searched = answer.searched === undefined ? '' : `${answer.searched} recordings were searched. `
    return `${table}\n${searched}There may be more: --before ${answer.next}`
  })
}

function isFiltered({ limit: _limit, ...flags }: ListFlags): boolean {
  return Object.values(filters({ ...flags, limit: '' })).some((value) => value !== undefined && value !== '')
}

function filters(flags: ListFlags): Record<string, string | undefined> {
  return {
    connection: flags.connection,
    identity: flags.identity,
    group: flags.group,
    open: flags.open === true ? 'true' : undefined,
    since: timeText(flags.since),
    until: timeText(flags.until),
    class: flags.class,
    decision: flags.decision,
    table: flags.table,
    read: flags.read,
    written: flags.written,
    masked: flags.masked,
    clear: flags.clear,
    text: flags.text,
    before: flags.before,
    limit: flags.limit,
  }
}
