import { z } from 'zod'
import { COMMAND_CLASSES, IDENTITY_KINDS, LIMITS } from '../core/index.ts'
import { approvals, review } from './schema-approvals.ts'
import { hosts } from './schema-hosts.ts'
import { label } from './schema-labels.ts'
import { who, whoOrGranted } from './schema-who.ts'
import { recording } from './schema-recording.ts'
import { duration, line, secretReference, size } from './values.ts'
import { isSafeUrl } from './schema-channels.ts'
import { store } from './schema-store.ts'
import { vault } from './schema-vault.ts'

/** The shape of sluice.yaml, but for what a protocol says of its connections. Names are checked elsewhere. */

/** Who may use the control API, and for what. */
export const ROLES = ['admin', 'operator', 'approver', 'auditor'] as const
export type Role = (typeof ROLES)[number]

/** Signatures that can be checked with a public key. Never `none`, never a shared secret. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

const MINUTE = 60_000
const CONNECTION_NAME = /^[a-z][a-z0-9_-]{0,62}$/
const LABEL_NAME = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/
const LOCAL_NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/

const groups = z.array(line('the name of a group')).default([])

const connectionName = z
  .string()
  .regex(CONNECTION_NAME, 'expected up to 63 small letters, digits, - and _; begin with a letter')
const labelName = z
  .string()
  .max(128)
  .regex(LABEL_NAME, 'expected small letters, digits, - and _ in parts with dots; write it like pii.email')

/** Port 0 lets the system choose. */
const listener = z.strictObject({
  address: line('an address').default('127.0.0.1'),
  port: z.int().min(0).max(65_535).describe('0 lets the system choose.'),
  tls: z
    .strictObject({
      certificate: secretReference({ literal: true }).describe('PEM, the whole chain.'),
      key: secretReference(),
      required: z.boolean().default(false).describe('Refuse clients that do not use TLS.'),
    })
    .optional()
    .describe(
      'Your certificate. Without it protocols are served in clear, and the control API with one the gateway makes.',
    ),
})

/** Of a protocol whose clients say which host they want. */
const hostedListener = listener.extend({
  hosts: hosts.optional().describe('Hosts by which clients name connections, beside paths.'),
})

const api = listener.extend({
  publicUrl: line('a URL', 2048)
    .refine(
      isSafeUrl,
      'expected a URL that begins with https://, without user names, passwords and what follows #; plain http is accepted for this machine only',
    )
    .optional()
    .describe('Where people reach it: what links in notifications begin with.'),
})

const issuer = z.strictObject({
  url: line('the URL of an issuer', 2048).refine(
    isIssuerUrl,
    'expected a URL that begins with https://; plain http is accepted for this machine only',
  ),
  audience: line('an audience', 2048),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(['RS256', 'PS256', 'ES256', 'EdDSA']),
  clockSkew: duration({ min: 0, max: 5 * MINUTE })
    .default(MINUTE)
    .describe('Default 60s.'),
  claims: z
    .strictObject({
      name: line('the name of a claim').default('sub'),
      groups: line('the name of a claim').default('groups'),
      kind: line('the name of a claim').default('sluice_kind'),
    })
    .prefault({}),
  kind: z.enum(IDENTITY_KINDS).default('agent').describe('The kind when the claim is absent.'),
  login: z
    .strictObject({
      client: line('the id of a client', 256).describe(
        'A public client of the issuer that may use device authorization (RFC 8628).',
      ),
      scopes: z.array(line('a scope')).default(['openid', 'offline_access']),
      audienceAs: z
        .enum(['resource', 'audience', 'none'])
        .default('resource')
        .describe(
          'How the issuer is told for whom the token is: the parameter of RFC 8707, that of some issuers, or not at all.',
        ),
    })
    .optional()
    .describe('Lets people log in with "sluice login".'),
})

const localIdentity = z.strictObject({
  name: z
    .string()
    .regex(LOCAL_NAME, 'expected up to 128 letters, digits, and . _ @ + -; begin with a letter or digit'),
  kind: z.enum(IDENTITY_KINDS),
  groups,
  roles: z.array(z.enum(ROLES)).default([]),
  actsFor: z
    .array(line('the name of an identity'))
    .default([])
    .describe('Names of local identities on whose behalf it may act.'),
})

const holders = z.strictObject({ groups, identities: z.array(line('an identity')).default([]) })

const BYTES_MAX = 1024 ** 4

const limitAction = z
  .enum(['cut', 'hold'])
  .default('cut')
  .describe('At the limit the result is cut off, or its rest is held for approval.')

/** What every connection has; the rest belongs to its protocol. */
export const CONNECTION_FIELDS = {
  labels: z
    .record(line('a pattern', 512), line('a label'))
    .default({})
    .describe(
      'Which data carries which label: schema.table.column, or /route for HTTP; perhaps with ": " and a path into JSON.',
    ),
  tenant: line('the name of a tenant', 128)
    .optional()
    .describe('Whose data it is: hashes and pseudonyms of two tenants have nothing in common.'),
  limit: z
    .strictObject({
      rows: z.int().min(1).default(1_000),
      bytes: size({ min: 1, max: BYTES_MAX })
        .default(10 * 1024 ** 2)
        .describe('Default 10MiB.'),
      action: limitAction,
    })
    .prefault({})
    .describe('How much of a result an identity gets that may not read unlimited.'),
  patience: duration({ min: 0, max: LIMITS.patienceMsMax })
    .default(LIMITS.patienceMs)
    .describe('How long a held command waits before it ends as pending. Default 45s.'),
  patienceFor: z
    .record(
      z.string().regex(/^[^\0-\x1f\x7f]{1,63}$/, 'expected up to 63 characters, with * for anything'),
      duration({ min: 0, max: LIMITS.patienceMsMax }),
    )
    .refine((programs) => Object.keys(programs).length <= LIMITS.patientProgramsMax, {
      message: `expected at most ${LIMITS.patientProgramsMax} programs; give several one pattern, with *`,
    })
    .default({})
    .describe(
      'The same for clients that call themselves so (application_name, User-Agent), with * for anything: the first that fits. A hint of the client, and no right.',
    ),
  sessionsPerIdentity: z
    .int()
    .min(1)
    .max(LIMITS.sessionsMax)
    .optional()
    .describe(
      'Sessions that one identity may have open on this connection at once. Default 50 for PostgreSQL, 1000 for HTTP.',
    ),
  durability: z
    .enum(['written', 'fsync'])
    .default('written')
    .describe('written: recordings survive the process; fsync: they survive the machine.'),
  resultBytesKept: size({ min: 0, max: 64 * 1024 ** 2 })
    .default(LIMITS.resultBytesKept)
    .describe(
      'Bytes of each result kept in the recording, and of the rows of each COPY FROM STDIN. Default 64KiB.',
    ),
} as const

const classes = z.union([z.literal('all'), z.array(z.enum(COMMAND_CLASSES))])
const labels = z.union([z.literal('all'), z.array(line('a label'))])

const what = z.strictObject({
  run: classes.default([]).describe('Classes of commands that may run; without a permit they are refused.'),
  unreviewed: classes
    .default([])
    .describe('Classes that run at once; without a permit they wait for approval.'),
  see: labels.default([]).describe('Labels shown in clear; without a permit they are masked.'),
  filter: labels.default([]).describe('Labels that may be compared, joined and sorted by.'),
  store: labels.default([]).describe('Labels whose columns may be written.'),
  unlimited: z.boolean().default(false).describe("Lifts the connection's limit."),
})

const rule = z.strictObject({
  name: line('the name of a rule', 200),
  who: whoOrGranted,
  on: z.union([z.literal('all'), z.array(line('the name of a connection'))]),
  permit: what.optional(),
  limit: z
    .strictObject({
      rows: z.int().min(1).optional(),
      bytes: size({ min: 1, max: BYTES_MAX }).optional(),
      action: limitAction,
    })
    .optional()
    .describe('A limit on every result of whom the rule is about; the smallest of all wins.'),
  forbid: what.optional(),
  review: review.optional().describe('How people look at what is held of whom the rule is about.'),
  when: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('A Cedar expression over the facts of the command.'),
  agents: z.boolean().default(false).describe('The permit also helps an agent acting for whom it matches.'),
  mode: z.enum(['enforce', 'observe']).default('enforce').describe('observe reports and changes nothing.'),
})

const budget = z.strictObject({
  name: line('the name of a budget', 200),
  who,
  on: z.union([z.literal('all'), z.array(line('the name of a connection'))]),
  labels: labels.default('all').describe('Whose records and questions count. Default all.'),
  rows: z.int().min(1).optional().describe('Rows of results.'),
  bytes: size({ min: 1, max: BYTES_MAX }).optional().describe('Bytes of results.'),
  records: z.int().min(1).optional().describe('Distinct values of labelled columns in results.'),
  questions: z.int().min(1).optional().describe('Uses of labelled columns in conditions.'),
})

/** `protocols`: the names that exist; each may have a listener. `hosted`: those whose clients say which host they want. */
export function rootSchema(protocols: readonly string[], hosted: readonly string[]) {
  const listeners: Record<string, z.ZodOptional<typeof listener | typeof hostedListener | typeof api>> = {}
  for (const name of protocols)
    listeners[name] = (hosted.includes(name) ? hostedListener : listener).optional()
  listeners.api = api.optional()
  return z.strictObject({
    listen: z.strictObject(listeners).prefault({}),
    identities: z
      .strictObject({ issuers: z.array(issuer).default([]), local: z.array(localIdentity).default([]) })
      .prefault({}),
    roles: z
      .strictObject({
        admin: holders.optional(),
        operator: holders.optional(),
        approver: holders.optional(),
        auditor: holders.optional(),
      } satisfies Record<Role, unknown>)
      .prefault({}),
    labels: z.record(labelName, label).default({}),
    // The block of one connection is read by `connectionSchema` and by its protocol.
    connections: z.record(connectionName, z.looseObject({})).default({}),
    rules: z.array(rule).max(LIMITS.rulesMax).default([]),
    budgets: z
      .array(budget)
      .max(LIMITS.budgetsMax)
      .default([])
      .describe('What each identity gets in one UTC day.'),
    approvals: approvals.prefault({}).describe('Who looks at what is held.'),
    recording: recording.prefault({}).describe('The log of the recording, and who is told of it.'),
    store: store
      .optional()
      .describe(
        'A PostgreSQL database that several gateways share; a file in the data directory when absent.',
      ),
    vault: vault.optional().describe('Where "${vault:PATH#FIELD}" is read from.'),
    cedar: z.string().max(LIMITS.configBytesMax).optional().describe('Cedar policies, for experts.'),
  })
}

/** The common part of one connection; further keys are left to the protocol. */
export function connectionSchema(protocols: readonly string[]) {
  return z.looseObject({ protocol: z.enum(protocols), ...CONNECTION_FIELDS })
}

export type Root = z.output<ReturnType<typeof rootSchema>>
export type BudgetBlock = Root['budgets'][number]
export type RuleBlock = Root['rules'][number]
export type ConnectionBlock = z.output<ReturnType<typeof connectionSchema>>

function isIssuerUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false
  if (url.protocol === 'https:') return true
  return url.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
}
