import type { Command } from 'commander'
import { styleText } from 'node:util'
import { z } from 'zod'
import type { Common } from './context.ts'
import { call, personClient, print } from './context.ts'
import { givenOrAsked } from './prompt.ts'
import { instant, listing, relative } from './table.ts'

const invited = z.object({ person: z.string(), code: z.string(), expiresAt: z.number() })
const begun = z.object({ person: z.string(), uri: z.string(), secret: z.string() })
const confirmed = z.object({ person: z.string(), expiresAt: z.number() })
const identities = z.object({
  identities: z.array(
    z.object({
      identity: z.string(),
      groups: z.array(z.string()),
      actsFor: z.array(z.string()),
      enrolledAt: z.number().optional(),
    }),
  ),
  blocked: z.array(z.object({ identity: z.string(), by: z.string(), at: z.number() })),
})

type EnrolFlags = Common & { readonly invitation?: string; readonly code?: string }

export function addPeopleCommands(program: Command): void {
  const people = program.command('people').description('people, and the devices that make their codes')
  people
    .command('invite')
    .argument('<name>', 'a person of the configuration')
    .description('make a one-time code with which a person enrols a device')
    .action(async (name: string, common: Common) => {
      const answer = await call(common, invited, 'POST', `/v1/people/${encodeURIComponent(name)}/invitations`)
      print(common, answer, () =>
        [
          `One-time code for ${answer.person}: ${styleText('bold', answer.code)}`,
          `It counts once, until ${instant(answer.expiresAt)}. The person enrols with: sluice people enrol`,
        ].join('\n'),
      )
    })
  people
    .command('enrol')
    .description('enrol a device: an authenticator app that makes codes')
    .option('--invitation <code>', 'the one-time code; - reads it from standard input')
    .option('--code <digits>', 'the first code of the device; asked for when not given')
    .action(enrol)
  people
    .command('ls')
    .description('people, and who has enrolled a device')
    .action(async (common: Common) => {
      const answer = await call(common, identities, 'GET', '/v1/identities')
      const rows = answer.identities.filter(({ identity }) => identity.startsWith('person:'))
      print(common, { people: rows }, () =>
        listing(
          [{ title: 'PERSON' }, { title: 'GROUPS' }, { title: 'DEVICE' }],
          rows.map((row) => [
            row.identity,
            row.groups.join(', '),
            row.enrolledAt === undefined ? 'none' : `enrolled ${relative(row.enrolledAt)}`,
          ]),
          'No people are configured.',
        ),
      )
    })
  people
    .command('forget')
    .argument('<name>')
    .description('take a person\u2019s device and one-time code away')
    .action(async (name: string, common: Common) => {
      const path = `/v1/people/${encodeURIComponent(name)}/device`
      const answer = await call(common, z.object({ person: z.string() }), 'DELETE', path)
      print(common, answer, () => `${answer.person} has no device any more.`)
    })
}

async function enrol(flags: EnrolFlags): Promise<void> {
  const code = await givenOrAsked(flags.invitation, 'One-time code: ', '--invitation CODE')
  const client = await personClient(flags)
  try {
    const shown = begun.parse(await client.call('POST', '/v1/enrolments/begin', { code }))
    // On stderr: the answer that a program reads is the one of the confirmation.
    process.stderr.write(
      [
        `${styleText('bold', `Add ${shown.person} to an authenticator app`, { stream: process.stderr })} (any that does TOTP):`,
        '',
        `  secret  ${shown.secret}`,
        `  link    ${shown.uri}`,
        '',
        '',
      ].join('\n'),
    )
    const digits = await givenOrAsked(flags.code, 'The code it shows now: ', '--code DIGITS')
    const answer = confirmed.parse(await client.call('POST', '/v1/enrolments/confirm', { code, digits }))
    print(flags, { person: answer.person, enrolled: true }, () => `${answer.person} is enrolled.`)
  } finally {
    await client.close()
  }
}

/** Identities of all kinds: who they are, and cutting one off. */
export function addIdentityCommands(program: Command): void {
  const group = program.command('identities').description('the local identities, and cutting one off')
  group
    .command('ls')
    .description('list them')
    .action(async (common: Common) => {
      const answer = await call(common, identities, 'GET', '/v1/identities')
      const blocked = new Set(answer.blocked.map(({ identity }) => identity))
      const local = answer.identities.map((row) => [
        row.identity,
        row.groups.join(', '),
        row.actsFor.join(', '),
        blocked.has(row.identity) ? 'blocked' : '',
      ])
      const others = answer.blocked
        .filter(({ identity }) => answer.identities.every((row) => row.identity !== identity))
        .map(({ identity }) => [identity, '', '', 'blocked'])
      print(common, answer, () =>
        listing(
          [{ title: 'IDENTITY' }, { title: 'GROUPS' }, { title: 'ACTS FOR' }, { title: '' }],
          [...local, ...others],
          'No identities are configured.',
        ),
      )
    })
  const changed = z.object({ identity: z.string(), blocked: z.boolean() })
  for (const [name, description, done] of [
    ['block', 'give an identity nothing more; its credentials and sessions end', 'is blocked.'],
    ['unblock', 'lift a block', 'is blocked no more.'],
  ] as const) {
    group
      .command(name)
      .argument('<identity>')
      .description(description)
      .action(async (identity: string, common: Common) => {
        const answer = await call(common, changed, 'POST', `/v1/identities/${name}`, { identity })
        print(common, answer, () => `${answer.identity} ${done}`)
      })
  }
}
