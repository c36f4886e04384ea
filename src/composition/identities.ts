import type { Config, Role } from '../config/index.ts'
import { ROLES } from '../config/index.ts'
import type { SealedSecrets } from '../connections/index.ts'
import type { Clock, Identity, IdentityChain, RandomBytes } from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import type { Credentials } from '../identity/index.ts'
import {
  BuiltInIssuer,
  IdentityBlocks,
  People,
  RemoteKeys,
  TokenExchange,
  TokenVerifier,
} from '../identity/index.ts'
import type { Store } from '../store/index.ts'

export type Identities = {
  readonly issuer: BuiltInIssuer
  readonly people: People
  readonly exchange: TokenExchange
  /** The verifier for the issuers configured now. */
  verifier(): TokenVerifier
}

/** Everything that answers who somebody is, following the configuration in force. */
export async function openIdentities(parts: {
  readonly store: Store
  readonly sealed: SealedSecrets
  readonly credentials: Credentials
  readonly blocks: IdentityBlocks
  readonly clock: Clock
  readonly random: RandomBytes
  config(): Config
}): Promise<Identities> {
  const { store, sealed, credentials, clock, random, config } = parts
  const find = (key: string): Identity | undefined =>
    config().local.find(({ identity }) => identityKey(identity) === key)?.identity
  const issuer = await BuiltInIssuer.open({ vault: sealed.vault('issuer'), clock, random, find })
  const people = new People({ store: store.people, vault: sealed.vault('people'), clock, random, find })
  let verifier: { of: Config; made: TokenVerifier } | undefined
  const current = (): TokenVerifier => {
    const now = config()
    if (verifier?.of === now) return verifier.made
    const remote = now.issuers.map((settings) => ({
      settings,
      keys: new RemoteKeys(settings.url, fetchOf, clock),
    }))
    const made = new TokenVerifier([issuer.trusted, ...remote], clock, (identity) =>
      parts.blocks.isBlocked(identity),
    )
    verifier = { of: now, made }
    return made
  }
  return {
    issuer,
    people,
    verifier: current,
    exchange: new TokenExchange({
      verifier: { verify: (token) => current().verify(token) },
      credentials,
      knows: (connection) => config().connections.has(connection),
      mayAct: (actor, subject) =>
        config()
          .local.find(({ identity }) => identityKey(identity) === identityKey(actor))
          ?.actsFor.includes(subject.name) ?? false,
    }),
  }
}

const fetchOf: ConstructorParameters<typeof RemoteKeys>[1] = (url, options) => fetch(url, options)

/** The roles of who calls, from groups and identities. Agents and services have none that answer approvals. */
export function rolesOf(chain: IdentityChain, config: Config): ReadonlySet<Role> {
  const [identity, ...others] = chain
  // Who acts for somebody else has no role: a person's powers do not pass to an agent.
  if (others.length > 0 || identity.kind === 'agent') return new Set()
  const held = ROLES.filter((role) => {
    const { groups, identities } = config.roles[role]
    return (
      identities.includes(identityKey(identity)) || identity.groups.some((group) => groups.includes(group))
    )
  })
  return new Set(held)
}
