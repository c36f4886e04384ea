import { GatewayError } from '../../core/index.ts'

/** An operation that is not understood is none that can be judged. Names nothing that the client wrote. */
export function refusedOperation(why: string, cause?: unknown): GatewayError {
  return new GatewayError('invalid', `Send a GraphQL operation that can be judged: ${why}.`, {
    remedy: 'Hold it against the schema of this connection.',
    retry: 'only-if-changed',
    ...(cause === undefined ? {} : { cause }),
  })
}

export function tooMuch(what: string, max: number): GatewayError {
  return new GatewayError('limit_exceeded', `Ask for less in one GraphQL request: at most ${max} ${what}.`, {
    remedy: 'Split it into several.',
    retry: 'only-if-changed',
  })
}
