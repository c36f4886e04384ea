import type { LabelName, MaskingRule } from '../../../core/index.ts'
import type { Permitted } from '../../../session/index.ts'
import { noticeBytes } from '../errors.ts'
import type { ResultPlan } from './results.ts'
import { maskOf } from './results.ts'

/** Shapes of statements remembered per session; beyond it a client is told again. */
const TOLD_MAX = 1_000
const SHAPE_CHARACTERS_MAX = 2_000
const NAMED_MAX = 10

/** The SQLSTATE of the notice that says what was masked in the rows before it. */
export const MASKED_SQLSTATE = 'SL010'

export type MaskedColumn = {
  /** From 1. */
  readonly position: number
  /** Empty for an expression without a name. */
  readonly name: string
  readonly labels: readonly LabelName[]
  readonly mask: MaskingRule
}

/** What was masked in a result; `sluice.last_result` shows it. */
export type MaskedResult = { readonly columns: readonly MaskedColumn[]; readonly rows: number }

/**
 * Keeps what was masked in the last result of a session, and says so in a notice behind the rows, once per shape of
 * statement: who reads a result (or has a model read it) must know that values in it are not the real ones.
 */
export class MaskedResults {
  readonly #speaks: boolean
  /** Made at the first masked result: most sessions never have one. */
  #told: { readonly of: WeakSet<object>; readonly shapes: Set<string> } | undefined
  #last: MaskedResult = { columns: [], rows: 0 }

  constructor(speaks: boolean) {
    this.#speaks = speaks
  }

  get last(): MaskedResult {
    return this.#last
  }

  /** The notice to send behind these rows, if there is one. `rows` is how many were masked. */
  ended(flight: Permitted, plan: ResultPlan | undefined, rows: number): Buffer | undefined {
    if (plan?.masks !== true || rows === 0) {
      if (rows > 0 || plan !== undefined) this.#last = { columns: [], rows }
      return undefined
    }
    const { judgement, command } = flight
    const { decision } = judgement
    const columns = maskedColumns(plan, decision.kind === 'deny' ? new Map() : decision.masks)
    this.#last = { columns, rows }
    // Judgements are cached: most repetitions are the very same object.
    if (!this.#speaks) return undefined
    this.#told ??= { of: new WeakSet(), shapes: new Set() }
    const told = this.#told
    if (told.of.has(judgement)) return undefined
    told.of.add(judgement)
    const key = `${shapeOf(command.text)}\n${columns.map(columnText).join()}`
    if (told.shapes.has(key)) return undefined
    if (told.shapes.size >= TOLD_MAX) told.shapes.clear()
    told.shapes.add(key)
    return notice(columns, rows)
  }
}

export function maskedColumns(
  plan: ResultPlan,
  masks: ReadonlyMap<LabelName, MaskingRule>,
): readonly MaskedColumn[] {
  return plan.columns.flatMap((masker, at) => {
    if (masker === undefined) return []
    const output = plan.outputs[at]
    return [
      {
        position: at + 1,
        name: output?.name ?? '',
        labels: output?.labels ?? [],
        mask: output === undefined ? { kind: 'null' } : maskOf(output, masks),
      },
    ]
  })
}

/** `email (pii.email)`, `column 3`. */
export function columnText({ position, name, labels }: MaskedColumn): string {
  const shown = name === '' ? `column ${position}` : name
  return labels.length === 0 ? shown : `${shown} (${labels.join(', ')})`
}

function notice(columns: readonly MaskedColumn[], rows: number): Buffer {
  const named = columns.slice(0, NAMED_MAX).map(columnText)
  const more = columns.length - named.length
  const list = [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ')
  return noticeBytes(
    MASKED_SQLSTATE,
    `Masked in ${rows} ${rows === 1 ? 'row' : 'rows'}: ${list}.`,
    'These values are not the real ones, because they are protected and no rule lets you see them in clear.',
    'Do not write masked values back. SELECT * FROM sluice.last_result says more.',
  )
}

/** The text without its literals and spacing: what a client would call the same statement. */
function shapeOf(text: string): string {
  return text
    .slice(0, SHAPE_CHARACTERS_MAX)
    .replaceAll(/'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b/g, '?')
    .replaceAll(/\s+/g, ' ')
    .replace(/[\s;]+$/, '')
}
