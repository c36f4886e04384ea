import type { Command } from 'commander'
import { z } from 'zod'
import { GatewayError } from '../core/index.ts'
import type { Common } from './context.ts'
import { call, print, queryText } from './context.ts'
import { instant, listing, relative } from './table.ts'

const session = z.looseObject({
  session: z.string(),
  openedAt: z.number(),
  closedAt: z.number().optional(),
  connection: z.string(),
  chain: z.array(z.string()),
  program: z.string(),
  commands: z.number(),
  denied: z.number(),
  held: z.number(),
  rows: z.number(),
})
const sessions = z.object({ sessions: z.array(session) })
const page = z.object({
  entries: z.array(z.looseObject({ sequence: z.number(), time: z.number(), text: z.string() })),
  next: z.number().optional(),
})

type ListFlags = Common & {
  readonly connection?: string
  readonly identity?: string
  readonly open?: boolean
  readonly limit: string
}

export function addSessionCommands(program: Command): void {
  const group = program.command('sessions').description('who used what, and the recording of it')
  group
    .command('ls')
    .description('list sessions, newest first')
    .option('--connection <name>', 'of one connection')
    .option('--identity <identity>', 'with this identity in the chain, such as agent:support-agent')
    .option('--open', 'only those that are open')
    .option('--limit <count>', 'at most so many', '30')
    .action(async (flags: ListFlags) => {
      const answer = await call(flags, sessions, 'GET', `/v1/sessions${queryText(filters(flags))}`)
      print(flags, answer, () =>
        listing(
          [
            { title: 'SESSION' },
            { title: 'OPENED' },
            { title: 'STATE' },
            { title: 'WHO' },
            { title: 'CONNECTION' },
            { title: 'PROGRAM' },
            { title: 'COMMANDS', right: true },
            { title: 'DENIED', right: true },
            { title: 'HELD', right: true },
            { title: 'ROWS', right: true },
          ],
          answer.sessions.map((each) => [
            each.session,
            instant(each.openedAt),
            each.closedAt === undefined ? 'open' : `ended ${relative(each.closedAt)}`,
            each.chain.join(' for '),
            each.connection,
            each.program,
            String(each.commands),
            String(each.denied),
            String(each.held),
            String(each.rows),
          ]),
          'No session has been opened yet.',
        ),
      )
    })
  group
    .command('show')
    .argument('[id]', 'a session; the newest when not given')
    .description('show the recording of a session: every command, decision and outcome')
    .option('--results', 'with --json: the bytes of results as well, in base64')
    .action(show)
  group
    .command('end')
    .argument('<id>')
    .description('end a live session now')
    .option('--reason <text>', 'told to its client')
    .action(async (id: string, flags: Common & { readonly reason?: string }) => {
      const path = `/v1/sessions/${encodeURIComponent(id)}/end`
      const body = flags.reason === undefined ? {} : { reason: flags.reason }
      const answer = await call(flags, z.object({ session: z.string() }), 'POST', path, body)
      print(flags, answer, () => `${answer.session} is ended.`)
    })
}

function filters(flags: ListFlags): Record<string, string | undefined> {
  return {
    connection: flags.connection,
    identity: flags.identity,
    open: flags.open === true ? 'true' : undefined,
    limit: flags.limit,
  }
}

async function show(id: string | undefined, flags: Common & { readonly results?: boolean }): Promise<void> {
  const session = id ?? (await newest(flags))
  const entries: z.output<typeof page>['entries'] = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const path = `/v1/sessions/${encodeURIComponent(session)}${queryText({
      after: String(after),
      results: flags.results === true ? 'true' : undefined,
    })}`
    const answer: z.output<typeof page> = await call(flags, page, 'GET', path)
    if (flags.json === true) entries.push(...answer.entries)
    else for (const entry of answer.entries) process.stdout.write(`${entry.text}\n`)
    after = answer.next
  }
  if (flags.json === true) print(flags, { session, entries }, () => '')
}

async function newest(flags: Common): Promise<string> {
  const [first] = (await call(flags, sessions, 'GET', '/v1/sessions?limit=1')).sessions
  if (first !== undefined) return first.session
  throw new GatewayError('not_found', 'No session has been opened yet.')
}
