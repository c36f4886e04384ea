import { open } from 'node:fs/promises'
import { GatewayError, LIMITS } from '../core/index.ts'

/** Tells the operator of something that works and should not stay so. */
export type Warn = (message: string) => void

/**
 * Reads a file that holds a secret, at most `secretBytesMax` bytes of it. Warns when others than its owner may read
 * it. Works for pipes as well, whose size is not known beforehand. Throws `invalid`, naming the path.
 */
export async function readSecretFile(path: string, warn: Warn): Promise<string> {
  try {
    const file = await open(path, 'r')
    try {
      const { mode } = await file.stat()
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        const octal = (mode & 0o777).toString(8).padStart(4, '0')
        warn(`${path} holds a secret and others may read it (mode ${octal}); chmod 600 it.`)
      }
      const buffer = Buffer.alloc(LIMITS.secretBytesMax + 1)
      let length = 0
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (length > LIMITS.secretBytesMax) {
        throw new GatewayError('invalid', `${path} is too long for a secret.`, {
          remedy: `A secret has at most ${LIMITS.secretBytesMax} bytes.`,
        })
      }
      return buffer.toString('utf8', 0, length)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('invalid', `${path} cannot be read (${codeOf(error)}).`, { cause: error })
  }
}

/** `ENOENT` and the like; the system's own name for what went wrong. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}

/** Editors and `echo` end a file with a line break that is not part of the secret. */
export function trimLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '')
}
