import { createHash } from 'node:crypto'
import type { Secret } from '../../core/secret.ts'

/**
 * The answer to AuthenticationMD5Password: `md5` and the hex of md5(md5(password + user) + salt). Weak and still asked
 * for by old servers and poolers; use it inside TLS.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export function md5Password(user: string, password: Secret, salt: Uint8Array): string {
  const inner = createHash('md5').update(password.reveal()).update(user).digest('hex')
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`
}
