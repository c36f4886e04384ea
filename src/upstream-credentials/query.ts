import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usable } from './credential.ts'
import { FixedCredential } from './fixed.ts'

/** A key of the query, `?api_key=VALUE`, added behind all that the client wrote. */
export function queryCredential(
  ports: CredentialPorts,
  settings: { readonly name: string; readonly value: SecretRef },
): UpstreamCredential {
  const { name, value } = settings
  return new FixedCredential({
    queryKeys: [name],
    read: async () => [usable(await ports.resolveSecret(value))],
    forget: () => ports.forgetSecret(value),
    wear({ target, headers }, [secret = '']) {
      const pair = `${encodeURIComponent(name)}=${encodeURIComponent(secret)}`
      return {
        target: `${target}${target.includes('?') ? '&' : '?'}${pair}`,
        headers,
        secrets: [secret],
      }
    },
  })
}
