import type { JsonAssignment } from '../masking/index.ts'
import { jsonMasker } from '../masking/index.ts'

/** For tests: a document masked in pieces of `size` bytes, each in memory of its own that is overwritten afterwards. */
export function maskedInPieces(
  document: Uint8Array,
  assignments: readonly JsonAssignment[],
  size: number,
): Buffer {
  const masking = jsonMasker(assignments).begin()
  const out: Buffer[] = []
  for (let at = 0; at < document.length; at += size) {
    const piece = Buffer.from(document.subarray(at, at + size))
    out.push(Buffer.from(masking.write(piece)))
    piece.fill(0)
  }
  out.push(Buffer.from(masking.end()))
  return Buffer.concat(out)
}
