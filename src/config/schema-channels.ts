import { z } from 'zod'
import type { Identity } from '../core/index.ts'
import { isThisMachine, LIMITS } from '../core/index.ts'
import type { ChannelBlock } from './channel-block.ts'
import { line, secretReference } from './values.ts'

/** Channels of approvals, as written, and what becomes of them. */

/** Of a mailbox, and nothing that a header or an envelope could take for more: RFC 5321 section 4.1.2 has wider ones. */
const MAILBOX = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/
/** https://docs.slack.dev/reference/objects/conversation-object */
const CONVERSATION = /^[CDG][A-Z0-9]{2,30}$/
const SLACK_API = 'https://slack.com/api'
const HTTPS_ONLY =
  'expected a URL that begins with https://, without user names, passwords and what follows #; plain http is accepted for this machine only'

const common = {
  perMinute: z
    .int()
    .min(1)
    .max(600)
    .default(20)
    .describe('Messages in a minute; what is more is told together. Default 20.'),
}

const people = z
  .record(line('a user of that system', 128), line('a person'))
  .describe('Which of its users is which person here: U0123ABC: person:ada.')

const webhook = z.strictObject({
  kind: z.literal('webhook'),
  ...common,
  url: line('a URL', 2048).refine(isSafeUrl, HTTPS_ONLY),
  secret: secretReference().describe('whsec_ and 24 to 64 bytes in base64: what messages are signed with.'),
  previousSecret: secretReference()
    .optional()
    .describe('Signs as well, while receivers are given the new one.'),
  ca: secretReference({ literal: true })
    .optional()
    .describe('PEM of who signs its certificate; those that Node trusts when absent.'),
  answers: z
    .strictObject({
      secret: secretReference().describe('What its answers are signed with: another one than ours.'),
      previousSecret: secretReference().optional(),
      people,
    })
    .optional()
    .describe('People may answer through it, where a route lists it under answers.'),
})

const slack = z.strictObject({
  kind: z.literal('slack'),
  ...common,
  token: secretReference().describe('xoxb-...: of the bot, with the scope chat:write.'),
  to: z
    .string()
    .regex(CONVERSATION, 'expected the id of a conversation; write it like C0123456789')
    .describe('The conversation that the bot was invited to.'),
  apiUrl: line('a URL', 2048)
    .refine(isSafeUrl, HTTPS_ONLY)
    .default(SLACK_API)
    .describe(`Default ${SLACK_API}.`),
  answers: z
    .strictObject({
      signingSecret: secretReference().describe('Of the app, under Basic Information.'),
      people,
    })
    .optional()
    .describe('People may answer with buttons, where a route lists it under answers.'),
})

const teams = z.strictObject({
  kind: z.literal('teams'),
  ...common,
  url: secretReference().describe('Of the workflow: whoever has it can post.'),
})

const email = z.strictObject({
  kind: z.literal('email'),
  ...common,
  host: line('a host'),
  port: z.int().min(1).max(65_535).optional().describe('Default 587, and 465 with implicit TLS.'),
  tls: z
    .enum(['starttls', 'implicit', 'none'])
    .default('starttls')
    .describe('starttls is insisted on; none is accepted for this machine only. Default starttls.'),
  ca: secretReference({ literal: true }).optional().describe('PEM of who signs its certificate.'),
  user: line('a user name').optional(),
  password: secretReference().optional(),
  from: mailbox(),
  to: z.array(mailbox()).min(1).max(LIMITS.mailboxesMax),
})

/** Each is checked by itself for what its fields have to do with each other. */
export const channel = z
  .discriminatedUnion('kind', [webhook, slack, teams, email])
  .superRefine((of, context) => {
    if (of.kind !== 'email') return
    const refuse = (name: string, message: string): void =>
      context.addIssue({ code: 'custom', message, path: [name] })
    if (of.tls === 'none' && !isThisMachine(of.host))
      refuse('tls', 'expected TLS to another machine; write "starttls" or "implicit"')
    if ((of.user === undefined) !== (of.password === undefined))
      refuse(
        of.user === undefined ? 'password' : 'user',
        'expected "user" and "password" together; add the other',
      )
  })

export type WrittenChannel = z.output<typeof channel>

/** What is written of a channel, once its people are known. */
export function channelOf(
  name: string,
  written: WrittenChannel,
  people: ReadonlyMap<string, Identity>,
): ChannelBlock {
  const { perMinute } = written
  switch (written.kind) {
    case 'webhook': {
      const { kind, url, ca, answers } = written
      return {
        kind,
        name,
        perMinute,
        url,
        ca,
        secrets: secretsOf(written),
        answers: answers && { people, secrets: secretsOf(answers) },
      }
    }
    case 'slack': {
      const { kind, token, to, answers } = written
      const apiUrl = written.apiUrl.replace(/\/$/, '')
      return {
        kind,
        name,
        perMinute,
        apiUrl,
        token,
        to,
        answers: answers && { people, signingSecret: answers.signingSecret },
      }
    }
    case 'teams':
      return { kind: written.kind, name, perMinute, url: written.url }
    case 'email': {
      const { kind, host, tls, ca, user, password, from, to } = written
      const port = written.port ?? (tls === 'implicit' ? 465 : 587)
      const login = user === undefined || password === undefined ? undefined : { user, password }
      return { kind, name, perMinute, host, port, tls, ca, login, from, to }
    }
  }
}

function secretsOf<T>({ secret, previousSecret }: { secret: T; previousSecret?: T | undefined }): T[] {
  return previousSecret === undefined ? [secret] : [secret, previousSecret]
}

function mailbox() {
  return z.string().max(320).regex(MAILBOX, 'expected an address; write it like approvals@example.com')
}

/** https, or http to this machine; nothing in it that is not the address. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false
  if (url.protocol === 'https:') return true
  return url.protocol === 'http:' && isThisMachine(url.hostname.replace(/^\[(.*)\]$/, '$1'))
}
