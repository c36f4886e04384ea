import type { Approval } from './approval.ts'
import { isOpen } from './approval.ts'

/** In the place of a text that was erased. */
const ERASED = '[erased]'

/**
 * A request whose command was erased from the recording, without what it says of it. Who answers has to see what is asked,
 * and what is approved has to be compared with what is to run: one that is open lets go of it when it ends. Undefined: nothing
 * changes.
 */
export function erased(approval: Approval): Approval | undefined {
  if (approval.text === ERASED || (isOpen(approval) && approval.erasing === true)) return undefined
  const next = { ...approval, erasing: true as const, revision: approval.revision + 1 }
  return isOpen(approval) ? next : emptied(next)
}

/** What is about to be stored: of a request that has just ended, and is to be erased, without what it says of its command. */
export function emptiedAtEnd(approval: Approval): Approval {
  return approval.erasing === true && !isOpen(approval) ? emptied(approval) : approval
}

function emptied({
  parameters: _parameters,
  shown: _shown,
  under: _under,
  erasing: _erasing,
  ...rest
}: Approval): Approval {
  const answers = rest.answers.map(({ reason: _reason, ...given }) => given)
  return { ...rest, text: ERASED, reads: [], writes: [], answers }
}
