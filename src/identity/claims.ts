import type { Identity, IdentityChain, IdentityKind } from '../core/index.ts'
import { IDENTITY_KINDS, LIMITS } from '../core/index.ts'
import type { JsonObject } from './json.ts'
import { isObject } from './json.ts'
import { tokenRefusal } from './refusal.ts'

/** An OIDC issuer whose access tokens are accepted, and what its claims mean. */
export type IssuerSettings = {
  /** The exact `iss` of its tokens. */
  readonly url: string
  /** What its tokens for this gateway have in `aud`. */
  readonly audience: string
  readonly algorithms: readonly string[]
  readonly clockSkewMs: number
  /** Names of claims; `realm_access.roles` is the claim `roles` inside the claim `realm_access`. */
  readonly claims: { readonly name: string; readonly groups: string; readonly kind: string }
  /** The kind of identity when the claim is absent. */
  readonly kind: IdentityKind
}

/** Control characters, unassigned ones, and those that turn the direction of a line: a name must look like itself. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u

/** `aud`, `exp`, `nbf`, `iat` and whom the token was made for (RFC 7519 section 4.1, RFC 9068 section 4). */
export function checkValidity(claims: JsonObject, settings: IssuerSettings, now: number): number {
  const audience = typeof claims.aud === 'string' ? [claims.aud] : claims.aud
  if (!Array.isArray(audience) || !audience.includes(settings.audience)) {
    throw tokenRefusal('wrong_audience', `It must be for ${settings.audience}.`)
  }
  const expiresAt = timeOf(claims, 'exp')
  const notBefore = timeOf(claims, 'nbf')
  const issuedAt = timeOf(claims, 'iat')
  if (expiresAt === undefined) throw tokenRefusal('claims', '`exp` is missing.')
  if (now >= expiresAt + settings.clockSkewMs) throw tokenRefusal('expired')
  if (notBefore !== undefined && now < notBefore - settings.clockSkewMs) throw tokenRefusal('not_yet_valid')
  if (issuedAt !== undefined && now < issuedAt - settings.clockSkewMs) throw tokenRefusal('issued_in_future')
  return expiresAt
}

/**
 * That this is an access token. RFC 9068 section 4 asks for the type `at+jwt`, which then settles it. Many issuers
 * (and every workload's, such as Kubernetes) say `JWT` or nothing: their tokens are taken unless something marks them
 * as made for another purpose. An ID token tells a client who logged in; taking one as access token would let any
 * client of the issuer act for whoever logs in to it. What marks one: claims that only ID tokens have (OpenID
 * Connect Core sections 2 and 3.3.2.11), what Keycloak and Cognito write into theirs, or an audience that is nobody
 * but the client itself. An ID token with none of these has its client for an audience all the same: that is why the
 * audience in the configuration must be one that no client of the issuer is called.
 */
export function checkPurpose(header: JsonObject, claims: JsonObject): void {
  if (claims.cnf !== undefined) throw tokenRefusal('sender_constrained')
  const type = header.typ
  if (type !== undefined && typeof type !== 'string') throw tokenRefusal('token_type')
  const short = type?.toLowerCase().replace(/^application\//, '')
  if (short === 'at+jwt') return
  if (short !== undefined && short !== 'jwt') throw tokenRefusal('token_type')
  // A logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4), or another security event (RFC 8417).
  if (claims.events !== undefined) throw tokenRefusal('token_type')
  for (const claim of ['nonce', 'at_hash', 'c_hash', 's_hash']) {
    if (claims[claim] !== undefined) throw tokenRefusal('id_token')
  }
  if (claims.typ === 'ID' || claims.token_use === 'id') throw tokenRefusal('id_token')
  const client = claims.azp ?? claims.client_id
  const audience = typeof claims.aud === 'string' ? [claims.aud] : claims.aud
  if (client !== undefined && Array.isArray(audience) && audience.every((each) => each === client)) {
    throw tokenRefusal('id_token')
  }
}

/** The identity that a token's claims are about. */
export function identityFrom(claims: JsonObject, settings: IssuerSettings): Identity {
  const name = claimAt(claims, settings.claims.name)
  if (!isName(name)) throw tokenRefusal('claims', `\`${settings.claims.name}\` is missing or no name.`)
  // An address that nobody verified may be anybody's, the administrator's as well.
  if (settings.claims.name === 'email' && claims.email_verified === false) {
    throw tokenRefusal('claims', '`email_verified` is false.')
  }
  return {
    kind: kindFrom(claimAt(claims, settings.claims.kind), settings.claims.kind) ?? settings.kind,
    name,
    issuer: settings.url,
    groups: groupsFrom(claimAt(claims, settings.claims.groups), settings.claims.groups),
  }
}

/**
 * Who acts, for whom, and so on, as `act` claims nest (RFC 8693 section 4.1): the outermost is who acts now, the
 * innermost acted first, and the token's subject comes last. `identify` turns claims into an identity.
 */
export function chainFrom(
  claims: JsonObject,
  settings: IssuerSettings,
  identify: (claims: JsonObject) => Identity,
): IdentityChain {
  const subject = identify(claims)
  const actors: Identity[] = []
  let act = claims.act
  while (act !== undefined) {
    if (!isObject(act)) throw tokenRefusal('actor')
    if (actors.length + 2 > LIMITS.chainMax) throw tokenRefusal('too_deep')
    // The issuer can vouch for those it knows, not for another issuer's.
    if (act.iss !== undefined && act.iss !== settings.url) {
      throw tokenRefusal('actor', 'Its actor belongs to another issuer.')
    }
    actors.push(identify(withDefaultKind(act, settings)))
    act = act.act
  }
  const [first, ...others] = actors
  return first === undefined ? [subject] : [first, ...others, subject]
}

/** Who acts for somebody is taken for an agent unless it says otherwise: the stricter kind. */
function withDefaultKind(act: JsonObject, settings: IssuerSettings): JsonObject {
  const named = claimAt(act, settings.claims.name) === undefined ? { [settings.claims.name]: act.sub } : {}
  const kind = claimAt(act, settings.claims.kind) === undefined ? { [settings.claims.kind]: 'agent' } : {}
  return { ...act, ...named, ...kind }
}

/** The claim of that name; a dot leads into a claim that is an object, unless there is a claim with the dot in it. */
function claimAt(claims: JsonObject, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const part of name.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  return value
}

function kindFrom(value: unknown, claim: string): IdentityKind | undefined {
  if (value === undefined) return undefined
  const kind = IDENTITY_KINDS.find((each) => each === value)
  if (kind === undefined) throw tokenRefusal('claims', `\`${claim}\` must be person, agent or service.`)
  return kind
}

function groupsFrom(value: unknown, claim: string): readonly string[] {
  if (value === undefined) return []
  const groups: unknown[] = Array.isArray(value) ? value : [value]
  if (groups.length > LIMITS.groupsMax || !groups.every(isName)) {
    throw tokenRefusal('claims', `\`${claim}\` must be a list of names.`)
  }
  return [...new Set(groups)].sort()
}

function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= LIMITS.identityNameMax &&
    !UNPRINTABLE.test(value)
  )
}

/** A time in seconds (RFC 7519 section 2, NumericDate) as milliseconds. */
function timeOf(claims: JsonObject, claim: string): number | undefined {
  const value = claims[claim]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw tokenRefusal('claims', `\`${claim}\` must be a number.`)
  }
  return value * 1000
}
