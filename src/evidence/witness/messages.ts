import { LIMITS } from '../../core/index.ts'
import { decodeBase64, decodeCount, decodeText, encodeBase64, encodeText, malformed } from '../note/text.ts'
import { HASH_BYTES, type Hash } from '../tree/hasher.ts'

/** What a log asks of a witness. https://c2sp.org/tlog-witness#add-checkpoint */
export type AddCheckpoint = {
  /** What the witness cosigned last, as far as the log knows; 0: nothing. */
  readonly oldSize: number
  /** That the new checkpoint begins with the old one. */
  readonly proof: readonly Hash[]
  /** The new checkpoint, signed. */
  readonly signed: Uint8Array
}

/** The longest request: `old` and a size, 63 hashes, an empty line, a note. */
export const REQUEST_BYTES_MAX = LIMITS.noteBytesMax + 32 + 64 * LIMITS.consistencyProofHashesMax
/** The media type of a conflict's body, which is a size. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size'

export function formatAddCheckpoint({ oldSize, proof, signed }: AddCheckpoint): Uint8Array {
  const lines = [`old ${oldSize}`, ...proof.map(encodeBase64), '']
  const head = encodeText(lines.map((line) => `${line}\n`).join(''))
  const bytes = new Uint8Array(head.length + signed.length)
  bytes.set(head)
  bytes.set(signed, head.length)
  return bytes
}

/** Throws `invalid`. */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint {
  const text = decodeText(bytes, 'A request to a witness')
  const end = text.indexOf('\n\n')
  if (end < 0) throw malformed('A request to a witness has no empty line before its checkpoint')
  const [first = '', ...lines] = text.slice(0, end).split('\n')
  const oldSize = first.startsWith('old ') ? decodeCount(first.slice('old '.length)) : undefined
  if (oldSize === undefined) throw malformed('A request to a witness does not begin with an old size')
  if (lines.length > LIMITS.consistencyProofHashesMax)
    throw malformed(`A consistency proof has at most ${LIMITS.consistencyProofHashesMax} hashes`)
  const proof = lines.map((line) => {
    const hash = decodeBase64(line)
    if (hash?.length !== HASH_BYTES) throw malformed('A request to a witness has a line that is no hash')
    return hash
  })
  return { oldSize, proof, signed: encodeText(text.slice(end + 2)) }
}

/** A size and a newline, as a conflict says what the witness cosigned last; undefined for anything else. */
export function parseSize(bytes: Uint8Array): number | undefined {
  const [, digits = ''] = /^([0-9]{1,16})\n$/.exec(new TextDecoder().decode(bytes)) ?? []
  return decodeCount(digits)
}
