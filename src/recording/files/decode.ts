import {
  type AdminHead,
  type AnswerHead,
  assertNever,
  type Basis,
  type CloseHead,
  COMMAND_CLASSES,
  type Entry,
  type EntryKind,
  type HoldHead,
  IDENTITY_KINDS,
  type Identity,
  type InputEnd,
  type InputHead,
  type IntentHead,
  type LabelledColumn,
  type NamesBasis,
  type NoticeHead,
  type OpenHead,
  type OutcomeHead,
  type ResultHead,
  type SealedField,
} from '../../core/index.ts'

/**
 * Heads and bodies back into entries. What stands in a file was checked against its checksum before it gets here, and
 * is checked once more against what an entry must look like: a recording may come from anywhere.
 */
type Check = (value: unknown) => boolean
type Shape<Head> = { readonly [K in keyof Head]-?: Check }

const text: Check = (value) => typeof value === 'string'
const number: Check = (value) => typeof value === 'number'
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)
const oneOf =
  (values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value)
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)
const shaped =
  <Head>(shape: Shape<Head>): Check =>
  (value) =>
    hasShape(value, shape)

const identity: Shape<Identity> = {
  kind: oneOf(IDENTITY_KINDS),
  name: text,
  issuer: text,
  groups: listOf(text),
}

const open: Shape<OpenHead> = {
  connection: text,
  protocol: text,
  chain: listOf(shaped(identity)),
  credential: text,
  mintedBy: text,
  clientAddress: text,
  program: text,
  database: text,
  config: text,
}

const column: Shape<LabelledColumn> = { column: text, label: text }

const sealedField: Shape<SealedField> = {
  labels: listOf(text),
  numbers: listOf(number),
  data: (value) => value instanceof Uint8Array,
}

const names: Shape<NamesBasis> = {
  path: listOf(text),
  role: optional(text),
  login: optional(text),
  pathNow: optional(listOf(text)),
  roleNow: optional(text),
  made: optional(number),
  lost: optional(oneOf([true])),
}

const basis: Shape<Basis> = {
  policy: text,
  configuration: text,
  catalogue: optional(text),
  names: optional(shaped(names)),
  access: optional(listOf(text)),
}

const intent: Shape<IntentHead> = {
  n: number,
  form: text,
  text,
  class: oneOf(COMMAND_CLASSES),
  decision: oneOf(['allow', 'hold', 'deny'] satisfies IntentHead['decision'][]),
  rules: listOf(text),
  reason: optional(text),
  observed: optional(listOf(text)),
  masked: optional(listOf(text)),
  columns: optional(listOf(shaped(column))),
  reads: optional(listOf(text)),
  writes: optional(listOf(text)),
  typed: optional(listOf(text)),
  outward: optional(listOf(text)),
  parameters: optional(listOf((value) => value === null || typeof value === 'string')),
  readings: optional(listOf(text)),
  sealed: optional(listOf(shaped(sealedField))),
  basis: optional(shaped(basis)),
}

const hold: Shape<HoldHead> = { n: number, ticket: text, expiresAt: number }

const answer: Shape<AnswerHead> = {
  n: number,
  ticket: text,
  answer: oneOf([
    'approved',
    'refused',
    'expired',
    'superseded',
    'pending',
    'abandoned',
    'canceled',
  ] satisfies AnswerHead['answer'][]),
  by: optional(text),
  reason: optional(text),
}

const result: Shape<ResultHead> = { n: number, sealed: optional(listOf(text)) }

const outcome: Shape<OutcomeHead> = {
  n: number,
  outcome: oneOf(['ok', 'error', 'cut', 'refused', 'skipped', 'lost'] satisfies OutcomeHead['outcome'][]),
  tag: text,
  rows: number,
  bytes: number,
  unkept: number,
  ms: number,
  sealed: optional(listOf(text)),
}

const notice: Shape<NoticeHead> = { n: number, code: text, message: text }

const inputEnd: Shape<InputEnd> = {
  how: oneOf(['done', 'failed', 'cut'] satisfies InputEnd['how'][]),
  bytes: number,
  unkept: number,
}

const input: Shape<InputHead> = {
  n: number,
  sealed: optional(listOf(text)),
  end: optional(shaped(inputEnd)),
}

const close: Shape<CloseHead> = { reason: text, commands: number }

const admin: Shape<AdminHead> = {
  action: text,
  by: text,
  target: optional(text),
  details: optional(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      Object.values(value).every((each) => ['string', 'number', 'boolean'].includes(typeof each)),
  ),
}

/** An entry of its parts, which are held against what an entry must look like. Copies the body. Throws on nonsense. */
export function entryOf(kind: EntryKind, head: unknown, body: Buffer, digest?: Buffer): Entry {
  switch (kind) {
    case 'open':
      return { kind, head: checked(kind, head, open) }
    case 'intent':
      return { kind, head: checked(kind, head, intent) }
    case 'hold':
      return { kind, head: checked(kind, head, hold) }
    case 'answer':
      return { kind, head: checked(kind, head, answer) }
    case 'result':
      return { kind, head: checked(kind, head, result), body: Buffer.from(body) }
    case 'outcome': {
      const known = checked(kind, head, outcome)
      return body.length === 0 ? { kind, head: known } : { kind, head: known, body: Buffer.from(body) }
    }
    case 'notice':
      return { kind, head: checked(kind, head, notice) }
    case 'input':
      return {
        kind,
        head: checked(kind, head, input),
        ...(body.length === 0 ? {} : { body: Buffer.from(body) }),
        ...(digest === undefined ? {} : { digest: Buffer.from(digest) }),
      }
    case 'close':
      return { kind, head: checked(kind, head, close) }
    case 'admin':
      return { kind, head: checked(kind, head, admin) }
    default:
      return assertNever(kind)
  }
}

function checked<Head>(kind: EntryKind, head: unknown, shape: Shape<Head>): Head {
  if (!hasShape(head, shape)) throw new Error(`its head is not that of an entry of kind ${kind}`)
  return head
}

function hasShape<Head>(value: unknown, shape: Shape<Head>): value is Head {
  if (!isRecord(value)) return false
  for (const name in shape) if (!shape[name](value[name])) return false
  return true
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
