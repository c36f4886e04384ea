import type { Command } from 'commander'
import { z } from 'zod'
import { safe, safeText } from '../recording/index.ts'
import type { Common } from './context.ts'
import { call, personClient, print, queryText, UsageError } from './context.ts'
import { parseDuration } from './durations.ts'
import { freshClient } from './login.ts'
import { ask } from './prompt.ts'
import { facts, listing, relative } from './table.ts'

const reuse = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('times'), times: z.number() }),
  z.object({ kind: z.literal('shape'), ms: z.number() }),
  z.object({ kind: z.literal('session') }),
])

const holders = { groups: z.array(z.string()), identities: z.array(z.string()) }

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
  request: z.string().optional(),
  access: z.object({ name: z.string(), ms: z.number(), emergency: z.boolean() }).optional(),
  peopleNeeded: z.number(),
  steps: z.array(
    z.object({
      ...holders,
      anyone: z.boolean(),
      people: z.number(),
      approved: z.number(),
      escalation: z.object({ ...holders, at: z.number() }).optional(),
    }),
  ),
  reasonNeeded: z.boolean(),
  offer: z.object({
    times: z.number().optional(),
    shapeMs: z.number().optional(),
    session: z.boolean().optional(),
  }),
  reuse: reuse.optional(),
  uses: z.number(),
  mutedUntil: z.number().optional(),
  createdAt: z.number(),
  expiresAt: z.number(),
  answers: z.array(
    z.object({ verdict: z.string(), by: z.string(), at: z.number(), reason: z.string().optional() }),
  ),
})

type Approval = z.output<typeof approval>

type AnswerFlags = Common & {
  readonly as?: string
  readonly code?: string
  readonly reason?: string
  readonly for?: string
  readonly mute?: string
}

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
      const answer = await looked(common, `/v1/approvals/${encodeURIComponent(ticket)}`)
      print(common, answer, () => describe(answer))
    })
  answering(group, 'approve', 'let a held command run, once or as --for says', 'approve').option(
    '--for <what>',
    'more than one use, if the rules offer it: times=3, shape=1h (commands of one shape), session (the same, until it ends)',
  )
  answering(group, 'deny', 'refuse a held command', 'refuse').option(
    '--mute <duration>',
    'and everything more that who asks would ask for on this connection, for so long (15m, 2h)',
  )
  group
    .command('revoke')
    .argument('<ticket...>')
    .description('take back what was approved')
    .action(async (tickets: readonly string[], common: Common) => {
      for (const ticket of tickets) {
        const path = `/v1/approvals/${encodeURIComponent(ticket)}/revoke`
        const answer = await call(common, approval, 'POST', path)
        print(common, answer, () => `${answer.ticket} is revoked; nothing more runs by it.`)
      }
    })
  addAccess(group)
}

function answering(
  group: Command,
  name: string,
  description: string,
  verdict: 'approve' | 'refuse',
): Command {
  return group
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
      const more = {
        ...(flags.reason === undefined ? {} : { reason: flags.reason }),
        ...(flags.for === undefined ? {} : { reuse: reuseOf(flags.for) }),
        ...(flags.mute === undefined ? {} : { muteMs: parseDuration(flags.mute) }),
      }
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
        for (const before of asked) {
          const { ticket } = before
          // The operator socket shows no protected value: who answers has to see what is asked.
          const whole = approval.parse(await client.call('GET', `/v1/approvals/${ticket}`))
          if (process.stdin.isTTY && flags.json !== true && !isSame(before, whole)) {
            process.stderr.write(`${describe(whole)}\n\n`)
            if (verdict === 'approve' && (await ask(`Type yes to approve ${ticket}: `)) !== 'yes') continue
          }
          const body = { verdict, through: 'cli', ...more }
          const answer = approval.parse(await client.call('POST', `/v1/approvals/${ticket}/answer`, body))
          print(flags, answer, () => told(answer))
        }
      } finally {
        await client.close()
      }
    })
}

/** By a person's login, if there is one: it may show what the operator socket does not. */
async function looked(common: Common, path: string): Promise<Approval> {
  const token = process.env.SLUICE_LOGIN
  if (token === undefined) return await call(common, approval, 'GET', path)
  const client = await personClient(common, token)
  try {
    return approval.parse(await client.call('GET', path))
  } finally {
    await client.close()
  }
}

function isSame(a: Approval, b: Approval): boolean {
  return a.text === b.text && JSON.stringify(a.parameters) === JSON.stringify(b.parameters)
}

type AccessFlags = Common & {
  readonly on?: string
  readonly for?: string
  readonly reason: string
  readonly as?: string
  readonly code?: string
  readonly actsFor?: string
}

/** Asking for access for a time, and taking it in an emergency. */
function addAccess(group: Command): void {
  const asking = (name: string, description: string): Command =>
    group
      .command(name)
      .argument('<access>')
      .description(description)
      .requiredOption('--reason <text>', 'why; kept with the request')
      .option('--on <connection>', 'where, if it is for several')
      .option('--for <duration>', 'for how long (30m, 2h); without it as long as the configuration lets it')
  const bodyOf = (access: string, flags: AccessFlags) => ({
    access,
    reason: flags.reason,
    ...(flags.on === undefined ? {} : { connection: flags.on }),
    ...(flags.for === undefined ? {} : { ms: parseDuration(flags.for) }),
  })
  asking('request', 'ask for access that the configuration lets people grant for a time')
    .requiredOption('--as <identity>', 'whom it is for')
    .option('--acts-for <identity>', 'whom that one acts for')
    .action(async (access: string, flags: AccessFlags) => {
      const { as, actsFor } = flags
      const body = { ...bodyOf(access, flags), as, ...(actsFor === undefined ? {} : { for: actsFor }) }
      const answer = await call(flags, approval, 'POST', '/v1/access', body)
      print(flags, answer, () =>
        answer.state === 'approved'
          ? told(answer)
          : `${answer.ticket} waits for people.\n\n${describe(answer)}`,
      )
    })
  asking(
    'break-glass',
    'take access in an emergency, as a person with a fresh login: recorded, and everybody is told',
  )
    .option('--as <person>', 'who takes it')
    .option(
      '--code <digits>',
      'the code of the device; asked for when not given, - reads it from standard input',
    )
    .action(async (access: string, flags: AccessFlags) => {
      const client = await freshClient(flags, flags.as, flags.code)
      try {
        const answer = approval.parse(
          await client.call('POST', '/v1/access/emergency', bodyOf(access, flags)),
        )
        print(flags, answer, () => told(answer))
      } finally {
        await client.close()
      }
    })
}

/** `times=3`, `shape=1h`, `session`. Throws UsageError. */
export function reuseOf(text: string): z.output<typeof reuse> {
  const [, kind, value] = /^(times|shape|session)(?:=(.+))?$/.exec(text) ?? []
  if (kind === 'session' && value === undefined) return { kind }
  if (kind === 'shape' && value !== undefined) return { kind, ms: parseDuration(value) }
  if (kind === 'times' && value !== undefined && /^[1-9][0-9]{0,3}$/.test(value)) {
    return { kind, times: Number(value) }
  }
  throw new UsageError(`--for takes times=3, shape=1h or session, not ${JSON.stringify(text)}.`)
}

function told(answer: Approval): string {
  const { ticket, state } = answer
  if (state === 'pending') {
    const missing = answer.peopleNeeded - answer.answers.length
    return `${ticket}: your answer is kept; ${missing} more must approve.`
  }
  if (state === 'refused') {
    const { mutedUntil } = answer
    const muted =
      mutedUntil === undefined ? '' : ` Who asked can ask for nothing more ${relative(mutedUntil)}.`
    return `${ticket} is refused; it will not run.${muted}`
  }
  const until = relative(answer.expiresAt).replace('in ', '')
  if (answer.access !== undefined) {
    return `${ticket}: ${answer.access.name} on ${answer.connection} is open for ${until} from now.`
  }
  return `${ticket} is ${state}; it can run ${oftenText(answer.reuse)}, until ${until} from now.`
}

function oftenText(chosen: Approval['reuse']): string {
  switch (chosen?.kind) {
    case 'times':
      return `${chosen.times} times`
    case 'shape':
      return 'with other values as well'
    case 'session':
      return 'with other values as well, in its session'
    case undefined:
      return 'once'
  }
}

/** `1 of 2 of the group dbas, or from 12:00 on of the group leads`. */
function stepText(step: Approval['steps'][number]): string {
  const { escalation } = step
  const others =
    escalation === undefined ? '' : `; ${relative(escalation.at)} also ${holdersText(escalation)}`
  return `${step.approved} of ${step.people}: ${step.anyone ? 'anyone with the role approver' : holdersText(step)}${others}`
}

function holdersText({
  groups,
  identities,
}: {
  groups: readonly string[]
  identities: readonly string[]
}): string {
  return [...groups.map((group) => `group ${group}`), ...identities].join(', ')
}

/** What may be chosen beyond one use, as `--for` takes it. */
function offerText({ times, shapeMs, session }: Approval['offer']): string {
  return [
    ...(times === undefined ? [] : [`--for times=${times}`]),
    ...(shapeMs === undefined ? [] : [`--for shape=${Math.floor(shapeMs / 1000)}s`]),
    ...(session === true ? ['--for session'] : []),
  ].join(' or ')
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
    ...(of.access?.emergency === true
      ? [['emergency', 'taken by who asked, granted by nobody'] as const]
      : []),
    ...(of.request === undefined ? [] : [['request', of.request] as const]),
    ...of.steps.map((step, index) => [`step ${index + 1}`, stepText(step)] as const),
    ...(of.reasonNeeded ? [['reason', 'who approves has to say why'] as const] : []),
    ...(offerText(of.offer) === '' ? [] : [['or approve', offerText(of.offer)] as const]),
    ...(of.uses === 0 ? [] : [['used', `${of.uses} times`] as const]),
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
