import { GatewayError, isGatewayError } from '../../../core/index.ts'
import type { Permitted } from '../../../session/index.ts'
import { housekeeping } from '../../../session/index.ts'
import type { FrameMode } from '../../../wire/postgres/index.ts'
import { CLIENT_TYPES, encodeClient, HEADER_BYTES } from '../../../wire/postgres/index.ts'
import { SQLSTATES } from '../errors.ts'
import type { CopyTurn, PendingExecute, PendingQuery } from '../pending.ts'
import { answersOf, mayTakeMore } from './answers.ts'
import type { RequestSurroundings } from './refusing.ts'

const COPY_FAIL = encodeClient({ kind: 'copyFail', reason: 'refused by the gateway' })
const FLUSH = encodeClient({ kind: 'flush' })

/**
 * Rows that a client sends for COPY ... FROM STDIN. They are passed on as they are, unless they go into labelled columns:
 * then each is looked through first, and a masked value makes COPY fail on both sides. What the server had of it by then
 * goes with it, because COPY takes all rows or none.
 *
 * While it takes rows a server ignores Sync and Flush; once the COPY has failed it answers them, or discards up to the next
 * Sync. When that was, nobody here can know before its answer comes. So no message is sent whose fate depends on it: what
 * comes behind a command that may take rows waits until the server has asked for them or answered; then it gets rows only.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export class Copying {
  readonly #around: RequestSurroundings

  constructor(around: RequestSurroundings) {
    this.#around = around
  }

  /** A command has been sent. */
  sent(of: PendingQuery | PendingExecute): void {
    if (answersOf(of.flight.judgement).takesCopy)
      this.#around.state.copy = { of, isTaking: false, isFlushed: of.kind === 'query' }
  }

  /** What becomes of a message, other than Terminate, by its type. Undefined: no COPY makes a difference to it. */
  header(type: number): FrameMode | undefined {
    const { state } = this.#around
    const isOfCopy =
      type === CLIENT_TYPES.copyData || type === CLIENT_TYPES.copyDone || type === CLIENT_TYPES.copyFail
    // The server has been told that there are no more.
    if (isOfCopy && state.copyRefusal !== undefined) return 'drop'
    const { copy } = state
    // Behind a COPY that has failed the server ignores them, too.
    if (copy === undefined) return isOfCopy ? 'drop' : undefined
    if (!copy.isTaking) return this.#wait(copy)
    switch (type) {
      case CLIENT_TYPES.copyData:
        return state.copySearch === undefined ? 'pass' : 'stream'
      case CLIENT_TYPES.copyDone:
      case CLIENT_TYPES.copyFail:
        return this.#end(copy, type)
      // The server would ignore them, or answer them if it has failed by now.
      case CLIENT_TYPES.sync:
      case CLIENT_TYPES.flush:
        return 'drop'
      default:
        throw new GatewayError(
          'protocol_violation',
          'The client sent another message where rows of COPY were asked for.',
          { facts: { type } },
        )
    }
  }

  /** Part of the body of CopyData that is looked through: it goes on in a message of its own. */
  piece(buffer: Buffer, start: number, end: number): void {
    const { copySearch } = this.#around.state
    if (start === end || copySearch === undefined) return
    if (!this.#looked(copySearch, () => copySearch.search.push(buffer, start, end))) return
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header[0] = CLIENT_TYPES.copyData
    header.writeInt32BE(end - start + 4, 1)
    this.#around.session.forward(housekeeping, header)
    this.#around.session.forward(housekeeping, buffer, start, end)
  }

  /** It is looked at again when the server has asked for rows, or answered. */
  #wait(copy: CopyTurn): FrameMode {
    const { state, session } = this.#around
    if (!copy.isFlushed) {
      // Without a Sync, which may be what waits, a server would keep some answers to itself.
      copy.isFlushed = true
      session.forward(housekeeping, FLUSH)
    }
    const known = new Promise<void>((resolve) => state.onReady.push(resolve))
    // Also where nothing has been read but the header.
    this.#around.again(Buffer.alloc(0), known)
    return 'leave'
  }

  /** No more rows: the server answers, whether it had failed before or not, and reads on as it does behind any command. */
  #end(copy: CopyTurn, type: number): FrameMode {
    const { state } = this.#around
    const { copySearch } = state
    state.copySearch = undefined
    copy.isTaking = false
    // A later statement of a batch may take rows as well.
    if (copy.of.kind === 'execute' || !mayTakeMore(copy.of.flight.judgement, copy.of.statement))
      state.copy = undefined
    if (copySearch === undefined || type !== CLIENT_TYPES.copyDone) return 'pass'
    return this.#looked(copySearch, () => copySearch.search.end()) ? 'pass' : 'drop'
  }

  #looked({ flight }: { readonly flight: Permitted }, look: () => void): boolean {
    const { session, state, local } = this.#around
    try {
      look()
      return true
    } catch (error) {
      if (!isGatewayError(error)) throw error
      const { code, message, remedy, retry, facts } = error
      const refusal = new GatewayError(code, message, {
        ...(remedy === undefined ? {} : { remedy }),
        retry,
        requestId: session.requestId(flight.n),
        facts,
      })
      state.copySearch = undefined
      // It fails for certain, and with it what follows in its batch.
      state.copy = undefined
      state.copyRefusal = refusal
      session.notice(flight.n, SQLSTATES[code], message)
      local.noteRefusal(refusal, Buffer.from(flight.command.text))
      session.forward(housekeeping, COPY_FAIL)
      return false
    }
  }
}
