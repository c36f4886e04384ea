/**
 * Who is there: access tokens of OIDC issuers and of the built-in one, people's fresh logins, minted credentials, and
 * the exchange of the first for the last.
 *
 * Leaves to others what an identity may do (policy), roles (configuration), the bytes of a login (wire, protocols),
 * HTTP (api) and where things are kept (ports here, implemented by the store). Promise: nobody is taken for somebody
 * else, a secret is never kept where it can be read back, and every refusal has a reason of its own in `facts.reason`.
 */
export * from './blocks.ts'
export * from './builtin.ts'
export type { IssuerSettings } from './claims.ts'
export * from './credentials.ts'
export * from './exchange.ts'
export type { Fetch, IssuerKeys } from './issuer-keys.ts'
export { RemoteKeys } from './issuer-keys.ts'
export * from './people.ts'
export * from './port.ts'
export type { TokenRefusal } from './refusal.ts'
export * from './tokens.ts'
