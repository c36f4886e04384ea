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
 * Rows that a client sends for COPY ... FROM STDIN. They are recorded and passed on as they are, unless they go into labelled
 * columns: then each is looked through first, and a masked value makes COPY fail on both sides. What the server had of it by
 * then goes with it, because COPY takes all rows or none.
 *
 * While it takes rows a server ignores Sync and Flush; once the COPY has failed it answers them, or discards up to the next
 * Sync. When that was, nobody here can know before its answer comes. So no message is sent whose fate depends on it: what
 * comes behind a command that may take rows waits until the server has asked for them or answered; then it gets rows only.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export class Copying {
  readonly #around: RequestSurroundings
  /** Of the body of a CopyData that was passed on in part. */
  #left = 0

  constructor(around: RequestSurroundings) {
    this.#around = around
  }

  /** A command has been sent. */
  sent(of: PendingQuery | PendingExecute): void {
    if (answersOf(of.flight.judgement).takesCopy)
      this.#around.state.copy = { of, input: undefined, isFlushed: of.kind === 'query' }
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
    if (copy.input === undefined) return this.#wait(copy)
    switch (type) {
      case CLIENT_TYPES.copyData:
        return state.copySearch === undefined ? 'pass' : 'stream'
      case CLIENT_TYPES.copyDone:
      case CLIENT_TYPES.copyFail:
        return 'whole'
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

  /** Adjacent messages of CopyData, cut anywhere but in a header. */
  pass(buffer: Buffer, start: number, end: number): void {
    const { session, state } = this.#around
    // None: the command has failed while its last message was on its way.
    const input = state.copy?.input
    for (let at = start; at < end; ) {
      if (this.#left === 0) {
        this.#left = buffer.readInt32BE(at + 1) - 4
        at += HEADER_BYTES
      }
      const until = Math.min(end, at + this.#left)
      input?.push(buffer, at, until)
      this.#left -= until - at
      at = until
    }
    session.forward(housekeeping, buffer, start, end)
  }

  /** Part of the body of CopyData that is looked through: it goes on in a message of its own. */
  piece(buffer: Buffer, start: number, end: number): void {
    const { copySearch, copy } = this.#around.state
    if (start === end || copySearch === undefined) return
    if (!this.#looked(copySearch, () => copySearch.search.push(buffer, start, end))) return
    copy?.input?.push(buffer, start, end)
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

  /**
   * CopyDone or CopyFail, from its header on: no more rows. The server answers, whether it had failed before or not, and reads
   * on as it does behind any command.
   */
  ends(type: number, buffer: Buffer, from: number, end: number): void {
    const { state, session } = this.#around
    const { copy, copySearch } = state
    // It may have failed while the rest of the message was on its way.
    if (copy?.input === undefined || state.copyRefusal !== undefined) return
    const { input } = copy
    const isDone = type === CLIENT_TYPES.copyDone
    state.copySearch = undefined
    copy.input = undefined
    // A later statement of a batch may take rows as well.
    if (copy.of.kind === 'execute' || !mayTakeMore(copy.of.flight.judgement, copy.of.statement))
      state.copy = undefined
    if (copySearch !== undefined && isDone && !this.#looked(copySearch, () => copySearch.search.end())) return
    input.end(isDone ? 'done' : 'failed')
    session.forward(housekeeping, buffer, from, end)
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
