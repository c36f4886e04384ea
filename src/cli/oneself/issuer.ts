import { setTimeout as sleep } from 'node:timers/promises'
import type { AuthorizationServer, Client, TokenEndpointResponse } from 'oauth4webapi'
import * as oauth from 'oauth4webapi'
import { GatewayError, isThisMachine } from '../../core/index.ts'
import type { Login } from './kept.ts'

/** RFC 8628 section 3.2 and 3.5: how often is asked when the issuer does not say, and by how much more seldom after `slow_down`. */
const POLL_SECONDS = 5
/** What the issuer may not exceed, in seconds. */
const POLL_SECONDS_MAX = 60
const ANSWER_MS = 20_000
/** When an issuer does not say how long an access token lives, it is renewed after so long. */
const LIFE_MS = 5 * 60_000

type Issuer = Login['issuer']
type Tokens = Pick<Login, 'accessToken' | 'expiresAt' | 'refreshToken'>

/** What a person is shown, to log in with a browser on whatever machine. */
export type Shown = { readonly uri: string; readonly code: string; readonly complete: string | undefined }

/** Device authorization, RFC 8628. `show` is called once. Throws `denied` when the person says no or lets it run out. */
export async function authorizeDevice(issuer: Issuer, show: (shown: Shown) => void): Promise<Tokens> {
  const server = await discover(issuer)
  const client: Client = { client_id: issuer.client }
  if (server.device_authorization_endpoint === undefined) {
    throw new GatewayError('unsupported', `${issuer.url} offers no login for devices (RFC 8628).`, {
      remedy: 'Its administrator can switch it on.',
    })
  }
  const device = await asked(issuer, async () =>
    oauth.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth.deviceAuthorizationRequest(
        server,
        client,
        oauth.None(),
        { scope: issuer.scopes.join(' '), ...audienceOf(issuer) },
        options(issuer),
      ),
    ),
  )
  show({
    uri: device.verification_uri,
    code: device.user_code,
    complete: device.verification_uri_complete,
  })
  const endsAt = Date.now() + device.expires_in * 1000
  let seconds = device.interval ?? POLL_SECONDS
  while (Date.now() < endsAt) {
    await sleep(Math.min(seconds, POLL_SECONDS_MAX) * 1000)
    const answer = await asked(issuer, async () => {
      const response = await oauth.deviceCodeGrantRequest(
        server,
        client,
        oauth.None(),
        device.device_code,
        options(issuer),
      )
      try {
        return await oauth.processDeviceCodeResponse(server, client, response)
      } catch (error) {
        if (!(error instanceof oauth.ResponseBodyError)) throw error
        if (error.error === 'authorization_pending') return undefined
        if (error.error === 'slow_down') {
          seconds += POLL_SECONDS
          return undefined
        }
        if (error.error === 'access_denied') throw new GatewayError('denied', 'The login was turned down.')
        if (error.error === 'expired_token') throw ranOut()
        throw error
      }
    })
    if (answer !== undefined) return tokensOf(answer, undefined)
  }
  throw ranOut()
}

/** Another access token. Throws `unauthenticated` when the issuer no longer takes the refresh token. */
export async function renew(issuer: Issuer, refreshToken: string): Promise<Tokens> {
  const server = await discover(issuer)
  const client: Client = { client_id: issuer.client }
  const answer = await asked(issuer, async () => {
    const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, {
      ...options(issuer),
      additionalParameters: audienceOf(issuer),
    })
    try {
      return await oauth.processRefreshTokenResponse(server, client, response)
    } catch (error) {
      if (error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant') {
        throw new GatewayError('unauthenticated', 'The login has ended.', { remedy: 'Log in: sluice login' })
      }
      throw error
    }
  })
  return tokensOf(answer, refreshToken)
}

/** Has the issuer forget a token, RFC 7009. False: it has no way to. */
export async function revoke(issuer: Issuer, token: string): Promise<boolean> {
  const server = await discover(issuer)
  if (server.revocation_endpoint === undefined) return false
  const client: Client = { client_id: issuer.client }
  await asked(issuer, async () =>
    oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, oauth.None(), token, options(issuer)),
    ),
  )
  return true
}

function ranOut(): GatewayError {
  return new GatewayError('denied', 'Nobody confirmed the login in time.', {
    remedy: 'Try again: sluice login',
  })
}

/** Of another token than an opaque bearer token nothing could be made here: RFC 6749 section 7.1 has it checked. */
function tokensOf(answer: TokenEndpointResponse, refreshToken: string | undefined): Tokens {
  if (answer.token_type !== 'bearer') {
    throw new GatewayError('unsupported', 'The issuer gives tokens that are bound to a key.', {
      remedy: 'Its administrator can have it give bearer tokens to this client.',
    })
  }
  // An issuer that gives no other keeps the old one good: RFC 6749 section 6.
  const next = answer.refresh_token ?? refreshToken
  return {
    accessToken: answer.access_token,
    expiresAt: Date.now() + (answer.expires_in === undefined ? LIFE_MS : answer.expires_in * 1000),
    ...(next === undefined ? {} : { refreshToken: next }),
  }
}

async function discover(issuer: Issuer): Promise<AuthorizationServer> {
  const url = new URL(issuer.url)
  return await asked(issuer, async () =>
    oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, options(issuer))),
  )
}

function audienceOf(issuer: Issuer): Record<string, string> {
  return issuer.audienceAs === 'none' ? {} : { [issuer.audienceAs]: issuer.audience }
}

function options(issuer: Issuer) {
  const url = new URL(issuer.url)
  return {
    signal: () => AbortSignal.timeout(ANSWER_MS),
    // Plain http only where nobody listens on the way.
    [oauth.allowInsecureRequests]: isThisMachine(url.hostname.replaceAll(/[[\]]/g, '')),
  }
}

/** What goes wrong at the issuer as our error, with its code and none of its words, which may quote a token. */
async function asked<T>(issuer: Issuer, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof GatewayError) throw error
    const code =
      error instanceof oauth.ResponseBodyError && /^[a-z_]{1,64}$/.test(error.error)
        ? ` It says: ${error.error}.`
        : ''
    throw new GatewayError('upstream_unreachable', `${issuer.url} gives no login.${code}`, {
      remedy: 'Is it reachable from here, and does it know the client of the configuration?',
      retry: 'later',
    })
  }
}
