import type { MaskingRule } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import { cellMasker } from './cell.ts'
import { jsonBytes } from './constants.ts'
import { arrayMasker } from './elements.ts'
import { jsonMasker } from './json.ts'
import type { JsonAssignment } from './json-paths.ts'
import type { CellMasker } from './masker.ts'
import { put } from './bytes.ts'
import type { ValueFormat, ValueType } from './types.ts'

/** How what lies at paths inside a JSON value is masked; the rest of it is shown. */
export type PathsRule = { readonly kind: 'paths'; readonly paths: readonly JsonAssignment[] }

/** How the values of a column are masked: all of each, or what lies at paths inside. */
export type ColumnRule = MaskingRule | PathsRule

/** The masker for a column. What is neither JSON nor a list of it has no paths, and is hidden whole. */
export function columnMasker(rule: ColumnRule, type: ValueType, format: ValueFormat): CellMasker {
  if (rule.kind !== 'paths') return cellMasker(rule, type, format)
  if (type.kind === 'json') return jsonCellMasker(rule, type.versioned, format)
  if (type.kind === 'array') return arrayMasker(type, format, (each) => columnMasker(rule, each, format))
  return cellMasker({ kind: 'full' }, type, format)
}

/** What is masked in a document may be longer than what was there, but not by more than this. */
const GROWS = 512 * 1024

/**
 * Masks at paths inside of json and jsonb. What cannot be read, is too long to be looked into, or becomes too long, is
 * hidden whole.
 */
function jsonCellMasker(rule: PathsRule, versioned: boolean, format: ValueFormat): CellMasker {
  const { mask: maskJson } = jsonMasker(rule.paths)
  const version = versioned && format === 'binary' ? 1 : 0
  const hidden = jsonBytes('"[masked]"', versioned, format)
  const mask = (value: Uint8Array): Uint8Array => {
    if (value.length > LIMITS.jsonCellBytesMax || (version === 1 && value[0] !== 1)) return hidden
    try {
      const { bytes } = maskJson(value.subarray(version))
      if (bytes.length > value.length + GROWS) return hidden
      return version === 0 ? bytes : Buffer.concat([value.subarray(0, 1), bytes])
    } catch {
      return hidden
    }
  }
  return {
    keeps: LIMITS.jsonCellBytesMax + 1,
    grows: GROWS + hidden.length,
    mask,
    write: (source, from, to, target, at) => put(mask(source.subarray(from, to)), target, at),
  }
}
