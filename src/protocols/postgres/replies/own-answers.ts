import type { FrameMode } from '../../../wire/postgres/index.ts'
import { decodeServer, SERVER_TYPES } from '../../../wire/postgres/index.ts'
import { sqlstateOf } from '../errors.ts'
import type { PendingOwn } from '../pending.ts'
import type { ConversationState } from '../state.ts'

/** SET CONSTRAINTS outside of a transaction block has an effect all the same when more follows before Sync, and warns. */
const NO_TRANSACTION_BLOCK = '25P01'
/** Of the tables of one database. */
const ROWS_MAX = 100_000

/** Answers to messages of the gateway's own: they are taken out of what goes to the client. */
export class OwnAnswers {
  readonly #state: ConversationState
  readonly #follow: () => void

  /** `follow` is called when another is the first in the queue. */
  constructor(state: ConversationState, follow: () => void) {
    this.#state = state
    this.#follow = follow
  }

  /** How a message is read while one of the gateway's own is answered. Undefined: as it always is. */
  mode(type: number): FrameMode | undefined {
    const head = this.#state.pending.first()
    return head?.kind === 'own' ? ownMode(head, type) : undefined
  }

  /** Whether the message was for the gateway. */
  take(type: number, buffer: Buffer, start: number, end: number): boolean {
    const head = this.#state.pending.first()
    if (head?.kind !== 'own') return false
    const taken = takeOwn(head, type, buffer, start, end)
    if (taken === 'ended') {
      this.#state.pending.shift()
      this.#follow()
      head.onEnd?.()
    }
    return taken !== 'other'
  }
}

function ownMode(head: PendingOwn, type: number): FrameMode | undefined {
  switch (type) {
    case SERVER_TYPES.dataRow:
      return head.until === SERVER_TYPES.commandComplete ? 'whole' : undefined
    case SERVER_TYPES.noticeResponse:
      return 'whole'
    default:
      return type === head.until ? 'whole' : undefined
  }
}

/** Takes what is an answer to the gateway; `ended`: the last of it. */
function takeOwn(
  head: PendingOwn,
  type: number,
  buffer: Buffer,
  start: number,
  end: number,
): 'taken' | 'ended' | 'other' {
  if (type === head.until) return 'ended'
  switch (type) {
    case SERVER_TYPES.dataRow: {
      const message = decodeServer(type, buffer, start, end)
      if (message.kind !== 'dataRow' || head.rows.length > ROWS_MAX) return 'taken'
      // One more than there can be is one that nobody can read: what was left out must not count as nothing.
      head.rows.push(
        head.rows.length === ROWS_MAX
          ? ['']
          : message.cells.map((cell) => (cell === null ? null : Buffer.from(cell).toString('utf8'))),
      )
      return 'taken'
    }
    case SERVER_TYPES.noticeResponse:
      return sqlstateOf(buffer, start, end) === NO_TRANSACTION_BLOCK ? 'taken' : 'other'
    default:
      return 'other'
  }
}
