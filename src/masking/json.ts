import { GatewayError, LIMITS } from '../core/index.ts'
import { JsonRewriter } from './bodies/json.ts'
import { BodyPlan } from './bodies/plan.ts'
import type { BodyMasking, MaskedPath } from './bodies/plan.ts'
import type { JsonAssignment } from './json-paths.ts'

export interface JsonMasker {
  begin(): BodyMasking
  /** A whole document at once. Throws GatewayError `limit_exceeded` beyond `LIMITS.jsonDocumentBytesMax`. */
  mask(document: Uint8Array): { readonly bytes: Uint8Array; readonly masked: readonly MaskedPath[] }
}

/**
 * Masks the values at the given paths in JSON documents (RFC 8259), byte by byte as they stream by: whatever is not
 * masked comes out as it went in, numbers and escapes and blanks included.
 *
 * A labelled string is masked by its rule. A labelled number or boolean, and a labelled array or object as a whole,
 * becomes null; null stays. Names of members are never masked. Every member counts when a name occurs twice.
 * Throws GatewayError `invalid` for a path that cannot be read.
 */
export function jsonMasker(assignments: readonly JsonAssignment[]): JsonMasker {
  const plan = new BodyPlan({ paths: assignments })
  return {
    begin: () => new JsonRewriter(plan, plan.tally()),
    mask(document) {
      if (document.length > LIMITS.jsonDocumentBytesMax) {
        throw new GatewayError('limit_exceeded', 'The JSON document is too large to be masked.', {
          remedy: 'Ask for fewer records at a time.',
          retry: 'only-if-changed',
          facts: { bytes: document.length },
        })
      }
      const masking = new JsonRewriter(plan, plan.tally())
      const first = masking.write(document)
      const last = masking.end()
      const bytes = last.length === 0 ? first : Buffer.concat([first, last])
      return { bytes, masked: masking.masked }
    },
  }
}
