import { X509Certificate, createPrivateKey } from 'node:crypto'
import type { SecretRef } from '../core/index.ts'
import { GatewayError } from '../core/index.ts'
import type { CredentialPorts, LineCredential, UpstreamCredential } from './credential.ts'

/**
 * A certificate that the gateway shows when it makes a line to the upstream, RFC 8446 section 4.4.2. The key never leaves, so
 * there is nothing to come back.
 */
export function mutualTlsCredential(
  ports: CredentialPorts,
  settings: { readonly certificate: SecretRef; readonly key: SecretRef },
): UpstreamCredential {
  const line = async (): Promise<LineCredential> => {
    const certificate = (await ports.resolveSecret(settings.certificate)).reveal()
    const key = await ports.resolveSecret(settings.key)
    try {
      if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key.reveal())))
        return { certificate, key }
    } catch {
      // What the parser says of a key is not for anybody to read.
    }
    throw new GatewayError(
      'invalid',
      'The certificate and the key of this upstream are not a pair, or no PEM.',
    )
  }
  return {
    fields: [],
    queryKeys: [],
    putOn: ({ target, headers }) => Promise.resolve({ target, headers, secrets: [] }),
    refused: () => Promise.resolve(false),
    async check() {
      await line()
    },
    line,
  }
}
