import { z } from 'zod'
import { isThisMachine, LIMITS } from '../core/index.ts'
import type { OutletBlock } from './outlet-block.ts'
import { duration, line, secretReference, size } from './values.ts'

/** Where events go, as written, and what becomes of it. */

const DAY_MS = 24 * 60 * 60 * 1000
const OUTLET_NAME = /^[a-z][a-z0-9_-]{0,62}$/
const HEADER_NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/
const SCHEME = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/
/** Headers that say how a request is read, and are not the configuration's. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const common = {
  name: z
    .string()
    .regex(OUTLET_NAME, 'expected up to 63 small letters, digits, - and _; begin with a letter')
    .describe('What it is called; where it is is remembered under it.'),
  include: z
    .array(z.enum(['statements']))
    .default([])
    .describe('statements: also the texts of statements and requests, with the values that stand in them.'),
  backlog: z
    .strictObject({
      size: size({ min: LIMITS.journalFileBytesMax, max: 1024 ** 4 })
        .default(1024 ** 3)
        .describe('How much of the journal is kept for it at most. Default 1GiB.'),
      after: duration({ min: 60_000, max: 365 * DAY_MS })
        .default(7 * DAY_MS)
        .describe('And for how long. Default 7d.'),
    })
    .prefault({})
    .describe('What is kept for it while it does not take anything.'),
}

const ca = secretReference({ literal: true })
  .optional()
  .describe('PEM of who signs its certificate; those that Node trusts when absent.')

const posted = {
  url: line('a URL', 2048).refine(
    isHttpUrl,
    'expected a URL that begins with https:// or http://; leave out user names, passwords and what follows #',
  ),
  header: z
    .strictObject({
      name: z
        .string()
        .regex(HEADER_NAME, 'expected the name of a header; write it like Authorization')
        .refine(
          (name) => !OWN_HEADERS.has(name.toLowerCase()),
          'expected a header that says who the gateway is; this one is set by itself',
        )
        .default('Authorization')
        .describe('Default Authorization.'),
      scheme: z
        .string()
        .regex(SCHEME, 'expected one word; write it like Bearer')
        .optional()
        .describe('Stands before the value and a space: Bearer, Splunk, ApiKey.'),
      value: secretReference(),
    })
    .optional()
    .describe('Who the gateway is to the receiver.'),
  compression: z.enum(['gzip', 'none']).default('gzip'),
  ca,
} as const

const syslog = z.strictObject({
  kind: z.literal('syslog'),
  ...common,
  transport: z.enum(['tls', 'tcp', 'udp']).default('tls'),
  host: line('the name or address of a host'),
  port: z.int().min(1).max(65_535).optional().describe('Default 6514 for tls, 514 otherwise.'),
  facility: z.int().min(0).max(23).default(13).describe('Default 13, log audit.'),
  enterprise: z
    .int()
    .min(1)
    .max(4_294_967_295)
    .default(32_473)
    .describe(
      'Your private enterprise number, in the name of the structured data. Default 32473, for examples.',
    ),
  confirm: z
    .enum(['close', 'none'])
    .default('close')
    .describe('close: a batch counts once the receiver has closed its connection; none: once it was sent.'),
  datagram: size({ min: 480, max: 65_000 })
    .default(2_048)
    .describe('udp: the size of one message at most. Default 2KiB.'),
  ca,
  certificate: secretReference({ literal: true })
    .optional()
    .describe('PEM of the certificate that the gateway shows.'),
  key: secretReference().optional(),
})

const http = z.strictObject({
  kind: z.literal('http'),
  ...common,
  ...posted,
  format: z
    .enum(['array', 'lines', 'splunk', 'elastic'])
    .default('array')
    .describe('A JSON array, JSON lines, what Splunk\u2019s event collector takes, or a bulk request.'),
})

const otlp = z.strictObject({ kind: z.literal('otlp'), ...common, ...posted })

/** Each is checked by itself for what its fields have to do with each other. */
export const outlets = z
  .array(z.discriminatedUnion('kind', [syslog, http, otlp]).superRefine(checkOutlet))
  .max(LIMITS.outletsMax)
  .default([])
  .superRefine((all, context) => {
    const names = new Set<string>()
    for (const [index, { name }] of all.entries()) {
      if (names.has(name)) {
        const message = `expected each name once, got "${name}" again; rename one of them`
        context.addIssue({ code: 'custom', message, path: [index, 'name'] })
      }
      names.add(name)
    }
  })
  .describe('Where events go as they are recorded.')

type Written = z.output<typeof syslog> | z.output<typeof http> | z.output<typeof otlp>

function checkOutlet(outlet: Written, context: z.RefinementCtx): void {
  const refuse = (name: string, message: string): void =>
    context.addIssue({ code: 'custom', message, path: [name] })
  if (outlet.kind !== 'syslog') {
    const url = URL.parse(outlet.url)
    const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? ''
    if (outlet.header !== undefined && url?.protocol === 'http:' && !isThisMachine(host))
      refuse('url', 'expected https:// where a secret is sent; plain http is accepted for this machine only')
    return
  }
  const isTls = outlet.transport === 'tls'
  for (const name of ['ca', 'certificate', 'key'] as const) {
    if (outlet[name] !== undefined && !isTls)
      refuse(name, `expected "${name}" only with "transport: tls"; remove it`)
  }
  if ((outlet.certificate === undefined) !== (outlet.key === undefined))
    refuse(
      outlet.key === undefined ? 'certificate' : 'key',
      'expected "certificate" and "key" together; add the other',
    )
}

export function outletOf(outlet: Written): OutletBlock {
  const { name, backlog, include } = outlet
  const settings = {
    name,
    statements: include.includes('statements'),
    backlog: { bytesMax: backlog.size, msMax: backlog.after },
  }
  const { ca: authority } = outlet
  const trusted = authority === undefined ? {} : { ca: authority }
  if (outlet.kind === 'syslog') {
    const { kind, transport, host, facility, enterprise, confirm, certificate, key } = outlet
    const port = outlet.port ?? (transport === 'tls' ? 6514 : 514)
    const datagramBytesMax = outlet.datagram
    return {
      settings: {
        ...settings,
        to: { kind, transport, host, port, facility, enterprise, confirm, datagramBytesMax },
      },
      secrets: {
        ...trusted,
        ...(certificate === undefined ? {} : { certificate }),
        ...(key === undefined ? {} : { key }),
      },
    }
  }
  const { url, compression, header } = outlet
  const to = {
    url,
    gzip: compression === 'gzip',
    header: header === undefined ? undefined : { name: header.name, scheme: header.scheme },
  }
  return {
    settings: {
      ...settings,
      to:
        outlet.kind === 'otlp'
          ? { kind: outlet.kind, ...to }
          : { kind: outlet.kind, ...to, format: outlet.format },
    },
    secrets: { ...trusted, ...(header === undefined ? {} : { header: header.value }) },
  }
}

function isHttpUrl(text: string): boolean {
  const parsed = URL.parse(text)
  if (parsed === null || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false
  return parsed.protocol === 'https:' || parsed.protocol === 'http:'
}
