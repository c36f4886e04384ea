import type { AnswerForm } from '../../../sql/index.ts'
import { SERVER_TYPES } from '../../../wire/postgres/index.ts'
import type { Pending, PendingExecute, PendingQuery } from '../pending.ts'
import { answersOf } from '../requests/answers.ts'
import type { ConversationState } from '../state.ts'

/**
 * Whether each message of the server can be an answer to what it would be taken for. Rows are masked by the plan of the
 * command at the head of the queue: were the queue one message ahead of the server or behind it, they would be masked by
 * the plan of another command. So the first message that does not fit ends the session, before anything of it is passed on.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
export class Fit {
  readonly #state: ConversationState
  /** The server is sending rows of COPY. */
  #isSendingCopy = false

  constructor(state: ConversationState) {
    this.#state = state
  }

  /** Throws TypeError. */
  check(type: number): void {
    if (!this.#fits(type, this.#state.pending.first())) throw misfit(type)
  }

  #fits(type: number, head: Pending | undefined): boolean {
    switch (type) {
      case SERVER_TYPES.dataRow:
        return isRunning(head) && !this.#state.failed
      case SERVER_TYPES.noticeResponse:
      case SERVER_TYPES.notificationResponse:
      case SERVER_TYPES.parameterStatus:
        return true
      case SERVER_TYPES.errorResponse:
        this.#isSendingCopy = false
        return true
      case SERVER_TYPES.readyForQuery:
        return this.#isReady(head)
      default:
        // In a batch the rest is discarded, in the extended protocol everything up to Sync.
        return !this.#state.failed && this.#answers(type, head)
    }
  }

  #isReady(head: Pending | undefined): boolean {
    switch (head?.kind) {
      case 'sync':
      case 'commit':
        return true
      case 'query':
        return this.#state.failed || (head.statement > 0 && isLast(head))
      case 'refusal':
        return head.simple && this.#state.failed
      default:
        return false
    }
  }

  #answers(type: number, head: Pending | undefined): boolean {
    switch (type) {
      case SERVER_TYPES.parseComplete:
        return head?.kind === 'parse'
      case SERVER_TYPES.bindComplete:
        return head?.kind === 'bind'
      case SERVER_TYPES.closeComplete:
        return head?.kind === 'close'
      case SERVER_TYPES.noData:
      case SERVER_TYPES.parameterDescription:
        return head?.kind === 'describe'
      case SERVER_TYPES.rowDescription:
        return head?.kind === 'describe' || (head?.kind === 'query' && mayBe(head, 'plain'))
      case SERVER_TYPES.portalSuspended:
        return head?.kind === 'execute'
      case SERVER_TYPES.commandComplete:
      case SERVER_TYPES.emptyQueryResponse:
        this.#isSendingCopy = false
        return isRunning(head) && mayGoOn(head) && !(this.#state.copyIn && this.#state.copy?.of === head)
      case SERVER_TYPES.copyInResponse:
        return isRunning(head) && this.#state.copy?.of === head && mayBe(head, 'takes copy')
      case SERVER_TYPES.copyOutResponse:
        this.#isSendingCopy = true
        return isRunning(head) && mayBe(head, 'sends copy')
      case SERVER_TYPES.copyData:
        return this.#isSendingCopy && isRunning(head)
      case SERVER_TYPES.copyDone: {
        const wasSending = this.#isSendingCopy
        this.#isSendingCopy = false
        return wasSending && isRunning(head)
      }
      default:
        return false
    }
  }
}

/** The server sent what nobody asked for: whose answer it is, and whose comes next, is not known. */
export function misfit(type: number): TypeError {
  return new TypeError(`the upstream sent a message of type ${type}, which nobody asked for`)
}

function isRunning(head: Pending | undefined): head is PendingQuery | PendingExecute {
  return head?.kind === 'query' || head?.kind === 'execute'
}

/** Whether the statement that is to be answered next may be of this form. */
function mayBe(head: PendingQuery | PendingExecute, form: AnswerForm): boolean {
  const { forms } = answersOf(head.flight.judgement)
  return forms === undefined || forms[head.kind === 'query' ? head.statement : 0] === form
}

/** Whether the statement that was answered last may be the last of its batch. An empty batch is answered as one. */
function isLast({ flight, statement }: PendingQuery): boolean {
  const { forms } = answersOf(flight.judgement)
  return forms === undefined || statement >= forms.length
}

/** Whether a statement is left to be answered. */
function mayGoOn(head: PendingQuery | PendingExecute): boolean {
  const { forms } = answersOf(head.flight.judgement)
  return head.kind === 'execute' || forms === undefined || head.statement < Math.max(1, forms.length)
}
