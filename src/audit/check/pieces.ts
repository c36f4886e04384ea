import { GatewayError } from '../../core/index.ts'
import type { LogSource } from '../../evidence/log/reader.ts'
import { StreamReader } from './bytes.ts'
import type { AuditSource } from './ports.ts'

/** Where the log lies below the data directory. */
export const LOG_PREFIX = 'log/'

/** The pieces of the log as `LogReader` asks for them. */
export function logSource(source: AuditSource): LogSource {
  return { read: (path, bytesMax) => readWhole(source, `${LOG_PREFIX}${path}`, bytesMax) }
}

/** The first bytes of a file, fewer where it has no more; undefined where there is none. */
export async function readBeginning(
  source: AuditSource,
  path: string,
  length: number,
): Promise<Uint8Array | undefined> {
  const stream = await source.read(path)
  if (stream === undefined) return undefined
  const reader = new StreamReader(stream)
  try {
    return await reader.take(length)
  } finally {
    await reader.close()
  }
}

/** A whole file; undefined where there is none. Throws `limit_exceeded` where it has more bytes than it may. */
export async function readWhole(
  source: AuditSource,
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  const stream = await source.read(path)
  if (stream === undefined) return undefined
  const reader = new StreamReader(stream)
  try {
    const bytes = await reader.take(bytesMax + 1)
    if (bytes.length <= bytesMax) return bytes
  } finally {
    await reader.close()
  }
  throw new GatewayError('limit_exceeded', `${path} has more than the ${bytesMax} bytes that it may have.`, {
    remedy: 'It is damaged, or not what its name says: bring it back from a copy.',
  })
}
