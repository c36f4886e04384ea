import type { Facts, LabelName, MaskingRule, PreviewSample } from '../../../core/index.ts'
import { maskedCell } from '../../../session/index.ts'
import type { Known } from '../catalogue/catalogue-keeper.ts'
import type { InReach } from '../results/results.ts'
import { fit, planResults, tighten } from '../results/results.ts'
import type { FirstRows } from '../startup/upstream.ts'

/** Of one value, and of all of a sample. */
const VALUE_CHARACTERS_MAX = 200
const SAMPLE_BYTES_MAX = 32 * 1024

/** On a connection without labels, or the rows as they may be shown to somebody for whom these are masked. */
export type SampleMasks =
  | undefined
  | { readonly facts: Facts; readonly masks: ReadonlyMap<LabelName, MaskingRule>; readonly known: Known }

/**
 * The rows that came back, masked by the same plan as a client's results, cut to what one looks at. Undefined: it is not known
 * what their columns show.
 */
export function sampleOf(first: FirstRows, of: SampleMasks, inReach: InReach): PreviewSample | undefined {
  const { fields, rows, isSuspended } = first
  const columns = fields.map(({ name }) => name)
  if (of === undefined) return { columns, ...cut(rows, isSuspended), masked: [] }
  const { facts, masks, known } = of
  // What masking cannot follow is shown to nobody who may not see all of it.
  if (facts.escape?.labels.some((label) => masks.has(label)) === true) return undefined
  const [analysed] = planResults(facts, masks)
  if (analysed === undefined) {
    // Nothing protected is in it by analysis; what the server says of it has to agree.
    const isSurprise = fields.some(({ tableOid, attnum }) => tableOid !== 0 && inReach(tableOid, attnum))
    return isSurprise ? undefined : { columns, ...cut(rows, isSuspended), masked: [] }
  }
  const plan = fit(tighten(analysed, fields, inReach), [], known.types)
  const shown = rows.map((row) =>
    row.map((cell, i) => {
      const masker = plan.columns[i]
      return cell === null || masker === undefined ? cell : maskedCell(masker, cell)
    }),
  )
  const masked = facts.labels.filter((label) => masks.has(label))
  return { columns, ...cut(shown, isSuspended), masked }
}

function cut(
  rows: readonly (readonly (Uint8Array | null)[])[],
  isSuspended: boolean,
): Pick<PreviewSample, 'rows' | 'more'> {
  const shown: (string | null)[][] = []
  let bytes = 0
  for (const row of rows) {
    const texts = row.map((cell) => (cell === null ? null : shortened(Buffer.from(cell).toString('utf8'))))
    bytes += texts.reduce((sum, each) => sum + (each?.length ?? 4), 0)
    if (bytes > SAMPLE_BYTES_MAX) return { rows: shown, more: true }
    shown.push(texts)
  }
  return { rows: shown, more: isSuspended }
}

function shortened(text: string): string {
  const characters = [...text]
  if (characters.length <= VALUE_CHARACTERS_MAX) return text
  return `${characters.slice(0, VALUE_CHARACTERS_MAX).join('')}... (${characters.length} characters)`
}
