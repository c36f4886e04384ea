import type { Command } from 'commander'
import { z } from 'zod'
import { safe, safeText } from '../recording/index.ts'
import type { Common } from './context.ts'
import { call, print, queryText } from './context.ts'
import { freshClient } from './login.ts'
import { facts, listing, relative } from './table.ts'

const approval = z.object({
  ticket: z.string(),
  state: z.string(),
  connection: z.string(),
  chain: z.array(z.string()),
  class: z.string(),
  text: z.string(),
  parameters: z.array(z.string().nullable()).optional(),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  rules: z.array(z.string()),
  session: z.string(),
  request: z.string(),
  peopleNeeded: z.number(),
  createdAt: z.number(),
  expiresAt: z.number(),
  answers: z.array(
    z.object({ verdict: z.string(), by: z.string(), at: z.number(), reason: z.string().optional() }),
  ),
})

type Approval = z.output<typeof approval>

type AnswerFlags = Common & { readonly as?: string; readonly code?: string; readonly reason?: string }

export function addApprovalCommands(program: Command): void {
  const group = program.command('approvals').description('held commands that wait for people')
  group
    .command('ls')
    .description('list those that wait; --all: the ended ones too')
    .option('--all', 'also those that were answered, used or have lapsed')
    .option('--connection <name>', 'of one connection')
    .action(async (flags: Common & { readonly all?: boolean; readonly connection?: string }) => {
      const path = `/v1/approvals${queryText({
        state: flags.all === true ? undefined : 'pending',
        connection: flags.connection,
      })}`
      const answer = await call(flags, z.object({ approvals: z.array(approval) }), 'GET', path)
      print(flags, answer, () =>
        listing(
          [
            { title: 'TICKET' },
            { title: 'STATE' },
            { title: 'WHO' },
            { title: 'CONNECTION' },
            { title: 'CLASS' },
            { title: 'ASKED' },
            { title: 'COMMAND' },
          ],
          answer.approvals.map((each) => [
            each.ticket,
            each.state,
            each.chain.join(' for '),
            each.connection,
            each.class,
            relative(each.createdAt),
            shorten(each.text),
          ]),
          'Nothing waits for an answer.',
        ),
      )
    })
  group
    .command('show')
    .argument('<ticket>')
    .description('show the whole command, and what is known of it')
    .action(async (ticket: string, common: Common) => {
      const answer = await call(common, approval, 'GET', `/v1/approvals/${encodeURIComponent(ticket)}`)
      print(common, answer, () => describe(answer))
    })
  answering(group, 'approve', 'let a held command run, once', 'approve')
  answering(group, 'deny', 'refuse a held command', 'refuse')
}

function answering(group: Command, name: string, description: string, verdict: 'approve' | 'refuse'): void {
  group
    .command(name)
    .argument('<ticket...>')
    .description(`${description}, as a person with a fresh login`)
    .option('--as <person>', 'who answers')
    .option(
      '--code <digits>',
      'the code of the device; asked for when not given, - reads it from standard input',
    )
    .option('--reason <text>', 'kept with the answer')
    .action(async (tickets: readonly string[], flags: AnswerFlags) => {
      // Looked up first: a code counts once, and nobody should spend one on a ticket that was mistyped, or unread.
      const asked: Approval[] = []
      for (const ticket of tickets) {
        asked.push(await call(flags, approval, 'GET', `/v1/approvals/${encodeURIComponent(ticket)}`))
      }
      if (process.stdin.isTTY && flags.json !== true) {
        process.stderr.write(`${asked.map(describe).join('\n\n')}\n\n`)
      }
      const client = await freshClient(flags, flags.as, flags.code)
      try {
        for (const { ticket } of asked) {
          const body = {
            verdict,
            through: 'cli',
            ...(flags.reason === undefined ? {} : { reason: flags.reason }),
          }
          const answer = approval.parse(await client.call('POST', `/v1/approvals/${ticket}/answer`, body))
          print(flags, answer, () => told(answer))
        }
      } finally {
        await client.close()
      }
    })
}

function told(answer: Approval): string {
  if (answer.state === 'pending') {
    const missing = answer.peopleNeeded - answer.answers.length
    return `${answer.ticket}: your answer is kept; ${missing} more must approve.`
  }
  if (answer.state === 'refused') return `${answer.ticket} is refused; it will not run.`
  return `${answer.ticket} is ${answer.state}; it can run once, until ${relative(answer.expiresAt).replace('in ', '')} from now.`
}

function describe(of: Approval): string {
  const lines = facts([
    ['ticket', of.ticket],
    ['state', `${of.state} (${of.state === 'pending' ? 'lapses ' : 'until '}${relative(of.expiresAt)})`],
    ['who', of.chain.join(' for ')],
    ['connection', of.connection],
    ['class', of.class],
    ...(of.reads.length === 0 ? [] : [['reads', of.reads.join(', ')] as const]),
    ...(of.writes.length === 0 ? [] : [['writes', of.writes.join(', ')] as const]),
    ['asked by', of.rules.join(', ') || 'no rule lets it run unreviewed'],
    ['asked', relative(of.createdAt)],
    ['request', of.request],
    ...of.answers.map(
      (each) =>
        [
          'answer',
          `${each.verdict} by ${each.by}${each.reason === undefined ? '' : `: ${each.reason}`}`,
        ] as const,
    ),
  ])
  const parameters = (of.parameters ?? []).map(
    (value, index) => `$${index + 1} = ${value === null ? 'NULL' : safe(value)}`,
  )
  return [lines, '', safeText(of.text), ...parameters].join('\n')
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= 60 ? line : `${line.slice(0, 57)}...`
}
