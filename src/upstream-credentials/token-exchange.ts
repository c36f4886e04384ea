import type { SecretRef } from '../core/index.ts'
import type { AskedFor } from './client-credentials.ts'
import type { CredentialPorts, UpstreamCredential } from './credential.ts'
import { usable } from './credential.ts'
import { IssuedCredential } from './issued.ts'
import { askForToken } from './token-endpoint.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'

type ExchangeSettings = {
  readonly tokenUrl: string
  readonly clientId?: string | undefined
  readonly clientSecret?: SecretRef | undefined
  readonly authentication: 'basic' | 'post'
  /** Read anew for each exchange: the platform that gives it writes another into the same file. */
  readonly subjectToken: SecretRef
  readonly subjectTokenType: string
  readonly requestedTokenType?: string | undefined
} & AskedFor

/** A token of one issuer for a token of another: RFC 8693. Such as that of a Kubernetes service account for one of the API's. */
export function tokenExchangeCredential(
  ports: CredentialPorts,
  settings: ExchangeSettings,
): UpstreamCredential {
  const { tokenUrl: url, clientId: id, clientSecret, authentication, subjectToken } = settings
  const { scope, audience, resource, subjectTokenType, requestedTokenType } = settings
  const read = async (): Promise<{ readonly subject: string; readonly secret: string | undefined }> => ({
    subject: usable(await ports.resolveSecret(subjectToken)),
    secret: clientSecret === undefined ? undefined : usable(await ports.resolveSecret(clientSecret)),
  })
  return new IssuedCredential(ports, {
    async issue() {
      const { subject, secret } = await read()
      const asked = await askForToken({ url, id, secret, authentication }, GRANT, {
        subject_token: subject,
        subject_token_type: subjectTokenType,
        requested_token_type: requestedTokenType,
        scope,
        audience,
        resource,
      })
      const gotWith = secret === undefined ? [subject] : [subject, secret]
      return { value: { token: asked.token, gotWith }, lifeMs: asked.lifeMs }
    },
    async check() {
      await read()
    },
  })
}
