import type { Entry, EntryKind } from '../../core/index.ts'
import { entryOf } from '../files/decode.ts'

/** A part of an entry that may say something about data, and can be removed without the rest losing its proof. */
export type Payload = { readonly name: PayloadName; readonly bytes: Uint8Array }
export type PayloadName = 'text' | 'parameters' | 'body' | 'message' | 'reason' | `sealed.${number}`

const NAMES: readonly string[] = ['text', 'parameters', 'body', 'message', 'reason'] satisfies PayloadName[]
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
 * Takes an entry apart. Payloads are the text of a statement, its parameters as JSON, bytes of a result, the message of
 * a notice, and what a person wrote to an answer; everything else says who, when, by which rule and how much.
 */
export function splitEntry(entry: Entry): SplitEntry {
  switch (entry.kind) {
    case 'intent': {
      const { text, parameters, sealed, ...head } = entry.head
      const payloads: Payload[] = [{ name: 'text', bytes: Buffer.from(text) }]
      if (parameters !== undefined)
        payloads.push({ name: 'parameters', bytes: Buffer.from(JSON.stringify(parameters)) })
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
  const body = payloads.get('body')
  switch (kind) {
    case 'intent': {
      const parameters = payloads.get('parameters')
      const known =
        parameters === undefined || typeof parameters === 'string'
          ? {}
          : { parameters: JSON.parse(text('parameters')) }
      const sealed = sealedIn(head, payloads)
      return entryOf(kind, { ...head, text: text('text'), ...known, ...sealed }, EMPTY)
    }
    case 'notice':
      return entryOf(kind, { ...head, message: text('message') }, EMPTY)
    case 'answer':
      return entryOf(kind, payloads.has('reason') ? { ...head, reason: text('reason') } : head, EMPTY)
    default:
      return entryOf(kind, head, body === undefined || typeof body === 'string' ? EMPTY : viewOf(body))
  }
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
