import type { AuthorizationServer, Client, ClientAuth } from 'oauth4webapi'
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  genericTokenEndpointRequest,
  None,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi'
import { GatewayError, isThisMachine, LIMITS, Secret } from '../core/index.ts'
import { usableInField } from './credential.ts'

/** Where tokens are asked for, and as whom. */
export type TokenClient = {
  readonly url: string
  /** Absent: the grant says by itself who asks. */
  readonly id?: string | undefined
  readonly secret?: string | undefined
  /** How the secret is shown: as `Authorization: Basic`, or in the body. RFC 6749 section 2.3.1. */
  readonly authentication?: 'basic' | 'post' | undefined
}

export type TokenAnswer = {
  readonly token: Secret
  readonly lifeMs: number
  readonly refreshToken: string | undefined
}

/**
 * One request to a token endpoint, RFC 6749 section 3.2. Redirects are not followed, and of what the issuer says only its
 * code is told: its words may quote what it was asked with. Throws GatewayError `upstream_unreachable`.
 */
export async function askForToken(
  client: TokenClient,
  grant: string,
  parameters: Readonly<Record<string, string | undefined>>,
): Promise<TokenAnswer> {
  const url = new URL(client.url)
  const server: AuthorizationServer = { issuer: url.origin, token_endpoint: url.href }
  // The library wants a name; where nobody is named, none is sent.
  const who: Client = { client_id: client.id ?? 'none' }
  const sent = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  try {
    const response = await genericTokenEndpointRequest(server, who, authenticationOf(client), grant, sent, {
      signal: AbortSignal.timeout(LIMITS.upstreamIssuerAnswerMs),
      // The configuration has read the address: https, or this machine.
      [allowInsecureRequests]: true,
      [customFetch]: boundedFetch,
    })
    const answer = await processGenericTokenEndpointResponse(server, who, response)
    return {
      token: tokenOf(answer.access_token),
      lifeMs: answer.expires_in === undefined ? LIMITS.upstreamTokenMs : answer.expires_in * 1_000,
      refreshToken: answer.refresh_token,
    }
  } catch (error) {
    throw new GatewayError('upstream_unreachable', 'The credential of this connection cannot be had.', {
      remedy: 'An administrator looks into the log, and checks the connection with: sluice doctor',
      retry: 'later',
      cause: new Error(`the token endpoint at ${url.host} ${reasonOf(error)}`),
    })
  }
}

function authenticationOf({ id, secret, authentication }: TokenClient): ClientAuth {
  if (id === undefined) return () => undefined
  if (secret === undefined) return None()
  return authentication === 'post' ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}

function tokenOf(text: string): Secret {
  const secret = new Secret(text)
  usableInField(secret)
  return secret
}

async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  if (response.body !== null) {
    for await (const chunk of response.body) {
      bytes += chunk.length
      if (bytes > LIMITS.upstreamIssuerAnswerBytesMax) throw new RangeError('answers with too much')
      chunks.push(new Uint8Array(chunk))
    }
  }
  return new Response(chunks.length === 0 ? null : Buffer.concat(chunks), {
    status: response.status,
    headers: response.headers,
  })
}

/** What may be told of a failure. */
function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return error.message
  if (error instanceof ResponseBodyError && /^[a-z_]{1,64}$/.test(error.error))
    return `answers ${error.status} ${error.error}`
  if (error instanceof WWWAuthenticateChallengeError) return `answers ${error.status}`
  if (error instanceof GatewayError) return 'gave a token that cannot be used'
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'does not answer in time'
  return 'does not answer as RFC 6749 says, or not at all'
}

/** Whether tokens may be asked for there: over TLS, or on this machine. Whoever listens on the way gets what is sent. */
export function isTokenUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false
  if (url.protocol === 'https:') return true
  return url.protocol === 'http:' && isThisMachine(url.hostname.replaceAll(/[[\]]/g, ''))
}
