import type { MaskingRule } from '../../core/index.ts'
import { cellMasker, maskedCell, TEXT } from '../../session/index.ts'
import { fieldKey } from '../../wire/http/index.ts'

/** The fields of an answer's head (names and values in turn), with those masked that have a rule, by `fieldKey`. */
export function maskedFields(
  headers: readonly string[],
  rules: ReadonlyMap<string, MaskingRule>,
): readonly string[] {
  if (rules.size === 0) return headers
  const shown: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? ''
    const rule = rules.get(fieldKey(name))
    const value = headers[i + 1] ?? ''
    const kept = rule === undefined ? value : masked(value, rule)
    if (kept !== undefined) shown.push(name, kept)
  }
  return shown
}

/** Undefined: nothing of it is shown, and the field is left out. */
function masked(value: string, rule: MaskingRule): string | undefined {
  const cell = maskedCell(cellMasker(rule, TEXT, 'text'), Buffer.from(value, 'latin1'))
  // Fields are ASCII: other characters are written as in URLs.
  return cell === null
    ? undefined
    : Buffer.from(cell)
        .toString()
        .replaceAll(/[^\x20-\x7e]+/gu, encodeURIComponent)
}
