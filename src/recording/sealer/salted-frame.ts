import { frameParts } from '../frames/frame-parts.ts'
import type { Frame } from '../frames/scan.ts'
import type { StoredPayload } from '../sealed/private-part.ts'
import { COMMITMENT_BYTES, commitmentOf, type Sha256 } from '../sealed/public-part.ts'

/** A frame as a session file has it. Payloads are views, valid as long as the frame is. */
export type SaltedFrame = { readonly part: Buffer; readonly payloads: readonly StoredPayload[] }

/**
 * All that sealing makes of a frame of the journal: its public part, with a commitment to each payload; undefined for a frame
 * that the journal made for itself. Throws, with the reason, on one that is none.
 */
export function saltedFrame(
  frame: Frame,
  sha256: Sha256,
  salt: (sequence: number, payload: number) => Uint8Array,
): SaltedFrame | undefined {
  const parts = frameParts(frame)
  if (parts === undefined) return undefined
  const { length } = parts.part
  const part = Buffer.allocUnsafe(length + parts.payloads.length * COMMITMENT_BYTES)
  part.set(parts.part)
  const payloads = parts.payloads.map(({ bytes }, at): StoredPayload => {
    const stored = { salt: salt(frame.sequence, at), bytes }
    part.set(commitmentOf(sha256, stored.salt, bytes), length + at * COMMITMENT_BYTES)
    return stored
  })
  return { part, payloads }
}
