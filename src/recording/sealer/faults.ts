import { type ErrorCode, GatewayError, isGatewayError } from '../../core/index.ts'

/** An error on its way from one thread to another. */
export type Fault = {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly remedy: string | undefined
}

/** Damage and contradictions do not go away by themselves; a fault of the disk or the network may. */
export function isLasting(error: unknown): boolean {
  return isGatewayError(error) && error.retry !== 'later' && error.code !== 'upstream_unreachable'
}

export function faultOf(error: unknown): Fault {
  if (isGatewayError(error)) return { code: error.code, message: error.message, remedy: error.remedy }
  return {
    code: undefined,
    message: error instanceof Error ? error.message : String(error),
    remedy: undefined,
  }
}

export function errorOf({ code, message, remedy }: Fault): Error {
  return code === undefined
    ? new Error(message)
    : new GatewayError(code, message, remedy === undefined ? {} : { remedy })
}
