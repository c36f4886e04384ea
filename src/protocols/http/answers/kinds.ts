import type { BodyKind } from '../../../session/index.ts'
import { parseMediaType } from '../../../wire/http/index.ts'

/** Charsets whose texts are UTF-8. Nothing else is read: two readers of other charsets may find other fields. */
const UTF8 = /^(?:utf-?8|us-ascii|ascii)$/i

/** Which machine reads bodies of this content type; undefined: none. */
export function bodyKindOf(contentType: string): BodyKind | undefined {
  const media = parseMediaType(contentType)
  if (media === undefined) return undefined
  const { type, parameters } = media
  const charset = parameters.get('charset')
  if (charset !== undefined && !UTF8.test(charset)) return undefined
  const header = parameters.get('header')?.toLowerCase()
  switch (type) {
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
    case 'application/jsonlines':
    case 'application/x-jsonlines':
    case 'application/json-lines':
      return { kind: 'json-lines' }
    case 'text/event-stream':
      return { kind: 'events' }
    case 'text/csv':
    case 'application/csv':
    case 'text/tab-separated-values':
      return {
        kind: 'csv',
        header: header === 'present' || header === 'absent' ? header : 'unknown',
        tabs: type === 'text/tab-separated-values',
      }
    case 'application/x-www-form-urlencoded':
      return { kind: 'form' }
    case 'application/json':
      return { kind: 'json' }
    case 'application/xml':
    case 'text/xml':
      return { kind: 'xml' }
    case 'text/plain':
    case 'text/markdown':
      return { kind: 'text' }
    default:
      if (/^application\/[^/]+\+json$/.test(type)) return { kind: 'json' }
      return /^(?:application|image)\/[^/]+\+xml$/.test(type) ? { kind: 'xml' } : undefined
  }
}

/** Kinds whose parts are waited for one by one: nothing of them is held back for more to come. */
export function isLive(kind: BodyKind): boolean {
  return kind.kind === 'events' || kind.kind === 'json-lines'
}
