import type { AdminHead, AnswerHead, CloseHead, IntentHead, OpenHead, OutcomeHead } from '../../core/index.ts'

/**
 * What is recorded as events of the Open Cybersecurity Schema Framework: Datastore Activity (6005) for what is said in
 * SQL and API Activity (6003) for requests, one a command, with the profile `security_control` for what was decided;
 * Authentication (3002) for sessions, Entity Management (3004) for what administrators and the gateway itself do.
 * https://schema.ocsf.io/1.9.0/classes/datastore_activity, .../api_activity and so on
 */
const VERSION = '1.9.0'

export type OcsfEvent = Readonly<Record<string, unknown>>

/** A command on its way: what came of it is not known yet. */
export type OpenCommand = {
  readonly sequence: number
  readonly time: number
  readonly intent: Intent
  answer?: Answer
}

/** Whose the event is, and by which version of this program it was made. */
export type EventOrigin = { readonly session: string; readonly open: Open; readonly program: string }

type Identity = Pick<OpenHead['chain'][number], 'name' | 'issuer' | 'groups'> & { readonly kind: string }
type Open = Pick<OpenHead, 'connection' | 'protocol' | 'clientAddress' | 'program' | 'database'> & {
  readonly chain: readonly Identity[]
}
type Intent = Pick<IntentHead, 'n' | 'rules' | 'reason' | 'masked' | 'reads' | 'writes'> & {
  /** Of a request without it, the method alone. Absent: it is not said. */
  readonly text: string | undefined
  /** Of a request: GET and so on, when the text is not said. */
  readonly method?: string
  /** Characters of the text, where it was cut. */
  readonly textOf?: number
  readonly class: string
  readonly decision: string
  readonly columns?: readonly { readonly column: string; readonly label: string }[]
}
type Outcome = Pick<OutcomeHead, 'n' | 'tag' | 'rows' | 'bytes' | 'ms'> & { readonly outcome: string }
type Answer = Pick<AnswerHead, 'n' | 'ticket' | 'by'> & { readonly answer: string }

type Activity = { readonly id: number; readonly name: string }
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
    ...(of.text === undefined
      ? {}
      : { query_info: { query_string: of.text, ...(end === undefined ? {} : { bytes: end.bytes }) } }),
    type: 'Database',
    type_id: 1,
  }),
}

const API: Class = {
  uid: 6003,
  name: 'API Activity',
  activity: (of) => HTTP_ACTIVITY[methodOf(of)] ?? { id: 99, name: methodOf(of) },
  details: (of, end) => ({
    api: {
      operation: [...(of.reads ?? []), ...(of.writes ?? [])][0] ?? of.text ?? methodOf(of),
      ...(end === undefined ? {} : { response: { code: Number(end.tag) || 0 } }),
    },
    http_request: {
      http_method: methodOf(of),
      ...(of.text === undefined ? {} : { url: { path: of.text.split(' ')[1] ?? '' } }),
    },
    ...(end === undefined || !/^\d{3}$/.test(end.tag) ? {} : { http_response: { code: Number(end.tag) } }),
  }),
}

/** What is said in SQL is a datastore's; everything else is asked of an API. */
const CLASSES: ReadonlyMap<string, Class> = new Map([['postgres', DATASTORE]])

/** `end` is absent when the recording ends before the command does: whether it ran is not known. */
export function commandEvent(origin: EventOrigin, command: OpenCommand, end: Outcome | undefined): OcsfEvent {
  const { session, open } = origin
  const { intent: of, time } = command
  const kind = CLASSES.get(open.protocol) ?? API
  const [, ...others] = open.chain
  const blocked = isBlocked(of, end)
  return {
    ...classOf(6, 'Application Activity', kind, kind.activity(of)),
    time,
    start_time: time,
    ...(end === undefined ? {} : { end_time: time + end.ms, duration: end.ms, status_code: end.tag }),
    ...INFORMATIONAL,
    ...statusOf(end, blocked),
    ...(of.reason === undefined ? {} : { status_detail: of.reason }),
    metadata: {
      ...metadata(origin.program, `${session}-${of.n}`, command.sequence),
      profiles: ['security_control'],
      correlation_uid: session,
    },
    ...whoOf(origin),
    action_id: blocked ? 2 : 1,
    action: blocked ? 'Denied' : 'Allowed',
    disposition_id: blocked ? 2 : 1,
    disposition: blocked ? 'Blocked' : 'Allowed',
    ...(of.rules.length === 0 ? {} : { policy: { name: of.rules.join(', ') } }),
    ...kind.details(of, end, open),
    unmapped: {
      on_behalf_of: others.map(userOf),
      program: open.program,
      class: of.class,
      decision: of.decision,
      reads: of.reads ?? [],
      writes: of.writes ?? [],
      masked: of.masked ?? [],
      columns: of.columns ?? [],
      ...(of.textOf === undefined ? {} : { statement_cut_from: of.textOf }),
      ...(end === undefined ? {} : { outcome: end.outcome, rows: end.rows, bytes: end.bytes }),
      ...(command.answer === undefined
        ? {}
        : {
            approval: { ticket: command.answer.ticket, answer: command.answer.answer, by: command.answer.by },
          }),
    },
  }
}

/** Refused by policy, or by us on its way. */
export function isBlocked(of: Pick<Intent, 'decision'>, end: Pick<Outcome, 'outcome'> | undefined): boolean {
  return of.decision === 'deny' || end?.outcome === 'refused'
}

type Moment = { readonly sequence: number; readonly time: number }

/** A session was opened, or has ended. */
export function sessionEvent(
  origin: EventOrigin & { readonly open: OpenHead },
  { sequence, time }: Moment,
  close: CloseHead | undefined,
): OcsfEvent {
  const { session, open } = origin
  const [user, ...others] = open.chain
  const isOpen = close === undefined
  return {
    ...classOf(
      3,
      'Identity & Access Management',
      { uid: 3002, name: 'Authentication' },
      isOpen ? { id: 1, name: 'Logon' } : { id: 2, name: 'Logoff' },
    ),
    time,
    ...INFORMATIONAL,
    status_id: 1,
    status: 'Success',
    ...(isOpen ? {} : { status_detail: close.reason }),
    metadata: {
      ...metadata(origin.program, `${session}-${isOpen ? 'open' : 'close'}`, sequence),
      correlation_uid: session,
    },
    ...whoOf(origin),
    ...(user === undefined ? {} : { user: userOf(user) }),
    session: { uid: session, credential_uid: open.credential },
    unmapped: {
      on_behalf_of: others.map(userOf),
      program: open.program,
      database: open.database,
      protocol: open.protocol,
      minted_by: open.mintedBy,
      configuration: open.config,
      ...(isOpen ? {} : { commands: close.commands }),
    },
  }
}

/** Something that an administrator, an operator or the gateway itself did. */
export function adminEvent(program: string, { sequence, time }: Moment, head: AdminHead): OcsfEvent {
  const { action, by, target, details } = head
  return {
    ...classOf(
      3,
      'Identity & Access Management',
      { uid: 3004, name: 'Entity Management' },
      { id: 99, name: action },
    ),
    time,
    ...(action === 'approval.emergency' ? HIGH : INFORMATIONAL),
    status_id: 1,
    status: 'Success',
    metadata: metadata(program, adminId({ sequence, time }), sequence),
    actor: { user: { name: by } },
    entity: { name: target ?? 'gateway', type: action.split('.', 1)[0] ?? action },
    unmapped: { action, by, ...(details === undefined ? {} : { details }) },
  }
}

/** Sequence numbers begin anew with another data directory; together with the time they do not. */
export function adminId({ sequence, time }: Moment): string {
  return `entry-${sequence}-${time}`
}

const INFORMATIONAL = { severity_id: 1, severity: 'Informational' } as const
/** Somebody has broken the glass. */
const HIGH = { severity_id: 4, severity: 'High' } as const

function classOf(
  category: number,
  categoryName: string,
  { uid, name }: Pick<Class, 'uid' | 'name'>,
  activity: Activity,
) {
  return {
    activity_id: activity.id,
    activity_name: activity.name,
    category_uid: category,
    category_name: categoryName,
    class_uid: uid,
    class_name: name,
    type_uid: uid * 100 + activity.id,
    type_name: `${name}: ${activity.name}`,
  }
}

function metadata(program: string, uid: string, sequence: number) {
  return {
    version: VERSION,
    product: { name: 'Sluice', vendor_name: 'Sluice', version: program },
    uid,
    sequence,
  }
}

function whoOf({ session, open }: EventOrigin) {
  const [user] = open.chain
  return {
    actor: { ...(user === undefined ? {} : { user: userOf(user) }), session: { uid: session } },
    src_endpoint: { ip: open.clientAddress },
    dst_endpoint: { svc_name: open.connection },
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

function userOf({ kind, name, issuer, groups }: Identity) {
  return {
    name,
    uid: `${kind}:${name}`,
    domain: issuer,
    ...USER_TYPES[kind],
    groups: groups.map((group) => ({ name: group })),
  }
}

function methodOf({ method, text }: Intent): string {
  return method ?? text?.split(' ', 1)[0] ?? ''
}
