import type { Command } from 'commander'
import { z } from 'zod'
import type { Approval, ApprovalShown, reuse } from './approval-schema.ts'
import { approval, approvalShown, preview } from './approval-schema.ts'
import { addWatch } from './approval-watch.ts'
import { describe, previewText, shorten, told } from './approval-text.ts'
import type { Common } from './context.ts'
import { call, personClient, print, queryText, UsageError } from './context.ts'
import { parseDuration } from './durations.ts'
import type { LoginFlags } from './login.ts'
import { asPerson, withLogin } from './login.ts'
import { ask } from './prompt.ts'
import { listing, relative, terminalColumns } from './table.ts'

const offered = z.object({
  access: z.array(
    z.object({
      name: z.string(),
      connections: z.array(z.string()),
      longestMs: z.number(),
      emergency: z.boolean(),
    }),
  ),
  requests: z.array(
    z.object({
      ticket: z.string(),
      name: z.string(),
      connection: z.string(),
      state: z.string(),
      emergency: z.boolean(),
      expiresAt: z.number(),
    }),
  ),
})

type AnswerFlags = LoginFlags & {
  readonly reason?: string
  readonly for?: string
  readonly mute?: string
  readonly rows?: string
  readonly tolerance?: string
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
  answering(group, 'approve', 'let a held command run, once or as --for says', 'approve')
    .option(
      '--for <what>',
      'more than one use, if the rules offer it: times=3, shape=1h (commands of one shape), session (the same, until it ends)',
    )
    .option('--rows <number>', 'it takes effect only when it changes so many rows, in all tables together')
    .option('--tolerance <number>', 'with --rows: or so many more or fewer')
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
  withLogin(
    group
      .command('preview')
      .argument('<ticket>')
      .description(
        'try a held command out and roll it back, as a person with a fresh login who may answer it',
      ),
    'who looks',
  ).action((ticket: string, flags: LoginFlags) =>
    asPerson(flags, async (client) => {
      const path = `/v1/approvals/${encodeURIComponent(ticket)}`
      const seen = preview.parse(await client.call('POST', `${path}/preview`, { through: 'cli' }))
      if (flags.json === true) print(flags, seen, () => previewText(seen))
      else {
        const whole = approvalShown.parse(await client.call('GET', path))
        print(flags, whole, () => describe(whole))
      }
    }),
  )
  withLogin(
    group
      .command('unmute')
      .argument('<ticket>')
      .description('let who was muted by this refusal ask again, as a person with a fresh login'),
    'who lifts it',
  ).action((ticket: string, flags: LoginFlags) =>
    asPerson(flags, async (client) => {
      const path = `/v1/approvals/${encodeURIComponent(ticket)}/unmute`
      const answer = approval.parse(await client.call('POST', path, { through: 'cli' }))
      print(flags, answer, () => `${answer.chain.join(' for ')} may ask again on ${answer.connection}.`)
    }),
  )
  addWatch(group)
  addAccess(group)
}

function answering(
  group: Command,
  name: string,
  description: string,
  verdict: 'approve' | 'refuse',
): Command {
  return withLogin(
    group.command(name).argument('<ticket...>').description(`${description}, as a person with a fresh login`),
    'who answers',
  )
    .option('--reason <text>', 'kept with the answer')
    .action(async (tickets: readonly string[], flags: AnswerFlags) => {
      const more = {
        ...(flags.reason === undefined ? {} : { reason: flags.reason }),
        ...(flags.for === undefined ? {} : { reuse: reuseOf(flags.for) }),
        ...(flags.mute === undefined ? {} : { muteMs: parseDuration(flags.mute) }),
        ...effectOf(flags),
      }
      // Looked up first: a code counts once, and nobody should spend one on a ticket that was mistyped, or unread.
      const asked: ApprovalShown[] = []
      for (const ticket of tickets) {
        asked.push(await call(flags, approvalShown, 'GET', `/v1/approvals/${encodeURIComponent(ticket)}`))
      }
      if (process.stdin.isTTY && flags.json !== true) {
        process.stderr.write(
          `${asked.map((each) => describe(each, terminalColumns(process.stderr))).join('\n\n')}\n\n`,
        )
      }
      await asPerson(flags, async (client) => {
        for (const before of asked) {
          const { ticket } = before
          // The operator socket shows no protected value: who answers has to see what is asked.
          const whole = approvalShown.parse(await client.call('GET', `/v1/approvals/${ticket}`))
          if (process.stdin.isTTY && flags.json !== true && !isSame(before, whole)) {
            process.stderr.write(`${describe(whole, terminalColumns(process.stderr))}\n\n`)
            if (verdict === 'approve' && (await ask(`Type yes to approve ${ticket}: `)) !== 'yes') continue
          }
          const body = { verdict, through: 'cli', ...more }
          const answer = approval.parse(await client.call('POST', `/v1/approvals/${ticket}/answer`, body))
          print(flags, answer, () => told(answer))
        }
      })
    })
}

/** By a person's login, if there is one: it may show what the operator socket does not. */
async function looked(common: Common, path: string): Promise<ApprovalShown> {
  const token = process.env.SLUICE_LOGIN
  if (token === undefined) return await call(common, approvalShown, 'GET', path)
  const client = await personClient(common, token)
  try {
    return approvalShown.parse(await client.call('GET', path))
  } finally {
    await client.close()
  }
}

function isSame(a: Approval, b: Approval): boolean {
  return a.text === b.text && JSON.stringify(a.parameters) === JSON.stringify(b.parameters)
}

type AccessFlags = LoginFlags & {
  readonly on?: string
  readonly for?: string
  readonly reason: string
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
  group
    .command('access')
    .description('list the access that an identity may ask for, and what of it is open')
    .requiredOption('--as <identity>', 'who would ask')
    .option('--acts-for <identity>', 'whom that one acts for')
    .action(async (flags: Common & { readonly as?: string; readonly actsFor?: string }) => {
      const path = `/v1/access${queryText({ as: flags.as, for: flags.actsFor })}`
      const answer = await call(flags, offered, 'GET', path)
      print(flags, answer, () => offeredText(answer))
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
  withLogin(
    asking(
      'break-glass',
      'take access in an emergency, as a person with a fresh login: recorded, and everybody is told',
    ),
    'who takes it',
  ).action((access: string, flags: AccessFlags) =>
    asPerson(flags, async (client) => {
      const answer = approval.parse(await client.call('POST', '/v1/access/emergency', bodyOf(access, flags)))
      print(flags, answer, () => told(answer))
    }),
  )
}

/** `--rows 12 --tolerance 2`. Throws UsageError. */
export function effectOf({ rows, tolerance }: Pick<AnswerFlags, 'rows' | 'tolerance'>): {
  readonly effect?: { readonly rows: number; readonly tolerance: number }
} {
  if (rows === undefined) {
    if (tolerance === undefined) return {}
    throw new UsageError('--tolerance goes with --rows.')
  }
  return {
    effect: { rows: wholeNumber('--rows', rows), tolerance: wholeNumber('--tolerance', tolerance ?? '0') },
  }
}

function wholeNumber(flag: string, text: string): number {
  if (/^(?:0|[1-9][0-9]{0,8})$/.test(text)) return Number(text)
  throw new UsageError(`${flag} takes a whole number from 0 on, not ${JSON.stringify(text)}.`)
}

function offeredText({ access, requests }: z.output<typeof offered>): string {
  return listing(
    [{ title: 'ACCESS' }, { title: 'ON' }, { title: 'AT MOST' }, { title: 'EMERGENCY' }, { title: 'NOW' }],
    access.map(({ name, connections, longestMs, emergency }) => [
      name,
      connections.join(', '),
      `${Math.floor(longestMs / 60_000)} min`,
      emergency ? 'yes' : 'no',
      requests
        .filter((each) => each.name === name)
        .map(({ ticket, connection, state, expiresAt }) =>
          state === 'approved'
            ? `open on ${connection}, ends ${relative(expiresAt)} (${ticket})`
            : `${ticket} for ${connection} waits for people`,
        )
        .join('; ') || '-',
    ]),
    'There is nothing to ask for: the configuration lists it under approvals.access.',
  )
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
