import { hostname } from 'node:os'
import type { RecordedEvent } from '../events/assembler.ts'

/**
 * Events as log records of OTLP in JSON (https://opentelemetry.io/docs/specs/otlp/, and logs.proto of
 * opentelemetry-proto). The official exporter would bring a queue of its own that forgets what it could not send.
 */
type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValue[] } }
type KeyValue = { readonly key: string; readonly value: AnyValue }

/** The logs data model: severity numbers. */
const INFO = { severityNumber: 9, severityText: 'INFO' } as const
const WARN = { severityNumber: 13, severityText: 'WARN' } as const

/** The body of a request to /v1/logs. `program` is the version of this one. */
export function otlpLogs(events: readonly RecordedEvent[], program: string): string {
  const resource = { 'service.name': 'sluice', 'service.version': program, 'host.name': hostname() }
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: attributes(resource) },
        scopeLogs: [
          { scope: { name: 'sluice.recording', version: program }, logRecords: events.map(logRecord) },
        ],
      },
    ],
  })
}

function logRecord(event: RecordedEvent) {
  const time = `${event.time}000000`
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    ...(event.blocked ? WARN : INFO),
    eventName: `sluice.${event.what}`,
    body: anyValue(event.ocsf),
    attributes: attributes({
      // The semantic conventions: by it one and the same record is known.
      'log.record.uid': event.id,
      ...Object.fromEntries(Object.entries(event.facts).map(([name, value]) => [`sluice.${name}`, value])),
    }),
  }
}

function attributes(all: Readonly<Record<string, string>>): readonly KeyValue[] {
  return Object.entries(all).map(([key, value]) => ({ key, value: { stringValue: value.toWellFormed() } }))
}

function anyValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value.toWellFormed() }
  if (typeof value === 'boolean') return { boolValue: value }
  // 64-bit integers are decimal strings in the JSON of protocol buffers.
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } }
  if (typeof value !== 'object' || value === null) return { stringValue: '' }
  const values = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .map(([key, each]) => ({ key, value: anyValue(each) }))
  return { kvlistValue: { values } }
}
