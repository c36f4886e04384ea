import { looseParts } from '../../../wire/http/index.ts'

/** Below it the gateway answers, on every connection, and no upstream is asked. */
export const OWN = '.sluice'

/**
 * Whether a path in normal form is below `/.sluice/`, or may be for a server that reads more generously: no such path goes to an upstream.
 */
export function isOwnPath(path: string): boolean {
  // Whatever reads as a dot is one, or is escaped.
  const begin = path.charAt(1)
  if (begin !== '.' && begin !== '%') return false
  const [first] = looseParts(path)
  if (first === undefined) return false
  return [first.whole, first.withoutEnding].some((each) => each.trim() === OWN)
}

/** What is asked of the gateway. Undefined: nothing that it has. */
export type OwnQuestion =
  | { readonly kind: 'policy' | 'openapi' }
  | { readonly kind: 'ticket'; readonly ticket: string }

/** Only as they are written: a look-alike has no answer. */
export function ownQuestionOf(path: string): OwnQuestion | undefined {
  if (path === `/${OWN}/policy`) return { kind: 'policy' }
  if (path === `/${OWN}/openapi.json`) return { kind: 'openapi' }
  const [, ticket] = /^\/\.sluice\/tickets\/(T-[0-9A-Z]{4,16})$/.exec(path) ?? []
  return ticket === undefined ? undefined : { kind: 'ticket', ticket }
}

/** Where a ticket is looked at, for a client that reaches the connection at `base`. */
export function ticketUrl(base: string, ticket: string): string {
  return `${base}/${OWN}/tickets/${ticket}`
}
