import type { RecordingKeys } from '../../core/index.ts'
import { CHUNK_HEADER_BYTES, openPrivate, readChunkHeader } from '../../recording/sealed/chunk.ts'
import { unwrapDataKey } from '../../recording/sealed/data-key.ts'
import type { Missing, PayloadName } from '../../recording/sealed/payloads.ts'
import { PrivateReader, type StoredPayload } from '../../recording/sealed/private-part.ts'
import { commitmentOf, decodePublicPart, type PublicPart } from '../../recording/sealed/public-part.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import type { PayloadFinding, PayloadOpener, RawChunk } from '../check/ports.ts'
import type { EvidencePayload } from '../proof/evidence.ts'
import type { PayloadReader } from '../proof/prove.ts'

/** A frame of a chunk with its payloads, each as it is stored. */
type OpenedFrame = {
  readonly part: PublicPart
  /** In the order of their commitments. */
  readonly payloads: readonly { readonly name: PayloadName; readonly stored: StoredPayload | Missing }[]
}

/** Opens payloads with recording keys, and holds each against its commitment. */
export function payloadOpener(keys: RecordingKeys): PayloadOpener {
  return ({ session, keyId, wrapped }) => {
    if (!keys.some(({ id }) => id === keyId)) return undefined
    const dataKey = unwrapDataKey(keys, { session, key: { id: keyId, wrapped } })
    return (chunk) => openedFrames(chunk, dataKey, session).flatMap(findingsIn)
  }
}

/** What of a session's payloads is shown in an evidence file by who has recording keys: all that is there. */
export function payloadReader(keys: RecordingKeys): PayloadReader {
  return ({ session, keyId, wrapped }) => {
    if (!keys.some(({ id }) => id === keyId)) return undefined
    const dataKey = unwrapDataKey(keys, { session, key: { id: keyId, wrapped } })
    return (chunk) =>
      new Map(
        openedFrames(chunk, dataKey, session).map(({ part, payloads }) => [
          part.sequence,
          payloads.map(shown),
        ]),
      )
  }
}

function shown({ name, stored }: OpenedFrame['payloads'][number]): EvidencePayload {
  if (typeof stored !== 'string') return { name, ...stored }
  return { name, state: stored === 'removed' ? 'removed' : 'hidden' }
}

/** All frames of a chunk, opened with the data key of its file. Throws with the reason. */
function openedFrames({ bytes, publicBytes }: RawChunk, dataKey: Uint8Array, session: string): OpenedFrame[] {
  const stored = asBuffer(bytes)
  const header = readChunkHeader(stored.subarray(0, CHUNK_HEADER_BYTES))
  const reader = new PrivateReader(openPrivate(stored, header, dataKey, session))
  const open = asBuffer(publicBytes)
  const frames: OpenedFrame[] = []
  for (let at = 0; at < open.length; ) {
    // The highest byte of the length may have been used up as the prefix of a leaf: it is zero then.
    const end = at + 4 + open.readUInt32LE(at)
    const part = decodePublicPart(open.subarray(at + 4, end))
    frames.push({ part, payloads: part.payloads.map(({ name }) => ({ name, stored: reader.next() })) })
    at = end
  }
  if (!reader.atEnd) throw new Error('a chunk has payloads that no frame names')
  return frames
}

function findingsIn({ part, payloads }: OpenedFrame): PayloadFinding[] {
  return payloads.flatMap(({ name, stored }, at): PayloadFinding[] => {
    const { sequence } = part
    if (stored === 'removed' || stored === 'locked') return [{ sequence, payload: name, state: 'removed' }]
    const said = part.payloads[at]
    const commitment = commitmentOf(nodeSha256, stored.salt, stored.bytes)
    const isSame = said?.bytes === stored.bytes.length && Buffer.compare(commitment, said.commitment) === 0
    return isSame ? [] : [{ sequence, payload: name, state: 'wrong' }]
  })
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
