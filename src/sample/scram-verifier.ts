import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

/**
 * A password as PostgreSQL keeps it (`pg_authid.rolpassword`): with this in ALTER ROLE the password itself reaches
 * neither the statement, nor the server's log, nor a file. RFC 5802 section 3 with RFC 7677's hash.
 * The password must be ASCII, so that SASLprep changes nothing.
 */
export function scramVerifier(password: string, iterations = 4096): string {
  if (!/^[\x21-\x7e]+$/.test(password))
    throw new Error('a password of printable ASCII without blanks is expected')
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
