import type { Transform } from 'node:stream'
import { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'

/** Content codings that are undone, RFC 9110 section 8.4.1 and RFC 8878. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
])

/** The codings of a body, the last applied last; undefined: one of them is not known, or they are too many. */
export function codingsOf(contentEncoding: string): readonly string[] | undefined {
  const codings = contentEncoding
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== '' && each !== 'identity')
  const isKnown = codings.every((each) => DECODERS.has(each))
  return isKnown && codings.length <= LIMITS.httpCodingsMax ? codings : undefined
}

/**
 * A body without its codings. Throws GatewayError `protocol_violation` for what cannot be unpacked,
 * and `limit_exceeded` where that is longer than `LIMITS.httpDecodedBytesMax` or, beyond its first MiB, longer than
 * `LIMITS.httpDecodedRatioMax` times what came.
 */
export async function* decoded(
  body: AsyncIterable<Uint8Array>,
  codings: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  if (codings.length === 0) {
    yield* body
    return
  }
  const meter = { packed: 0, unpacked: 0 }
  const source = Readable.from(counted(body, meter), { objectMode: false })
  let isOfSource = false
  source.once('error', () => {
    isOfSource = true
  })
  const streams: Readable[] = [source]
  let last: Readable = source
  for (const coding of codings.toReversed()) {
    const decoder = DECODERS.get(coding)?.()
    if (decoder === undefined) throw unpackable()
    last.on('error', (error) => decoder.destroy(error))
    last = last.pipe(decoder)
    streams.push(last)
  }
  try {
    for await (const piece of last) {
      if (!(piece instanceof Uint8Array)) continue
      meter.unpacked += piece.length
      refuseBomb(meter)
      yield piece
    }
  } catch (error) {
    // Nothing at all is an answer without a body, whatever its fields say.
    if (!isOfSource && meter.packed === 0) return
    throw isOfSource || isGatewayError(error) ? error : unpackable(error)
  } finally {
    for (const stream of streams) stream.destroy()
  }
}

function refuseBomb({ packed, unpacked }: { readonly packed: number; readonly unpacked: number }): void {
  const isBomb = unpacked > LIMITS.httpDecodedFreeBytes && unpacked > LIMITS.httpDecodedRatioMax * packed
  if (!isBomb && unpacked <= LIMITS.httpDecodedBytesMax) return
  throw new GatewayError('limit_exceeded', 'The answer is too long, unpacked, to be looked into.', {
    remedy: 'Ask for fewer records at a time.',
    retry: 'only-if-changed',
    facts: { packed, unpacked },
  })
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  meter: { packed: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of body) {
    meter.packed += piece.length
    yield piece
  }
}

function unpackable(cause?: unknown): GatewayError {
  return new GatewayError('protocol_violation', 'The answer of the upstream cannot be unpacked.', {
    remedy: 'Tell whoever runs the API.',
    retry: 'later',
    cause,
  })
}
