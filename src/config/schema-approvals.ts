import { z } from 'zod'
import { LIMITS } from '../core/index.ts'
import { channel } from './schema-channels.ts'
import { who } from './schema-who.ts'
import { duration, line } from './values.ts'

const NAME = /^[a-z][a-z0-9_-]{0,62}$/
const CLOCK = /^([01][0-9]|2[0-3]):[0-5][0-9]$/
const SECOND = 1_000
const HOUR = 3_600_000

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

const name = z.string().regex(NAME, 'expected up to 63 small letters, digits, - and _; begin with a letter')

const groups = z.array(line('the name of a group')).default([])
const identities = z.array(line('an identity')).default([])
const time = (what: string) =>
  z.string().regex(CLOCK, `expected a time of day for ${what}; write it like "08:30"`)

const step = z.strictObject({
  groups: groups.describe('Members of any of these may answer.'),
  identities: identities.describe('These may, besides.'),
  anyone: z.literal(true).optional().describe('Everybody with the role approver may.'),
  people: z
    .int()
    .min(1)
    .max(LIMITS.routePeopleMax)
    .default(1)
    .describe('How many distinct people have to approve. Default 1.'),
})

const route = z.strictObject({
  steps: z.array(step).min(1).max(LIMITS.routeStepsMax).describe('One after the other.'),
  escalation: z
    .strictObject({
      after: duration({ min: SECOND, max: LIMITS.ticketMs }),
      groups,
      identities,
    })
    .optional()
    .describe('Who else may answer, in any step, when nobody has in this time.'),
  hours: z
    .strictObject({
      days: z.array(z.enum(WEEKDAYS)).default([...WEEKDAYS]),
      from: time('"from"').default('00:00'),
      to: time('"to"').default('00:00').describe('00:00 is midnight at the end of the day.'),
    })
    .optional()
    .describe('When a yes counts, in UTC. A no always does.'),
  reason: z.boolean().default(false).describe('Whoever approves has to say why.'),
  ownPerson: z
    .boolean()
    .default(false)
    .describe(
      'A person may answer for the own agent. Never for administer or opaque commands, nor for access.',
    ),
  channels: z
    .array(line('the name of a channel'))
    .max(LIMITS.channelsMax)
    .default([])
    .describe('Channels that are told of its requests.'),
  answers: z
    .array(line('the name of a channel'))
    .max(LIMITS.channelsMax)
    .default([])
    .describe(
      'Of these, channels through which a person may answer without logging in. Never for administer or opaque commands, nor for access.',
    ),
})

const access = z.strictObject({
  who: who.describe('Who may ask for it, or for whom it may be asked.'),
  on: z.union([z.literal('all'), z.array(line('the name of a connection'))]),
  route: line('the name of a route').optional().describe('Who grants it. Absent: the default.'),
  longest: duration({ min: SECOND, max: 24 * HOUR })
    .default(HOUR)
    .describe('The longest grant. Default 1h.'),
  emergency: z
    .boolean()
    .default(false)
    .describe('A person may open it without being granted it, loudly: sluice approvals break-glass.'),
})

/** Who looks at what is held. */
export const approvals = z.strictObject({
  default: line('the name of a route')
    .optional()
    .describe('The route where no rule names one. Without it: one person with the role approver.'),
  channels: z
    .record(name, channel)
    .default({})
    .refine(
      (all) => Object.keys(all).length <= LIMITS.channelsMax,
      `expected at most ${LIMITS.channelsMax} channels; remove some`,
    )
    .describe('Where people hear of requests: webhooks, Slack, Teams, e-mail.'),
  routes: z.record(name, route).default({}).describe('Who answers, how many, and in which order.'),
  access: z
    .record(name, access)
    .default({})
    .describe('What can be granted for a time: rules with who: { access: [NAME] } hold then.'),
})

/** How people look at what a rule holds, or lets run but not unreviewed. */
export const review = z.strictObject({
  route: line('the name of a route').optional().describe('Absent: the default.'),
  reuse: z
    .strictObject({
      times: z
        .int()
        .min(2)
        .max(LIMITS.approvalUsesMax)
        .optional()
        .describe('The same command, so many times.'),
      shape: duration({ min: SECOND, max: 24 * HOUR })
        .optional()
        .describe('Commands that differ in nothing but values no decision depends on, for this long.'),
      session: z.literal(true).optional().describe('The same, until the session ends.'),
    })
    .default({})
    .describe('What an approver may choose beyond one use. Default nothing.'),
  effect: z
    .enum(['offered', 'required'])
    .default('offered')
    .describe('Whether who approves has to say how many rows may change, or only can. Default offered.'),
})

export type ApprovalsBlock = z.output<typeof approvals>
export type ReviewBlock = z.output<typeof review>
