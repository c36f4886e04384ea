import { type Taken, undelivered } from './sender.ts'

/**
 * What the body of a successful answer says of single events. Whatever is not the answer of a receiver of that kind (a page
 * of a proxy, a body cut off) is `undelivered`: the events are sent again rather than counted.
 */
export type ReadAnswer = (body: string, events: number) => Taken

const ALL_TAKEN: Taken = { rejected: 0 }

/** A receiver that answers with a status alone. */
export const anyAnswer: ReadAnswer = () => ALL_TAKEN

/**
 * Elasticsearch's and OpenSearch's bulk API: a status for each event. 409 is one that was there already; one that is too busy
 * (429, 5xx) may take the same later; any other will never be taken.
 */
export const bulkAnswer: ReadAnswer = (body, events) => {
  const { errors, items } = parsed(body)
  if (errors === false) return ALL_TAKEN
  const statuses = errors === true && Array.isArray(items) ? items.map(statusOf) : []
  if (statuses.length !== events || !statuses.every(isStatus)) throw notUnderstood()
  if (statuses.some((status) => status === 429 || status >= 500))
    throw undelivered('Some events of a bulk request were not taken for now.')
  return { rejected: statuses.filter((status) => status >= 300 && status !== 409).length }
}

/** OTLP, "Partial Success": what was rejected must not be sent again. A message with nothing in it may have no bytes. */
export const otlpAnswer: ReadAnswer = (body, events) => {
  if (body.trim() === '') return ALL_TAKEN
  const count = Number(fieldsOf(parsed(body).partialSuccess).rejectedLogRecords ?? 0)
  return { rejected: Number.isSafeInteger(count) && count > 0 ? Math.min(count, events) : 0 }
}

/** Splunk's HTTP event collector: code 0 is "Success". */
export const splunkAnswer: ReadAnswer = (body) => {
  if (parsed(body).code !== 0) throw notUnderstood()
  return ALL_TAKEN
}

function statusOf(item: unknown): number {
  // `{"create": {"status": 201}}`, whatever the operation is called.
  return Number(fieldsOf(Object.values(fieldsOf(item))[0]).status)
}

function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw notUnderstood()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notUnderstood()
  return fieldsOf(value)
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}

/** Without what was answered: it may repeat what was sent. */
export function notUnderstood(): Error {
  return undelivered(
    'The answer is a success, but not one of a receiver of this format: look at url and format of this outlet.',
  )
}
