import { GatewayError } from '../../core/errors.ts'

/**
 * A peer broke the rules of its protocol. `message` is a sentence about the rule and never quotes what was sent;
 * `facts` go to the log only.
 */
export function violation(
  message: string,
  facts: Readonly<Record<string, string | number>> = {},
): GatewayError {
  return new GatewayError('protocol_violation', message, { facts })
}
