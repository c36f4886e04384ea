import { z } from 'zod'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import { credentialField, credentialQueryKey, credentialScheme } from '../../../upstream-credentials/index.ts'
import type { RawHeaders } from '../../../wire/http/index.ts'
import { fieldKey, unescapedQuery } from '../../../wire/http/index.ts'

const slot = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bearer') }),
  z.strictObject({ kind: z.literal('scheme'), name: credentialScheme() }),
  z.strictObject({ kind: z.literal('basic') }),
  z.strictObject({ kind: z.literal('header'), name: credentialField() }),
  z.strictObject({ kind: z.literal('query'), name: credentialQueryKey() }),
])

type Slot = z.output<typeof slot>

/** Where a client may show the gateway's token. */
export const clientSlots = z
  .array(slot)
  .min(1)
  .max(LIMITS.httpSlotsMax)
  .default([{ kind: 'bearer' }])
  .refine((all) => new Set(all.map(keyOf)).size === all.length, 'expected each place once; remove the second')
  .describe(
    'Where clients may show the token of the gateway; one of them per request. Default: Authorization: Bearer.',
  )

const BEARER: readonly Slot[] = [{ kind: 'bearer' }]

/** A request without its token, and the token. */
export type Taken = {
  /** One for each place that is filled; more than one is too many. */
  readonly tokens: readonly string[]
  /** The fields without those of the slots. */
  readonly headers: string[]
  /** Without the keys of the slots, all else as it was written. */
  readonly target: string
}

/**
 * Takes the token out of wherever the connection lets it stand. Every slot is emptied, filled with a token or not: what stands in
 * one is for the gateway. `slots` undefined: those of a connection that says nothing.
 */
export function takeToken(slots: readonly Slot[] | undefined, raw: RawHeaders, target: string): Taken {
  const tokens: string[] = []
  let query = target
  const emptied = new Set<string>()
  const authorizations = valuesOf(raw, 'authorization')
  for (const each of slots ?? BEARER) {
    switch (each.kind) {
      case 'bearer':
        tokens.push(...schemed(authorizations, 'bearer'))
        break
      case 'scheme':
        tokens.push(...schemed(authorizations, each.name.toLowerCase()).map(bareToken))
        break
      case 'basic':
        tokens.push(...schemed(authorizations, 'basic').map(passwordOf))
        break
      case 'header':
        tokens.push(...valuesOf(raw, each.name.toLowerCase()))
        emptied.add(fieldKey(each.name))
        break
      case 'query': {
        const parted = withoutKey(query, each.name)
        tokens.push(...parted.values)
        query = parted.target
        break
      }
    }
  }
  const headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!emptied.has(fieldKey(raw[i] ?? ''))) headers.push(raw[i] ?? '', raw[i + 1] ?? '')
  }
  return { tokens: tokens.filter((each) => each !== ''), headers, target: query }
}

/** A token that stands where it is not looked for would go on with the request, and be recorded. `headers`: those that go on. */
export function refuseElsewhere(token: string, headers: RawHeaders, target: string): void {
  const elsewhere = [target, unescapedQuery(target), ...headers].some((each) => each.includes(token))
  if (!elsewhere) return
  throw new GatewayError(
    'invalid',
    'Show the gateway token in one place only: it stands in another as well.',
    {
      remedy: 'Revoke it if the request went through others: they may have written it down.',
      retry: 'only-if-changed',
    },
  )
}

export function noToken(): GatewayError {
  return new GatewayError('unauthenticated', 'Show the gateway token: Authorization: Bearer TOKEN.', {
    remedy: 'Get a fresh one with: sluice token CONNECTION --as IDENTITY',
    retry: 'only-if-changed',
  })
}

export function tooManyTokens(): GatewayError {
  return new GatewayError('invalid', 'Show the gateway token in one place only: several are filled.', {
    retry: 'only-if-changed',
  })
}

function keyOf(each: Slot): string {
  return 'name' in each ? `${each.kind} ${each.name.toLowerCase()}` : each.kind
}

function valuesOf(raw: RawHeaders, name: string): readonly string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === name) values.push((raw[i + 1] ?? '').trim())
  }
  return values
}

/** What follows this scheme. RFC 9110 section 11.4. */
function schemed(authorizations: readonly string[], scheme: string): readonly string[] {
  return authorizations.flatMap((text) => {
    const [, name = '', rest = ''] = /^([^\s]+) +(\S+)$/.exec(text) ?? []
    return name.toLowerCase() === scheme ? [rest] : []
  })
}

/** `Token token="..."`, as some vendors write it. */
function bareToken(text: string): string {
  return /^token="?([^"]*)"?$/i.exec(text)?.[1] ?? text
}

/** RFC 7617. Where an SDK gives its key as the name and no password, the name. */
function passwordOf(text: string): string {
  const both = Buffer.from(text, 'base64').toString('utf8')
  const at = both.indexOf(':')
  const password = at < 0 ? '' : both.slice(at + 1)
  return password === '' ? both.slice(0, at < 0 ? both.length : at) : password
}

/** The values of one key of the query, and the target without it. */
function withoutKey(
  target: string,
  key: string,
): { readonly values: readonly string[]; readonly target: string } {
  const at = target.indexOf('?')
  if (at < 0) return { values: [], target }
  const values: string[] = []
  const kept = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => {
      const equals = pair.indexOf('=')
      if (unescapedQuery(equals < 0 ? pair : pair.slice(0, equals)) !== key) return true
      values.push(equals < 0 ? '' : unescapedQuery(pair.slice(equals + 1)))
      return false
    })
  if (values.length === 0) return { values, target }
  return {
    values,
    target: kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join('&')}`,
  }
}
