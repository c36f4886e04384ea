import type { SecretRef } from '../core/index.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { headerCredential } from './header.ts'

/** A token that does not change by itself: `Authorization: Bearer TOKEN`, RFC 6750 section 2.1. */
export function bearerCredential(ports: CredentialPorts, token: SecretRef): UpstreamCredential {
  return headerCredential(ports, { name: 'authorization', scheme: 'Bearer', value: token })
}
