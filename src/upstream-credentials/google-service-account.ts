import { createPrivateKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { z } from 'zod'
import type { SecretRef } from '../core/index.ts'
import { GatewayError, Secret } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { IssuedCredential } from './issued.ts'
import { askForToken, isTokenUrl } from './token-endpoint.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** The longest that Google takes. */
const LIFE_MS = 60 * 60 * 1000

/** The parts of a key file that count. */
const keyFile = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key_id: z.string().min(1),
  private_key: z.string().min(1),
  token_uri: z.string().refine(isTokenUrl),
})

type AccountSettings = {
  /** The key file as Google gives it, JSON. */
  readonly key: SecretRef
  /** A token is asked for with these scopes, with spaces between them; */
  readonly scope?: string | undefined
  /** or the signed JWT is itself shown to this API, such as https://pubsub.googleapis.com/. */
  readonly audience?: string | undefined
}

/**
 * A service account of Google's: a JWT signed with its key (RFC 7523), given for an access token, or shown as one.
 * https://developers.google.com/identity/protocols/oauth2/service-account
 */
export function googleServiceAccountCredential(
  ports: CredentialPorts,
  settings: AccountSettings,
): UpstreamCredential {
  const { scope, audience } = settings
  return new IssuedCredential(ports, {
    async issue() {
      const account = readKey(await ports.resolveSecret(settings.key))
      const now = Math.floor(ports.clock.now() / 1_000)
      const jwt = await new SignJWT(scope === undefined ? {} : { scope })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: account.private_key_id })
        .setIssuer(account.client_email)
        .setSubject(account.client_email)
        .setAudience(audience ?? account.token_uri)
        .setIssuedAt(now)
        .setExpirationTime(now + LIFE_MS / 1_000)
        .sign(account.privateKey)
      if (audience !== undefined) return { value: { token: new Secret(jwt), gotWith: [] }, lifeMs: LIFE_MS }
      const asked = await askForToken({ url: account.token_uri }, GRANT, { assertion: jwt })
      return { value: { token: asked.token, gotWith: [jwt] }, lifeMs: asked.lifeMs }
    },
    async check() {
      readKey(await ports.resolveSecret(settings.key))
    },
  })
}

function readKey(secret: Secret) {
  try {
    const account = keyFile.parse(JSON.parse(secret.reveal()))
    return { ...account, privateKey: createPrivateKey(account.private_key) }
  } catch {
    // Neither parser is to quote what it read.
    throw new GatewayError('invalid', 'The key of the service account is no key file of Google\u2019s.', {
      remedy: 'Take the JSON file as it was downloaded.',
    })
  }
}
