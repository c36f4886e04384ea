import { z } from 'zod'
import { programVersion } from '../version.ts'
import type { ShownEntry } from './entries.ts'

/**
 * A recording as events of the Open Cybersecurity Schema Framework, one a command: Datastore Activity (6005) for what
 * is said in SQL, API Activity (6003) for requests, with the profile `security_control` for what was decided.
 * https://schema.ocsf.io/1.9.0/classes/datastore_activity and .../api_activity
 */
const VERSION = '1.9.0'

const texts = z.array(z.string())
const identity = z.looseObject({ kind: z.string(), name: z.string(), issuer: z.string(), groups: texts })
const open = z.looseObject({
  connection: z.string(),
  protocol: z.string(),
  chain: z.array(identity),
  clientAddress: z.string(),
  program: z.string(),
  database: z.string(),
})
const intent = z.looseObject({
  n: z.number(),
  text: z.string(),
  class: z.string(),
  decision: z.string(),
  rules: texts,
  reason: z.string().optional(),
  masked: texts.optional(),
  columns: z.array(z.looseObject({ column: z.string(), label: z.string() })).optional(),
  reads: texts.optional(),
  writes: texts.optional(),
})
const outcome = z.looseObject({
  n: z.number(),
  outcome: z.string(),
  tag: z.string(),
  rows: z.number(),
  bytes: z.number(),
  ms: z.number(),
})
const answer = z.looseObject({
  n: z.number(),
  ticket: z.string(),
  answer: z.string(),
  by: z.string().optional(),
})

type Open = z.output<typeof open>
type Intent = z.output<typeof intent>
type Outcome = z.output<typeof outcome>
type Activity = { readonly id: number; readonly name: string }
type Command = {
  readonly sequence: number
  readonly time: number
  readonly intent: Intent
  answer?: z.output<typeof answer>
}
type Class = {
  readonly uid: number
  readonly name: string
  activity(intent: Intent): Activity
  details: Details
}
type Details = (
  intent: Intent,
  outcome: Outcome | undefined,
  session: Open,
) => Readonly<Record<string, unknown>>

export async function* ocsfEvents(
  entries: AsyncIterable<ShownEntry>,
  session: string,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  const flying = new Map<number, Command>()
  let opening: Open | undefined
  for await (const { kind, head, time, sequence } of entries) {
    if (kind === 'open') opening = open.parse(head)
    if (opening === undefined) continue
    if (kind === 'intent') {
      const of = intent.parse(head)
      flying.set(of.n, { sequence, time, intent: of })
    } else if (kind === 'answer') {
      const of = answer.parse(head)
      const command = flying.get(of.n)
      if (command !== undefined) command.answer = of
    } else if (kind === 'outcome') {
      const of = outcome.parse(head)
      const command = flying.get(of.n)
      flying.delete(of.n)
      if (command !== undefined) yield eventOf(session, opening, command, of)
    }
  }
  // Under way when the recording ended: whether it ran is not known.
  for (const command of flying.values())
    if (opening !== undefined) yield eventOf(session, opening, command, undefined)
}

const SQL_ACTIVITY: Readonly<Record<string, Activity>> = {
  read: { id: 4, name: 'Query' },
  write: { id: 2, name: 'Update' },
  define: { id: 99, name: 'Define' },
  administer: { id: 99, name: 'Administer' },
}

const HTTP_ACTIVITY: Readonly<Record<string, Activity>> = {
  GET: { id: 2, name: 'Read' },
  HEAD: { id: 2, name: 'Read' },
  POST: { id: 1, name: 'Create' },
  PUT: { id: 3, name: 'Update' },
  PATCH: { id: 3, name: 'Update' },
  DELETE: { id: 4, name: 'Delete' },
}

const DATASTORE: Class = {
  uid: 6005,
  name: 'Datastore Activity',
  activity: (of) => SQL_ACTIVITY[of.class] ?? { id: 99, name: 'Other' },
  details: (of, end, { database }) => ({
    database: { name: database, type: 'Relational', type_id: 1 },
    query_info: { query_string: of.text, ...(end === undefined ? {} : { bytes: end.bytes }) },
    type: 'Database',
    type_id: 1,
  }),
}

const API: Class = {
  uid: 6003,
  name: 'API Activity',
  activity: (of) => HTTP_ACTIVITY[methodOf(of.text)] ?? { id: 99, name: methodOf(of.text) },
  details: (of, end) => ({
    api: {
      operation: [...(of.reads ?? []), ...(of.writes ?? [])][0] ?? of.text,
      ...(end === undefined ? {} : { response: { code: Number(end.tag) || 0 } }),
    },
    http_request: { http_method: methodOf(of.text), url: { path: of.text.split(' ')[1] ?? '' } },
    ...(end === undefined || !/^\d{3}$/.test(end.tag) ? {} : { http_response: { code: Number(end.tag) } }),
  }),
}

/** What is said in SQL is a datastore's; everything else is asked of an API. */
const CLASSES: ReadonlyMap<string, Class> = new Map([['postgres', DATASTORE]])

function eventOf(
  session: string,
  opening: Open,
  command: Command,
  end: Outcome | undefined,
): Readonly<Record<string, unknown>> {
  const { intent: of, time } = command
  const kind = CLASSES.get(opening.protocol) ?? API
  const activity = kind.activity(of)
  const [user, ...others] = opening.chain
  const blocked = of.decision === 'deny' || end?.outcome === 'refused'
  const status = statusOf(end, blocked)
  return {
    activity_id: activity.id,
    activity_name: activity.name,
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: kind.uid,
    class_name: kind.name,
    type_uid: kind.uid * 100 + activity.id,
    type_name: `${kind.name}: ${activity.name}`,
    time,
    start_time: time,
    ...(end === undefined ? {} : { end_time: time + end.ms, duration: end.ms, status_code: end.tag }),
    severity_id: 1,
    severity: 'Informational',
    ...status,
    ...(of.reason === undefined ? {} : { status_detail: of.reason }),
    metadata: {
      version: VERSION,
      product: { name: 'Sluice', vendor_name: 'Sluice', version: programVersion() },
      profiles: ['security_control'],
      uid: `${session}-${of.n}`,
      correlation_uid: session,
      sequence: command.sequence,
    },
    actor: {
      ...(user === undefined ? {} : { user: userOf(user) }),
      session: { uid: session },
    },
    src_endpoint: { ip: opening.clientAddress },
    dst_endpoint: { svc_name: opening.connection },
    action_id: blocked ? 2 : 1,
    action: blocked ? 'Denied' : 'Allowed',
    disposition_id: blocked ? 2 : 1,
    disposition: blocked ? 'Blocked' : 'Allowed',
    ...(of.rules.length === 0 ? {} : { policy: { name: of.rules.join(', ') } }),
    ...kind.details(of, end, opening),
    unmapped: {
      on_behalf_of: others.map(userOf),
      program: opening.program,
      class: of.class,
      decision: of.decision,
      reads: of.reads ?? [],
      writes: of.writes ?? [],
      masked: of.masked ?? [],
      columns: of.columns ?? [],
      ...(end === undefined ? {} : { outcome: end.outcome, rows: end.rows }),
      ...(command.answer === undefined
        ? {}
        : {
            approval: { ticket: command.answer.ticket, answer: command.answer.answer, by: command.answer.by },
          }),
    },
  }
}

function statusOf(end: Outcome | undefined, blocked: boolean) {
  if (!blocked && end === undefined) return { status_id: 0, status: 'Unknown' }
  return !blocked && end?.outcome === 'ok'
    ? { status_id: 1, status: 'Success' }
    : { status_id: 2, status: 'Failure' }
}

const USER_TYPES: Readonly<Record<string, { readonly type_id: number; readonly type: string }>> = {
  person: { type_id: 1, type: 'User' },
  service: { type_id: 4, type: 'Service' },
  agent: { type_id: 99, type: 'Agent' },
}

function userOf({ kind, name, issuer, groups }: z.output<typeof identity>) {
  return {
    name,
    uid: `${kind}:${name}`,
    domain: issuer,
    ...USER_TYPES[kind],
    groups: groups.map((group) => ({ name: group })),
  }
}

function methodOf(text: string): string {
  return text.split(' ', 1)[0] ?? ''
}
