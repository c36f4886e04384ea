import { LIMITS } from '../core/index.ts'
import { put } from './bytes.ts'

/** Masks the cells of one column. Holds no state: one serves any number of rows and results. */
export type CellMasker = {
  /**
   * How many leading bytes of a cell `write` wants to see: 0 for rules that show nothing of it, so that the cell can be
   * skipped as it streams by. A longer cell may be cut to this length before it is handed over.
   */
  readonly keeps: number
  /** How many bytes longer than what it sees of a cell its masked form may be. */
  readonly grows: number
  /**
   * Writes what is shown instead of the value in `source[from, to)` (the whole cell or its first `keeps` bytes) to
   * `target` at `at`, where `to - from + grows` bytes are free. Returns where it ended, or -1 for SQL NULL.
   */
  write(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number
  /** The same for a value by itself, where that spares a copy. Undefined is NULL. */
  readonly mask?: (value: Uint8Array) => Uint8Array | undefined
}

/** The masked form of one value as bytes of its own, for where cells are few. Null is SQL NULL. */
export function maskedCell(masker: CellMasker, value: Uint8Array): Uint8Array | null {
  const seen = Math.min(value.length, masker.keeps)
  if (masker.mask !== undefined) return masker.mask(value.subarray(0, seen)) ?? null
  const target = Buffer.allocUnsafe(seen + masker.grows)
  const end = masker.write(value, 0, seen, target, 0)
  return end < 0 ? null : target.subarray(0, end)
}

/** NULL parses as every type. */
export const NOTHING: CellMasker = { keeps: 0, grows: 0, write: () => -1 }

/** The same bytes whatever the value. */
export function always(shown: Uint8Array): CellMasker {
  return { keeps: 0, grows: shown.length, write: (_source, _from, _to, target, at) => put(shown, target, at) }
}

/** What a masked value that is made as a whole may have in length beyond the value itself. */
const GROWS = 16 * 1024

/**
 * A masker that makes the masked form as a whole: for types that are seldom many, where clearness is worth a piece of
 * memory a cell. `mask` sees the whole value; one longer than the limit becomes `tooLong`, as does one that `mask`
 * makes longer than there is room for. Undefined is NULL.
 */
export function byValue(mask: (value: Buffer) => Uint8Array | undefined, tooLong?: Uint8Array): CellMasker {
  return {
    keeps: LIMITS.partialCellBytesMax + 1,
    grows: GROWS,
    write(source, from, to, target, at) {
      const fits = to - from <= LIMITS.partialCellBytesMax
      const value = Buffer.from(source.buffer, source.byteOffset + from, to - from)
      const masked = fits ? mask(value) : tooLong
      const shown = masked !== undefined && masked.length > to - from + GROWS ? tooLong : masked
      return shown === undefined ? -1 : put(shown, target, at)
    },
  }
}
