/** Who acts. An agent is stricter than a person by default and can never answer an approval request. */
export type IdentityKind = 'person' | 'agent' | 'service'

export const IDENTITY_KINDS = ['person', 'agent', 'service'] as const satisfies readonly IdentityKind[]

export type Identity = {
  readonly kind: IdentityKind
  /** Unique within its issuer, such as `ada@example.com` or `support-agent`. */
  readonly name: string
  /** The issuer's URL, or `local` for the built-in one. */
  readonly issuer: string
  readonly groups: readonly string[]
}

/**
 * Who acts (first), on behalf of whom (next), and so on to the last: agent, then the person it acts for.
 * The order is that of RFC 8693 section 4.1 read from the outermost `act` inwards, with the subject last.
 * Never empty.
 */
export type IdentityChain = readonly [Identity, ...Identity[]]

/** `agent:support-agent for person:ada@example.com`: how a chain is shown to people. */
export function describeChain(chain: IdentityChain): string {
  return chain.map(identityKey).join(' for ')
}

/** The same text for the same identities, and for no others whatever names they were given: for comparing, not for reading. */
export function chainKey(chain: IdentityChain): string {
  return JSON.stringify(chain.map(({ kind, name, issuer }) => [kind, name, issuer]))
}

/** `person:ada@example.com`, unique within one gateway when issuers do not clash; with the issuer when not local. */
export function identityKey(identity: Identity): string {
  const at = identity.issuer === 'local' ? '' : ` (${identity.issuer})`
  return `${identity.kind}:${identity.name}${at}`
}
