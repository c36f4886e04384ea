import { request } from 'undici'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { WitnessReply } from '../witness/client.ts'

/**
 * Posts to the witness whose submission prefix this is (`https://witness.example/a`), follows no redirect, and reads at
 * most what a note may have. Throws `upstream_unreachable` without a whole answer within `witnessAnswerMs`.
 */
export function witnessPost(prefix: string): (body: Uint8Array) => Promise<WitnessReply> {
  const url = new URL(`${prefix.replace(/\/+$/, '')}/add-checkpoint`)
  return async (body) => {
    const signal = AbortSignal.timeout(LIMITS.witnessAnswerMs)
    try {
      const answer = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body,
        signal,
      })
      const mediaType = String(answer.headers['content-type'] ?? '')
      return { status: answer.statusCode, mediaType, body: await readAll(answer.body) }
    } catch (cause) {
      throw new GatewayError('upstream_unreachable', `The witness at ${url.host} does not answer.`, {
        remedy: 'It will be asked again with the next checkpoint; until then nothing new is witnessed.',
        retry: 'later',
        cause,
      })
    }
  }
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > LIMITS.noteBytesMax) throw new Error('the answer is longer than any note')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
