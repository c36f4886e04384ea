import type { LabelName, SealedCommand } from '../../../core/index.ts'

/**
 * What is recorded of a request on a route whose fields have labels: its body may hold values for any of them, so it is sealed
 * as a whole under all. Undefined where there is no body, or no label. The target stays as it is: it says which thing was
 * asked for, and rules read it.
 */
export function sealedRequest(
  text: string,
  body: Uint8Array,
  labels: readonly LabelName[],
): SealedCommand | undefined {
  if (body.length === 0 || labels.length === 0) return undefined
  const base64 = (Buffer.isBuffer(body) ? body : Buffer.from(body)).toString('base64')
  const sorted = [...labels].sort()
  // A mark that stands there already would be taken for that of the body.
  if (text.includes('[sealed ')) {
    const sealed = [{ labels: sorted, numbers: [1, 2], values: [text, base64] }]
    return { text: '[sealed 1]', parameters: ['[sealed 2]'], sealed, labels: sorted, open: false }
  }
  const sealed = [{ labels: sorted, numbers: [1], values: [base64] }]
  return { text, parameters: ['[sealed 1]'], sealed, labels: sorted, open: false }
}
