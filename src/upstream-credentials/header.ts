import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usableInField } from './credential.ts'
import { FixedCredential, withField } from './fixed.ts'

/** `X-Api-Key: VALUE`; with a scheme `Authorization: SCHEME VALUE`, of which a bearer token (RFC 6750 section 2.1) is one. */
export function headerCredential(
  ports: CredentialPorts,
  settings: { readonly name: string; readonly scheme?: string | undefined; readonly value: SecretRef },
): UpstreamCredential {
  const { name, scheme, value } = settings
  return new FixedCredential({
    fields: [name.toLowerCase()],
    read: async () => [usableInField(await ports.resolveSecret(value))],
    forget: () => ports.forgetSecret(value),
    wear: (request, [secret = '']) => ({
      ...withField(request, name, scheme === undefined ? secret : `${scheme} ${secret}`),
      secrets: [secret],
    }),
  })
}
