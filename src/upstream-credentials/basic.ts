import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usable } from './credential.ts'
import { FixedCredential, withField } from './fixed.ts'

/** A name and a password: `Authorization: Basic`, RFC 7617. The name is no secret; the password is, and both together. */
export function basicCredential(
  ports: CredentialPorts,
  settings: { readonly username: string; readonly password: SecretRef },
): UpstreamCredential {
  const { username, password } = settings
  return new FixedCredential({
    fields: ['authorization'],
    read: async () => [usable(await ports.resolveSecret(password))],
    forget: () => ports.forgetSecret(password),
    wear(request, [secret = '']) {
      const both = Buffer.from(`${username}:${secret}`).toString('base64')
      return { ...withField(request, 'authorization', `Basic ${both}`), secrets: [secret, both] }
    },
  })
}
