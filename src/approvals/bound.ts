import type { ChosenEffect, EffectBound } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { Approval } from './approval.ts'

/**
 * Throws `invalid` for what is no number of rows or leaves nothing that all approvers agree on, `denied` for a command whose rows
 * nobody can count, and where a rule asks for what was not said.
 */
export function checkEffect(approval: Approval, effect: ChosenEffect | undefined): void {
  const { ticket, effectRequired, countable, answers } = approval
  const why = countable?.can === true ? undefined : (countable?.why ?? 'it is no statement that changes rows')
  if (effect === undefined) {
    if (effectRequired !== true) return
    if (why !== undefined) {
      throw new GatewayError('denied', `${ticket} cannot be approved: ${why}.`, {
        ticket,
        remedy: 'A rule asks that it be approved for a number of rows, and nobody can count them. Refuse it.',
      })
    }
    throw new GatewayError('invalid', `Say how many rows ${ticket} may change: a rule asks for that.`, {
      ticket,
      remedy: `Look with: sluice approvals preview ${ticket}, and approve with: --rows N`,
    })
  }
  const { rows, tolerance } = effect
  if (!isCount(rows) || !isCount(tolerance)) {
    throw new GatewayError('invalid', `Give a number of rows from 0 to ${LIMITS.effectRowsMax}.`, { ticket })
  }
  if (why !== undefined) {
    throw new GatewayError('denied', `${ticket} cannot be approved for a number of rows: ${why}.`, {
      ticket,
      remedy: 'Approve it without --rows, or refuse it.',
    })
  }
  const others = answers.flatMap((given) => given.effect ?? [])
  if (boundOf([...others, effect]) === undefined) {
    throw new GatewayError('conflict', `Another approver of ${ticket} has said another number of rows.`, {
      ticket,
      remedy: 'Look with "sluice approvals show" for which, and agree on one.',
    })
  }
}

/** What all who have approved agree on: whoever says no number agrees with every one. */
export function agreedEffect({ answers }: Pick<Approval, 'answers'>): EffectBound | undefined {
  const chosen = answers.flatMap(({ verdict, effect }) => (verdict === 'approve' ? (effect ?? []) : []))
  if (chosen.length === 0) return undefined
  // Nothing is in between where they do not agree: then no number of rows is right.
  return boundOf(chosen) ?? { least: 1, most: 0 }
}

/** Undefined: no number is within all of them. */
function boundOf(chosen: readonly ChosenEffect[]): EffectBound | undefined {
  const least = Math.max(0, ...chosen.map(({ rows, tolerance }) => rows - tolerance))
  const most = Math.min(...chosen.map(({ rows, tolerance }) => rows + tolerance))
  return least <= most ? { least, most } : undefined
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= LIMITS.effectRowsMax
}
