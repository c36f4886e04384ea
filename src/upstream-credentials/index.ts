/**
 * Who the gateway is to an upstream that speaks HTTP: one file for each kind of credential, tokens that are renewed before they
 * end, and the watch for what must not come back. Leaves to others where secrets are kept (connections) and who sends the
 * requests (protocols). Promise: what is got here is in memory only, in no error and no log; and no answer that holds it in one of
 * the forms of `watch/spellings.ts` passes the watch.
 */
import { assertNever } from '../core/index.ts'
import { basicCredential } from './basic.ts'
import { bearerCredential } from './bearer.ts'
import { clientCredentialsCredential } from './client-credentials.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { googleServiceAccountCredential } from './google-service-account.ts'
import { headerCredential } from './header.ts'
import { mutualTlsCredential } from './mutual-tls.ts'
import { queryCredential } from './query.ts'
import { refreshTokenCredential } from './refresh-token.ts'
import type { CredentialSettings } from './schema.ts'
import { sigv4Credential } from './sigv4.ts'
import { tokenExchangeCredential } from './token-exchange.ts'

export type { CredentialPorts, LineCredential, UpstreamCredential, Worn } from './credential.ts'
export { credentialField, credentialQueryKey, credentialScheme, upstreamCredential } from './schema.ts'
export type { CredentialSettings } from './schema.ts'
export { secretsOf } from './secrets.ts'
export { MessageWatch } from './watch/messages.ts'
export type { Searcher } from './watch/searcher.ts'
export { spellingsOf } from './watch/spellings.ts'
export { REFLECTED, ReflectionWatch, searcherOf } from './watch/watch.ts'

/** The credential that these settings describe. Nothing is read or asked for yet. */
export function credentialOf(settings: CredentialSettings, ports: CredentialPorts): UpstreamCredential {
  switch (settings.kind) {
    case 'header':
      return headerCredential(ports, settings)
    case 'bearer':
      return bearerCredential(ports, settings.token)
    case 'basic':
      return basicCredential(ports, settings)
    case 'query':
      return queryCredential(ports, settings)
    case 'clientCredentials':
      return clientCredentialsCredential(ports, settings)
    case 'refreshToken':
      return refreshTokenCredential(ports, settings)
    case 'tokenExchange':
      return tokenExchangeCredential(ports, settings)
    case 'sigv4':
      return sigv4Credential(ports, settings)
    case 'mutualTls':
      return mutualTlsCredential(ports, settings)
    case 'googleServiceAccount':
      return googleServiceAccountCredential(ports, settings)
    default:
      return assertNever(settings)
  }
}
