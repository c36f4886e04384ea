/**
 * What of an AbortSignal is needed to hear that nobody wants an answer any more. Every AbortSignal is one; what waits by the
 * thousand has its own, which is lighter.
 */
export interface AbortWatch {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: AbortListener): void
  removeEventListener(type: 'abort', listener: AbortListener): void
}

/** Called once, when it is aborted. */
export interface AbortListener {
  handleEvent(): void
}
