import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usable } from './credential.ts'
import { IssuedCredential } from './issued.ts'
import { askForToken } from './token-endpoint.ts'

type RefreshSettings = {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret?: SecretRef | undefined
  readonly authentication: 'basic' | 'post'
  readonly refreshToken: SecretRef
  readonly scope?: string | undefined
}

/**
 * Access that somebody gave once, by a refresh token: RFC 6749 section 6. An issuer that rotates them (RFC 9700 section 4.14)
 * gives another with each answer; it is kept in memory, and used until the one in the configuration changes. After a restart
 * such an issuer takes the first one no longer: give the gateway a client of its own there.
 */
export function refreshTokenCredential(
  ports: CredentialPorts,
  settings: RefreshSettings,
): UpstreamCredential {
  const { tokenUrl: url, clientId: id, authentication, scope, clientSecret, refreshToken } = settings
  let written: string | undefined
  let current: string | undefined
  const read = async (): Promise<{ readonly first: string; readonly secret: string | undefined }> => ({
    first: usable(await ports.resolveSecret(refreshToken)),
    secret: clientSecret === undefined ? undefined : usable(await ports.resolveSecret(clientSecret)),
  })
  return new IssuedCredential(ports, {
    async issue() {
      const { first, secret } = await read()
      if (first !== written) current = first
      written = first
      const used = current ?? first
      const client = { url, id, secret, authentication }
      const asked = await askForToken(client, 'refresh_token', { refresh_token: used, scope })
      current = asked.refreshToken ?? used
      const gotWith = [...new Set([first, used, current])]
      if (secret !== undefined) gotWith.push(secret)
      return { value: { token: asked.token, gotWith }, lifeMs: asked.lifeMs }
    },
    async check() {
      await read()
    },
  })
}
