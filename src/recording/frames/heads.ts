import type { Entry, IntentHead, OutcomeHead } from '../../core/index.ts'
import { splitEntry, splitNames } from '../sealed/payloads.ts'

/**
 * An entry as a frame holds it: the JSON of its head, whose first field, `payloads`, names them if there are any, with
 * their lengths; and the payloads, one behind the other.
 */
export type SplitEntryJson = {
  readonly head: string
  readonly payloads: readonly (string | Uint8Array)[]
  /** Of all payloads together. */
  readonly payloadBytes: number
}

const NONE: readonly never[] = []

/** Lists that belong to a decision, or to what is known of a statement, come again and again. */
const JSON_OF = new WeakMap<readonly unknown[], string>()

/**
 * The heads that every command writes are put together by hand: half the time of `JSON.stringify` on the whole object.
 * The result is the same up to the order of fields; a test holds one against the other.
 */
export function splitJson(entry: Entry): SplitEntryJson {
  switch (entry.kind) {
    case 'intent':
      return intentJson(entry.head)
    case 'outcome':
      return outcomeJson(entry.head, entry.body?.length === 0 ? undefined : entry.body)
    case 'result':
      return withBody(
        `${bodyField(entry.body)}"n":${entry.head.n}${sealedField(entry.head.sealed)}}`,
        entry.body,
      )
    default:
      return anyJson(entry)
  }
}

/** The same of any entry, by way of `JSON.stringify`. */
export function anyJson(entry: Entry): SplitEntryJson {
  const { head, payloads } = splitEntry(entry)
  const named = payloads.map(({ name, bytes }) => [name, bytes.length])
  return {
    head: JSON.stringify(named.length === 0 ? head : { payloads: named, ...head }),
    payloads: payloads.map(({ bytes }) => bytes),
    payloadBytes: payloads.reduce((sum, { bytes }) => sum + bytes.length, 0),
  }
}

/** A head that is not that of an entry, and nothing else. */
export function ownJson(head: object): SplitEntryJson {
  return { head: JSON.stringify(head), payloads: NONE, payloadBytes: 0 }
}

function intentJson(head: IntentHead): SplitEntryJson {
  const { head: known, names } = namesOf(head)
  const textBytes = Buffer.byteLength(head.text)
  const parameters = head.parameters === undefined ? undefined : texts(head.parameters)
  const parameterBytes = parameters === undefined ? 0 : Buffer.byteLength(parameters)
  let json = `{"payloads":[["text",${textBytes}]`
  if (parameters !== undefined) json += `,["parameters",${parameterBytes}]`
  if (head.reason !== undefined) json += `,["reason",${Buffer.byteLength(head.reason)}]`
  if (names !== undefined) json += `,["names",${Buffer.byteLength(names)}]`
  const sealed = head.sealed ?? NONE
  for (let i = 0; i < sealed.length; i++) json += `,["sealed.${i + 1}",${sealed[i]?.data.length}]`
  json += `],"n":${head.n},"form":${text(head.form)},"class":"${head.class}","decision":"${head.decision}","rules":${kept(head.rules)}`
  if (head.observed !== undefined) json += `,"observed":${kept(head.observed)}`
  if (head.masked !== undefined) json += `,"masked":${texts(head.masked)}`
  if (head.columns !== undefined) json += `,"columns":${kept(head.columns)}`
  if (known.reads !== undefined) json += `,"reads":${kept(known.reads)}`
  if (known.writes !== undefined) json += `,"writes":${kept(known.writes)}`
  if (head.outward !== undefined) json += `,"outward":${texts(head.outward)}`
  if (head.readings !== undefined) json += `,"readings":${texts(head.readings)}`
  const payloads: (string | Uint8Array)[] = parameters === undefined ? [head.text] : [head.text, parameters]
  let payloadBytes = textBytes + parameterBytes
  for (const each of [head.reason, names]) {
    if (each === undefined) continue
    payloads.push(each)
    payloadBytes += Buffer.byteLength(each)
  }
  if (head.sealed !== undefined) {
    json += `,"sealed":${JSON.stringify(head.sealed.map(({ labels, numbers }) => ({ labels, numbers })))}`
    for (const { data } of head.sealed) {
      payloads.push(data)
      payloadBytes += data.length
    }
  }
  if (known.basis !== undefined) json += `,"basis":${JSON.stringify(known.basis)}`
  return { head: `${json}}`, payloads, payloadBytes }
}

/** Most commands name nothing that is not known, on a basis that is that of the one before. */
function namesOf(head: IntentHead): {
  readonly head: Pick<IntentHead, 'reads' | 'writes' | 'basis'>
  readonly names: string | undefined
} {
  return head.typed === undefined && head.basis?.names === undefined
    ? { head, names: undefined }
    : splitNames(head)
}

function outcomeJson(head: OutcomeHead, body: Uint8Array | undefined): SplitEntryJson {
  const json = `${bodyField(body)}"n":${head.n},"outcome":"${head.outcome}","tag":${text(head.tag)},"rows":${number(head.rows)},"bytes":${number(head.bytes)},"unkept":${number(head.unkept)},"ms":${number(head.ms)}${sealedField(head.sealed)}}`
  return withBody(json, body)
}

function sealedField(labels: readonly string[] | undefined): string {
  return labels === undefined ? '' : `,"sealed":${texts(labels)}`
}

/** What a head with this body begins with. */
function bodyField(body: Uint8Array | undefined): string {
  return body === undefined ? '{' : `{"payloads":[["body",${body.length}]],`
}

function withBody(head: string, body: Uint8Array | undefined): SplitEntryJson {
  if (body === undefined) return { head, payloads: NONE, payloadBytes: 0 }
  return { head, payloads: [body], payloadBytes: body.length }
}

function text(value: string): string {
  return JSON.stringify(value)
}

/** As JSON.stringify writes it: what is not finite becomes null. */
function number(value: number): string {
  return Number.isFinite(value) ? `${value}` : 'null'
}

function kept(values: readonly unknown[]): string {
  let json = JSON_OF.get(values)
  if (json === undefined) {
    json = JSON.stringify(values)
    JSON_OF.set(values, json)
  }
  return json
}

function texts(values: readonly (string | null)[]): string {
  const first = values[0]
  if (first === undefined) return '[]'
  let json = `[${JSON.stringify(first)}`
  for (let i = 1; i < values.length; i++) json += `,${JSON.stringify(values[i])}`
  return `${json}]`
}
