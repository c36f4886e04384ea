/**
 * Masking: a value goes in, what may be shown of it comes out. Cells of database results, and JSON bodies by path.
 * Leaves to others which value carries which label, who may see it, and how values are framed.
 * Promise: pure, and never more than the rule says. What cannot be masked as its rule asks is hidden whole.
 */
export { cellMasker } from './cell.ts'
export { columnMasker } from './json-cell.ts'
export type { ColumnRule } from './json-cell.ts'
export { recognises } from './guard.ts'
export { withoutSecrets } from './outward/hidden.ts'
export { outwardIn } from './outward/outward.ts'
export type { OutwardKnown } from './outward/outward.ts'
export { maskedCell, NOTHING } from './masker.ts'
export type { CellMasker } from './masker.ts'
export { OTHER, TEXT } from './types.ts'
export type { NeutralName, ValueFormat, ValueType } from './types.ts'
export { jsonMasker } from './json.ts'
export { maskBody } from './bodies/index.ts'
export type { BodyKind } from './bodies/index.ts'
export { BodyPlan } from './bodies/plan.ts'
export type { BodyMasking, BodyRules, DetectorAssignment, MaskedPath } from './bodies/plan.ts'
export { DETECTOR_NAMES } from './detectors/index.ts'
export type { DetectorName } from './detectors/index.ts'
export { parseJsonPath } from './json-path.ts'
export type { JsonAssignment } from './json-paths.ts'
