import { GatewayError, isGatewayError } from '../../../core/index.ts'
import type { Permitted } from '../../../session/index.ts'
import { housekeeping } from '../../../session/index.ts'
import type { FrameMode } from '../../../wire/postgres/index.ts'
import { CLIENT_TYPES, encodeClient, HEADER_BYTES } from '../../../wire/postgres/index.ts'
import { SQLSTATES } from '../errors.ts'
import type { RequestSurroundings } from './refusing.ts'

const COPY_FAIL = encodeClient({ kind: 'copyFail', reason: 'refused by the gateway' })

/**
 * Rows that a client sends for COPY ... FROM STDIN. They are passed on as they are, unless they go into labelled columns:
 * then each is looked through first, and a masked value makes COPY fail on both sides. What the server had of it by then
 * goes with it, because COPY takes all rows or none.
 */
export class Copying {
  readonly #around: RequestSurroundings

  constructor(around: RequestSurroundings) {
    this.#around = around
  }

  /** What becomes of CopyData, CopyDone or CopyFail. */
  header(type: number): FrameMode {
    const { state } = this.#around
    // The server has been told that there are no more.
    if (state.copyRefusal !== undefined) return 'drop'
    if (!state.copyIn && this.#mayBegin()) {
      const begun = new Promise<void>((resolve) => state.onReady.push(resolve))
      // Also where nothing has been read but the header, it is looked at again.
      this.#around.again(Buffer.alloc(0), begun)
      return 'leave'
    }
    if (type === CLIENT_TYPES.copyData) return state.copySearch === undefined ? 'pass' : 'stream'
    const { copySearch } = state
    state.copySearch = undefined
    state.copyIn = false
    if (copySearch === undefined || type !== CLIENT_TYPES.copyDone) return 'pass'
    return this.#looked(copySearch, () => copySearch.search.end()) ? 'pass' : 'drop'
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

  /** Rows have come before the server has asked for them, and may be of a COPY for which they are looked through. */
  #mayBegin(): boolean {
    return this.#around.state.pending.all().some((each) => {
      const flight = each.kind === 'query' || each.kind === 'execute' ? each.flight : undefined
      return flight?.judgement.facts.statements.some(({ copyIn }) => copyIn !== undefined) === true
    })
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
      state.copyIn = false
      state.copyRefusal = refusal
      session.notice(flight.n, SQLSTATES[code], message)
      local.noteRefusal(refusal, Buffer.from(flight.command.text))
      session.forward(housekeeping, COPY_FAIL)
      return false
    }
  }
}
