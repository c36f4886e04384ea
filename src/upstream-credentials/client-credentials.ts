import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usable } from './credential.ts'
import { IssuedCredential } from './issued.ts'
import { askForToken } from './token-endpoint.ts'

/** Where and as whom tokens are asked for, as it stands in the configuration. */
export type ClientSettings = {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: SecretRef
  readonly authentication: 'basic' | 'post'
}

export type AskedFor = {
  readonly scope?: string | undefined
  readonly audience?: string | undefined
  readonly resource?: string | undefined
}

/** The gateway asks as itself: RFC 6749 section 4.4. `audience` is what some issuers want besides, `resource` is RFC 8707. */
export function clientCredentialsCredential(
  ports: CredentialPorts,
  settings: ClientSettings & AskedFor,
): UpstreamCredential {
  const { tokenUrl: url, clientId: id, authentication, scope, audience, resource } = settings
  const read = async (): Promise<string> => usable(await ports.resolveSecret(settings.clientSecret))
  return new IssuedCredential(ports, {
    async issue() {
      const secret = await read()
      const client = { url, id, secret, authentication }
      const asked = await askForToken(client, 'client_credentials', { scope, audience, resource })
      return { value: { token: asked.token, gotWith: [secret] }, lifeMs: asked.lifeMs }
    },
    async check() {
      await read()
    },
  })
}
