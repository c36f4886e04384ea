import type { Dispatcher } from 'undici'
import { Agent, request } from 'undici'
import { z } from 'zod'
import { GatewayError, LIMITS } from '../../core/index.ts'

/** What an answer of Vault has. https://developer.hashicorp.com/vault/api-docs */
const answer = z.object({
  lease_id: z.string().max(1024).default(''),
  /** Seconds. */
  lease_duration: z.number().nonnegative().default(0),
  renewable: z.boolean().default(false),
  data: z.record(z.string(), z.unknown()).nullish(),
  auth: z
    .object({
      client_token: z.string().min(1).max(4096),
      lease_duration: z.number().nonnegative(),
      renewable: z.boolean(),
    })
    .nullish(),
})

export type VaultAnswer = z.output<typeof answer>

/** Vault said no, with this status. It will say so again. */
export class VaultRefusal extends Error {
  readonly status: number

  constructor(status: number) {
    super(`Vault answers ${status}`)
    this.status = status
  }
}

export type VaultPlace = {
  readonly url: string
  readonly namespace?: string | undefined
  /** PEM. */
  readonly ca?: string | undefined
}

/** The HTTP API of Vault: one request, one answer. Follows no redirects; of what Vault says in errors only the status is kept. */
export class VaultClient {
  readonly #place: VaultPlace
  readonly #dispatcher: Agent

  constructor(place: VaultPlace) {
    this.#place = place
    this.#dispatcher = new Agent({
      connections: 4,
      connect: { timeout: LIMITS.vaultAnswerMs, ...(place.ca === undefined ? {} : { ca: place.ca }) },
    })
  }

  /** Throws `VaultRefusal` for a 4xx, `upstream_unreachable` when it is sealed, away or answers something else. */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    token: string | undefined,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<VaultAnswer> {
    const { url, namespace } = this.#place
    let status: number
    let text: string
    try {
      const got = await request(new URL(`/v1/${path}`, url), {
        method,
        dispatcher: this.#dispatcher,
        headers: {
          // Asked for by agents and proxies of Vault, so that no page in a browser can send such requests.
          'x-vault-request': 'true',
          ...(token === undefined ? {} : { 'x-vault-token': token }),
          ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(LIMITS.vaultAnswerMs),
      })
      status = got.statusCode
      text = await textOf(got.body)
    } catch (cause) {
      throw away('does not answer', cause)
    }
    if (status >= 400 && status < 500 && status !== 429) throw new VaultRefusal(status)
    // 503: sealed, or in maintenance.
    if (status !== 200 && status !== 204) throw away(`answers ${status}`)
    if (text === '') return answer.parse({})
    const read = answer.safeParse(jsonOf(text))
    if (read.success) return read.data
    throw away('answers something that is not its own')
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }
}

function away(what: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_unreachable', `Vault ${what}.`, { retry: 'later', cause })
}

async function textOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('bytes come as buffers')
    bytes += chunk.length
    if (bytes > LIMITS.vaultAnswerBytesMax) throw new RangeError('more than an answer of Vault has')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON is no answer, which the schema says.
    return undefined
  }
}
