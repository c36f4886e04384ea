import { request } from 'undici'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { AuditSource } from '../check/ports.ts'

const HEADERS_MS = 30_000

/**
 * A data directory as a web server shows it: `PREFIX/log/checkpoint`, `PREFIX/sessions/2026-01-31/ID.slr`. Follows no
 * redirect: what counts is signed, but where it is from should be what was asked for. `fetchMs`: how long one file may
 * take, from the request to its last byte, so that a server which drips holds nobody up.
 */
export function urlAuditSource(prefix: string, fetchMs: number = LIMITS.auditFetchMs): AuditSource {
  const base = prefix.replace(/\/+$/, '')
  return {
    async read(path) {
      const url = `${base}/${path}`
      const signal = AbortSignal.timeout(fetchMs)
      const { statusCode, body } = await reached(url, signal, () =>
        request(url, { headersTimeout: HEADERS_MS, bodyTimeout: HEADERS_MS, signal }),
      )
      if (statusCode === 200) return piecesOf(url, signal, body)
      await body.dump()
      if (statusCode === 404 || statusCode === 410) return undefined
      throw unreachable(url, `it answers ${statusCode}`)
    },
  }
}

async function* piecesOf(
  url: string,
  signal: AbortSignal,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await reached(url, signal, () => pieces.next())
      if (done === true) return
      yield value
    }
  } finally {
    await pieces.return?.()
  }
}

async function reached<T>(url: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (signal.aborted) throw unreachable(url, 'it takes longer than --fetch-timeout', cause)
    throw unreachable(url, 'the connection failed', cause)
  }
}

function unreachable(url: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_unreachable', `${url} cannot be read: ${why}.`, {
    remedy: 'Nothing is said of the recording by this: try again, or verify a copy of it.',
    retry: 'later',
    cause,
  })
}
