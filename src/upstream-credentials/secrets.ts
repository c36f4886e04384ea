import type { SecretRef } from '../core/index.ts'
import { assertNever } from '../core/index.ts'
import type { CredentialSettings } from './schema.ts'

/** What is secret of these settings, wherever it is kept. */
export function secretsOf(settings: CredentialSettings): readonly SecretRef[] {
  return all(settings).filter((each) => each !== undefined)
}

function all(settings: CredentialSettings): readonly (SecretRef | undefined)[] {
  switch (settings.kind) {
    case 'header':
    case 'query':
      return [settings.value]
    case 'bearer':
      return [settings.token]
    case 'basic':
      return [settings.password]
    case 'clientCredentials':
      return [settings.clientSecret]
    case 'refreshToken':
      return [settings.clientSecret, settings.refreshToken]
    case 'tokenExchange':
      return [settings.clientSecret, settings.subjectToken]
    case 'sigv4':
      return [settings.secretAccessKey, settings.sessionToken]
    case 'mutualTls':
    case 'googleServiceAccount':
      return [settings.key]
    default:
      return assertNever(settings)
  }
}
