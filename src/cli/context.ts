import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ApiClient, OPERATOR_SOCKET } from '../api/client.ts'
import { GatewayError, shownJson } from '../core/index.ts'

/** Options that every command has. */
export type Common = { readonly data: string; readonly json?: boolean }

export const DEFAULT_DATA = '.sluice/data'

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Speaks to the gateway whose data directory this is. */
export function operatorClient(common: Common): ApiClient {
  return new ApiClient({ kind: 'socket', path: join(common.data, OPERATOR_SOCKET) })
}

/** Calls the control API through the operator socket and reads the answer by a schema. */
export async function call<T>(
  common: Common,
  schema: z.ZodType<T>,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  const client = operatorClient(common)
  try {
    return schema.parse(await client.call(method, path, body))
  } finally {
    await client.close()
  }
}

export const endpoint = z.object({ address: z.string(), port: z.number() })

const status = z.object({ endpoints: z.record(z.string(), endpoint) })

/**
 * The API as a person reaches it: its TLS port, held against the authority in the data directory. What takes a login
 * goes this way and no other; the operator socket only tells where the port is.
 */
export async function personClient(common: Common, token?: string): Promise<ApiClient> {
  return new ApiClient({
    kind: 'url',
    ...(await personAddress(common)),
    ...(token === undefined ? {} : { token }),
  })
}

/** Where that is, and the authority of its certificate when it is the gateway's own. */
export async function personAddress(
  common: Common,
): Promise<{ readonly url: string; readonly authority?: string }> {
  const { endpoints } = await call(common, status, 'GET', '/v1/status')
  const at = endpoints.api
  if (at === undefined) {
    throw new GatewayError('conflict', 'People log in at the TLS port of the API, and there is none.', {
      remedy: 'Add it to the configuration: listen: { api: { port: 8443 } }',
    })
  }
  const authority = readIfThere(join(common.data, 'tls', 'authority.pem'))
  return {
    url: `https://${hostOf(at.address)}:${at.port}`,
    ...(authority === undefined ? {} : { authority }),
  }
}

/** An address as a client dials it; one that means every interface is this machine. */
export function hostOf(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  if (address === '::') return '[::1]'
  return address.includes(':') ? `[${address}]` : address
}

/** A text for people, or the whole answer as one line of JSON. */
export function print(common: Common, answer: unknown, text: () => string): void {
  process.stdout.write(common.json === true ? `${shownJson(answer)}\n` : `${text()}\n`)
}

/** `?a=1&b=2` of what is given; nothing when nothing is. */
export function queryText(fields: Readonly<Record<string, string | undefined>>): string {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) given.set(name, value)
  return given.size === 0 ? '' : `?${given.toString()}`
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
