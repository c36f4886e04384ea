import type { Basis, Entry, EntryKind, IntentHead } from '../../core/index.ts'
import { entryOf } from '../files/decode.ts'

/** A part of an entry that may say something about data, and can be removed without the rest losing its proof. */
export type Payload = { readonly name: PayloadName; readonly bytes: Uint8Array }
export type PayloadName =
  | 'text'
  | 'parameters'
  | 'body'
  | 'input'
  | 'digest'
  | 'message'
  | 'reason'
  | 'names'
  | `sealed.${number}`

const NAMES: readonly string[] = [
  'text',
  'parameters',
  'body',
  'input',
  'digest',
  'message',
  'reason',
  'names',
] satisfies PayloadName[]
/** Sealed values, numbered as the head lists them. */
const SEALED = /^sealed\.[1-9]\d{0,3}$/

/** An entry in two: what everybody may read who verifies it, and its payloads, in the order of their commitments. */
export type SplitEntry = { readonly head: object; readonly payloads: readonly Payload[] }

/** What stands where a payload was removed, or cannot be read without the key. */
export type Missing = 'removed' | 'locked'

const EMPTY = Buffer.alloc(0)

export function isPayloadName(name: unknown): name is PayloadName {
  return typeof name === 'string' && (NAMES.includes(name) || SEALED.test(name))
}

/**
 * Takes an entry apart. Payloads are the text of a statement, its parameters as JSON, why it was refused and names that
 * only the client says exist (both say what the client wrote), bytes of a result, what a client sent to a command that ran
 * and the digest of it, the message of a notice, and what a person wrote to an answer; everything else says who, when, by which rule and how much.
 */
export function splitEntry(entry: Entry): SplitEntry {
  switch (entry.kind) {
    case 'intent': {
      const { text, parameters, sealed, reason, ...rest } = entry.head
      const { head, names } = splitNames(rest)
      const payloads: Payload[] = [{ name: 'text', bytes: Buffer.from(text) }]
      if (parameters !== undefined)
        payloads.push({ name: 'parameters', bytes: Buffer.from(JSON.stringify(parameters)) })
      if (reason !== undefined) payloads.push({ name: 'reason', bytes: Buffer.from(reason) })
      if (names !== undefined) payloads.push({ name: 'names', bytes: Buffer.from(names) })
      if (sealed === undefined) return { head, payloads }
      sealed.forEach(({ data }, i) => payloads.push({ name: `sealed.${i + 1}`, bytes: data }))
      return {
        head: { ...head, sealed: sealed.map(({ labels, numbers }) => ({ labels, numbers })) },
        payloads,
      }
    }
    case 'result':
      return { head: entry.head, payloads: [{ name: 'body', bytes: entry.body }] }
    case 'outcome':
      return {
        head: entry.head,
        payloads:
          entry.body === undefined || entry.body.length === 0 ? [] : [{ name: 'body', bytes: entry.body }],
      }
    case 'input': {
      const { body, digest } = entry
      const payloads: Payload[] = []
      if (body !== undefined && body.length > 0) payloads.push({ name: 'input', bytes: body })
      if (digest !== undefined) payloads.push({ name: 'digest', bytes: digest })
      return { head: entry.head, payloads }
    }
    case 'notice': {
      const { message, ...head } = entry.head
      return { head, payloads: [{ name: 'message', bytes: Buffer.from(message) }] }
    }
    case 'answer': {
      const { reason, ...head } = entry.head
      return { head, payloads: reason === undefined ? [] : [{ name: 'reason', bytes: Buffer.from(reason) }] }
    }
    case 'open':
    case 'hold':
    case 'close':
    case 'admin':
      return { head: entry.head, payloads: [] }
  }
}

/**
 * The entry of its two parts. A payload that is missing leaves an empty text or body: who shows the entry says so.
 * Throws on a head or a payload that is not one of this kind.
 */
export function joinEntry(
  kind: EntryKind,
  head: Readonly<Record<string, unknown>>,
  payloads: ReadonlyMap<PayloadName, Uint8Array | Missing>,
): Entry {
  const text = (name: PayloadName): string => {
    const bytes = payloads.get(name)
    return bytes === undefined || typeof bytes === 'string' ? '' : Buffer.from(bytes).toString('utf8')
  }
  const bytes = (name: PayloadName): Buffer => {
    const found = payloads.get(name)
    return found === undefined || typeof found === 'string' ? EMPTY : viewOf(found)
  }
  switch (kind) {
    case 'intent': {
      const parameters = payloads.get('parameters')
      const known =
        parameters === undefined || typeof parameters === 'string'
          ? {}
          : { parameters: JSON.parse(text('parameters')) }
      const sealed = sealedIn(head, payloads)
      // Recordings of earlier versions have it in the head.
      const reason = payloads.has('reason') ? { reason: text('reason') } : {}
      const names = payloads.has('names') ? namesIn(head, text('names')) : {}
      return entryOf(kind, { ...head, ...names, text: text('text'), ...reason, ...known, ...sealed }, EMPTY)
    }
    case 'notice':
      return entryOf(kind, { ...head, message: text('message') }, EMPTY)
    case 'answer':
      return entryOf(kind, payloads.has('reason') ? { ...head, reason: text('reason') } : head, EMPTY)
    case 'input': {
      const digest = bytes('digest')
      return entryOf(kind, head, bytes('input'), digest.length === 0 ? undefined : digest)
    }
    default:
      return entryOf(kind, head, bytes('body'))
  }
}

type Named = Pick<IntentHead, 'reads' | 'writes' | 'typed' | 'basis'>

/**
 * The head of an intent without names that only the client says exist, and those as the JSON of a payload: what it reads and
 * writes by such a name, and where its session looks for names, which may be of the client's making as well.
 */
export function splitNames<Head extends Named>(
  whole: Head,
): {
  readonly head: Omit<Head, keyof Named> & Pick<Named, 'reads' | 'writes' | 'basis'>
  readonly names: string | undefined
} {
  const { typed, basis, reads, writes, ...head } = whole
  const names = basis?.names
  const isKnown = (name: string): boolean => typed?.includes(name) !== true
  const isTyped = (name: string): boolean => !isKnown(name)
  const hidden = {
    ...(typed === undefined ? {} : { reads: reads?.filter(isTyped), writes: writes?.filter(isTyped) }),
    ...(names === undefined ? {} : { searched: names }),
  }
  return {
    head: {
      ...head,
      ...(reads === undefined ? {} : { reads: typed === undefined ? reads : reads.filter(isKnown) }),
      ...(writes === undefined ? {} : { writes: typed === undefined ? writes : writes.filter(isKnown) }),
      ...(basis === undefined ? {} : { basis: withoutNames(basis) }),
    },
    names: typed === undefined && names === undefined ? undefined : JSON.stringify(hidden),
  }
}

function withoutNames({ policy, configuration, catalogue }: Basis): Basis {
  return { policy, configuration, ...(catalogue === undefined ? {} : { catalogue }) }
}

/** The other way round: the fields of the head with what the payload says; as they are where it is missing. */
function namesIn(head: Readonly<Record<string, unknown>>, json: string): object {
  if (json === '') return {}
  const said: unknown = JSON.parse(json)
  if (typeof said !== 'object' || said === null) return {}
  const { reads, writes, searched }: { reads?: unknown; writes?: unknown; searched?: unknown } = said
  const typed = [...new Set([...textsIn(reads), ...textsIn(writes)])].sort()
  const all = (known: unknown, more: unknown): readonly string[] =>
    [...textsIn(known), ...textsIn(more)].sort()
  return {
    ...(typed.length === 0 ? {} : { typed }),
    ...(textsIn(reads).length === 0 ? {} : { reads: all(head.reads, reads) }),
    ...(textsIn(writes).length === 0 ? {} : { writes: all(head.writes, writes) }),
    ...(searched === undefined || typeof head.basis !== 'object'
      ? {}
      : { basis: { ...head.basis, names: searched } }),
  }
}

function textsIn(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  return list.filter((each) => typeof each === 'string')
}

/** Each list of sealed values with its payload; one that is missing is empty. */
function sealedIn(
  head: Readonly<Record<string, unknown>>,
  payloads: ReadonlyMap<PayloadName, Uint8Array | Missing>,
): { readonly sealed?: unknown } {
  if (!Array.isArray(head.sealed)) return {}
  const list: readonly unknown[] = head.sealed
  return {
    sealed: list.map((each, i) => {
      const data = payloads.get(`sealed.${i + 1}`)
      const bytes = data === undefined || typeof data === 'string' ? EMPTY : Buffer.from(data)
      return typeof each === 'object' && each !== null ? { ...each, data: bytes } : each
    }),
  }
}

/** The same bytes: who makes an entry of them makes the copy. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
