import type { PayloadName } from './payloads.ts'
import type { PublicPart } from './public-part.ts'
import type { ReadFrame } from './reader.ts'
import type { SealedWriter } from './writer.ts'

/** A payload of a file that is written again. */
export type KeptOrRemoved = {
  readonly part: PublicPart
  readonly name: PayloadName
  /** Whether it is in the file: one that was removed before stays so. */
  readonly isThere: boolean
}

/**
 * The bytes of a sealed file again, without the payloads that `remove` names: their commitments stay, and so the proof of
 * everything else; their salts go. `to` has a data key of its own, so that no two versions of a chunk share a nonce.
 * `frames` have to be read with the key: a payload that is locked cannot be kept. Then throws.
 */
export async function* withoutPayloads(
  frames: AsyncIterable<ReadFrame>,
  to: SealedWriter,
  remove: (payload: KeptOrRemoved) => boolean,
): AsyncGenerator<Buffer> {
  yield to.begin()
  for await (const { bytes, part, payloads } of frames) {
    const kept = payloads.map(({ name, stored }) => {
      if (stored === 'locked') throw new Error('a payload that cannot be read cannot be kept')
      const isThere = stored !== 'removed'
      return remove({ part, name, isThere }) || stored === 'removed' ? undefined : stored
    })
    const chunk = to.append(Buffer.from(bytes), part.sequence, kept)
    if (chunk !== undefined) yield chunk
  }
  const last = to.finish()
  if (last !== undefined) yield last
}
