import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { GatewayError, LIMITS } from '../../core/index.ts'

/** Where docs/cli.md has Kubernetes put a token for the gateway: never the one for its own API server. */
const PROJECTED = '/var/run/secrets/sluice/token'
const GITHUB = 'token.actions.githubusercontent.com'
const ANSWER_MS = 20_000

type KnownIssuer = { readonly url: string; readonly audience: string }

/**
 * The token that the surroundings of this program give it: a file that SLUICE_IDENTITY_TOKEN_FILE names, GitHub Actions, or the
 * projected token of a Kubernetes service account. Read each time, since whoever writes it renews it. Undefined: none.
 * `issuers` are those the gateway takes, and are asked for only where a token is made for one.
 */
export async function workloadToken(
  environment: Readonly<Record<string, string | undefined>>,
  issuers: () => Promise<readonly KnownIssuer[]>,
  projected: string = PROJECTED,
): Promise<string | undefined> {
  const named = environment['SLUICE_IDENTITY_TOKEN_FILE']
  if (named !== undefined) {
    const token = readToken(named)
    if (token !== undefined) return token
    throw new GatewayError('invalid', `${named} (SLUICE_IDENTITY_TOKEN_FILE) is not there.`)
  }
  const url = environment['ACTIONS_ID_TOKEN_REQUEST_URL']
  const bearer = environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']
  if (url !== undefined && bearer !== undefined) {
    return await fromGitHub(url, bearer, environment['SLUICE_AUDIENCE'] ?? audienceFor(await issuers()))
  }
  return readToken(projected)
}

/** https://docs.github.com/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect */
async function fromGitHub(url: string, bearer: string, audience: string): Promise<string> {
  const at = new URL(url)
  at.searchParams.set('audience', audience)
  let answer: unknown
  try {
    const response = await fetch(at, {
      headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    answer = await response.json()
  } catch (cause) {
    throw new GatewayError('upstream_unreachable', 'GitHub Actions gives no token.', {
      remedy: 'The job needs: permissions: { id-token: write }',
      retry: 'later',
      cause,
    })
  }
  const read = z.object({ value: z.string().min(1).max(LIMITS.tokenBytesMax) }).safeParse(answer)
  if (read.success) return read.data.value
  throw new GatewayError('upstream_unreachable', 'What GitHub Actions answers holds no token.')
}

/** The own issuer of GitHub where the gateway takes it, or else the only audience that there is. */
function audienceFor(issuers: readonly KnownIssuer[]): string {
  const own = issuers.find(({ url }) => new URL(url).hostname === GITHUB)
  const audiences = new Set(issuers.map(({ audience }) => audience))
  const [only] = audiences
  if (own !== undefined) return own.audience
  if (only !== undefined && audiences.size === 1) return only
  throw new GatewayError('invalid', 'For which audience the token has to be is not known.', {
    remedy: 'Say it in SLUICE_AUDIENCE: the audience of the issuer in the configuration of the gateway.',
  })
}

function readToken(path: string): string | undefined {
  let token: string
  try {
    token = readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  if (token.length <= LIMITS.tokenBytesMax && /^[A-Za-z0-9_.-]+$/.test(token)) return token
  throw new GatewayError('invalid', `${path} holds no token.`)
}
