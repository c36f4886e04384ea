import type { HttpResponse } from '../sides.ts'
import type { Socket } from 'node:net'

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'

/** The answers that each line still owes, so that a line on which nothing more can be read ends behind them. */
export class OwedAnswers {
  readonly #bySocket = new WeakMap<Socket, Set<HttpResponse>>()

  add(socket: Socket, response: HttpResponse): void {
    const owed = this.#bySocket.get(socket) ?? new Set()
    this.#bySocket.set(socket, owed.add(response))
    response.once('close', () => owed.delete(response))
  }

  /**
   * Ends a line on which what came last cannot be read: with 400, behind the answers to all that came before. 400 in front of these would be
   * taken for the answer to one that was done, and in the midst of an answer for a part of it; so there the line is cut.
   */
  endBroken(socket: Socket): void {
    const owed = this.#bySocket.get(socket)
    const before = [...(owed ?? [])].filter(({ req }) => req.complete)
    let left = before.length
    const end = (): void => {
      const isBegun = [...(owed ?? [])].some(({ headersSent }) => headersSent)
      if (socket.writable && !isBegun) socket.end(BAD_REQUEST)
      else socket.destroy()
    }
    if (left === 0) end()
    for (const each of before) {
      each.once('close', () => {
        left--
        if (left === 0) end()
      })
    }
  }
}
