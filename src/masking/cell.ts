import type { MaskingRule } from '../core/index.ts'
import { assertNever } from '../core/index.ts'
import { constantOf, jsonBytes } from './constants.ts'
import { beginOfUnit } from './dates.ts'
import { arrayMasker, compositeMasker, multirangeMasker, rangeMasker } from './elements.ts'
import { keyedMasker } from './keyed.ts'
import type { CellMasker } from './masker.ts'
import { always, NOTHING } from './masker.ts'
import { networkOf } from './network.ts'
import { neutralMasker } from './neutral.ts'
import { bucketOfNumber } from './numbers.ts'
import { FULL, MASKED, partialText } from './text.ts'
import type { NeutralName, ValueFormat, ValueType } from './types.ts'

/**
 * The masker for one rule and one type of value in one format. What it shows always parses as that type in that format;
 * where the rule has no such form of it, NULL is shown.
 *
 * Partial rules never show more than half of the characters, and hide whole what is too short for that, longer than
 * `LIMITS.partialCellBytesMax`, or not UTF-8.
 */
export function cellMasker(rule: MaskingRule, type: ValueType, format: ValueFormat): CellMasker {
  if (rule.kind === 'null') return NOTHING
  const of = (part: ValueType): CellMasker => cellMasker(rule, part, format)
  switch (type.kind) {
    case 'array':
      return arrayMasker(type, format, of)
    case 'composite':
      return compositeMasker(type, format, of)
    case 'range':
      return orNeutral(isCoarser(rule) ? rangeMasker(type, format, of) : NOTHING, 'range', format)
    case 'multirange':
      return orNeutral(isCoarser(rule) ? multirangeMasker(type, format, of) : NOTHING, 'multirange', format)
    case 'other':
      return NOTHING
    default:
      return scalarMasker(rule, type, format)
  }
}

function orNeutral(masker: CellMasker, name: NeutralName, format: ValueFormat): CellMasker {
  return masker === NOTHING ? neutralMasker(name, format) : masker
}

/** Values become fewer and keep their order: such a rule may be applied to both bounds of a range. */
function isCoarser(rule: MaskingRule): boolean {
  return rule.kind === 'year' || rule.kind === 'bucket'
}

function scalarMasker(rule: MaskingRule, type: ValueType, format: ValueFormat): CellMasker {
  switch (rule.kind) {
    case 'null':
      return NOTHING
    case 'constant': {
      const shown = constantOf(rule.text, type, format)
      return shown === undefined ? fullMasker(type, format) : always(shown)
    }
    case 'full':
      return fullMasker(type, format)
    case 'partial':
      return type.kind === 'text' ? partialText(rule) : fullMasker(type, format)
    case 'hash':
    case 'pseudonym':
      return keyedMasker(rule, type, format)
    case 'year':
      if (type.kind === 'date' || type.kind === 'timestamp') return beginOfUnit(type, 'year', format)
      return fullMasker(type, format)
    case 'bucket':
      switch (type.kind) {
        case 'date':
        case 'timestamp':
          return beginOfUnit(type, rule.unit, format)
        case 'integer':
        case 'float':
        case 'numeric':
          return bucketOfNumber(type, rule.size, format)
        case 'inet':
          return networkOf(type.cidr, format)
        default:
          return fullMasker(type, format)
      }
    default:
      return assertNever(rule)
  }
}

const STAR = always(Buffer.from('*'))

/** What a value hidden whole is shown as, where its type has a value that says so. */
function fullMasker(type: ValueType, format: ValueFormat): CellMasker {
  switch (type.kind) {
    case 'text':
      return FULL
    case 'char':
      return STAR
    case 'json':
      return always(jsonBytes('"[masked]"', type.versioned, format))
    case 'xml':
      return always(Buffer.from('<masked/>'))
    case 'bytea':
      return always(format === 'binary' ? MASKED : Buffer.from(`\\x${Buffer.from(MASKED).toString('hex')}`))
    case 'neutral':
      return neutralMasker(type.name, format)
    default:
      return NOTHING
  }
}
