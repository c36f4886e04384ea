import type { Dispatcher } from 'undici'
import { GatewayError } from '../../../core/index.ts'
import { AnswerBody } from './answer-body.ts'

/** The head of an answer, and its body as it comes. */
export type Arrived = {
  readonly status: number
  /** Names and values in turn, one character for each byte. */
  readonly headers: readonly string[]
  readonly body: AnswerBody
}

/**
 * Sends one request. Resolves when the head of its answer has come; interim answers (1xx) are passed over. Rejects with what went
 * wrong, or with the reason of the signal.
 */
export function exchange(
  pool: Dispatcher,
  request: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<Arrived> {
  return new Promise((resolve, reject) => {
    const handler = new Exchange(signal, resolve, reject)
    pool.dispatch(request, handler)
  })
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #signal: AbortSignal
  readonly #resolve: (arrived: Arrived) => void
  readonly #reject: (error: unknown) => void
  #controller: Dispatcher.DispatchController | undefined
  #body: AnswerBody | undefined

  constructor(signal: AbortSignal, resolve: (arrived: Arrived) => void, reject: (error: unknown) => void) {
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
    if (signal.aborted) reject(reasonOf(signal))
    else signal.addEventListener('abort', this.#giveUp)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#signal.aborted) controller.abort(reasonOf(this.#signal))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return
    this.#body = new AnswerBody(controller)
    this.#resolve({ status, headers: pairsOf(controller.rawHeaders), body: this.#body })
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#body?.push(piece) === false) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#over()
    this.#body?.end(pairsOf(controller.rawTrailers))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#over()
    this.#body?.fail(error)
    this.#reject(error)
  }

  readonly #giveUp = (): void => {
    const reason = reasonOf(this.#signal)
    // A request that waits for a line has no controller yet, and is given up when it gets one.
    this.#reject(reason)
    this.#controller?.abort(reason)
  }

  #over(): void {
    this.#signal.removeEventListener('abort', this.#giveUp)
  }
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new GatewayError('canceled', 'The client went away.')
}

function pairsOf(raw: Dispatcher.DispatchController['rawHeaders']): readonly string[] {
  if (Array.isArray(raw))
    return raw.map((each) => (typeof each === 'string' ? each : each.toString('latin1')))
  return Object.entries(raw ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).flatMap((each) => [name, each]),
  )
}
